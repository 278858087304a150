
#include "ngx_http_taskforge_ws.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_subscriber.h"


#define NGX_HTTP_TASKFORGE_WS_BUFFER  512


#define NGX_HTTP_TASKFORGE_WS_OFF    0
#define NGX_HTTP_TASKFORGE_WS_ON     1
#define NGX_HTTP_TASKFORGE_WS_STATS  2


typedef struct {
    ngx_uint_t                       enable;    /* as above */
} ngx_http_taskforge_ws_loc_conf_t;


typedef struct {
    ngx_http_taskforge_subscriber_t  subscriber;

    ngx_recv_pt                      recv;      /* the connection's own */
    ngx_send_pt                      send;

    ngx_http_taskforge_ws_sieve_t    sieve;

    u_char                          *out;       /* sieved, not yet taken */
    u_char                          *out_last;
    u_char                           in[NGX_HTTP_TASKFORGE_WS_BUFFER];
    u_char                           buf[NGX_HTTP_TASKFORGE_WS_BUFFER
                                 + sizeof(ngx_http_taskforge_ws_sieve_t)];
} ngx_http_taskforge_ws_ctx_t;


static ngx_int_t ngx_http_taskforge_ws_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_ws_check(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_ws_upgrade(ngx_http_request_t *r,
    const char *name, const char *value, const char *detail);
static ngx_uint_t ngx_http_taskforge_ws_has(ngx_str_t *value,
    const char *token);
static ngx_http_taskforge_ws_ctx_t *ngx_http_taskforge_ws_get_ctx(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_ws_begin(ngx_http_request_t *r,
    ngx_http_taskforge_ws_ctx_t *ctx, ngx_http_taskforge_channel_e channel);
static void ngx_http_taskforge_ws_end(void *data);
static ssize_t ngx_http_taskforge_ws_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_http_taskforge_ws_send(ngx_connection_t *c, u_char *buf,
    size_t size);

static void *ngx_http_taskforge_ws_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_ws_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_taskforge_ws_init(ngx_conf_t *cf);


static ngx_conf_enum_t  ngx_http_taskforge_ws_values[] = {
    { ngx_string("off"), NGX_HTTP_TASKFORGE_WS_OFF },
    { ngx_string("on"), NGX_HTTP_TASKFORGE_WS_ON },
    { ngx_string("stats"), NGX_HTTP_TASKFORGE_WS_STATS },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_taskforge_ws_commands[] = {

    { ngx_string("taskforge_ws"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskforge_ws_loc_conf_t, enable),
      ngx_http_taskforge_ws_values },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_ws_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_taskforge_ws_init,            /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_taskforge_ws_create_loc_conf, /* create location configuration */
    ngx_http_taskforge_ws_merge_loc_conf   /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_ws_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_ws_module_ctx,     /* module context */
    ngx_http_taskforge_ws_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * Runs after the access phase: who may not come in learns nothing, and the
 * access phase still sees the arguments.
 */

static ngx_int_t
ngx_http_taskforge_ws_handler(ngx_http_request_t *r)
{
    ngx_http_taskforge_ws_ctx_t       *ctx;
    ngx_http_taskforge_ws_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_ws_module);

    if (wlcf->enable == NGX_HTTP_TASKFORGE_WS_OFF || r != r->main
        || ngx_http_taskforge_ws_get_ctx(r))
    {
        return NGX_DECLINED;
    }

    if (ngx_http_taskforge_ws_check(r) != NGX_OK) {
        return NGX_DONE;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_ws_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_taskforge_ws_module);

    ngx_http_taskforge_subscriber_drop_args(r);

    return ngx_http_taskforge_ws_begin(r, ctx,
                                       wlcf->enable
                                       == NGX_HTTP_TASKFORGE_WS_STATS
                                           ? NGX_HTTP_TASKFORGE_CHANNEL_STATS
                                           : NGX_HTTP_TASKFORGE_CHANNEL_EVENTS);
}


/* NGX_ERROR: the request has been answered. */

static ngx_int_t
ngx_http_taskforge_ws_check(ngx_http_request_t *r)
{
    u_char      nonce[32];
    ngx_str_t  *value, decoded;

    if (r->method != NGX_HTTP_GET) {

        if (ngx_http_taskforge_header_add(r, "Allow", (u_char *) "GET", 3)
            != NGX_OK)
        {
            ngx_http_finalize_request(r, NGX_ERROR);
            return NGX_ERROR;
        }

        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_ALLOWED,
                                   "a WebSocket begins with GET");
        return NGX_ERROR;
    }

    if (r->http_version != NGX_HTTP_VERSION_11
        || !ngx_http_taskforge_ws_has(
                ngx_http_taskforge_header_in(r, "Upgrade"), "websocket")
        || !ngx_http_taskforge_ws_has(
                ngx_http_taskforge_header_in(r, "Connection"), "upgrade"))
    {
        return ngx_http_taskforge_ws_upgrade(r, "Upgrade", "websocket",
                            "here is a WebSocket (RFC 6455, HTTP/1.1) only");
    }

    value = ngx_http_taskforge_header_in(r, "Sec-WebSocket-Version");

    if (value == NULL || value->len != 2
        || ngx_strncmp(value->data, "13", 2) != 0)
    {
        return ngx_http_taskforge_ws_upgrade(r, "Sec-WebSocket-Version", "13",
                            "Sec-WebSocket-Version must be 13");
    }

    value = ngx_http_taskforge_header_in(r, "Sec-WebSocket-Key");
    decoded.data = nonce;

    if (value == NULL || value->len != 24
        || ngx_decode_base64(&decoded, value) != NGX_OK || decoded.len != 16)
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "Sec-WebSocket-Key must be 16 bytes in "
                                   "base64");
        return NGX_ERROR;
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "a WebSocket begins without a body");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_ws_upgrade(ngx_http_request_t *r, const char *name,
    const char *value, const char *detail)
{
    if (ngx_http_taskforge_header_add(r, name, (u_char *) value,
                                      ngx_strlen(value))
        != NGX_OK
        || ngx_http_taskforge_header_add(r, "Connection",
                                         (u_char *) "upgrade", 7)
           != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    ngx_http_taskforge_problem(r, 426, "%s", detail);

    return NGX_ERROR;
}


/* Is token a member of a list such as "keep-alive, Upgrade"? */

static ngx_uint_t
ngx_http_taskforge_ws_has(ngx_str_t *value, const char *token)
{
    size_t   len;
    u_char  *p, *last, *end;

    if (value == NULL) {
        return 0;
    }

    len = ngx_strlen(token);
    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        for (end = p; end < last && *end != ',' && *end != ' '; end++) {
            /* void */
        }

        if ((size_t) (end - p) == len
            && ngx_strncasecmp(p, (u_char *) token, len) == 0)
        {
            return 1;
        }

        p = end;
    }

    return 0;
}


static ngx_int_t
ngx_http_taskforge_ws_begin(ngx_http_request_t *r,
    ngx_http_taskforge_ws_ctx_t *ctx, ngx_http_taskforge_channel_e channel)
{
    u_char            *last;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = r->connection;

    /* frames that came together with the request */

    last = ngx_http_taskforge_ws_sieve(&ctx->sieve, r->header_in->pos,
                                       r->header_in->last - r->header_in->pos,
                                       r->header_in->pos);
    if (last == NULL) {
        r->keepalive = 0;
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "what follows the request is no frame of "
                                   "a WebSocket");
        return NGX_DONE;
    }

    r->header_in->last = last;

    rc = ngx_http_taskforge_subscriber_add(r, &ctx->subscriber, channel,
                                           ngx_http_taskforge_ws_end, ctx);
    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_DONE : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->recv = c->recv;
    ctx->send = c->send;
    c->recv = ngx_http_taskforge_ws_recv;
    c->send = ngx_http_taskforge_ws_send;

    return NGX_DECLINED;
}


