
/*
 * The jobs of a batch as the parameters of the statement that submits them.
 */

#ifndef _NGX_HTTP_TASKFORGE_INSERT_ROWS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_INSERT_ROWS_H_INCLUDED_


#include "ngx_http_taskforge_insert.h"
#include "pgparam.h"
#include "sql.h"


/* The array parameters of tf_sql_submit_full, $2 and following. */

enum {
    NGX_HTTP_TASKFORGE_COL_ID = 0,
    NGX_HTTP_TASKFORGE_COL_TYPE,
    NGX_HTTP_TASKFORGE_COL_QUEUE,
    NGX_HTTP_TASKFORGE_COL_NAME,
    NGX_HTTP_TASKFORGE_COL_PRIORITY,
    NGX_HTTP_TASKFORGE_COL_MAX_RETRIES,
    NGX_HTTP_TASKFORGE_COL_TIMEOUT,
    NGX_HTTP_TASKFORGE_COL_RETRY_BASE,
    NGX_HTTP_TASKFORGE_COL_RETRY_MAX,
    NGX_HTTP_TASKFORGE_COL_RETRY_JITTER,
    NGX_HTTP_TASKFORGE_COL_CREATED_AT,
    NGX_HTTP_TASKFORGE_COL_CREATED_BY,
    NGX_HTTP_TASKFORGE_COL_TRACEPARENT,
    NGX_HTTP_TASKFORGE_COL_PAYLOAD,
    NGX_HTTP_TASKFORGE_COL_METADATA,

    /* tf_sql_submit has those above */
    NGX_HTTP_TASKFORGE_COL_SELDOM,

    NGX_HTTP_TASKFORGE_COL_SCHEDULED_AT = NGX_HTTP_TASKFORGE_COL_SELDOM,
    NGX_HTTP_TASKFORGE_COL_RETRY_BUDGET,
    NGX_HTTP_TASKFORGE_COL_EXPIRES_AT,
    NGX_HTTP_TASKFORGE_COL_WEBHOOK_URL,
    NGX_HTTP_TASKFORGE_COL_KEY,
    NGX_HTTP_TASKFORGE_COL_HASH,
    NGX_HTTP_TASKFORGE_COLS
};


/* How many of which kind tf_sql_submit submits: behind its columns. */

enum {
    NGX_HTTP_TASKFORGE_COUNT_QUEUE = 0,
    NGX_HTTP_TASKFORGE_COUNT_TYPE,
    NGX_HTTP_TASKFORGE_COUNT_PRIORITY,
    NGX_HTTP_TASKFORGE_COUNT_N,
    NGX_HTTP_TASKFORGE_COUNTS
};

#define NGX_HTTP_TASKFORGE_PARAMS  (NGX_HTTP_TASKFORGE_COLS + 1)


/* Zeroed to begin with, and used again for each batch. */

typedef struct {
    const char                        *values[NGX_HTTP_TASKFORGE_PARAMS];
    int                                lengths[NGX_HTTP_TASKFORGE_PARAMS];

    /* what those point to */
    tf_pgarray_t                       cols[NGX_HTTP_TASKFORGE_COLS];
    tf_pgarray_t                       counts[NGX_HTTP_TASKFORGE_COUNTS];
    uint8_t                            writer[2];
    uint8_t                            total[4];
} ngx_http_taskforge_insert_rows_t;


/*
 * jobs: a queue of ngx_http_taskforge_insert_t.  Fills values and lengths and
 * returns the statement that they are for.  NULL: no memory.
 */

const tf_sql_t *ngx_http_taskforge_insert_rows(
    ngx_http_taskforge_insert_rows_t *rows, ngx_queue_t *jobs);

void ngx_http_taskforge_insert_rows_free(
    ngx_http_taskforge_insert_rows_t *rows);


#endif /* _NGX_HTTP_TASKFORGE_INSERT_ROWS_H_INCLUDED_ */
