
/*
 * Rate limits: taskforge_limit in a location.  See docs/limits.md.
 */

#ifndef _NGX_HTTP_TASKFORGE_LIMIT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_LIMIT_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


extern ngx_module_t  ngx_http_taskforge_limit_module;


/*
 * Called by the access phase when the caller is known.  Adds the RateLimit
 * headers to the answer.  NGX_OK: go on.  NGX_AGAIN: Redis is asked, the
 * phases of the request run again later.  Else the status of the answer.
 * ctx may be NULL where nobody can log in.
 */

ngx_int_t ngx_http_taskforge_limit(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx);


#endif /* _NGX_HTTP_TASKFORGE_LIMIT_H_INCLUDED_ */
