
#include "ngx_http_taskforge_stream.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_reply.h"


typedef struct {
    ngx_flag_t                       enable;
} ngx_http_taskforge_stream_loc_conf_t;


static ngx_int_t ngx_http_taskforge_stream_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_stream_check(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_stream_since(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx);
static void ngx_http_taskforge_stream_end(void *data);

static void *ngx_http_taskforge_stream_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_stream_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_taskforge_stream_init(ngx_conf_t *cf);


static ngx_command_t  ngx_http_taskforge_stream_commands[] = {

    { ngx_string("taskforge_stream"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskforge_stream_loc_conf_t, enable),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_stream_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_taskforge_stream_init,        /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_taskforge_stream_create_loc_conf,
                                           /* create location configuration */
    ngx_http_taskforge_stream_merge_loc_conf
                                           /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_stream_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_stream_module_ctx, /* module context */
    ngx_http_taskforge_stream_commands,    /* module directives */
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


/* Runs after the access phase, as that of taskforge_ws. */

static ngx_int_t
ngx_http_taskforge_stream_handler(ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_http_taskforge_stream_ctx_t       *ctx;
    ngx_http_taskforge_stream_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_stream_module);

    if (!slcf->enable || r != r->main || r->internal
        || ngx_http_get_module_ctx(r, ngx_http_taskforge_stream_module))
    {
        return NGX_DECLINED;
    }

    if (ngx_http_taskforge_stream_check(r) != NGX_OK) {
        return NGX_DONE;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_stream_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_taskforge_stream_since(r, ctx) != NGX_OK) {
        return NGX_DONE;
    }

    ngx_http_taskforge_subscriber_drop_args(r);

    rc = ngx_http_taskforge_subscriber_add(r, &ctx->subscriber,
                                           NGX_HTTP_TASKFORGE_CHANNEL_EVENTS,
                                           ngx_http_taskforge_stream_end, ctx);
    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_DONE : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_taskforge_stream_module);

    return NGX_DECLINED;
}


/* NGX_ERROR: the request has been answered. */

static ngx_int_t
ngx_http_taskforge_stream_check(ngx_http_request_t *r)
{
    if (r->method != NGX_HTTP_GET) {

        if (ngx_http_taskforge_header_add(r, "Allow", (u_char *) "GET", 3)
            != NGX_OK)
        {
            ngx_http_finalize_request(r, NGX_ERROR);
            return NGX_ERROR;
        }

        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_ALLOWED,
                                   "an event stream begins with GET");
        return NGX_ERROR;
    }

    /* by this the access phase tells what outlives its check */

    if (!ngx_http_taskforge_is_stream(r)
        || ngx_http_taskforge_is_websocket(r))
    {
        ngx_http_taskforge_problem(r, 406, "here are server-sent events only: "
                                   "Accept: text/event-stream");
        return NGX_ERROR;
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "an event stream begins without a body");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NGX_ERROR: the request has been answered. */

static ngx_int_t
ngx_http_taskforge_stream_since(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx)
{
    size_t      i;
    ngx_str_t  *value;

    value = ngx_http_taskforge_header_in(r, "Last-Event-ID");

    if (value == NULL || value->len == 0) {
        return NGX_OK;
    }

    for (i = 0; i < value->len; i++) {
        if ((value->data[i] < '0' || value->data[i] > '9')
            && value->data[i] != '-')
        {
            break;
        }
    }

    if (i < value->len || value->len > NGX_HTTP_TASKFORGE_SEQ_LEN) {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "Last-Event-ID is not the id of an event");
        return NGX_ERROR;
    }

    ctx->lines.since = *value;

    return NGX_OK;
}


static void
ngx_http_taskforge_stream_end(void *data)
{
    ngx_http_taskforge_stream_ctx_t  *ctx = data;

    ngx_http_taskforge_subscriber_remove(&ctx->subscriber);
}


static void *
ngx_http_taskforge_stream_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_stream_loc_conf_t  *slcf;

    slcf = ngx_palloc(cf->pool, sizeof(ngx_http_taskforge_stream_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    slcf->enable = NGX_CONF_UNSET;

    return slcf;
}


static char *
ngx_http_taskforge_stream_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_taskforge_stream_loc_conf_t *prev = parent;
    ngx_http_taskforge_stream_loc_conf_t *conf = child;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_taskforge_stream_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_taskforge_stream_handler;

    return ngx_http_taskforge_stream_filter_init(cf);
}
