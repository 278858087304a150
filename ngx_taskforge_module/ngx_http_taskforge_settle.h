
/*
 * A worker process takes requests as soon as it runs, a few milliseconds
 * before its first connections to PostgreSQL are up.  Requests that come in
 * between wait for them, so that a reload fails none.
 */

#ifndef _NGX_HTTP_TASKFORGE_SETTLE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SETTLE_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* A handler of the preaccess phase. */

ngx_int_t ngx_http_taskforge_settle_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_SETTLE_H_INCLUDED_ */
