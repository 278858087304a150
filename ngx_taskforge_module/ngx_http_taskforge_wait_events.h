
/*
 * The ends of jobs, as tf:events announces them, for the requests of one
 * worker process that wait for some of them.
 */

#ifndef _NGX_HTTP_TASKFORGE_WAIT_EVENTS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WAIT_EVENTS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


typedef struct ngx_http_taskforge_wait_events_s
    ngx_http_taskforge_wait_events_t;


/* id: of a job that has ended, NULL: ends may have been missed. */

typedef void (*ngx_http_taskforge_wait_wake_pt)(void *data,
    const uint8_t *id);


/* NULL: no memory. */

ngx_http_taskforge_wait_events_t *ngx_http_taskforge_wait_events_create(
    ngx_cycle_t *cycle, ngx_http_taskforge_main_conf_t *mcf,
    ngx_http_taskforge_wait_wake_pt wake, void *data);

void ngx_http_taskforge_wait_events_destroy(
    ngx_http_taskforge_wait_events_t *events);


/* Goes on reading if anybody waits; to be called when that changes. */

void ngx_http_taskforge_wait_events_run(
    ngx_http_taskforge_wait_events_t *events, ngx_uint_t waiters);


/* True: every end from now on will be heard of. */

ngx_uint_t ngx_http_taskforge_wait_events_heard(
    ngx_http_taskforge_wait_events_t *events);


#endif /* _NGX_HTTP_TASKFORGE_WAIT_EVENTS_H_INCLUDED_ */
