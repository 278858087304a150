
/*
 * The header traceparent of a request: W3C Trace Context, section 3.2,
 * version 00.
 */

#ifndef _NGX_HTTP_TASKFORGE_TRACEPARENT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_TRACEPARENT_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/*
 * Its bytes, which last as long as the request; data NULL: there is none, or
 * one of another shape, which is ignored, as the specification says.
 */

tf_str_t ngx_http_taskforge_traceparent(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_TRACEPARENT_H_INCLUDED_ */
