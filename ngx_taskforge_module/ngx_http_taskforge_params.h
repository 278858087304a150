
/*
 * name=value parameters of directives.
 */

#ifndef _NGX_HTTP_TASKFORGE_PARAMS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PARAMS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


typedef enum {
    NGX_HTTP_TASKFORGE_PARAM_NUM = 0,
    NGX_HTTP_TASKFORGE_PARAM_MSEC,
    NGX_HTTP_TASKFORGE_PARAM_SIZE
} ngx_http_taskforge_param_e;


/* A name=value parameter of a directive. */

typedef struct {
    ngx_str_t                     name;
    ngx_http_taskforge_param_e    type;
    ngx_uint_t                    offset;
    ngx_int_t                     min;
    ngx_int_t                     max;
} ngx_http_taskforge_param_t;


/*
 * Sets the fields of conf from the arguments of the directive, first and
 * after.  params ends with an empty name.  Returns NGX_CONF_OK or, after
 * logging, NGX_CONF_ERROR.
 */

char *ngx_http_taskforge_params(ngx_conf_t *cf, void *conf, ngx_uint_t first,
    const ngx_http_taskforge_param_t *params);


#endif /* _NGX_HTTP_TASKFORGE_PARAMS_H_INCLUDED_ */
