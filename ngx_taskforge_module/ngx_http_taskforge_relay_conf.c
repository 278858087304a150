
#include "ngx_http_taskforge_relay.h"


/*
 * nchan numbers the messages of a channel within a second with 15 bits and
 * loses those beyond.
 */
#define NGX_HTTP_TASKFORGE_RELAY_RATE_MIN  1000
#define NGX_HTTP_TASKFORGE_RELAY_RATE_MAX  25000


static char *ngx_http_taskforge_relay_set_option(ngx_conf_t *cf,
    ngx_http_taskforge_relay_conf_t *rcf, ngx_str_t *value);


void *
ngx_http_taskforge_relay_create_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_relay_conf_t  *rcf;

    rcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_relay_conf_t));
    if (rcf == NULL) {
        return NULL;
    }

    ngx_str_set(&rcf->uri, "/publish");
    ngx_str_set(&rcf->stats_uri, "/publish/stats");
    rcf->rate = 10000;
    rcf->lag = 2000;

    return rcf;
}


/* taskforge_relay address [uri=/publish] [stats=/publish/stats]
                   [rate=10000] [lag=2s]; */

char *
ngx_http_taskforge_relay_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskforge_relay_conf_t *rcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (rcf->enabled) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rcf->url.url = value[1];
    rcf->url.default_port = 80;

    if (ngx_parse_url(cf->pool, &rcf->url) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"",
                           rcf->url.err ? rcf->url.err : "error", &value[1]);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_taskforge_relay_set_option(cf, rcf, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    rcf->enabled = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_taskforge_relay_set_option(ngx_conf_t *cf,
    ngx_http_taskforge_relay_conf_t *rcf, ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "uri=/", 5) == 0) {
        rcf->uri.data = value->data + 4;
        rcf->uri.len = value->len - 4;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "stats=/", 7) == 0) {
        rcf->stats_uri.data = value->data + 6;
        rcf->stats_uri.len = value->len - 6;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "rate=", 5) == 0) {
        n = ngx_atoi(value->data + 5, value->len - 5);

        if (n >= NGX_HTTP_TASKFORGE_RELAY_RATE_MIN
            && n <= NGX_HTTP_TASKFORGE_RELAY_RATE_MAX)
        {
            rcf->rate = n;
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\": rate must be from %d to %d messages per "
                           "second", value, NGX_HTTP_TASKFORGE_RELAY_RATE_MIN,
                           NGX_HTTP_TASKFORGE_RELAY_RATE_MAX);
        return NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "lag=", 4) == 0) {
        s.data = value->data + 4;
        s.len = value->len - 4;
        n = ngx_parse_time(&s, 0);

        if (n > 0) {
            rcf->lag = n;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       value);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_taskforge_relay_check(ngx_conf_t *cf)
{
    ngx_http_taskforge_main_conf_t   *mcf;
    ngx_http_taskforge_relay_conf_t  *rcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_taskforge_module);
    rcf = ngx_http_conf_get_module_main_conf(cf,
                                             ngx_http_taskforge_relay_module);

    if (rcf->enabled && !mcf->redis_set) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"taskforge_relay\" needs \"taskforge_redis\"");
        return NGX_ERROR;
    }

    return NGX_OK;
}
