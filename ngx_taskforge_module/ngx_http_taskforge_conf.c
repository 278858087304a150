
#include "ngx_http_taskforge_conf.h"
#include "ngx_http_taskforge_health.h"
#include "ngx_http_taskforge_params.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_redis.h"
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_shm.h"


static char *ngx_http_taskforge_zones(ngx_conf_t *cf,
    ngx_http_taskforge_main_conf_t *mcf);
static void ngx_http_taskforge_zones_free(void *data);


static ngx_str_t  ngx_http_taskforge_default_zone =
    ngx_string("taskforge_default");


static const ngx_http_taskforge_param_t  ngx_http_taskforge_db_params[] = {

    { ngx_string("write="), NGX_HTTP_TASKFORGE_PARAM_NUM,
      offsetof(ngx_http_taskforge_main_conf_t, write_connections), 1, 16 },

    { ngx_string("read="), NGX_HTTP_TASKFORGE_PARAM_NUM,
      offsetof(ngx_http_taskforge_main_conf_t, read_connections), 1, 16 },

    { ngx_string("queue="), NGX_HTTP_TASKFORGE_PARAM_NUM,
      offsetof(ngx_http_taskforge_main_conf_t, database_queue), 1, 1000000 },

    { ngx_string("connect_timeout="), NGX_HTTP_TASKFORGE_PARAM_MSEC,
      offsetof(ngx_http_taskforge_main_conf_t, connect_timeout), 1, 3600000 },

    { ngx_string("statement_timeout="), NGX_HTTP_TASKFORGE_PARAM_MSEC,
      offsetof(ngx_http_taskforge_main_conf_t, statement_timeout), 1, 3600000 },

    { ngx_null_string, NGX_HTTP_TASKFORGE_PARAM_NUM, 0, 0, 0 }
};


static const ngx_http_taskforge_param_t  ngx_http_taskforge_redis_params[] = {

    { ngx_string("timeout="), NGX_HTTP_TASKFORGE_PARAM_MSEC,
      offsetof(ngx_http_taskforge_redis_conf_t, timeout), 1, 3600000 },

    { ngx_string("buffer="), NGX_HTTP_TASKFORGE_PARAM_SIZE,
      offsetof(ngx_http_taskforge_redis_conf_t, buffer_size),
      65536, 1073741824 },

    { ngx_null_string, NGX_HTTP_TASKFORGE_PARAM_NUM, 0, 0, 0 }
};


static const ngx_http_taskforge_param_t  ngx_http_taskforge_submit_params[] = {

    { ngx_string("batch="), NGX_HTTP_TASKFORGE_PARAM_NUM,
      offsetof(ngx_http_taskforge_main_conf_t, submit_batch_jobs), 1, 10000 },

    { ngx_string("batch_size="), NGX_HTTP_TASKFORGE_PARAM_SIZE,
      offsetof(ngx_http_taskforge_main_conf_t, submit_batch_size),
      1024, 268435456 },

    { ngx_string("queue="), NGX_HTTP_TASKFORGE_PARAM_NUM,
      offsetof(ngx_http_taskforge_main_conf_t, submit_queue), 1, 1000000 },

    { ngx_null_string, NGX_HTTP_TASKFORGE_PARAM_NUM, 0, 0, 0 }
};


void *
ngx_http_taskforge_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->write_connections = NGX_CONF_UNSET_UINT;
    mcf->read_connections = NGX_CONF_UNSET_UINT;
    mcf->database_queue = NGX_CONF_UNSET_UINT;
    mcf->connect_timeout = NGX_CONF_UNSET_MSEC;
    mcf->statement_timeout = NGX_CONF_UNSET_MSEC;
    mcf->redis.timeout = NGX_CONF_UNSET_MSEC;
    mcf->redis.buffer_size = NGX_CONF_UNSET_SIZE;
    mcf->submit_batch_jobs = NGX_CONF_UNSET_UINT;
    mcf->submit_batch_size = NGX_CONF_UNSET_SIZE;
    mcf->submit_queue = NGX_CONF_UNSET_UINT;
    mcf->types_refresh = NGX_CONF_UNSET_MSEC;

    return mcf;
}


