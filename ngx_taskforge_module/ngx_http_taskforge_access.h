
/*
 * The access phase: who calls, and may they.
 */

#ifndef _NGX_HTTP_TASKFORGE_ACCESS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_ACCESS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* Runs in locations of the API and of other parts with taskforge_auth. */

ngx_int_t ngx_http_taskforge_access_handler(ngx_http_request_t *r);


/* "viewer", "operator", "admin"; empty for none. */

const ngx_str_t *ngx_http_taskforge_role_name(ngx_http_taskforge_role_e role);


#endif /* _NGX_HTTP_TASKFORGE_ACCESS_H_INCLUDED_ */
