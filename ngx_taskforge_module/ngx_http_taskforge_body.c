
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_reply.h"
#include "submission.h"


typedef json_t *(*ngx_http_taskforge_body_parse_pt)(tf_str_t text,
    bool batch, char *error, size_t size);


static json_t *ngx_http_taskforge_body_any(tf_str_t text, bool batch,
    char *error, size_t size);
static json_t *ngx_http_taskforge_body_parse(ngx_http_request_t *r,
    ngx_http_taskforge_body_parse_pt parse, ngx_uint_t batch, tf_str_t *text);
static void ngx_http_taskforge_body_refuse(ngx_http_request_t *r,
    const char *error);
static ngx_int_t ngx_http_taskforge_body_text(ngx_http_request_t *r,
    tf_str_t *text);
static void ngx_http_taskforge_body_free(void *data);


ngx_int_t
ngx_http_taskforge_body_type(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    static ngx_str_t  json = ngx_string("application/json");

    /*
     * Required: a page of another origin may send a body without a type
     * and a browser asks nobody, but one of this type it may not.
     */

    if (r->headers_in.content_type == NULL
        || r->headers_in.content_type->value.len == 0)
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                   "the body must be application/json, and "
                                   "Content-Type must say so");
        return NGX_ERROR;
    }

    type = &r->headers_in.content_type->value;

    for (len = 0; len < type->len; len++) {
        if (type->data[len] == ';' || type->data[len] == ' ') {
            break;
        }
    }

    if (len == json.len && ngx_strncasecmp(type->data, json.data, len) == 0) {
        return NGX_OK;
    }

    ngx_http_taskforge_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                               "the body must be application/json, not %.*s",
                               (int) ngx_min(len, 100), type->data);

    return NGX_ERROR;
}


json_t *
ngx_http_taskforge_body_json(ngx_http_request_t *r, tf_str_t *text)
{
    return ngx_http_taskforge_body_parse(r, ngx_http_taskforge_body_any, 0,
                                         text);
}


json_t *
ngx_http_taskforge_body_submission(ngx_http_request_t *r, ngx_uint_t batch,
    tf_str_t *text)
{
    return ngx_http_taskforge_body_parse(r, tf_submission_parse, batch, text);
}


/* Of any route. */

static json_t *
ngx_http_taskforge_body_any(tf_str_t text, bool batch, char *error,
    size_t size)
{
    return tf_json_parse(text.data, text.len, error, size);
}


static json_t *
ngx_http_taskforge_body_parse(ngx_http_request_t *r,
    ngx_http_taskforge_body_parse_pt parse, ngx_uint_t batch, tf_str_t *text)
{
    char                 error[256];
    json_t              *body;
    tf_str_t             raw;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL
        || ngx_http_taskforge_body_text(r, &raw) != NGX_OK)
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the body could not be read");
        return NULL;
    }

    if (raw.len == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "the body is empty, not JSON");
        return NULL;
    }

    body = parse(raw, batch, error, sizeof(error));

    if (body == NULL) {
        ngx_http_taskforge_body_refuse(r, error);
        return NULL;
    }

    cln->handler = ngx_http_taskforge_body_free;
    cln->data = body;

    if (text) {
        *text = raw;
    }

    return body;
}


static void
ngx_http_taskforge_body_free(void *data)
{
    json_decref(data);
}


/*
 * Whoever sent a compressed body is told that, and not where its first bytes
 * are no JSON.  Nobody else pays for looking.
 */

static void
ngx_http_taskforge_body_refuse(ngx_http_request_t *r, const char *error)
{
    ngx_str_t  *encoding;

    encoding = ngx_http_taskforge_header_in(r, "Content-Encoding");

    if (encoding == NULL
        || (encoding->len == 8
            && ngx_strncasecmp(encoding->data, (u_char *) "identity", 8) == 0))
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST, "%s", error);
        return;
    }

    if (ngx_http_taskforge_header_add(r, "Accept-Encoding",
                                      (u_char *) "identity", 8)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_taskforge_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                               "the body must not be compressed "
                               "(Content-Encoding: %.*s)",
                               (int) ngx_min(encoding->len, 100),
                               encoding->data);
}


/* Copies only when the body is not in one buffer already. */

static ngx_int_t
ngx_http_taskforge_body_text(ngx_http_request_t *r, tf_str_t *text)
{
    u_char       *p;
    size_t        len;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *in, *cl;

    text->data = "";
    text->len = 0;

    in = r->request_body ? r->request_body->bufs : NULL;

    if (in == NULL) {
        return NGX_OK;
    }

    if (in->next == NULL && !in->buf->in_file) {
        text->data = (char *) in->buf->pos;
        text->len = in->buf->last - in->buf->pos;
        return NGX_OK;
    }

    len = 0;

    for (cl = in; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = (char *) p;
    text->len = len;

    for (cl = in; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_size(b) == 0) {
            /* what ends a chunked body points nowhere */
            continue;
        }

        if (!b->in_file) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        /* just written, so it is in the page cache */

        len = (size_t) (b->file_last - b->file_pos);

        n = ngx_read_file(b->file, p, len, b->file_pos);

        if (n != (ssize_t) len) {
            return NGX_ERROR;
        }

        p += len;
    }

    return NGX_OK;
}
