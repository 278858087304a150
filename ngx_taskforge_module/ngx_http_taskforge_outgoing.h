
/*
 * Which URLs callers may name for calls that workers make: the settings
 * taskforge_outgoing_allow and taskforge_outgoing_deny, which are to be those
 * of the workers (TASKFORGE_OUTGOING_ALLOW, TASKFORGE_OUTGOING_DENY).  This
 * refuses early what can be seen without a look at DNS; the worker judges
 * every address that it connects to.
 */

#ifndef _NGX_HTTP_TASKFORGE_OUTGOING_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_OUTGOING_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* Why the URL, which is a valid one, may not be called; NULL: it may. */

const char *ngx_http_taskforge_outgoing_refusal(ngx_http_request_t *r,
    tf_str_t url);


#endif /* _NGX_HTTP_TASKFORGE_OUTGOING_H_INCLUDED_ */
