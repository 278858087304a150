
/*
 * Statements on behalf of a request, and what their results mean to it.
 */

#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"


typedef struct {
    ngx_http_request_t                *request;
    ngx_http_taskforge_pg_request_pt   handler;
    void                              *data;
    ngx_http_taskforge_pg_op_t        *op;
} ngx_http_taskforge_pg_wait_t;


static void ngx_http_taskforge_pg_request_done(void *data, PGresult *res);
static void ngx_http_taskforge_pg_request_cleanup(void *data);


ngx_int_t
ngx_http_taskforge_pg_request(ngx_http_request_t *r,
    ngx_http_taskforge_pg_kind_e kind, const tf_sql_t *sql,
    const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_request_pt handler, void *data)
{
    ngx_pool_cleanup_t              *cln;
    ngx_http_taskforge_pg_wait_t    *wait;
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_pg_wait_t));
    if (cln == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return NGX_ERROR;
    }

    wait = cln->data;
    wait->request = r;
    wait->handler = handler;
    wait->data = data;
    wait->op = ngx_http_taskforge_pg_query(mcf->pg, kind, sql, values, lengths,
                                           ngx_http_taskforge_pg_request_done,
                                           wait);

    if (wait->op == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the database is not available");
        return NGX_ERROR;
    }

    cln->handler = ngx_http_taskforge_pg_request_cleanup;

    return NGX_OK;
}


static void
ngx_http_taskforge_pg_request_done(void *data, PGresult *res)
{
    ngx_connection_t              *c;
    ngx_http_request_t            *r;
    ngx_http_taskforge_pg_wait_t  *wait;

    wait = data;
    r = wait->request;
    c = r->connection;

    /* the request may send another statement or be gone after its handler */

    wait->op = NULL;

    ngx_http_set_log_request(c->log, r);

    wait->handler(r, wait->data, res);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_taskforge_pg_request_cleanup(void *data)
{
    ngx_http_taskforge_pg_wait_t  *wait;

    wait = data;

    if (wait->op) {
        ngx_http_taskforge_pg_forget(wait->op);
    }
}


ngx_int_t
ngx_http_taskforge_pg_check(ngx_http_request_t *r, PGresult *res)
{
    switch (ngx_http_taskforge_pg_verdict(r->connection->log, res)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DECLINED:
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the database refused the statement");
        return NGX_ERROR;

    default:
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the database is not available");
        return NGX_ERROR;
    }
}


ngx_int_t
ngx_http_taskforge_pg_verdict(ngx_log_t *log, PGresult *res)
{
    const char  *state, *message;

    if (res == NULL) {
        return NGX_AGAIN;
    }

    switch (PQresultStatus(res)) {

    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        return NGX_OK;

    default:
        break;
    }

    state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    ngx_log_error(NGX_LOG_ERR, log, 0, "taskforge: PostgreSQL: %s %s",
                  state ? state : "-", message ? message : "aborted");

    /* class 22: data exception, 23: integrity constraint violation */

    if (state && state[0] == '2' && (state[1] == '2' || state[1] == '3')) {
        return NGX_DECLINED;
    }

    return NGX_AGAIN;
}


const char *
ngx_http_taskforge_pg_column(const void *row, int column, int *len)
{
    const ngx_http_taskforge_pg_row_t  *pr = row;

    if (PQgetisnull(pr->res, pr->row, column)) {
        *len = 0;
        return NULL;
    }

    *len = PQgetlength(pr->res, pr->row, column);

    return PQgetvalue(pr->res, pr->row, column);
}
