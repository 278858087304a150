
/*
 * What an admin tells a worker.  The order is in the worker's row; tf:ctl
 * wakes the worker, which reads it.
 */

#include "ngx_http_taskforge_workers.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_publish.h"
#include "ngx_http_taskforge_reply.h"


#define NGX_HTTP_TASKFORGE_CONCURRENCY_MAX  1024    /* TFW_CONCURRENCY_MAX */


static void ngx_http_taskforge_workers_order(ngx_http_request_t *r,
    const char *action, const char *status, json_t *concurrency);
static void ngx_http_taskforge_workers_order_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_workers_delete_done(ngx_http_request_t *r,
    void *data, PGresult *res);


/* Columns: outcome, incarnation int8; see sql/0004_queues.up.sql. */

static const tf_sql_t  ngx_http_taskforge_sql_worker_order = {
    "tf_worker_order",
    "SELECT outcome, incarnation "
    "FROM worker_order($1, $2, $3, $4, $5, $6, $7)",
    7
};


static const tf_sql_t  ngx_http_taskforge_sql_worker_forget = {
    "tf_worker_forget",
    "SELECT worker_forget($1, $2, $3, $4)",
    4
};


void
ngx_http_taskforge_workers_quiet(ngx_http_request_t *r)
{
    ngx_http_taskforge_workers_order(r, "worker.quiet", "quiet", NULL);
}


void
ngx_http_taskforge_workers_resume(ngx_http_request_t *r)
{
    ngx_http_taskforge_workers_order(r, "worker.resume", "online", NULL);
}


void
ngx_http_taskforge_workers_stop(ngx_http_request_t *r)
{
    ngx_http_taskforge_workers_order(r, "worker.stop", "stopping", NULL);
}


void
ngx_http_taskforge_workers_concurrency(ngx_http_request_t *r)
{
    tf_buf_t    errors;
    json_int_t  n;

    ngx_http_taskforge_field_t  fields[] = {
        { "concurrency", JSON_INTEGER, 1, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    errors = (tf_buf_t) TF_BUF_INIT;

    if (ngx_http_taskforge_fields(r, fields, &errors, 0) != NGX_OK) {
        return;
    }

    n = json_integer_value(fields[0].value);

    if (fields[0].value && (n < 1 || n > NGX_HTTP_TASKFORGE_CONCURRENCY_MAX)) {
        ngx_http_taskforge_field_error(&errors, "concurrency",
                                       "must be an integer from 1 to 1024");
    }

    if (ngx_http_taskforge_fields_done(r, &errors) == NGX_OK) {
        ngx_http_taskforge_workers_order(r, "worker.concurrency", NULL,
                                         fields[0].value);
    }
}


/* status and concurrency: NULL: no order about that. */

static void
ngx_http_taskforge_workers_order(ngx_http_request_t *r, const char *action,
    const char *status, json_t *concurrency)
{
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_bytes(&args, status,
                                 status ? ngx_strlen(status) : 0);

    if (concurrency) {
        ngx_http_taskforge_sql_int4(&args,
                                    (int32_t) json_integer_value(concurrency));
    } else {
        ngx_http_taskforge_sql_bytes(&args, NULL, 0);
    }

    ngx_http_taskforge_sql_actor(&args, r);
    ngx_http_taskforge_sql_bytes(&args, action, ngx_strlen(action));

    (void) ngx_http_taskforge_accounts_query(r,
                                      &ngx_http_taskforge_sql_worker_order,
                                      &args,
                                      ngx_http_taskforge_workers_order_done,
                                      NULL);
}


static void
ngx_http_taskforge_workers_order_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_main_conf_t  *mcf;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such worker");
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "gone")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "the worker is not running");
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "stopping")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "the worker is stopping and takes no more "
                                   "orders");
        return;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    ngx_http_taskforge_publish_order(mcf->redis_conn,
                                     tf_pg_get_int8(PQgetvalue(res, 0, 1)));

    ngx_http_taskforge_workers_reply(r, NGX_HTTP_ACCEPTED);
}


void
ngx_http_taskforge_workers_delete(ngx_http_request_t *r)
{
    ngx_http_taskforge_accounts_query_id(r,
                                      &ngx_http_taskforge_sql_worker_forget,
                                      ngx_http_taskforge_workers_delete_done);
}


static void
ngx_http_taskforge_workers_delete_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQgetisnull(res, 0, 0)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such worker");
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "alive")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "the worker is running: stop it first");
        return;
    }

    ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
}
