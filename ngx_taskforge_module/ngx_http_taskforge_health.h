
/*
 * /livez: this process answers.  /readyz: it can take jobs.  /health: the
 * state of each part.  They tell what the connections know already and ask
 * nobody.
 */

#ifndef _NGX_HTTP_TASKFORGE_HEALTH_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_HEALTH_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* The content handlers of taskforge_health live, ready and full. */

ngx_int_t ngx_http_taskforge_health_live(ngx_http_request_t *r);
ngx_int_t ngx_http_taskforge_health_ready(ngx_http_request_t *r);
ngx_int_t ngx_http_taskforge_health_full(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_HEALTH_H_INCLUDED_ */
