
/*
 * POST /jobs/actions: the same for many jobs.  A dry run counts them; the
 * real thing is a job (worker/handlers/bulk_action.c).
 */

#ifndef _NGX_HTTP_TASKFORGE_ACTIONS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_ACTIONS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


void ngx_http_taskforge_actions(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_ACTIONS_H_INCLUDED_ */
