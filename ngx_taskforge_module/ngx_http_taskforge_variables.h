
/*
 * $taskforge_job_id, $taskforge_request_id, $taskforge_user, $taskforge_role.
 */

#ifndef _NGX_HTTP_TASKFORGE_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_VARIABLES_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* Adds them to the configuration. */

ngx_int_t ngx_http_taskforge_variables_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TASKFORGE_VARIABLES_H_INCLUDED_ */
