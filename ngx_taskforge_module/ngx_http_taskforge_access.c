
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_route.h"


static const ngx_str_t  ngx_http_taskforge_role_names[] = {
    ngx_null_string,
    ngx_string("viewer"),
    ngx_string("operator"),
    ngx_string("admin")
};


/*
 * With taskforge_auth off whoever reaches the port may do everything.  The
 * route is looked up here already, because it says which role it needs.
 */

ngx_int_t
ngx_http_taskforge_access_handler(ngx_http_request_t *r)
{
    ngx_uint_t                      allow;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);

    if (lcf->base.len == 0 || r != r->main) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_taskforge_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->role = NGX_HTTP_TASKFORGE_ROLE_ADMIN;

    if (ngx_http_taskforge_route_find(r, ctx, &allow) == NGX_OK
        && ctx->role < ctx->route->role)
    {
        return NGX_HTTP_FORBIDDEN;
    }

    return NGX_DECLINED;
}


const ngx_str_t *
ngx_http_taskforge_role_name(ngx_http_taskforge_role_e role)
{
    return &ngx_http_taskforge_role_names[role];
}
