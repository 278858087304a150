
/*
 * The settings of tokens: taskforge_jwt, taskforge_jwt_key, and the ring of
 * keys that they make.
 */

#ifndef _NGX_HTTP_TASKFORGE_ACCESS_KEYS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_ACCESS_KEYS_H_INCLUDED_


#include "ngx_http_taskforge_access.h"


/* No keys yet.  NGX_ERROR: no memory. */

ngx_int_t ngx_http_taskforge_access_keys_init(ngx_conf_t *cf,
    ngx_http_taskforge_access_main_conf_t *amcf);


/* The directives; conf is the main conf. */

char *ngx_http_taskforge_jwt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_taskforge_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/*
 * When all settings are known: reads the keys into amcf->ring, which goes with
 * the configuration.  NGX_ERROR: logged.
 */

ngx_int_t ngx_http_taskforge_access_ring(ngx_conf_t *cf,
    ngx_http_taskforge_access_main_conf_t *amcf);


#endif /* _NGX_HTTP_TASKFORGE_ACCESS_KEYS_H_INCLUDED_ */
