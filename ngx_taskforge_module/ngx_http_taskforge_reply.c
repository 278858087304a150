
/*
 * Answers of the API, and the filters that turn nginx's own error pages
 * (413, 400 while the body is read, 500) into problems.
 */

#include "ngx_http_taskforge_reply.h"

#include <stdarg.h>


/* below this a copy is cheaper than to give the buffer away */
#define NGX_HTTP_TASKFORGE_REPLY_COPY  65536

#define NGX_HTTP_TASKFORGE_DETAIL_MAX  512


typedef struct {
    ngx_uint_t   status;
    const char  *title;
    const char  *detail;     /* where nginx gives none */
} ngx_http_taskforge_title_t;


static ngx_uint_t ngx_http_taskforge_reply_has_retry_after(
    ngx_http_request_t *r);
static void ngx_http_taskforge_reply_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, u_char *data, size_t len);
static ngx_buf_t *ngx_http_taskforge_reply_buf(ngx_http_request_t *r,
    u_char *data, size_t len);
static void ngx_http_taskforge_reply_free(void *data);
static void ngx_http_taskforge_problem_send(ngx_http_request_t *r,
    ngx_uint_t status, const tf_buf_t *errors, const char *detail);
static const ngx_http_taskforge_title_t *ngx_http_taskforge_title(
    ngx_uint_t status);
static ngx_int_t ngx_http_taskforge_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_str_t  ngx_http_taskforge_json =
    ngx_string("application/json");
static ngx_str_t  ngx_http_taskforge_problem_json =
    ngx_string("application/problem+json");


static const ngx_http_taskforge_title_t  ngx_http_taskforge_titles[] = {

    { 400, "Bad Request", "the request is malformed" },
    { 401, "Unauthorized", "authentication is required" },
    { 403, "Forbidden", "this is not allowed" },
    { 404, "Not Found", "there is nothing here" },
    { 405, "Method Not Allowed", "the method is not allowed here" },
    { 408, "Request Timeout", "the request did not arrive in time" },
    { 409, "Conflict", "the state forbids this" },
    { 411, "Length Required", "the request needs a Content-Length" },
    { 412, "Precondition Failed", "it is not what If-Match asks for" },
    { 413, "Content Too Large", "the request body is too large" },
    { 414, "URI Too Long", "the request target is too long" },
    { 415, "Unsupported Media Type", "the body must be application/json" },
    { 416, "Range Not Satisfiable", "there are not so many bytes" },
    { 422, "Unprocessable Content", "the request is not valid" },
    { 426, "Upgrade Required", "the protocol must be upgraded" },
    { 429, "Too Many Requests", "the limit is reached" },
    { 431, "Request Header Fields Too Large", "a header is too large" },
    { 501, "Not Implemented", "this is not implemented" },
    { 502, "Bad Gateway", "a part of the server does not answer" },
    { 503, "Service Unavailable", "try again shortly" },
    { 504, "Gateway Timeout", "a part of the server does not answer" },
    { 505, "HTTP Version Not Supported", "the HTTP version is not known" },
    { 0, "Internal Server Error", "the server failed" }
};


void
ngx_http_taskforge_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    tf_buf_t *body)
{
    u_char              *p;
    size_t               len;
    ngx_pool_cleanup_t  *cln;

    if (body->failed) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the answer does not fit into memory");
        return;
    }

    len = body->len;

    if (len < NGX_HTTP_TASKFORGE_REPLY_COPY) {
        p = ngx_pnalloc(r->pool, len + 1);

        if (p == NULL) {
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }

        ngx_memcpy(p, body->data, len);

    } else {
        cln = ngx_pool_cleanup_add(r->pool, 0);

        if (cln == NULL) {
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }

        p = (u_char *) body->data;

        cln->handler = ngx_http_taskforge_reply_free;
        cln->data = p;

        body->data = NULL;
        body->len = 0;
        body->size = 0;
    }

    ngx_http_taskforge_reply_send(r, status, &ngx_http_taskforge_json, p, len);
}


static void
ngx_http_taskforge_reply_free(void *data)
{
    free(data);
}


void
ngx_http_taskforge_reply_empty(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_taskforge_reply_send(r, status, NULL, NULL, 0);
}


static void
ngx_http_taskforge_reply_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, u_char *data, size_t len)
{
    ngx_int_t                  rc;
    ngx_chain_t                out;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);
    if (ctx == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    /* the body may not have been read */

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    ctx->replied = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;

    if (type) {
        r->headers_out.content_type = *type;
        r->headers_out.content_type_len = type->len;
        r->headers_out.content_type_lowcase = NULL;
    }

    if (len == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    out.next = NULL;
    out.buf = ngx_http_taskforge_reply_buf(r, data, len);

    if (out.buf == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));
}


static ngx_buf_t *
ngx_http_taskforge_reply_buf(ngx_http_request_t *r, u_char *data, size_t len)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NULL;
    }

    b->pos = data;
    b->last = data + len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    return b;
}


void
ngx_http_taskforge_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *fmt, ...)
{
    char     detail[NGX_HTTP_TASKFORGE_DETAIL_MAX];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);

    ngx_http_taskforge_problem_send(r, status, NULL, detail);
}


