
/*
 * Events that the API itself announces, one at a time.
 */

#ifndef _NGX_HTTP_TASKFORGE_EVENT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_EVENT_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/*
 * Announces the status a job has just got, after its commit.  Redis away:
 * the event is lost, the change is not.
 */

void ngx_http_taskforge_event(ngx_http_request_t *r, const tf_job_t *job);


#endif /* _NGX_HTTP_TASKFORGE_EVENT_H_INCLUDED_ */
