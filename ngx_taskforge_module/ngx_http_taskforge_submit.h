
/*
 * POST /jobs and POST /jobs/batch: acknowledged means committed.
 */

#ifndef _NGX_HTTP_TASKFORGE_SUBMIT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SUBMIT_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


#define NGX_HTTP_TASKFORGE_BATCH_MAX  1000   /* jobs of one request */


/* The handlers of the two routes. */

void ngx_http_taskforge_submit_one(ngx_http_request_t *r);
void ngx_http_taskforge_submit_batch(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_SUBMIT_H_INCLUDED_ */
