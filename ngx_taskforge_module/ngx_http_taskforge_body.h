
/*
 * The request body as one piece of memory and as JSON.
 */

#ifndef _NGX_HTTP_TASKFORGE_BODY_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_BODY_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* NGX_OK: the Content-Type is application/json; else answers 415. */

ngx_int_t ngx_http_taskforge_body_type(ngx_http_request_t *r);


/*
 * The body, already read, parsed; it and its text live as long as the
 * request.  text may be NULL.
 * NULL: the request has been answered (400 with the place of the error, or
 * 415 when it is no JSON because it is compressed).
 */

json_t *ngx_http_taskforge_body_json(ngx_http_request_t *r, tf_str_t *text);


/* The same through tf_submission_parse(): quicker, with empty payloads. */

json_t *ngx_http_taskforge_body_submission(ngx_http_request_t *r,
    ngx_uint_t batch, tf_str_t *text);


#endif /* _NGX_HTTP_TASKFORGE_BODY_H_INCLUDED_ */
