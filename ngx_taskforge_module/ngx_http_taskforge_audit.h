
/*
 * GET /audit: who did what to what, newest first.
 */

#ifndef _NGX_HTTP_TASKFORGE_AUDIT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_AUDIT_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


extern const ngx_str_t  ngx_http_taskforge_audit_args[];


/* GET /audit */
void ngx_http_taskforge_audit_list(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_AUDIT_H_INCLUDED_ */
