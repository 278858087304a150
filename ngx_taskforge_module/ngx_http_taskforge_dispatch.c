
/*
 * A request finds its route, its query is read, and the route's handler is
 * called, with the body where there is one.
 */

#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_reply.h"

#include "job_file.h"


static ngx_int_t ngx_http_taskforge_route_match(const ngx_str_t *pattern,
    u_char *path, size_t len, ngx_http_taskforge_ctx_t *ctx);
static size_t ngx_http_taskforge_route_hole(const u_char *hole, u_char *p,
    u_char *last, ngx_http_taskforge_ctx_t *ctx, uint8_t **id);
static void ngx_http_taskforge_route_none(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_uint_t allow);
static void ngx_http_taskforge_route_unknown(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx);
static ngx_int_t ngx_http_taskforge_route_shorter(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx);
static ngx_int_t ngx_http_taskforge_route_args(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx);
static ngx_int_t ngx_http_taskforge_route_arg(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, u_char *p, u_char *end, tf_buf_t *errors);
static ngx_int_t ngx_http_taskforge_route_unescape(ngx_http_request_t *r,
    ngx_str_t *to, u_char *p, u_char *end);
static void ngx_http_taskforge_route_body(ngx_http_request_t *r);


static const struct {
    ngx_uint_t   method;
    const char  *name;
} ngx_http_taskforge_methods[] = {
    { NGX_HTTP_GET, "GET, HEAD" },
    { NGX_HTTP_POST, "POST" },
    { NGX_HTTP_PUT, "PUT" },
    { NGX_HTTP_PATCH, "PATCH" },
    { NGX_HTTP_DELETE, "DELETE" },
    { 0, NULL }
};


