
/*
 * The table of directives, and the start and end of a worker process.
 */

#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_conf.h"
#include "ngx_http_taskforge_insert.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_queue_rules.h"
#include "ngx_http_taskforge_redis.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_settle.h"
#include "ngx_http_taskforge_types.h"
#include "ngx_http_taskforge_variables.h"

#include "slice.h"


static ngx_int_t ngx_http_taskforge_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_taskforge_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_taskforge_init_process(ngx_cycle_t *cycle);
static void ngx_http_taskforge_connected(void *data);
static void ngx_http_taskforge_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_taskforge_commands[] = {

    { ngx_string("taskforge_database"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_conf_database,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_conf_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_taskforge_conf_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_submit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_conf_submit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_types_refresh"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_taskforge_main_conf_t, types_refresh),
      NULL },

    { ngx_string("taskforge_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_taskforge_conf_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_taskforge_conf_health,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_problems"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskforge_loc_conf_t, problems),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_module_ctx = {
    ngx_http_taskforge_preconfiguration,   /* preconfiguration */
    ngx_http_taskforge_postconfiguration,  /* postconfiguration */

    ngx_http_taskforge_create_main_conf,   /* create main configuration */
    ngx_http_taskforge_init_main_conf,     /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_taskforge_create_loc_conf,    /* create location configuration */
    ngx_http_taskforge_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_module_ctx,        /* module context */
    ngx_http_taskforge_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_taskforge_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_taskforge_exit_process,       /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_http_taskforge_ctx_t *
ngx_http_taskforge_get_ctx(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_module);

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_ctx_t));

        if (ctx) {
            ngx_http_set_ctx(r, ctx, ngx_http_taskforge_module);
        }
    }

    return ctx;
}


void
ngx_http_taskforge_resume(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


int64_t
ngx_http_taskforge_now_us(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static ngx_int_t
ngx_http_taskforge_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_taskforge_variables_init(cf);
}


static ngx_int_t
ngx_http_taskforge_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_taskforge_settle_handler;

    return ngx_http_taskforge_reply_init(cf);
}


static ngx_int_t
ngx_http_taskforge_init_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_taskforge_cycle_conf(cycle);

    if (mcf == NULL) {
        /* no http block */
        return NGX_OK;
    }

    tf_uuid_after_fork();

    /* this thread's alone: those of the pool, which hash, were there before */

    (void) tf_slice_set(TF_SLICE_SHORT);

    if (mcf->redis_set) {
        mcf->redis_conn = ngx_http_taskforge_redis_create(cycle, &mcf->redis,
                                                          "commands",
                                                          mcf->redis.timeout,
                                                          NULL, NULL);
        if (mcf->redis_conn == NULL) {
            return NGX_ERROR;
        }

        ngx_http_taskforge_redis_hold(mcf->redis_conn);
        ngx_http_taskforge_redis_start(mcf->redis_conn);
    }

    if (mcf->database.len) {
        mcf->submit = ngx_http_taskforge_insert_create(cycle, mcf);
        mcf->types = ngx_http_taskforge_types_create(cycle, mcf);
        mcf->queue_rules = ngx_http_taskforge_queue_rules_create(cycle, mcf);

        if (mcf->submit == NULL || mcf->types == NULL
            || mcf->queue_rules == NULL)
        {
            return NGX_ERROR;
        }

        mcf->pg = ngx_http_taskforge_pg_create(cycle, mcf,
                                               ngx_http_taskforge_connected,
                                               mcf);
        if (mcf->pg == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* What submits need to know is read as soon as it can be. */

static void
ngx_http_taskforge_connected(void *data)
{
    ngx_http_taskforge_main_conf_t  *mcf = data;

    ngx_http_taskforge_types_load(mcf->types);

    if (!ngx_http_taskforge_queue_rules_ready(mcf->queue_rules)) {
        ngx_http_taskforge_queue_rules_load(mcf->queue_rules);
    }
}


static void
ngx_http_taskforge_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_taskforge_cycle_conf(cycle);

    if (mcf == NULL) {
        return;
    }

    if (mcf->pg) {
        ngx_http_taskforge_pg_destroy(mcf->pg);
    }

    if (mcf->types) {
        ngx_http_taskforge_types_destroy(mcf->types);
    }

    if (mcf->queue_rules) {
        ngx_http_taskforge_queue_rules_destroy(mcf->queue_rules);
    }

    if (mcf->submit) {
        ngx_http_taskforge_insert_destroy(mcf->submit);
    }

    if (mcf->redis_conn) {
        ngx_http_taskforge_redis_stop(mcf->redis_conn);
    }

    tf_buf_free(&mcf->scratch);
}
