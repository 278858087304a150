/* render.h: documents and texts as PDF, charts as SVG. cairo and pango are in a shared object of our own,
 * taskforge-render.so beside the worker's binary (worker/render/), so that the daemon does not carry them: it
 * is loaded by the first job of an executor that renders.
 *
 * All texts are UTF-8. What the fonts of the machine do not have is shown as a box. */
#ifndef TFW_RENDER_H
#define TFW_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a document ---- */

/* A figure that matters, large, with what it is below it. */
typedef struct {
    const char *value;
    const char *label;
} tfw_doc_fact_t;

typedef struct {
    size_t columns;
    const char *const *names; /* of the columns */
    const bool *numbers;      /* of the columns: to the right */
    size_t rows;
    const char *const *cells; /* row by row; NULL: empty. One of more than three lines ends in an ellipsis */
} tfw_doc_table_t;

typedef enum {
    TFW_CHART_BARS,    /* a bar to the right for each point; one series */
    TFW_CHART_COLUMNS, /* the series of each point upon each other */
    TFW_CHART_LINES
} tfw_chart_kind_t;

#define TFW_CHART_SERIES_MAX 4
#define TFW_CHART_BARS_MAX 24 /* points of TFW_CHART_BARS */

typedef struct {
    tfw_chart_kind_t kind;
    const char *title;
    size_t series; /* 1 to TFW_CHART_SERIES_MAX */
    const char *const *names;
    const uint32_t *colours; /* of the series, 0xRRGGBB; NULL: one after the other of our own */
    size_t points;
    const char *const *labels; /* of the points */
    const double *values;      /* of the first point all series, then of the next; not negative; NAN: none */
} tfw_doc_chart_t;

typedef enum {
    TFW_BLOCK_HEADING, /* text */
    TFW_BLOCK_TEXT,    /* text, a paragraph */
    TFW_BLOCK_NOTE,    /* text, small */
    TFW_BLOCK_FACTS,
    TFW_BLOCK_TABLE,
    TFW_BLOCK_CHART
} tfw_block_kind_t;

typedef struct {
    tfw_block_kind_t kind;
    const char *text;
    const tfw_doc_fact_t *facts;
    size_t nfacts;
    const tfw_doc_table_t *table;
    const tfw_doc_chart_t *chart;
} tfw_doc_block_t;

typedef struct {
    const char *title;
    const char *subtitle;
    const char *footer; /* at the foot of each page, beside its number */
    const tfw_doc_block_t *blocks;
    size_t count;
} tfw_doc_t;

/* ---- who wants it rendered ---- */

typedef struct {
    bool (*go_on)(void *data); /* asked every few milliseconds; false: cancelled */
    void *data;
    int pages_max;
    int64_t bytes_max;
    int pages;       /* filled: how many there are */
    bool cancelled;  /* filled */
    char error[256]; /* filled: why not; one line */
} tfw_render_job_t;

#define TFW_RENDER_ABI 1

/* What the object exports, as taskforge_render. All return false when it was cancelled, or with the error.
 * The files are written from where they stand; A4, in portrait. */
typedef struct {
    int abi;

    /* A PDF: title, blocks in their order, pages numbered; tables repeat their first line on each page. */
    bool (*document)(tfw_render_job_t *job, const tfw_doc_t *doc, int fd);

    /* A PDF of a plain text as it stands, in a font of fixed width: from the start of the regular file in_fd.
     * Lines that are too long are broken; a form feed begins a page; a byte order mark is skipped, and what
     * is no UTF-8 becomes U+FFFD. title: at the foot of each page. Memory: a line (of a longer one, 2 KiB at
     * a time) and a page. */
    bool (*text)(tfw_render_job_t *job, int in_fd, const char *title, int fd);

    /* The chart alone, an SVG document whose texts are outlines. */
    bool (*chart)(tfw_render_job_t *job, const tfw_doc_chart_t *chart, int fd);
} tfw_render_t;

struct tfw_run_s;

/* The object, loaded once per process. NULL: it is not there or does not fit; tfw_run_error says so. */
const tfw_render_t *tfw_render(struct tfw_run_s *run);

#endif
