/* job_filter.h: which jobs somebody means: the filter of GET /jobs and of POST /jobs/actions, checked, and as
 * the WHERE of a statement with parameters. No I/O. */
#ifndef TF_JOB_FILTER_H
#define TF_JOB_FILTER_H

#include <jansson.h>

#include "buf.h"
#include "job.h"
#include "pgparam.h"

#define TF_FILTER_SEARCH_MAX 200 /* bytes of q */
#define TF_FILTER_IDS_MAX 1000
#define TF_FILTER_PARAMS 13 /* those of all conditions, and three of the caller */

#define TF_STATUS_BIT(status) (1u << (unsigned)(status))

/* Texts point into what the filter was made of. Times are microseconds since 1970. */
typedef struct {
    uint32_t statuses; /* TF_STATUS_BIT of each; 0: any */
    int priority_low, priority_high;
    tf_str_t type, queue;
    tf_str_t search; /* a part of the name, in any case */
    int64_t created_after, created_before;
    bool has_id; /* a whole id was searched for */
    uint8_t id[16];
    bool has_created_by;
    uint8_t created_by[16];
    uint8_t (*ids)[16]; /* malloc; NULL: not given */
    size_t nids;
    bool internal; /* jobs of internal queues too; they are meant anyway when queue or an id names them */
} tf_job_filter_t;

/* Every job but those of internal queues. */
void tf_job_filter_init(tf_job_filter_t *filter);
void tf_job_filter_free(tf_job_filter_t *filter);

/* No condition was given. */
bool tf_job_filter_is_empty(const tf_job_filter_t *filter);

/* Sets one condition from its text: status ("FAILED,DEAD_LETTER"), type, queue, priority (a name or a level),
 * created_after, created_before, q (a whole id, or a part of the name), created_by (an id of a user, or
 * "me"). me: the caller, NULL where nobody logged in. Returns what is wrong with the text, or NULL. */
const char *tf_job_filter_set(tf_job_filter_t *filter, const char *name, const char *text, size_t len,
                              const uint8_t *me);

/* The same from a JSON object, which may hold arrays (status, ids) and numbers (priority). What is wrong is
 * added to errors with pointers that begin with prefix ("#/filter"). The filter must have been initialised;
 * texts point into body. */
void tf_job_filter_parse(tf_job_filter_t *filter, const json_t *body, const char *prefix, const uint8_t *me,
                         tf_buf_t *errors);

/* The conditions as SQL. Not to be copied: values point into it and into the filter. */
typedef struct {
    tf_buf_t jobs;   /* " AND ..." for a SELECT ... FROM jobs WHERE true */
    tf_buf_t counts; /* the same for job_counts, as far as it knows the columns; parameters up to ncounted */
    bool countable;  /* it knows all of them */
    bool failed;     /* out of memory */
    int n, ncounted; /* parameters, $1 to $n, all in binary */
    const char *values[TF_FILTER_PARAMS];
    int lengths[TF_FILTER_PARAMS];
    uint8_t wire[TF_FILTER_PARAMS][16];
    tf_buf_t pattern;
    tf_pgarray_t ids;
} tf_job_where_t;

/* where must be zeroed the first time. */
void tf_job_where(tf_job_where_t *where, const tf_job_filter_t *filter);

/* Adds a parameter of up to 16 bytes, copied; returns its number. */
int tf_job_where_param(tf_job_where_t *where, const void *data, size_t len);

/* The same of any length; stays where it is. */
int tf_job_where_param_at(tf_job_where_t *where, const char *data, size_t len);

/* The ids that the conditions on created_at and `before` (NULL: none) leave: from since, before below. */
void tf_job_where_ids(const tf_job_filter_t *filter, const uint8_t *before, uint8_t since[16],
                      uint8_t below[16]);

void tf_job_where_free(tf_job_where_t *where);

#endif
