/* report.h: the parts of report_generation: what is asked for, a document in the making, where its content
 * comes from, and the document as HTML. */
#ifndef TFW_REPORT_H
#define TFW_REPORT_H

#include <stdarg.h>

#include "buf.h"
#include "handler.h"
#include "worker/render.h"

#define TFW_REPORT_NAME_MAX 64     /* bytes of report_type */
#define TFW_REPORT_TITLE_MAX 200   /* bytes */
#define TFW_REPORT_GROUPS_MAX 500  /* of a dataset that are shown */
#define TFW_REPORT_RANGE_DAYS 3660 /* between from and to */

/* ---- what is asked for; texts belong to the payload ---- */

typedef struct {
    const char *report_type;
    const json_t *user_id; /* NULL: none */
    const char *title;     /* NULL: the report's type */
    const char *date_range;
    int64_t from_us, to_us; /* microseconds since 1970; to is not part of it */
    const char *dataset;    /* NULL: the jobs of that time */
    const char *group_by;
    const json_t *columns;
    bool pdf, html;
} tfw_report_request_t;

/* now_us: what the ranges end with. false: the reason is set by tfw_run_error. */
bool tfw_report_request(tfw_run_t *run, tfw_report_request_t *request, int64_t now_us);

/* ---- a document in the making; all of it is the report's ---- */

typedef struct tfw_report_piece_s tfw_report_piece_t;

typedef struct {
    tfw_doc_t doc;
    tfw_doc_block_t *blocks;
    size_t size;
    tfw_report_piece_t *pieces;
    bool failed; /* out of memory */
} tfw_report_t;

void tfw_report_free(tfw_report_t *report);

/* Zeroed; NULL: out of memory, and the report has failed. */
void *tfw_report_alloc(tfw_report_t *report, size_t count, size_t size);

/* "" when it has failed. */
const char *tfw_report_text(tfw_report_t *report, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *tfw_report_number(tfw_report_t *report, int64_t value);   /* 12,345 */
const char *tfw_report_decimal(tfw_report_t *report, double value);   /* 12,345.68; NAN: "" */
const char *tfw_report_seconds(tfw_report_t *report, double seconds); /* 0.213 s, 2 min 05 s; NAN: "" */
const char *tfw_report_time(tfw_report_t *report, int64_t us);        /* 2026-11-22 13:00 */

void tfw_report_line(tfw_report_t *report, tfw_block_kind_t kind, const char *text);
void tfw_report_facts(tfw_report_t *report, const tfw_doc_fact_t *facts, size_t count);

/* A table with empty cells, to be filled row by row. NULL: no rows, and no table; or it has failed. */
const char **tfw_report_table(tfw_report_t *report, const char *const *names, const bool *numbers,
                              size_t columns, size_t rows);

/* A chart with values and labels to be filled. NULL: no points, and no chart; or it has failed. */
typedef struct {
    double *values;
    const char **labels;
} tfw_report_points_t;

tfw_report_points_t tfw_report_chart(tfw_report_t *report, tfw_chart_kind_t kind, const char *title,
                                     const char *const *names, const uint32_t *colours, size_t series,
                                     size_t points);

/* ---- its content. count: of the jobs or rows it is about ---- */

tfw_outcome_t tfw_report_jobs(tfw_run_t *run, const tfw_report_request_t *request, tfw_report_t *report,
                              int64_t *count);
tfw_outcome_t tfw_report_dataset(tfw_run_t *run, const tfw_report_request_t *request, tfw_report_t *report,
                                 int64_t *count);

/* ---- as HTML, one file that needs no other ---- */

tfw_outcome_t tfw_report_html(tfw_run_t *run, const tfw_render_t *render, const tfw_report_t *report, int fd);

/* Whether the run may go on, for tfw_render_job_t. */
bool tfw_report_go_on(void *run);

#endif
