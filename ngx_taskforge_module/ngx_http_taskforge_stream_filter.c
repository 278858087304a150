
/*
 * nchan's answer on its way to the client.  A client that was away comes back
 * with the id of the last event it got (EventSource does so by itself); an id
 * of nchan's would mean nothing to it, and abort nchan 1.3.6, so the id is the
 * event's seq, which GET /events?since= understands.
 *
 * No more is taken from nchan than the client takes: what waits, waits there,
 * where it is counted.
 */

#include "ngx_http_taskforge_stream.h"
#include "ngx_http_taskforge_reply.h"


#define NGX_HTTP_TASKFORGE_STREAM_BUFS  4
#define NGX_HTTP_TASKFORGE_STREAM_BUF   4096

/* what one byte of nchan's may become: a head, an id, a resync */
#define NGX_HTTP_TASKFORGE_STREAM_MORE  (4 * NGX_HTTP_TASKFORGE_SEQ_LEN + 128)


static u_char *ngx_http_taskforge_stream_head(
    ngx_http_taskforge_lines_t *lines, u_char c, u_char *out);
static u_char *ngx_http_taskforge_stream_seq(
    ngx_http_taskforge_lines_t *lines, u_char c, u_char *out);
static u_char *ngx_http_taskforge_stream_end(
    ngx_http_taskforge_lines_t *lines, u_char *out);
static u_char *ngx_http_taskforge_stream_release(
    ngx_http_taskforge_lines_t *lines, u_char *out);
static ngx_int_t ngx_http_taskforge_stream_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_stream_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_taskforge_stream_take(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx, ngx_chain_t **ll);
static ngx_chain_t *ngx_http_taskforge_stream_buf(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_str_t  ngx_http_taskforge_stream_id = ngx_string("id:");
static ngx_str_t  ngx_http_taskforge_stream_data = ngx_string("data:");
static ngx_str_t  ngx_http_taskforge_stream_event =
    ngx_string("data: {\"seq\":\"");


u_char *
ngx_http_taskforge_stream_lines(ngx_http_taskforge_lines_t *lines,
    u_char **in, const u_char *last, u_char *out, const u_char *end)
{
    u_char  c, *p;

    for (p = *in;
         p < last && end - out > NGX_HTTP_TASKFORGE_STREAM_MORE;
         p++)
    {
        c = *p;

        if (lines->event) {
            lines->bytes++;
        }

        switch (lines->state) {

        case NGX_HTTP_TASKFORGE_LINE_HEAD:
            out = ngx_http_taskforge_stream_head(lines, c, out);
            break;

        case NGX_HTTP_TASKFORGE_LINE_SEQ:
            out = ngx_http_taskforge_stream_seq(lines, c, out);
            break;

        case NGX_HTTP_TASKFORGE_LINE_COPY:
            *out++ = c;
            break;

        case NGX_HTTP_TASKFORGE_LINE_SKIP:
            break;
        }

        if (c == '\n') {
            out = ngx_http_taskforge_stream_end(lines, out);
        }
    }

    *in = p;

    return out;
}


static u_char *
ngx_http_taskforge_stream_head(ngx_http_taskforge_lines_t *lines, u_char c,
    u_char *out)
{
    ngx_str_t  *id, *event;

    id = &ngx_http_taskforge_stream_id;
    event = &ngx_http_taskforge_stream_event;

    lines->head[lines->len++] = c;

    if (lines->len <= id->len
        && ngx_strncmp(lines->head, id->data, lines->len) == 0)
    {
        if (lines->len == id->len) {
            lines->state = NGX_HTTP_TASKFORGE_LINE_SKIP;
            lines->len = 0;
        }

        return out;
    }

    if (lines->len <= event->len
        && ngx_strncmp(lines->head, event->data, lines->len) == 0)
    {
        if (lines->len == ngx_http_taskforge_stream_data.len) {
            lines->data = 1;

        } else if (lines->len == event->len) {
            lines->state = NGX_HTTP_TASKFORGE_LINE_SEQ;
            lines->event = 1;
            lines->bytes += event->len;
        }

        return out;
    }

    lines->state = NGX_HTTP_TASKFORGE_LINE_COPY;

    return ngx_http_taskforge_stream_release(lines, out);
}


static u_char *
ngx_http_taskforge_stream_seq(ngx_http_taskforge_lines_t *lines, u_char c,
    u_char *out)
{
    size_t  from;

    from = ngx_http_taskforge_stream_event.len;

    if ((c >= '0' && c <= '9') || c == '-') {
        lines->head[lines->len++] = c;

        if (lines->len < from + NGX_HTTP_TASKFORGE_SEQ_LEN) {
            return out;
        }

    } else {
        if (c == '"') {
            out = ngx_cpymem(out, "id: ", 4);
            out = ngx_cpymem(out, lines->head + from, lines->len - from);
            *out++ = '\n';
        }

        lines->head[lines->len++] = c;
    }

    lines->state = NGX_HTTP_TASKFORGE_LINE_COPY;

    return ngx_http_taskforge_stream_release(lines, out);
}


/*
 * A line has ended.  The first message is "connected"; behind it a client
 * that was away hears from where on it has to ask.
 */

static u_char *
ngx_http_taskforge_stream_end(ngx_http_taskforge_lines_t *lines, u_char *out)
{
    ngx_uint_t  empty;

    /* "\n" alone was released by the head */

    empty = (lines->state == NGX_HTTP_TASKFORGE_LINE_COPY
             && lines->head[0] == '\n');

    lines->state = NGX_HTTP_TASKFORGE_LINE_HEAD;
    lines->event = 0;
    lines->len = 0;
    lines->head[0] = '\0';

    if (empty && lines->data) {
        lines->data = 0;

        if (lines->since.len) {
            out = ngx_sprintf(out, "data: {\"event\":\"resync\","
                              "\"since\":\"%V\"}\n\n", &lines->since);
            lines->since.len = 0;
        }
    }

    return out;
}


static u_char *
ngx_http_taskforge_stream_release(ngx_http_taskforge_lines_t *lines,
    u_char *out)
{
    out = ngx_cpymem(out, lines->head, lines->len);
    lines->len = 0;

    return out;
}


static ngx_int_t
ngx_http_taskforge_stream_header_filter(ngx_http_request_t *r)
{
    ngx_http_taskforge_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_stream_module);

    if (ctx == NULL || r != r->main
        || r->headers_out.status != NGX_HTTP_OK)
    {
        return ngx_http_next_header_filter(r);
    }

    ctx->begun = 1;
    r->filter_need_in_memory = 1;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    /* proxies in front of us are not to wait for more either */

    if (ngx_http_taskforge_header_add(r, "Cache-Control",
                                      (u_char *) "no-store", 8)
        != NGX_OK
        || ngx_http_taskforge_header_add(r, "X-Accel-Buffering",
                                         (u_char *) "no", 2)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_taskforge_stream_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                         rc;
    ngx_chain_t                      *out;
    ngx_http_taskforge_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_stream_module);

    if (ctx == NULL || !ctx->begun || r != r->main) {
        return ngx_http_next_body_filter(r, in);
    }

    if (in && ngx_chain_add_copy(r->pool, &ctx->in, in) != NGX_OK) {
        return NGX_ERROR;
    }

    do {
        out = NULL;

        if (ngx_http_taskforge_stream_take(r, ctx, &out) != NGX_OK) {
            return NGX_ERROR;
        }

        /* without anything new it sends what waits */

        rc = ngx_http_next_body_filter(r, out);

        ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                         (ngx_buf_tag_t) &ngx_http_taskforge_stream_module);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

    } while (ctx->in
             && (ctx->free || ctx->nbufs < NGX_HTTP_TASKFORGE_STREAM_BUFS));

    return rc;
}


