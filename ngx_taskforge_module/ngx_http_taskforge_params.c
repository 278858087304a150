
#include "ngx_http_taskforge_params.h"


static char *ngx_http_taskforge_param(ngx_conf_t *cf, void *conf,
    ngx_str_t *arg, const ngx_http_taskforge_param_t *param);


char *
ngx_http_taskforge_params(ngx_conf_t *cf, void *conf, ngx_uint_t first,
    const ngx_http_taskforge_param_t *params)
{
    char                              *rv;
    ngx_str_t                         *value;
    ngx_uint_t                         i;
    const ngx_http_taskforge_param_t  *param;

    value = cf->args->elts;

    for (i = first; i < cf->args->nelts; i++) {

        for (param = params; param->name.len; param++) {
            if (ngx_strncmp(value[i].data, param->name.data, param->name.len)
                == 0)
            {
                break;
            }
        }

        rv = param->name.len
                 ? ngx_http_taskforge_param(cf, conf, &value[i], param)
                 : NGX_CONF_ERROR;

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_taskforge_param(ngx_conf_t *cf, void *conf, ngx_str_t *arg,
    const ngx_http_taskforge_param_t *param)
{
    ngx_int_t    n;
    ngx_str_t    text;
    ngx_uint_t  *field;

    text.data = arg->data + param->name.len;
    text.len = arg->len - param->name.len;

    switch (param->type) {

    case NGX_HTTP_TASKFORGE_PARAM_MSEC:
        n = ngx_parse_time(&text, 0);
        break;

    case NGX_HTTP_TASKFORGE_PARAM_SIZE:
        n = ngx_parse_size(&text);
        break;

    default:
        n = ngx_atoi(text.data, text.len);
        break;
    }

    if (n == NGX_ERROR || n < param->min || n > param->max) {
        return NGX_CONF_ERROR;
    }

    /* ngx_uint_t, ngx_msec_t and size_t are of one size */

    field = (ngx_uint_t *) ((char *) conf + param->offset);
    *field = (ngx_uint_t) n;

    return NGX_CONF_OK;
}
