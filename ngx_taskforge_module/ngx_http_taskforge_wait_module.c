
/*
 * The directive taskforge_wait, and the waiting requests of a worker process.
 */

#include "ngx_http_taskforge_wait.h"
#include "ngx_http_taskforge_params.h"


static void *ngx_http_taskforge_wait_create_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_wait_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_taskforge_wait_init_process(ngx_cycle_t *cycle);
static void ngx_http_taskforge_wait_exit_process(ngx_cycle_t *cycle);


static const ngx_http_taskforge_param_t  ngx_http_taskforge_wait_params[] = {

    { ngx_string("waiters="), NGX_HTTP_TASKFORGE_PARAM_NUM,
      offsetof(ngx_http_taskforge_wait_conf_t, waiters), 0, 100000 },

    { ngx_string("max="), NGX_HTTP_TASKFORGE_PARAM_MSEC,
      offsetof(ngx_http_taskforge_wait_conf_t, max), 1000, 600000 },

    { ngx_null_string, 0, 0, 0, 0 }
};


static ngx_command_t  ngx_http_taskforge_wait_commands[] = {

    { ngx_string("taskforge_wait"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_wait_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_wait_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_taskforge_wait_create_conf,   /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_wait_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_wait_module_ctx,   /* module context */
    ngx_http_taskforge_wait_commands,      /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_taskforge_wait_init_process,  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_taskforge_wait_exit_process,  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_taskforge_wait_create_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_wait_conf_t  *wcf;

    wcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_wait_conf_t));
    if (wcf == NULL) {
        return NULL;
    }

    wcf->waiters = 1000;
    wcf->max = 60000;

    return wcf;
}


/* taskforge_wait [waiters=1000] [max=60s]; */

static char *
ngx_http_taskforge_wait_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_taskforge_params(cf, conf, 1,
                                     ngx_http_taskforge_wait_params);
}


static ngx_int_t
ngx_http_taskforge_wait_init_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_main_conf_t  *mcf;
    ngx_http_taskforge_wait_conf_t  *wcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_taskforge_cycle_conf(cycle);

    if (mcf == NULL || mcf->database.len == 0) {
        return NGX_OK;
    }

    wcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_taskforge_wait_module);

    wcf->waits = ngx_http_taskforge_waits_create(cycle, mcf);

    return wcf->waits ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_taskforge_wait_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_main_conf_t  *mcf;
    ngx_http_taskforge_wait_conf_t  *wcf;

    mcf = ngx_http_taskforge_cycle_conf(cycle);

    if (mcf == NULL) {
        return;
    }

    wcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_taskforge_wait_module);

    if (wcf->waits) {
        ngx_http_taskforge_waits_destroy(wcf->waits);
    }
}
