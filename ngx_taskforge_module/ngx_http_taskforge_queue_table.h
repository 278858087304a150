
/*
 * The table of queue rules in shared memory, and the places in it of the
 * processes that count: each counts what it has on its way by itself, so that
 * its death takes nothing of the others along.
 */

#ifndef _NGX_HTTP_TASKFORGE_QUEUE_TABLE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_QUEUE_TABLE_H_INCLUDED_


#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_shm.h"


/*
 * A place for this process; NGX_HTTP_TASKFORGE_QUEUE_PROCESSES: none is left.
 * mutex: of the places, and of changes to rules.
 */

ngx_uint_t ngx_http_taskforge_queue_table_join(
    ngx_http_taskforge_queue_rules_shm_t *shm, ngx_shmtx_t *mutex);


/* What the process has on its way counts until the next reading. */

void ngx_http_taskforge_queue_table_leave(
    ngx_http_taskforge_queue_rules_shm_t *shm, ngx_shmtx_t *mutex,
    ngx_uint_t place);


/* The same for processes that have died. */

void ngx_http_taskforge_queue_table_reap(
    ngx_http_taskforge_queue_rules_shm_t *shm, ngx_shmtx_t *mutex);


/* NULL: the queue has no rule. */

ngx_http_taskforge_queue_rule_t *ngx_http_taskforge_queue_table_find(
    ngx_http_taskforge_queue_rules_shm_t *shm, const char *name, size_t len);


/* Jobs of all processes on their way into the queue. */

ngx_atomic_uint_t ngx_http_taskforge_queue_table_pending(
    ngx_http_taskforge_queue_rule_t *rule);


#endif /* _NGX_HTTP_TASKFORGE_QUEUE_TABLE_H_INCLUDED_ */
