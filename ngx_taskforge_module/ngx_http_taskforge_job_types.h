
/*
 * GET /job-types: the types that workers have registered, with the schemas of
 * their payloads.
 */

#ifndef _NGX_HTTP_TASKFORGE_JOB_TYPES_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_JOB_TYPES_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


void ngx_http_taskforge_job_types(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_JOB_TYPES_H_INCLUDED_ */
