
#include "ngx_http_taskforge_settle.h"
#include "ngx_http_taskforge_health.h"
#include "ngx_http_taskforge_pg.h"


static void ngx_http_taskforge_settle_resume(void *data);
static void ngx_http_taskforge_settle_cleanup(void *data);


ngx_int_t
ngx_http_taskforge_settle_handler(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t              *cln;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_taskforge_pg_settle_t  *wait;
    ngx_http_taskforge_loc_conf_t   *lcf;
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    if (r != r->main || ngx_http_taskforge_pg_settled(mcf->pg)) {
        return NGX_DECLINED;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (lcf->base.len == 0
        && clcf->handler != ngx_http_taskforge_health_ready
        && clcf->handler != ngx_http_taskforge_health_full)
    {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_taskforge_pg_settle_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    wait = cln->data;
    wait->handler = ngx_http_taskforge_settle_resume;
    wait->data = r;
    wait->waiting = 0;

    cln->handler = ngx_http_taskforge_settle_cleanup;

    ngx_http_taskforge_pg_settle_wait(mcf->pg, wait);

    /* notices a client that leaves */

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


static void
ngx_http_taskforge_settle_resume(void *data)
{
    ngx_http_taskforge_resume(data);
}


static void
ngx_http_taskforge_settle_cleanup(void *data)
{
    ngx_http_taskforge_pg_settle_t  *wait = data;

    if (wait->waiting) {
        ngx_queue_remove(&wait->queue);
    }
}