/* As much of ctx->in as there are buffers for. */

static ngx_int_t
ngx_http_taskforge_stream_take(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx, ngx_chain_t **ll)
{
    ngx_buf_t    *b, *to;
    ngx_chain_t  *cl;

    while (ctx->in) {
        b = ctx->in->buf;

        if (ngx_buf_special(b)) {
            /* a flush, or the end */
            cl = ngx_alloc_chain_link(r->pool);
            if (cl == NULL) {
                return NGX_ERROR;
            }

            cl->buf = b;

        } else {
            if (ctx->free == NULL
                && ctx->nbufs == NGX_HTTP_TASKFORGE_STREAM_BUFS)
            {
                return NGX_OK;
            }

            cl = ngx_http_taskforge_stream_buf(r, ctx);
            if (cl == NULL) {
                return NGX_ERROR;
            }

            to = cl->buf;
            to->last = ngx_http_taskforge_stream_lines(&ctx->lines, &b->pos,
                                                       b->last, to->last,
                                                       to->end);
            ctx->subscriber.bytes += ctx->lines.bytes;
            ctx->lines.bytes = 0;
            to->flush = 1;
            to->last_buf = (b->pos == b->last) ? b->last_buf : 0;

            if (to->last == to->pos && !to->last_buf) {
                /* it was an id, or half a head */
                cl->next = ctx->free;
                ctx->free = cl;
                cl = NULL;
            }
        }

        if (cl) {
            cl->next = NULL;
            *ll = cl;
            ll = &cl->next;
        }

        if (b->pos == b->last) {
            cl = ctx->in;
            ctx->in = cl->next;
            ngx_free_chain(r->pool, cl);
        }
    }

    return NGX_OK;
}


static ngx_chain_t *
ngx_http_taskforge_stream_buf(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx)
{
    ngx_chain_t  *cl;

    if (ctx->free) {
        cl = ctx->free;
        ctx->free = cl->next;

        cl->buf->pos = cl->buf->start;
        cl->buf->last = cl->buf->start;

        return cl;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NULL;
    }

    cl->buf = ngx_create_temp_buf(r->pool, NGX_HTTP_TASKFORGE_STREAM_BUF);
    if (cl->buf == NULL) {
        return NULL;
    }

    cl->buf->tag = (ngx_buf_tag_t) &ngx_http_taskforge_stream_module;
    ctx->nbufs++;

    return cl;
}


ngx_int_t
ngx_http_taskforge_stream_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_taskforge_stream_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_taskforge_stream_body_filter;

    return NGX_OK;
}
