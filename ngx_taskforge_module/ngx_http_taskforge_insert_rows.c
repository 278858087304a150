
#include "ngx_http_taskforge_insert_rows.h"


static ngx_uint_t ngx_http_taskforge_insert_full(const tf_job_t *job);
static int32_t ngx_http_taskforge_insert_count(
    ngx_http_taskforge_insert_rows_t *rows, ngx_queue_t *jobs);
static ngx_int_t ngx_http_taskforge_insert_params(tf_pgarray_t *arrays,
    ngx_uint_t n, const char **values, int *lengths);
static void ngx_http_taskforge_insert_begin(
    ngx_http_taskforge_insert_rows_t *rows);
static void ngx_http_taskforge_insert_int4(tf_pgarray_t *col, int32_t value);
static void ngx_http_taskforge_insert_row(
    ngx_http_taskforge_insert_rows_t *rows,
    const ngx_http_taskforge_insert_t *ins);


static const uint32_t  ngx_http_taskforge_insert_types[] = {
    TF_PG_UUID,                                    /* id */
    TF_PG_TEXT, TF_PG_TEXT, TF_PG_TEXT,            /* type, queue, name */
    TF_PG_INT2, TF_PG_INT4, TF_PG_INT4,            /* priority ... timeout */
    TF_PG_INT4, TF_PG_INT4, TF_PG_BOOL,            /* retry policy */
    TF_PG_TIMESTAMPTZ, TF_PG_UUID,                 /* created at, by */
    TF_PG_TEXT, TF_PG_JSON, TF_PG_JSON,
    TF_PG_TIMESTAMPTZ,                             /* scheduled */
    TF_PG_INT4, TF_PG_TIMESTAMPTZ, TF_PG_TEXT,     /* budget ... webhook */
    TF_PG_TEXT, TF_PG_BYTEA                        /* idempotency */
};


static const uint32_t  ngx_http_taskforge_insert_count_types[] = {
    TF_PG_TEXT, TF_PG_TEXT, TF_PG_INT2, TF_PG_INT4
};


const tf_sql_t *
ngx_http_taskforge_insert_rows(ngx_http_taskforge_insert_rows_t *rows,
    ngx_queue_t *jobs)
{
    ngx_int_t                     rc;
    ngx_uint_t                    n;
    ngx_queue_t                  *q;
    const tf_sql_t               *sql;
    ngx_http_taskforge_insert_t  *ins;

    sql = &tf_sql_submit;

    ngx_http_taskforge_insert_begin(rows);

    for (q = ngx_queue_head(jobs);
         q != ngx_queue_sentinel(jobs);
         q = ngx_queue_next(q))
    {
        ins = ngx_queue_data(q, ngx_http_taskforge_insert_t, queue);
        ngx_http_taskforge_insert_row(rows, ins);

        if (ngx_http_taskforge_insert_full(&ins->job)) {
            sql = &tf_sql_submit_full;
        }
    }

    tf_pg_put_int2(rows->writer, TF_WRITER_NGINX(ngx_worker));

    rows->values[0] = (char *) rows->writer;
    rows->lengths[0] = sizeof(rows->writer);

    if (sql == &tf_sql_submit) {
        n = NGX_HTTP_TASKFORGE_COL_SELDOM + 1;

        tf_pg_put_int4(rows->total,
                       ngx_http_taskforge_insert_count(rows, jobs));

        rc = ngx_http_taskforge_insert_params(rows->counts,
                                              NGX_HTTP_TASKFORGE_COUNTS,
                                              &rows->values[n],
                                              &rows->lengths[n]);

        rows->values[n + NGX_HTTP_TASKFORGE_COUNTS] = (char *) rows->total;
        rows->lengths[n + NGX_HTTP_TASKFORGE_COUNTS] = sizeof(rows->total);

    } else {
        n = NGX_HTTP_TASKFORGE_COLS + 1;
        rc = NGX_OK;
    }

    if (rc != NGX_OK
        || ngx_http_taskforge_insert_params(rows->cols, n - 1,
                                            &rows->values[1],
                                            &rows->lengths[1])
           != NGX_OK)
    {
        return NULL;
    }

    return sql;
}


void
ngx_http_taskforge_insert_rows_free(ngx_http_taskforge_insert_rows_t *rows)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TASKFORGE_COLS; i++) {
        tf_pgarray_free(&rows->cols[i]);
    }

    for (i = 0; i < NGX_HTTP_TASKFORGE_COUNTS; i++) {
        tf_pgarray_free(&rows->counts[i]);
    }
}


static ngx_int_t
ngx_http_taskforge_insert_params(tf_pgarray_t *arrays, ngx_uint_t n,
    const char **values, int *lengths)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if (!tf_pgarray_end(&arrays[i])) {
            return NGX_ERROR;
        }

        /* most columns are NULL in most batches: quicker for both sides */

        values[i] = arrays[i].has_value ? arrays[i].buf.data : NULL;
        lengths[i] = (int) arrays[i].buf.len;
    }

    return NGX_OK;
}


/* Whether the job has what few jobs have: the usual statement is quicker. */

static ngx_uint_t
ngx_http_taskforge_insert_full(const tf_job_t *job)
{
    return job->status != TF_QUEUED
           || job->idempotency_key.len != 0
           || job->retry_budget_seconds >= 0
           || job->expires_at != TF_TIME_NONE
           || job->webhook_url.len != 0;
}


/*
 * How many jobs of which queue, type and priority: neighbours of one kind
 * become one count, and the statement adds up what is left.
 */

