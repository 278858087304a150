
/*
 * The directives of the access phase, and what a worker process needs for
 * it.
 */

#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_access_keys.h"
#include "ngx_http_taskforge_handshake.h"


static void *ngx_http_taskforge_access_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_access_init_main_conf(ngx_conf_t *cf,
    void *conf);
static void *ngx_http_taskforge_access_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_access_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_taskforge_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_taskforge_access_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_taskforge_access_init_process(ngx_cycle_t *cycle);
static void ngx_http_taskforge_access_exit_process(ngx_cycle_t *cycle);


static ngx_conf_enum_t  ngx_http_taskforge_auth[] = {
    { ngx_string("off"), NGX_HTTP_TASKFORGE_AUTH_OFF },
    { ngx_string("on"), NGX_HTTP_TASKFORGE_AUTH_ON },
    { ngx_string("optional"), NGX_HTTP_TASKFORGE_AUTH_OPTIONAL },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_taskforge_require[] = {
    { ngx_string("viewer"), NGX_HTTP_TASKFORGE_ROLE_VIEWER },
    { ngx_string("operator"), NGX_HTTP_TASKFORGE_ROLE_OPERATOR },
    { ngx_string("admin"), NGX_HTTP_TASKFORGE_ROLE_ADMIN },
    { ngx_null_string, 0 }
};


static ngx_conf_num_bounds_t  ngx_http_taskforge_auth_cache_bounds = {
    ngx_conf_check_num_bounds, 16, 1000000
};


static ngx_command_t  ngx_http_taskforge_access_commands[] = {

    { ngx_string("taskforge_auth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskforge_access_loc_conf_t, auth),
      &ngx_http_taskforge_auth },

    { ngx_string("taskforge_require"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskforge_access_loc_conf_t, require),
      &ngx_http_taskforge_require },

    { ngx_string("taskforge_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_jwt_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE3|NGX_CONF_TAKE4|NGX_CONF_TAKE5,
      ngx_http_taskforge_jwt_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_jwt"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_jwt,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_auth_cache"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_taskforge_access_main_conf_t, cache),
      &ngx_http_taskforge_auth_cache_bounds },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_access_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_taskforge_access_init,        /* postconfiguration */

    ngx_http_taskforge_access_create_main_conf,
                                           /* create main configuration */
    ngx_http_taskforge_access_init_main_conf,
                                           /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_taskforge_access_create_loc_conf,
                                           /* create location configuration */
    ngx_http_taskforge_access_merge_loc_conf
                                           /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_access_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_access_module_ctx, /* module context */
    ngx_http_taskforge_access_commands,    /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_taskforge_access_init_process,
                                           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_taskforge_access_exit_process,
                                           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_taskforge_access_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_taskforge_access_main_conf_t));
    if (amcf == NULL) {
        return NULL;
    }

    if (ngx_http_taskforge_access_keys_init(cf, amcf) != NGX_OK) {
        return NULL;
    }

    ngx_str_set(&amcf->issuer, "taskforge");
    ngx_str_set(&amcf->audience, "taskforge");
    amcf->access_ttl = 15 * 60;
    amcf->refresh_ttl = 7 * 24 * 3600;
    amcf->leeway = 5;
    amcf->max_size = 4096;
    amcf->cache = NGX_CONF_UNSET_UINT;

    return amcf;
}


static char *
ngx_http_taskforge_access_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_taskforge_access_main_conf_t  *amcf = conf;

    ngx_conf_init_uint_value(amcf->cache, 16384);

    if (amcf->keys.nelts
        && ngx_http_taskforge_access_ring(cf, amcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_taskforge_access_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_access_loc_conf_t  *alcf;

    alcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_access_loc_conf_t));
    if (alcf == NULL) {
        return NULL;
    }

    alcf->auth = NGX_CONF_UNSET_UINT;
    alcf->require = NGX_CONF_UNSET_UINT;
    alcf->origins = NGX_CONF_UNSET_PTR;
    alcf->check_origin = NGX_CONF_UNSET;

    return alcf;
}


static char *
ngx_http_taskforge_access_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_taskforge_access_loc_conf_t  *prev = parent;
    ngx_http_taskforge_access_loc_conf_t  *conf = child;

    ngx_http_taskforge_main_conf_t         *mcf;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    ngx_conf_merge_uint_value(conf->auth, prev->auth,
                              NGX_HTTP_TASKFORGE_AUTH_OFF);
    ngx_conf_merge_uint_value(conf->require, prev->require,
                              NGX_HTTP_TASKFORGE_ROLE_VIEWER);

    /* where people log in, WebSockets are for pages of our own */

    if (conf->origins == NGX_CONF_UNSET_PTR) {
        conf->origins = prev->origins;
        conf->check_origin = (prev->check_origin == 1);
    }

    if (conf->origins == NGX_CONF_UNSET_PTR) {
        conf->origins = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
        if (conf->origins == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (conf->auth == NGX_HTTP_TASKFORGE_AUTH_OFF) {
        return NGX_CONF_OK;
    }

    conf->check_origin = 1;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_taskforge_module);
    amcf = ngx_http_conf_get_module_main_conf(cf,
                                            ngx_http_taskforge_access_module);
    amcf->used = 1;

    if (mcf->database.len == 0) {
        return "\"taskforge_auth\" needs \"taskforge_database\"";
    }

    if (amcf->keys.nelts == 0) {
        return "\"taskforge_auth\" needs a \"taskforge_jwt_key\"";
    }

    return NGX_CONF_OK;
}


/* taskforge_origin same | * | https://host[:port] ... */

static char *
ngx_http_taskforge_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                             *value, *origin;
    ngx_uint_t                             i;
    ngx_http_taskforge_access_loc_conf_t  *alcf = conf;

    if (alcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    alcf->check_origin = 1;
    alcf->origins = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    if (alcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "same") == 0) {
            continue;
        }

        if (ngx_strcmp(value[i].data, "*") != 0
            && (ngx_strstr(value[i].data, "://") == NULL
                || value[i].data[value[i].len - 1] == '/'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "an origin is like \"https://example.org\" "
                               "or \"https://example.org:8443\", not \"%V\"",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(alcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_taskforge_access_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_taskforge_access_handler;

    return ngx_http_taskforge_handshake_init(cf);
}


static ngx_int_t
ngx_http_taskforge_access_init_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_access_main_conf_t  *amcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                            ngx_http_taskforge_access_module);

    if (amcf == NULL || !amcf->used) {
        return NGX_OK;
    }

    amcf->identities = ngx_http_taskforge_identities_create(cycle,
                                                            amcf->cache);

    return amcf->identities ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_taskforge_access_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                            ngx_http_taskforge_access_module);

    if (amcf && amcf->identities) {
        ngx_http_taskforge_identities_destroy(amcf->identities);
    }
}
