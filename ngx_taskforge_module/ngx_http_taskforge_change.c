
#include "ngx_http_taskforge_change.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_publish.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_sql.h"


static void ngx_http_taskforge_change(ngx_http_request_t *r,
    const tf_sql_t *sql, ngx_http_taskforge_pg_request_pt handler);
static ngx_int_t ngx_http_taskforge_change_row(ngx_http_request_t *r,
    PGresult *res, tf_job_t *job, const char *done);
static void ngx_http_taskforge_cancel_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_retry_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_delete_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_change_refused(ngx_http_request_t *r,
    const char *done);
static void ngx_http_taskforge_change_status(ngx_http_request_t *r,
    void *data, PGresult *res);


static const tf_sql_t  ngx_http_taskforge_sql_status = {
    "tfr_status", NGX_HTTP_TASKFORGE_SQL_STATUS, 1
};


void
ngx_http_taskforge_cancel(ngx_http_request_t *r)
{
    ngx_http_taskforge_change(r, &tf_sql_cancel,
                              ngx_http_taskforge_cancel_done);
}


void
ngx_http_taskforge_retry(ngx_http_request_t *r)
{
    ngx_http_taskforge_change(r, &tf_sql_retry,
                              ngx_http_taskforge_retry_done);
}


void
ngx_http_taskforge_delete(ngx_http_request_t *r)
{
    ngx_http_taskforge_change(r, &tf_sql_delete,
                              ngx_http_taskforge_delete_done);
}


/* The parameters: $1 writer, $2 id, then who does it. */

static void
ngx_http_taskforge_change(ngx_http_request_t *r, const tf_sql_t *sql,
    ngx_http_taskforge_pg_request_pt handler)
{
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_writer(&args);
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_WRITE, sql,
                                         args.values, args.lengths, handler,
                                         NULL);
}


/* NGX_ERROR: nothing changed or nothing to read; the request is answered. */

static ngx_int_t
ngx_http_taskforge_change_row(ngx_http_request_t *r, PGresult *res,
    tf_job_t *job, const char *done)
{
    ngx_http_taskforge_pg_row_t  row = { res, 0 };

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return NGX_ERROR;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_change_refused(r, done);
        return NGX_ERROR;
    }

    if (!tf_job_from_row(job, &row, ngx_http_taskforge_pg_column, 0, true)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the job is %s, but cannot be read", done);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_taskforge_cancel_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_job_t                         job;
    ngx_http_taskforge_main_conf_t  *mcf;

    if (ngx_http_taskforge_change_row(r, res, &job, "cancelled") != NGX_OK) {
        return;
    }

    if (job.status == TF_CANCELLED) {
        ngx_http_taskforge_publish_job(r, &job);
        ngx_http_taskforge_change_reply(r, NGX_HTTP_OK, &job);
        return;
    }

    /* it runs: its worker hears of it now, or with its next heartbeat */

    if (!PQgetisnull(res, 0, TF_JOB_NCOLUMNS)) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

        ngx_http_taskforge_publish_order(mcf->redis_conn,
                     tf_pg_get_int8(PQgetvalue(res, 0, TF_JOB_NCOLUMNS)));
    }

    ngx_http_taskforge_change_reply(r, NGX_HTTP_ACCEPTED, &job);
}


static void
ngx_http_taskforge_retry_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_job_t  job;

    if (ngx_http_taskforge_change_row(r, res, &job, "retried") != NGX_OK) {
        return;
    }

    ngx_http_taskforge_publish_job(r, &job);
    ngx_http_taskforge_change_reply(r, NGX_HTTP_OK, &job);
}


static void
ngx_http_taskforge_delete_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_change_refused(r, "deleted");
        return;
    }

    ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
}


void
ngx_http_taskforge_change_reply(ngx_http_request_t *r, ngx_uint_t status,
    const tf_job_t *job)
{
    tf_buf_t  out = TF_BUF_INIT;

    tf_job_write_json(&out, job, true, false);
    ngx_http_taskforge_reply_json(r, status, &out);
    tf_buf_free(&out);
}


/* A change met no row: there is no such job, or its state forbids it. */

static void
ngx_http_taskforge_change_refused(ngx_http_request_t *r, const char *done)
{
    int                        length;
    const char                *value;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    value = (const char *) ctx->id;
    length = sizeof(ctx->id);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_WRITE,
                                         &ngx_http_taskforge_sql_status,
                                         &value, &length,
                                         ngx_http_taskforge_change_status,
                                         (void *) done);
}


static void
ngx_http_taskforge_change_status(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    const char  *done = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_jobs_not_found(r);
        return;
    }

    ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                               "the job is %.*s and cannot be %s",
                               PQgetlength(res, 0, 0), PQgetvalue(res, 0, 0),
                               done);
}
