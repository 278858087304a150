
/*
 * GET /jobs/{id}/why: why does it not run yet?
 */

#ifndef _NGX_HTTP_TASKFORGE_WHY_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WHY_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


void ngx_http_taskforge_why(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_WHY_H_INCLUDED_ */
