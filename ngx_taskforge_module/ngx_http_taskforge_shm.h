
/*
 * The shared memory zone: what the worker processes of one nginx know in
 * common.  It survives a reload, not a restart.
 */

#ifndef _NGX_HTTP_TASKFORGE_SHM_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SHM_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* Which worker process relays events; all fields are the relay's. */

typedef struct {
    ngx_atomic_t                  pid;          /* 0: free */
    ngx_atomic_t                  heartbeat;    /* seconds since 1970 */
    ngx_atomic_t                  subscribers;
} ngx_http_taskforge_relay_shm_t;


typedef struct {
    ngx_atomic_t                  jobs_submitted;
    ngx_atomic_t                  batches;
    ngx_atomic_t                  batch_errors;    /* went row by row */
    ngx_atomic_t                  refused;         /* 503 */
    ngx_atomic_t                  redis_dropped;   /* commands */
} ngx_http_taskforge_counters_t;


struct ngx_http_taskforge_shm_s {
    ngx_http_taskforge_counters_t   counters;
    ngx_http_taskforge_relay_shm_t  relay;
};


/* Declares the zone at configuration time. NULL: logged. */

ngx_shm_zone_t *ngx_http_taskforge_shm_add(ngx_conf_t *cf, ngx_str_t *name,
    size_t size);


/* The zone's content, of a running process. */

#define ngx_http_taskforge_shm(mcf)                                           \
    ((ngx_http_taskforge_shm_t *) (mcf)->shm_zone->data)


#endif /* _NGX_HTTP_TASKFORGE_SHM_H_INCLUDED_ */
