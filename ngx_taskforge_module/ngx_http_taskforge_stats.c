
#include "ngx_http_taskforge_stats.h"
#include "ngx_http_taskforge_reply.h"


static void ngx_http_taskforge_stats_cleanup(void *data);
static void ngx_http_taskforge_stats_reply(void *data, PGresult *res,
    tf_buf_t *json);


typedef struct {
    ngx_http_request_t          *request;
    ngx_http_taskforge_stats_t   stats;
} ngx_http_taskforge_stats_wait_t;


void
ngx_http_taskforge_stats(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_pool_cleanup_t               *cln;
    ngx_http_taskforge_main_conf_t   *mcf;
    ngx_http_taskforge_stats_wait_t  *wait;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    rc = NGX_ERROR;
    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_taskforge_stats_wait_t));
    if (cln) {
        wait = cln->data;
        wait->request = r;
        rc = ngx_http_taskforge_stats_read(&wait->stats, mcf,
                                           ngx_http_taskforge_stats_reply,
                                           wait);
    }

    switch (rc) {

    case NGX_OK:
        cln->handler = ngx_http_taskforge_stats_cleanup;
        break;

    case NGX_DECLINED:
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the database is not available");
        break;

    default:
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        break;
    }
}


static void
ngx_http_taskforge_stats_cleanup(void *data)
{
    ngx_http_taskforge_stats_wait_t  *wait = data;

    ngx_http_taskforge_stats_forget(&wait->stats);
}


static void
ngx_http_taskforge_stats_reply(void *data, PGresult *res, tf_buf_t *json)
{
    ngx_connection_t                 *c;
    ngx_http_request_t               *r;
    ngx_http_taskforge_stats_wait_t  *wait = data;

    r = wait->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (json) {
        ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, json);

    } else {
        (void) ngx_http_taskforge_pg_check(r, res);
    }

    ngx_http_run_posted_requests(c);
}
