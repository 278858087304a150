
#include "ngx_http_taskforge_stream.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_relay.h"
#include "ngx_http_taskforge_reply.h"


/* milliseconds; bytes that a client may be behind what was published */
#define NGX_HTTP_TASKFORGE_STREAM_CHECK    500
#define NGX_HTTP_TASKFORGE_STREAM_BACKLOG  (4 * 1024 * 1024)


typedef struct {
    ngx_queue_t                      clients;
    ngx_event_t                      timer;
} ngx_http_taskforge_stream_main_conf_t;


typedef struct {
    ngx_flag_t                       enable;
} ngx_http_taskforge_stream_loc_conf_t;


static ngx_int_t ngx_http_taskforge_stream_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_stream_check(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_stream_since(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx);
static ngx_int_t ngx_http_taskforge_stream_begin(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx);
static void ngx_http_taskforge_stream_end(void *data);
static void ngx_http_taskforge_stream_tick(ngx_event_t *ev);

static void *ngx_http_taskforge_stream_create_main_conf(ngx_conf_t *cf);
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

    ngx_http_taskforge_stream_create_main_conf,
                                           /* create main configuration */
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

    /* nchan takes message ids from arguments */

    r->args.len = 0;
    r->valid_unparsed_uri = 0;

    return ngx_http_taskforge_stream_begin(r, ctx);
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


static ngx_int_t
ngx_http_taskforge_stream_begin(ngx_http_request_t *r,
    ngx_http_taskforge_stream_ctx_t *ctx)
{
    ngx_pool_cleanup_t                     *cln;
    ngx_http_taskforge_main_conf_t         *mcf;
    ngx_http_taskforge_stream_main_conf_t  *smcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_stream_module);

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->shm = &ngx_http_taskforge_shm(mcf)->relay;

    if (ngx_http_taskforge_relay_enter(ctx->shm) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "taskforge: too many worker processes have event "
                      "streams; see worker_shutdown_timeout");
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "too many event streams are being closed");
        return NGX_DONE;
    }

    cln->handler = ngx_http_taskforge_stream_end;
    cln->data = ctx;

    ctx->request = r;
    ctx->bytes = ctx->shm->bytes;

    ngx_http_set_ctx(r, ctx, ngx_http_taskforge_stream_module);

    if (smcf->timer.handler == NULL) {
        ngx_queue_init(&smcf->clients);
        smcf->timer.handler = ngx_http_taskforge_stream_tick;
        smcf->timer.data = smcf;
        smcf->timer.log = ngx_cycle->log;
        smcf->timer.cancelable = 1;
    }

    ngx_queue_insert_tail(&smcf->clients, &ctx->queue);

    if (!smcf->timer.timer_set) {
        ngx_add_timer(&smcf->timer, NGX_HTTP_TASKFORGE_STREAM_CHECK);
    }

    return NGX_DECLINED;
}


static void
ngx_http_taskforge_stream_end(void *data)
{
    ngx_http_taskforge_stream_ctx_t  *ctx = data;

    ngx_queue_remove(&ctx->queue);

    ngx_http_taskforge_relay_leave(ctx->shm);
}


/* As for WebSockets: what a client is behind waits in nchan's memory. */

static void
ngx_http_taskforge_stream_tick(ngx_event_t *ev)
{
    ngx_queue_t                            *q;
    ngx_atomic_int_t                        behind;
    ngx_http_taskforge_stream_ctx_t        *ctx;
    ngx_http_taskforge_stream_main_conf_t  *smcf;

    smcf = ev->data;

    for (q = ngx_queue_head(&smcf->clients);
         q != ngx_queue_sentinel(&smcf->clients);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_taskforge_stream_ctx_t, queue);

        behind = (ngx_atomic_int_t) (ctx->shm->bytes - ctx->bytes
                                     - ctx->lines.bytes);

        if (behind <= NGX_HTTP_TASKFORGE_STREAM_BACKLOG) {
            continue;
        }

        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "client is %A bytes behind the events, closing",
                      behind);

        ngx_http_taskforge_hang_up(ctx->request->connection);
    }

    if (!ngx_queue_empty(&smcf->clients)) {
        ngx_add_timer(ev, NGX_HTTP_TASKFORGE_STREAM_CHECK);
    }
}


static void *
ngx_http_taskforge_stream_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_taskforge_stream_main_conf_t));
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

    ngx_http_taskforge_main_conf_t  *mcf;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_taskforge_module);

    if (conf->enable && mcf->shm_zone == NULL) {
        return "\"taskforge_stream\" needs \"taskforge_zone\"";
    }

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
