
/*
 * The one table of routes (ngx_http_taskforge_route.c), which says who may
 * call and how a route is named in openapi.yaml; and who looks into it
 * (ngx_http_taskforge_dispatch.c), which answers 404, 405 with Allow, OPTIONS
 * and unknown query parameters.
 */

#ifndef _NGX_HTTP_TASKFORGE_ROUTE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_ROUTE_H_INCLUDED_


#include "ngx_http_taskforge_identity.h"
#include "ngx_http_taskforge_module.h"


/*
 * A route's handler owns the request until it answers through
 * ngx_http_taskforge_reply.h, now or later.  The body, if the route has one,
 * has been read.  HEAD runs the handler of GET.
 */

typedef void (*ngx_http_taskforge_route_pt)(ngx_http_request_t *r);


struct ngx_http_taskforge_route_s {
    ngx_uint_t                    method;   /* NGX_HTTP_GET, ... */
    ngx_str_t                     pattern;  /* "/jobs/{id}", below the base */
    ngx_http_taskforge_route_pt   handler;
    ngx_http_taskforge_role_e     role;
    ngx_uint_t                    scopes;   /* an API key needs one of them */
    ngx_str_t                     name;     /* "jobs_get" */
    const ngx_str_t              *args;     /* known query parameters, ends
                                               with an empty one; NULL: none */
    unsigned                      body:2;   /* 1: takes a JSON body, 2: may
                                               have one */
};


/* Ends with one that has no handler. */

extern const ngx_http_taskforge_route_t  ngx_http_taskforge_routes[];


/* The content handler of taskforge_api locations. */

ngx_int_t ngx_http_taskforge_route_handler(ngx_http_request_t *r);


/*
 * Finds the route of a request and fills ctx->route and ctx->id; used by the
 * access phase too.  NGX_DECLINED: no such path or method; allow then has
 * the methods of the path, 0: no such path.
 */

ngx_int_t ngx_http_taskforge_route_find(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_uint_t *allow);


/*
 * Each handler of a route with query parameters calls this before it does
 * anything else: errors is what is wrong with their values; what the route
 * found, unknown and doubled ones, is added.  NGX_ERROR: there was something,
 * and the request has been answered.  errors is freed.
 */

ngx_int_t ngx_http_taskforge_args_check(ngx_http_request_t *r,
    tf_buf_t *errors);


/* A query parameter by name; NULL: not given. */

ngx_str_t *ngx_http_taskforge_arg(ngx_http_taskforge_ctx_t *ctx,
    const char *name);


#endif /* _NGX_HTTP_TASKFORGE_ROUTE_H_INCLUDED_ */
