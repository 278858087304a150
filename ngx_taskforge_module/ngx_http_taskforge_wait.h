
/*
 * "Prefer: wait=N" (RFC 7240, section 4.3) on POST /jobs and GET /jobs/{id}:
 * the answer comes when the job has ended, or after N seconds.
 *
 * Requests that wait are woken by the events of their jobs.  A worker process
 * that has some reads tf:events over a Redis connection of its own; once a
 * second one statement looks for those whose event was missed.
 */

#ifndef _NGX_HTTP_TASKFORGE_WAIT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WAIT_H_INCLUDED_


#include "ngx_http_taskforge_pg.h"


/*
 * Answers the request.  res: a row of ngx_http_taskforge_jobs_sql, no row, or
 * what came instead (NULL included).
 */

typedef void (*ngx_http_taskforge_wait_pt)(ngx_http_request_t *r,
    PGresult *res);


extern ngx_module_t  ngx_http_taskforge_wait_module;


/*
 * NGX_OK: the request waits, as it prefers to; one of the two will answer it:
 * ended when the job has ended, usual otherwise.  look: it may have ended
 * already.  NGX_DECLINED: it does not prefer to wait, or too many wait: answer
 * it now.  NGX_ERROR: the request has been answered.
 */

ngx_int_t ngx_http_taskforge_wait(ngx_http_request_t *r, const uint8_t id[16],
    ngx_uint_t look, ngx_http_taskforge_wait_pt ended,
    ngx_http_taskforge_wait_pt usual);


#endif /* _NGX_HTTP_TASKFORGE_WAIT_H_INCLUDED_ */