static int32_t
ngx_http_taskforge_insert_count(ngx_http_taskforge_insert_rows_t *rows,
    ngx_queue_t *jobs)
{
    int32_t                       n, total;
    ngx_uint_t                    i;
    ngx_queue_t                  *q;
    tf_pgarray_t                 *counts;
    const tf_job_t               *job, *next;
    ngx_http_taskforge_insert_t  *ins;

    counts = rows->counts;

    for (i = 0; i < NGX_HTTP_TASKFORGE_COUNTS; i++) {
        tf_pgarray_begin(&counts[i], ngx_http_taskforge_insert_count_types[i]);
    }

    n = 0;
    total = 0;

    for (q = ngx_queue_head(jobs);
         q != ngx_queue_sentinel(jobs);
         q = ngx_queue_next(q))
    {
        ins = ngx_queue_data(q, ngx_http_taskforge_insert_t, queue);
        job = &ins->job;
        n++;

        if (ngx_queue_next(q) != ngx_queue_sentinel(jobs)) {
            ins = ngx_queue_data(ngx_queue_next(q),
                                 ngx_http_taskforge_insert_t, queue);
            next = &ins->job;

            if (job->priority == next->priority
                && job->queue.len == next->queue.len
                && job->type.len == next->type.len
                && ngx_memcmp(job->queue.data, next->queue.data,
                              job->queue.len) == 0
                && ngx_memcmp(job->type.data, next->type.data,
                              job->type.len) == 0)
            {
                continue;
            }
        }

        tf_pgarray_bytes(&counts[NGX_HTTP_TASKFORGE_COUNT_QUEUE],
                         job->queue.data, job->queue.len);
        tf_pgarray_bytes(&counts[NGX_HTTP_TASKFORGE_COUNT_TYPE],
                         job->type.data, job->type.len);
        tf_pgarray_int2(&counts[NGX_HTTP_TASKFORGE_COUNT_PRIORITY],
                        (int16_t) job->priority);
        tf_pgarray_int4(&counts[NGX_HTTP_TASKFORGE_COUNT_N], n);

        total += n;
        n = 0;
    }

    return total;
}


static void
ngx_http_taskforge_insert_begin(ngx_http_taskforge_insert_rows_t *rows)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TASKFORGE_COLS; i++) {
        tf_pgarray_begin(&rows->cols[i], ngx_http_taskforge_insert_types[i]);
    }
}


/* Negative: not given, NULL. */

static void
ngx_http_taskforge_insert_int4(tf_pgarray_t *col, int32_t value)
{
    if (value < 0) {
        tf_pgarray_null(col);

    } else {
        tf_pgarray_int4(col, value);
    }
}


static void
ngx_http_taskforge_insert_row(ngx_http_taskforge_insert_rows_t *rows,
    const ngx_http_taskforge_insert_t *ins)
{
    tf_pgarray_t    *col;
    const tf_job_t  *job;

    col = rows->cols;
    job = &ins->job;

    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_ID], job->id, 16);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_TYPE],
                     job->type.data, job->type.len);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_QUEUE],
                     job->queue.data, job->queue.len);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_NAME],
                     job->name.data, job->name.len);
    tf_pgarray_int2(&col[NGX_HTTP_TASKFORGE_COL_PRIORITY],
                    (int16_t) job->priority);
    tf_pgarray_int4(&col[NGX_HTTP_TASKFORGE_COL_MAX_RETRIES],
                    job->max_retries);
    ngx_http_taskforge_insert_int4(&col[NGX_HTTP_TASKFORGE_COL_TIMEOUT],
                                   job->timeout_seconds);
    ngx_http_taskforge_insert_int4(&col[NGX_HTTP_TASKFORGE_COL_RETRY_BASE],
                                   job->retry_base_ms);
    ngx_http_taskforge_insert_int4(&col[NGX_HTTP_TASKFORGE_COL_RETRY_MAX],
                                   job->retry_max_ms);

    if (job->retry_jitter < 0) {
        tf_pgarray_null(&col[NGX_HTTP_TASKFORGE_COL_RETRY_JITTER]);

    } else {
        tf_pgarray_bool(&col[NGX_HTTP_TASKFORGE_COL_RETRY_JITTER],
                        job->retry_jitter);
    }

    tf_pgarray_time(&col[NGX_HTTP_TASKFORGE_COL_CREATED_AT], job->created_at);
    tf_pgarray_time(&col[NGX_HTTP_TASKFORGE_COL_SCHEDULED_AT],
                    job->scheduled_at);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_CREATED_BY],
                     job->has_created_by ? job->created_by : NULL, 16);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_TRACEPARENT],
                     job->traceparent.data, job->traceparent.len);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_PAYLOAD],
                     job->payload.data, job->payload.len);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_METADATA],
                     job->metadata.data, job->metadata.len);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_KEY],
                     job->idempotency_key.data, job->idempotency_key.len);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_HASH],
                     job->idempotency_key.len ? ins->request_hash : NULL, 32);
    ngx_http_taskforge_insert_int4(&col[NGX_HTTP_TASKFORGE_COL_RETRY_BUDGET],
                                   job->retry_budget_seconds);
    tf_pgarray_time(&col[NGX_HTTP_TASKFORGE_COL_EXPIRES_AT], job->expires_at);
    tf_pgarray_bytes(&col[NGX_HTTP_TASKFORGE_COL_WEBHOOK_URL],
                     job->webhook_url.data, job->webhook_url.len);
}
