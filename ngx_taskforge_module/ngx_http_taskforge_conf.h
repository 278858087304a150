
/*
 * The module's settings: their defaults, and the directives that set them.
 */

#ifndef _NGX_HTTP_TASKFORGE_CONF_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_CONF_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* For ngx_http_module_t: main and location configuration. */

void *ngx_http_taskforge_create_main_conf(ngx_conf_t *cf);
char *ngx_http_taskforge_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_taskforge_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_taskforge_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


/* For ngx_command_t. */

char *ngx_http_taskforge_conf_database(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskforge_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskforge_conf_submit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskforge_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskforge_conf_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskforge_conf_health(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_TASKFORGE_CONF_H_INCLUDED_ */
