
/*
 * Permits of the rate limits, of one worker process.  Redis counts them for
 * all hosts (tf_limit in core/taskforge.lua).  A permit may be used until its
 * lease ends, and Redis counts it for a whole window after that: so requests
 * never pass the limit, wherever and whenever in the lease they come.  Where
 * the limit is high, permits are reserved ahead and most requests cost no
 * round trip; what was not used is given back.
 *
 * What Redis granted is counted in the shared memory of the host as well: so
 * that which the host grants alone while Redis is away adds nothing to it.
 *
 * What is kept per subject is bounded: the least recently used is forgotten.
 */

#ifndef _NGX_HTTP_TASKFORGE_PERMITS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PERMITS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


typedef struct ngx_http_taskforge_permits_s  ngx_http_taskforge_permits_t;
typedef struct ngx_http_taskforge_permits_of_s
    ngx_http_taskforge_permits_of_t;


/* How much of what. */

typedef struct {
    ngx_uint_t                        quota;
    ngx_msec_t                        window;
    ngx_msec_t                        lease;
} ngx_http_taskforge_quota_t;


/*
 * One permit asked for; in the memory of whoever asks.  handler is called
 * once if take returned NGX_AGAIN, from the event loop; rc is then one of the
 * other values.
 */

typedef struct {
    ngx_int_t                         rc;
    ngx_uint_t                        remaining;  /* permits; a hint */
    ngx_msec_t                        next;       /* ms until some come back */

    void                            (*handler)(void *data);
    void                             *data;

    ngx_queue_t                       queue;
    ngx_http_taskforge_permits_of_t  *of;
    ngx_uint_t                        answer;     /* it came with */
    unsigned                          queued:1;
} ngx_http_taskforge_permit_t;


/* zone: of limit_local.  capacity: subjects.  NULL: no memory. */

ngx_http_taskforge_permits_t *ngx_http_taskforge_permits_create(
    ngx_cycle_t *cycle, ngx_http_taskforge_main_conf_t *mcf,
    ngx_shm_zone_t *zone, ngx_uint_t capacity);

void ngx_http_taskforge_permits_destroy(
    ngx_http_taskforge_permits_t *permits);


/*
 * NGX_OK: granted.  NGX_BUSY: none is free; next says when.  NGX_AGAIN:
 * Redis is asked.  NGX_DECLINED: Redis does not answer; count elsewhere.
 * key: of Redis, copied.  quota must live as long as the process.
 */

ngx_int_t ngx_http_taskforge_permit_take(
    ngx_http_taskforge_permits_t *permits,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key,
    ngx_http_taskforge_permit_t *permit);


/*
 * Ends it; every permit that was taken must be ended once (ending it twice
 * does no harm).  If it waits, its handler will not be called; if it was
 * granted and used is 0, somebody else may have it.
 */

void ngx_http_taskforge_permit_end(ngx_http_taskforge_permit_t *permit,
    ngx_uint_t used);


/*
 * Milliseconds that never go backwards, the same in all processes of a host.
 * Read now: nginx's own clock stands still within a turn of the event loop.
 */

int64_t ngx_http_taskforge_permits_now(void);


#endif /* _NGX_HTTP_TASKFORGE_PERMITS_H_INCLUDED_ */