void
ngx_http_taskforge_problem_errors(ngx_http_request_t *r, ngx_uint_t status,
    const tf_buf_t *errors, const char *fmt, ...)
{
    char     detail[NGX_HTTP_TASKFORGE_DETAIL_MAX];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);

    ngx_http_taskforge_problem_send(r, status, errors, detail);
}


static void
ngx_http_taskforge_problem_send(ngx_http_request_t *r, ngx_uint_t status,
    const tf_buf_t *errors, const char *detail)
{
    u_char    *p;
    size_t     len;
    tf_buf_t   out;

    out = (tf_buf_t) TF_BUF_INIT;
    p = NULL;

    ngx_http_taskforge_problem_write(&out, status, detail, errors, &r->uri);

    len = out.len;

    if (!out.failed) {
        p = ngx_pnalloc(r->pool, len);
    }

    if (p == NULL) {
        tf_buf_free(&out);
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_memcpy(p, out.data, len);
    tf_buf_free(&out);

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE
        && !ngx_http_taskforge_reply_has_retry_after(r)
        && ngx_http_taskforge_header_add(r, "Retry-After", (u_char *) "1", 1)
           != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_taskforge_reply_send(r, status, &ngx_http_taskforge_problem_json,
                                  p, len);
}


static ngx_uint_t
ngx_http_taskforge_reply_has_retry_after(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("Retry-After") - 1
                && ngx_strncmp(h[i].key.data, "Retry-After", h[i].key.len)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


void
ngx_http_taskforge_problem_write(tf_buf_t *out, ngx_uint_t status,
    const char *detail, const tf_buf_t *errors, const ngx_str_t *instance)
{
    const ngx_http_taskforge_title_t  *title;

    title = ngx_http_taskforge_title(status);

    if (detail == NULL) {
        detail = title->detail;
    }

    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "type", "about:blank");
    tf_json_kcstr(out, "title", title->title);
    tf_json_kint(out, "status", status);
    tf_json_kcstr(out, "detail", detail);

    if (instance) {
        tf_json_kstr(out, "instance", (char *) instance->data, instance->len);
    }

    if (errors) {
        tf_json_key(out, "errors");
        tf_buf_addc(out, '[');
        tf_buf_add(out, errors->data, errors->len);
        tf_buf_addc(out, ']');
    }

    tf_buf_addc(out, '}');
}


static const ngx_http_taskforge_title_t *
ngx_http_taskforge_title(ngx_uint_t status)
{
    const ngx_http_taskforge_title_t  *title;

    for (title = ngx_http_taskforge_titles; title->status; title++) {
        if (title->status == status) {
            break;
        }
    }

    return title;
}


void
ngx_http_taskforge_error_add(tf_buf_t *errors, const char *where,
    const char *name, size_t name_len, const char *fmt, ...)
{
    char     detail[NGX_HTTP_TASKFORGE_DETAIL_MAX];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);

    if (errors->len) {
        tf_buf_addc(errors, ',');
    }

    tf_buf_addc(errors, '{');
    tf_json_kstr(errors, where, name, name_len);
    tf_json_kcstr(errors, "detail", detail);
    tf_buf_addc(errors, '}');
}


ngx_int_t
ngx_http_taskforge_header_add(ngx_http_request_t *r, const char *key,
    u_char *value, size_t value_len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.len = ngx_strlen(key);
    h->key.data = (u_char *) key;
    h->value.len = value_len;
    h->value.data = value;
    h->lowcase_key = NULL;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_taskforge_reply_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_taskforge_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_taskforge_body_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_header_filter(ngx_http_request_t *r)
{
    tf_buf_t                        out;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);

    if (!lcf->problems || r != r->main
        || r->headers_out.status < NGX_HTTP_BAD_REQUEST
        || r->upstream)
    {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_taskforge_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->replied) {
        return ngx_http_next_header_filter(r);
    }

    out = (tf_buf_t) TF_BUF_INIT;
    ngx_http_taskforge_problem_write(&out, r->headers_out.status, ctx->detail,
                                     NULL, r->uri.len ? &r->uri : NULL);

    if (!out.failed) {
        ctx->problem.data = ngx_pnalloc(r->pool, out.len);
    }

    if (ctx->problem.data) {
        ngx_memcpy(ctx->problem.data, out.data, out.len);
        ctx->problem.len = out.len;
    }

    tf_buf_free(&out);

    if (ctx->problem.data == NULL) {
        return NGX_ERROR;
    }

    ctx->replied = 1;

    r->headers_out.content_type = ngx_http_taskforge_problem_json;
    r->headers_out.content_type_len = ngx_http_taskforge_problem_json.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_str_null(&r->headers_out.charset);

    ngx_http_clear_content_length(r);
    r->headers_out.content_length_n = ctx->problem.len;

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_taskforge_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t                 *b;
    ngx_chain_t                out;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_module);

    if (ctx == NULL || ctx->problem.len == 0 || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    /* nginx's page is one chain: ours takes its place */

    b = ngx_http_taskforge_reply_buf(r, ctx->problem.data, ctx->problem.len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    ctx->problem.len = 0;

    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}
