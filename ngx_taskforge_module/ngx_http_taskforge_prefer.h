
/*
 * The request header Prefer (RFC 7240).
 */

#ifndef _NGX_HTTP_TASKFORGE_PREFER_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PREFER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The seconds of the first "wait=N"; 0: there is none that is valid. */

ngx_uint_t ngx_http_taskforge_prefer_wait(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_PREFER_H_INCLUDED_ */
