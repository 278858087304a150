
/*
 * Natural batching: jobs that arrive while a batch is on its way to
 * PostgreSQL wait for the next one.  A batch is one statement and one commit.
 * No timer: an idle server answers after one round trip.
 */

#ifndef _NGX_HTTP_TASKFORGE_INSERT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_INSERT_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


typedef struct ngx_http_taskforge_insert_group_s
    ngx_http_taskforge_insert_group_t;
typedef struct ngx_http_taskforge_insert_batch_s
    ngx_http_taskforge_insert_batch_t;


/* One job on its way. */

typedef struct {
    ngx_queue_t                          queue;
    tf_job_t                             job;
    ngx_http_taskforge_insert_group_t   *group;
    ngx_http_taskforge_insert_batch_t   *batch;

    /* SHA-256 of the submission, where job has an idempotency key */
    uint8_t                              request_hash[32];

    /*
     * NGX_OK: committed; NGX_DONE: not inserted, its idempotency key was
     * used before; NGX_DECLINED: refused for what it holds;
     * NGX_AGAIN: not known to be committed, the client may try again;
     * NGX_HTTP_TOO_MANY_REQUESTS, NGX_HTTP_SERVICE_UNAVAILABLE: its queue is
     * full, is draining
     */
    ngx_int_t                            rc;
} ngx_http_taskforge_insert_t;


/*
 * The jobs of one request.  The memory, texts included, must stay until done
 * is called, which happens once, from the event loop.
 */

struct ngx_http_taskforge_insert_group_s {
    ngx_http_taskforge_insert_t         *jobs;
    ngx_uint_t                           njobs;
    ngx_uint_t                           pending;
    void                               (*done)(
                                          ngx_http_taskforge_insert_group_t *g);
    void                                *data;
    unsigned                             atomic:1;   /* all or none */
};


/* NULL: no memory. */

ngx_http_taskforge_submit_t *ngx_http_taskforge_insert_create(
    ngx_cycle_t *cycle, ngx_http_taskforge_main_conf_t *mcf);

void ngx_http_taskforge_insert_destroy(ngx_http_taskforge_submit_t *submit);


/*
 * Gives the jobs their ids and queues them.  Jobs whose rc is not NGX_OK are
 * left out.  After the commit those that are QUEUED are put on their streams
 * and all are announced.
 *
 * NGX_BUSY: the queue is full or there is no database; nothing was queued.
 */

ngx_int_t ngx_http_taskforge_insert(ngx_http_taskforge_submit_t *submit,
    ngx_http_taskforge_insert_group_t *group);


#endif /* _NGX_HTTP_TASKFORGE_INSERT_H_INCLUDED_ */
