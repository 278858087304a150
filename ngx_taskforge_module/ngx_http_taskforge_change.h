
/*
 * The routes that change one job.  Each change has its row in the audit.
 */

#ifndef _NGX_HTTP_TASKFORGE_CHANGE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_CHANGE_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/*
 * POST /jobs/{id}/cancel: 200, the cancelled job; 202, a job that runs and
 * has been asked to stop.
 */
void ngx_http_taskforge_cancel(ngx_http_request_t *r);

/* POST /jobs/{id}/retry */
void ngx_http_taskforge_retry(ngx_http_request_t *r);

/* DELETE /jobs/{id} */
void ngx_http_taskforge_delete(ngx_http_request_t *r);


/* Answers with a job that was made or changed. */

void ngx_http_taskforge_change_reply(ngx_http_request_t *r, ngx_uint_t status,
    const tf_job_t *job);


#endif /* _NGX_HTTP_TASKFORGE_CHANGE_H_INCLUDED_ */