char *
ngx_http_taskforge_init_main_conf(ngx_conf_t *cf, void *conf)
{
    char                            *rv;
    ngx_str_t                        url;
    ngx_http_taskforge_main_conf_t  *mcf = conf;

    ngx_conf_init_uint_value(mcf->write_connections, 1);
    ngx_conf_init_uint_value(mcf->read_connections, 1);
    ngx_conf_init_uint_value(mcf->database_queue, 10000);
    ngx_conf_init_msec_value(mcf->connect_timeout, 5000);
    ngx_conf_init_msec_value(mcf->statement_timeout, 10000);
    ngx_conf_init_msec_value(mcf->redis.timeout, 2000);
    ngx_conf_init_size_value(mcf->redis.buffer_size, 8 * 1024 * 1024);
    ngx_conf_init_uint_value(mcf->submit_batch_jobs, 512);
    ngx_conf_init_size_value(mcf->submit_batch_size, 4 * 1024 * 1024);
    ngx_conf_init_uint_value(mcf->submit_queue, 10000);
    ngx_conf_init_msec_value(mcf->types_refresh, 5000);

    if (mcf->shm_zone == NULL) {
        mcf->shm_zone = ngx_http_taskforge_shm_add(cf,
                                              &ngx_http_taskforge_default_zone,
                                              1024 * 1024);
        if (mcf->shm_zone == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (mcf->database.len) {
        url = mcf->database;

        rv = ngx_http_taskforge_pg_conninfo(cf, &url, &mcf->database,
                                            mcf->statement_timeout);
        if (rv != NGX_CONF_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "the address in \"taskforge_database\" %s", rv);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_taskforge_zones(cf, mcf);
}


/* Files are read here, in the master: worker processes share the memory. */

static char *
ngx_http_taskforge_zones(ngx_conf_t *cf, ngx_http_taskforge_main_conf_t *mcf)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->zones = tf_zones_load(TF_ZONE_DIRECTORY);
    if (mcf->zones == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_taskforge_zones_free;
    cln->data = mcf->zones;

    if (tf_zones_count(mcf->zones) == 1) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "there are no time zones in " TF_ZONE_DIRECTORY
                      ", schedules can only have UTC");
    }

    return NGX_CONF_OK;
}


static void
ngx_http_taskforge_zones_free(void *data)
{
    tf_zones_free(data);
}


void *
ngx_http_taskforge_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_loc_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    lcf->problems = NGX_CONF_UNSET;

    return lcf;
}


char *
ngx_http_taskforge_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_taskforge_loc_conf_t  *prev = parent;
    ngx_http_taskforge_loc_conf_t  *conf = child;

    /* base is not inherited, like the handler it belongs to */

    if (conf->problems == NGX_CONF_UNSET && conf->base.len) {
        conf->problems = 1;
    }

    ngx_conf_merge_value(conf->problems, prev->problems, 0);

    return NGX_CONF_OK;
}


char *
ngx_http_taskforge_conf_database(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                       *value;
    ngx_http_taskforge_main_conf_t  *mcf = conf;

    value = cf->args->elts;

    if (mcf->database.len) {
        return "is duplicate";
    }

    /* becomes a conninfo when all settings are known */

    mcf->database = value[1];

    return ngx_http_taskforge_params(cf, mcf, 2, ngx_http_taskforge_db_params);
}


char *
ngx_http_taskforge_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                            *rv;
    ngx_str_t                       *value;
    ngx_http_taskforge_main_conf_t  *mcf = conf;

    value = cf->args->elts;

    if (mcf->redis_set) {
        return "is duplicate";
    }

    mcf->redis_set = 1;

    rv = ngx_http_taskforge_redis_url(cf, &value[1], &mcf->redis);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_taskforge_params(cf, &mcf->redis, 2,
                                     ngx_http_taskforge_redis_params);
}


char *
ngx_http_taskforge_conf_submit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_taskforge_params(cf, conf, 1,
                                     ngx_http_taskforge_submit_params);
}


char *
ngx_http_taskforge_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ssize_t                          size;
    ngx_str_t                       *value;
    ngx_http_taskforge_main_conf_t  *mcf = conf;

    value = cf->args->elts;

    if (mcf->shm_zone) {
        return "is duplicate";
    }

    size = ngx_parse_size(&value[2]);

    if (size < (ssize_t) (sizeof(ngx_http_taskforge_shm_t)
                          + 8 * ngx_pagesize))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small or has a wrong size",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->shm_zone = ngx_http_taskforge_shm_add(cf, &value[1], size);

    return mcf->shm_zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_taskforge_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                      *value;
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_taskforge_loc_conf_t  *lcf = conf;

    value = cf->args->elts;

    if (lcf->base.len) {
        return "is duplicate";
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") != 0) {
        return "must be \"on\" or \"off\"";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex) {
        return "needs a location that is a prefix";
    }
#endif

    if (clcf->exact_match || clcf->named || clcf->noname
        || clcf->name.len < 2 || clcf->name.data[clcf->name.len - 1] != '/')
    {
        return "needs a location that is a prefix with a slash at its end";
    }

    lcf->base.data = clcf->name.data;
    lcf->base.len = clcf->name.len - 1;

    clcf->handler = ngx_http_taskforge_route_handler;

    return NGX_CONF_OK;
}


char *
ngx_http_taskforge_conf_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                      *value;
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_taskforge_loc_conf_t  *lcf = conf;

    value = cf->args->elts;
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (ngx_strcmp(value[1].data, "live") == 0) {
        clcf->handler = ngx_http_taskforge_health_live;

    } else if (ngx_strcmp(value[1].data, "ready") == 0) {
        clcf->handler = ngx_http_taskforge_health_ready;

    } else if (ngx_strcmp(value[1].data, "full") == 0) {
        clcf->handler = ngx_http_taskforge_health_full;

    } else {
        return "must be \"live\", \"ready\" or \"full\"";
    }

    if (lcf->problems == NGX_CONF_UNSET) {
        lcf->problems = 1;
    }

    return NGX_CONF_OK;
}
