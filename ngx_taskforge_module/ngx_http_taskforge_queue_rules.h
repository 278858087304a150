
/*
 * What submits must know about queues: which are draining, which have a
 * limit, and how many jobs wait there.
 *
 * The table is in shared memory, so that the processes of a host count
 * together.  One of them reads it from PostgreSQL about every second;
 * meanwhile each counts up what it lets in.  So a host never lets in more
 * than the limit, but for what docs/queues.md names: what other hosts let in
 * since the last reading, and jobs that come back.
 */

#ifndef _NGX_HTTP_TASKFORGE_QUEUE_RULES_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_QUEUE_RULES_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* Waits for the next reading of the table; lives as long as it is queued. */

typedef struct {
    ngx_queue_t                   queue;
    void                        (*handler)(void *data, ngx_uint_t ok);
    void                         *data;
} ngx_http_taskforge_queue_rules_wait_t;


/* NULL: no memory. */

ngx_http_taskforge_queue_rules_t *ngx_http_taskforge_queue_rules_create(
    ngx_cycle_t *cycle, ngx_http_taskforge_main_conf_t *mcf);

void ngx_http_taskforge_queue_rules_destroy(
    ngx_http_taskforge_queue_rules_t *rules);


/* Reads the table now. */

void ngx_http_taskforge_queue_rules_load(
    ngx_http_taskforge_queue_rules_t *rules);


/* True once some process of this host has read the table. */

ngx_uint_t ngx_http_taskforge_queue_rules_ready(
    ngx_http_taskforge_queue_rules_t *rules);


/*
 * Calls the handler once, from the event loop, after the table has been read
 * anew (ok = 1) or could not be read (0).  Unlink wait->queue to forget it.
 */

void ngx_http_taskforge_queue_rules_wait(
    ngx_http_taskforge_queue_rules_t *rules,
    ngx_http_taskforge_queue_rules_wait_t *wait);


/*
 * The same after a change that this process has committed: what is being
 * read from before it will not count.
 */

void ngx_http_taskforge_queue_rules_changed(
    ngx_http_taskforge_queue_rules_t *rules,
    ngx_http_taskforge_queue_rules_wait_t *wait);


/* False: no queue has a rule, so there is nobody to ask. */

ngx_uint_t ngx_http_taskforge_queue_rules_active(
    ngx_http_taskforge_queue_rules_t *rules);


/*
 * May one more job come into the queue?  NGX_OK; NGX_BUSY: it is full;
 * NGX_DECLINED: it is draining.  NGX_OK with *place != 0 holds a place in the
 * queue, until ngx_http_taskforge_queue_rules_leave() says whether the job
 * was committed, or may have been.
 */

ngx_int_t ngx_http_taskforge_queue_rules_enter(
    ngx_http_taskforge_queue_rules_t *rules, const tf_str_t *queue,
    ngx_uint_t *place);

void ngx_http_taskforge_queue_rules_leave(
    ngx_http_taskforge_queue_rules_t *rules, ngx_uint_t place,
    ngx_uint_t committed);


#endif /* _NGX_HTTP_TASKFORGE_QUEUE_RULES_H_INCLUDED_ */