static void
ngx_http_taskforge_ws_end(void *data)
{
    ngx_http_taskforge_ws_ctx_t  *ctx = data;

    /* the connection may be kept alive when nchan did not upgrade it */

    ctx->subscriber.connection->recv = ctx->recv;
    ctx->subscriber.connection->send = ctx->send;

    ngx_http_taskforge_subscriber_remove(&ctx->subscriber);
}


/* An internal redirect (error_page) forgets the contexts of modules. */

static ngx_http_taskforge_ws_ctx_t *
ngx_http_taskforge_ws_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_taskforge_ws_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_ws_module);

    if (ctx || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_taskforge_ws_end) {
            return cln->data;
        }
    }

    return NULL;
}


/* nginx's tunnel reads the client through this. */

static ssize_t
ngx_http_taskforge_ws_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t                        len;
    ssize_t                       n;
    ngx_http_request_t           *r;
    ngx_http_taskforge_ws_ctx_t  *ctx;

    r = c->data;
    ctx = ngx_http_taskforge_ws_get_ctx(r);

    while (ctx->out == ctx->out_last) {

        n = ctx->recv(c, ctx->in, sizeof(ctx->in));

        if (n <= 0) {
            return n;
        }

        ctx->out = ctx->buf;
        ctx->out_last = ngx_http_taskforge_ws_sieve(&ctx->sieve, ctx->in, n,
                                                    ctx->buf);

        if (ctx->out_last == NULL) {
            ctx->out = NULL;

            ngx_log_error(NGX_LOG_INFO, c->log, 0,
                          "client broke the WebSocket protocol");
            return NGX_ERROR;
        }

        if (ctx->out == ctx->out_last && !c->read->ready) {
            return NGX_AGAIN;
        }
    }

    len = ngx_min(size, (size_t) (ctx->out_last - ctx->out));
    ngx_memcpy(buf, ctx->out, len);
    ctx->out += len;

    if (ctx->out < ctx->out_last) {
        c->read->ready = 1;
    }

    return len;
}


static ssize_t
ngx_http_taskforge_ws_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t                       n;
    ngx_http_request_t           *r;
    ngx_http_taskforge_ws_ctx_t  *ctx;

    r = c->data;
    ctx = ngx_http_taskforge_ws_get_ctx(r);

    n = ctx->send(c, buf, size);

    if (n > 0) {
        ctx->subscriber.bytes += n;
    }

    return n;
}


static void *
ngx_http_taskforge_ws_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_ws_loc_conf_t  *wlcf;

    wlcf = ngx_palloc(cf->pool, sizeof(ngx_http_taskforge_ws_loc_conf_t));
    if (wlcf == NULL) {
        return NULL;
    }

    wlcf->enable = NGX_CONF_UNSET_UINT;

    return wlcf;
}


static char *
ngx_http_taskforge_ws_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_taskforge_ws_loc_conf_t *prev = parent;
    ngx_http_taskforge_ws_loc_conf_t *conf = child;

    ngx_conf_merge_uint_value(conf->enable, prev->enable,
                              NGX_HTTP_TASKFORGE_WS_OFF);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_taskforge_ws_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_taskforge_ws_handler;

    return NGX_OK;
}
