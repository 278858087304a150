
/*
 * Who listens to events or numbers on this process, over a WebSocket or an
 * event stream: counted in shared memory for the relay, and hung up on when
 * it does not keep up.
 */

#ifndef _NGX_HTTP_TASKFORGE_SUBSCRIBER_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SUBSCRIBER_H_INCLUDED_


#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_shm.h"


typedef struct {
    ngx_queue_t                      queue;
    ngx_connection_t                *connection;
    ngx_http_taskforge_relay_shm_t  *shm;
    ngx_http_taskforge_channel_e     channel;

    /* published before it came, and since then taken by it */
    ngx_atomic_uint_t                bytes;
} ngx_http_taskforge_subscriber_t;


/* Those of this process; in the relay's configuration. */

typedef struct {
    ngx_queue_t                      queue;
    ngx_event_t                      timer;
} ngx_http_taskforge_subscribers_t;


/*
 * The request is about to go on to nchan; subscriber is its own, zeroed.
 * Until its end by the pool's cleanup it must not move.  NGX_DONE: the request
 * has been answered; NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_taskforge_subscriber_add(ngx_http_request_t *r,
    ngx_http_taskforge_subscriber_t *subscriber,
    ngx_http_taskforge_channel_e channel, ngx_pool_cleanup_pt cleanup,
    void *data);

/* To be called by the cleanup. */

void ngx_http_taskforge_subscriber_remove(
    ngx_http_taskforge_subscriber_t *subscriber);


/* Before nchan sees it: message ids in arguments are none of the client's. */

void ngx_http_taskforge_subscriber_drop_args(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_SUBSCRIBER_H_INCLUDED_ */
