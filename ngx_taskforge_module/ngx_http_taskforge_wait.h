
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


typedef struct ngx_http_taskforge_waits_s  ngx_http_taskforge_waits_t;


/* Main conf of ngx_http_taskforge_wait_module. */

typedef struct {
    ngx_uint_t                   waiters;       /* per worker process */
    ngx_uint_t                   max;           /* ms */

    ngx_http_taskforge_waits_t  *waits;         /* of this process; NULL: there
                                                   is no database */
} ngx_http_taskforge_wait_conf_t;


extern ngx_module_t  ngx_http_taskforge_wait_module;


/* The requests of this worker process that wait: none.  NULL: no memory. */

ngx_http_taskforge_waits_t *ngx_http_taskforge_waits_create(
    ngx_cycle_t *cycle, ngx_http_taskforge_main_conf_t *mcf);

void ngx_http_taskforge_waits_destroy(ngx_http_taskforge_waits_t *waits);


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
