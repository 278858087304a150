
/*
 * A session after its login: refreshed, ended, and its ticket for /ws.
 */

#ifndef _NGX_HTTP_TASKFORGE_SESSION_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SESSION_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* POST /auth/refresh */
void ngx_http_taskforge_refresh(ngx_http_request_t *r);

/* POST /auth/logout */
void ngx_http_taskforge_logout(ngx_http_request_t *r);

/* POST /auth/ws-ticket */
void ngx_http_taskforge_ticket(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_SESSION_H_INCLUDED_ */