ngx_int_t
ngx_http_taskforge_route_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_uint_t                  allow;
    ngx_http_taskforge_ctx_t   *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* from here on an answer ends the request, and NGX_DONE ends our hold */

    r->main->count++;

    if (ctx->route == NULL
        && ngx_http_taskforge_route_find(r, ctx, &allow) != NGX_OK)
    {
        ngx_http_taskforge_route_none(r, ctx, allow);
        return NGX_DONE;
    }

    if (r->args.len && ngx_http_taskforge_route_args(r, ctx) != NGX_OK) {
        return NGX_DONE;
    }

    if (ctx->route->body == 0
        || (ctx->route->body == 2 && r->headers_in.content_length_n <= 0
            && !r->headers_in.chunked))
    {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            r->main->count--;
            return rc;
        }

        ctx->route->handler(r);
        return NGX_DONE;
    }

    if (ngx_http_taskforge_body_type(r) != NGX_OK) {
        return NGX_DONE;
    }

    r->request_body_in_single_buf = 1;

    /* reading the body takes a hold of its own */

    r->main->count--;

    rc = ngx_http_read_client_request_body(r, ngx_http_taskforge_route_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_taskforge_route_body(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    ctx->route->handler(r);
}


ngx_int_t
ngx_http_taskforge_route_find(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_uint_t *allow)
{
    u_char                            *path;
    size_t                             len;
    ngx_uint_t                         method;
    ngx_http_taskforge_loc_conf_t     *lcf;
    const ngx_http_taskforge_route_t  *route;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);

    *allow = 0;

    if (r->uri.len < lcf->base.len) {
        return NGX_DECLINED;
    }

    path = r->uri.data + lcf->base.len;
    len = r->uri.len - lcf->base.len;
    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;

    for (route = ngx_http_taskforge_routes; route->handler; route++) {

        if (ngx_http_taskforge_route_match(&route->pattern, path, len, ctx)
            != NGX_OK)
        {
            continue;
        }

        if (route->method == method) {
            ctx->route = route;
            return NGX_OK;
        }

        *allow |= route->method;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_taskforge_route_match(const ngx_str_t *pattern, u_char *path,
    size_t len, ngx_http_taskforge_ctx_t *ctx)
{
    size_t    n;
    u_char   *p, *end, *q, *last;
    uint8_t  *id;

    id = ctx->id;
    p = pattern->data;
    end = p + pattern->len;
    q = path;
    last = path + len;

    while (p < end) {

        if (*p == '{') {
            n = ngx_http_taskforge_route_hole(p, q, last, ctx, &id);

            if (n == 0) {
                return NGX_DECLINED;
            }

            p = ngx_strlchr(p, end, '}') + 1;
            q += n;
            continue;
        }

        if (q == last || *p != *q) {
            return NGX_DECLINED;
        }

        p++;
        q++;
    }

    return (q == last) ? NGX_OK : NGX_DECLINED;
}


/*
 * How much of the path fills the hole; 0: it does not fit.  *id is where the
 * next {id} belongs.
 */

static size_t
ngx_http_taskforge_route_hole(const u_char *hole, u_char *p, u_char *last,
    ngx_http_taskforge_ctx_t *ctx, uint8_t **id)
{
    u_char  *end;

    if (hole[1] == 'i') {
        if (last - p < TF_UUID_TEXT_LEN
            || !tf_uuid_parse((char *) p, TF_UUID_TEXT_LEN, *id))
        {
            return 0;
        }

        *id = ctx->second_id;

        return TF_UUID_TEXT_LEN;
    }

    end = ngx_strlchr(p, last, '/');

    ctx->name.data = p;
    ctx->name.len = (end ? end : last) - p;

    if (hole[1] == 'f') {
        return tf_file_name_valid((char *) p, ctx->name.len) ? ctx->name.len
                                                             : 0;
    }

    return tf_queue_name_valid((char *) p, ctx->name.len) ? ctx->name.len : 0;
}


static void
ngx_http_taskforge_route_none(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_uint_t allow)
{
    u_char      *value, *p;
    ngx_uint_t   i;

    if (allow == 0) {
        ngx_http_taskforge_route_unknown(r, ctx);
        return;
    }

    value = ngx_pnalloc(r->pool, sizeof("GET, HEAD, POST, PUT, PATCH, DELETE, "
                                        "OPTIONS"));
    if (value == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    p = value;

    for (i = 0; ngx_http_taskforge_methods[i].method; i++) {
        if (allow & ngx_http_taskforge_methods[i].method) {
            p = ngx_sprintf(p, "%s, ", ngx_http_taskforge_methods[i].name);
        }
    }

    p = ngx_sprintf(p, "OPTIONS");

    if (ngx_http_taskforge_header_add(r, "Allow", value, p - value) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
        return;
    }

    ngx_http_taskforge_problem(r, NGX_HTTP_NOT_ALLOWED,
                               "the method is not allowed here; allowed: %.*s",
                               (int) (p - value), value);
}


/* 308 to where it is right without its last slash, else 404. */

static void
ngx_http_taskforge_route_unknown(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx)
{
    u_char  *location, *p;

    if (ngx_http_taskforge_route_shorter(r, ctx) != NGX_OK) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is nothing here; an id is a UUID, "
                                   "the name of a queue is 1 to %d letters, "
                                   "digits, '.', '_' or '-'",
                                   TF_QUEUE_NAME_MAX);
        return;
    }

    /*
     * Made of the path that matched a route: it has nothing to be escaped,
     * and does not begin with two slashes, as what was sent may.
     */

    location = ngx_pnalloc(r->pool, r->uri.len + r->args.len);
    if (location == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    p = ngx_cpymem(location, r->uri.data, r->uri.len - 1);

    if (r->args.len) {
        *p++ = '?';
        p = ngx_cpymem(p, r->args.data, r->args.len);
    }

    if (ngx_http_taskforge_header_add(r, "Location", location, p - location)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_taskforge_reply_empty(r, NGX_HTTP_PERMANENT_REDIRECT);
}


static ngx_int_t
ngx_http_taskforge_route_shorter(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  allow;

    if (r->uri.len == 0 || r->uri.data[r->uri.len - 1] != '/') {
        return NGX_DECLINED;
    }

    r->uri.len--;
    rc = ngx_http_taskforge_route_find(r, ctx, &allow);
    r->uri.len++;

    /* what is at the shorter path does not answer here */

    ctx->route = NULL;

    return (rc == NGX_OK || allow) ? NGX_OK : NGX_DECLINED;
}


/* NGX_ERROR: the request has been answered. */

static ngx_int_t
ngx_http_taskforge_route_args(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx)
{
    u_char     *p, *end, *last;
    tf_buf_t    errors;
    ngx_int_t   rc;

    errors = (tf_buf_t) TF_BUF_INIT;
    rc = NGX_OK;

    p = r->args.data;
    last = p + r->args.len;

    while (p < last && rc == NGX_OK) {
        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if (end != p) {
            rc = ngx_http_taskforge_route_arg(r, ctx, p, end, &errors);
        }

        p = end + 1;
    }

    if (rc != NGX_OK) {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "the query has too many parameters or a "
                                   "broken escape");
        tf_buf_free(&errors);
        return NGX_ERROR;
    }

    if (errors.len == 0) {
        return NGX_OK;
    }

    if (ctx->route->args == NULL) {
        return ngx_http_taskforge_args_check(r, &errors);
    }

    /* the handler has more to say: errors come all at once */

    ctx->args_errors.data = errors.failed ? NULL
                                          : ngx_pnalloc(r->pool, errors.len);

    if (ctx->args_errors.data == NULL) {
        tf_buf_free(&errors);
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    ngx_memcpy(ctx->args_errors.data, errors.data, errors.len);
    ctx->args_errors.len = errors.len;

    tf_buf_free(&errors);

    return NGX_OK;
}


ngx_int_t
ngx_http_taskforge_args_check(ngx_http_request_t *r, tf_buf_t *errors)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    if (ctx->args_errors.len) {
        if (errors->len) {
            tf_buf_addc(errors, ',');
        }

        tf_buf_add(errors, ctx->args_errors.data, ctx->args_errors.len);
    }

    if (errors->len == 0) {
        return NGX_OK;
    }

    ngx_http_taskforge_problem_errors(r, NGX_HTTP_TASKFORGE_INVALID, errors,
                                      "the query is not valid");
    tf_buf_free(errors);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_taskforge_route_arg(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, u_char *p, u_char *end, tf_buf_t *errors)
{
    u_char                    *eq;
    ngx_uint_t                 i;
    const ngx_str_t           *known;
    ngx_http_taskforge_arg_t  *arg;

    if (ctx->nargs == NGX_HTTP_TASKFORGE_MAX_ARGS) {
        return NGX_ERROR;
    }

    arg = &ctx->args[ctx->nargs];

    eq = ngx_strlchr(p, end, '=');

    if (ngx_http_taskforge_route_unescape(r, &arg->name, p, eq ? eq : end)
        != NGX_OK
        || ngx_http_taskforge_route_unescape(r, &arg->value,
                                             eq ? eq + 1 : end, end)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    known = ctx->route->args;

    while (known && known->len
           && (known->len != arg->name.len
               || ngx_strncmp(known->data, arg->name.data, known->len) != 0))
    {
        known++;
    }

    if (known == NULL || known->len == 0) {
        ngx_http_taskforge_error_add(errors, "parameter",
                                     (char *) arg->name.data, arg->name.len,
                                     "is not known here");
        return NGX_OK;
    }

    for (i = 0; i < ctx->nargs; i++) {
        if (ctx->args[i].name.len == arg->name.len
            && ngx_strncmp(ctx->args[i].name.data, arg->name.data,
                           arg->name.len)
               == 0)
        {
            ngx_http_taskforge_error_add(errors, "parameter",
                                         (char *) arg->name.data,
                                         arg->name.len, "is given twice");
            return NGX_OK;
        }
    }

    ctx->nargs++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_route_unescape(ngx_http_request_t *r, ngx_str_t *to,
    u_char *p, u_char *end)
{
    u_char     *out;
    ngx_int_t   code;

    out = ngx_pnalloc(r->pool, end - p + 1);
    if (out == NULL) {
        return NGX_ERROR;
    }

    to->data = out;

    for ( /* void */ ; p < end; p++) {

        if (*p == '+') {
            *out++ = ' ';
            continue;
        }

        if (*p != '%') {
            *out++ = *p;
            continue;
        }

        code = (end - p >= 3) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

        if (code == NGX_ERROR) {
            return NGX_ERROR;
        }

        *out++ = (u_char) code;
        p += 2;
    }

    to->len = out - to->data;

    return NGX_OK;
}


ngx_str_t *
ngx_http_taskforge_arg(ngx_http_taskforge_ctx_t *ctx, const char *name)
{
    size_t      len;
    ngx_uint_t  i;

    len = ngx_strlen(name);

    for (i = 0; i < ctx->nargs; i++) {
        if (ctx->args[i].name.len == len
            && ngx_strncmp(ctx->args[i].name.data, name, len) == 0)
        {
            return &ctx->args[i].value;
        }
    }

    return NULL;
}
