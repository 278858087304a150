
#include "ngx_http_taskforge_subscriber.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_relay.h"
#include "ngx_http_taskforge_reply.h"


/* milliseconds; bytes that a client may be behind what was published */
#define NGX_HTTP_TASKFORGE_SUBSCRIBER_CHECK    500
#define NGX_HTTP_TASKFORGE_SUBSCRIBER_BACKLOG  (4 * 1024 * 1024)


static void ngx_http_taskforge_subscriber_tick(ngx_event_t *ev);


void
ngx_http_taskforge_subscriber_drop_args(ngx_http_request_t *r)
{
    r->args.len = 0;
    r->valid_unparsed_uri = 0;
}


ngx_int_t
ngx_http_taskforge_subscriber_add(ngx_http_request_t *r,
    ngx_http_taskforge_subscriber_t *subscriber,
    ngx_http_taskforge_channel_e channel, ngx_pool_cleanup_pt cleanup,
    void *data)
{
    ngx_pool_cleanup_t                *cln;
    ngx_http_taskforge_main_conf_t    *mcf;
    ngx_http_taskforge_relay_conf_t   *rcf;
    ngx_http_taskforge_subscribers_t  *all;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);
    rcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_relay_module);

    all = &rcf->subscribers;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    subscriber->shm = &ngx_http_taskforge_shm(mcf)->relay;
    subscriber->channel = channel;

    if (ngx_http_taskforge_relay_enter(subscriber->shm, channel) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "taskforge: too many worker processes have WebSockets "
                      "or event streams; see worker_shutdown_timeout");
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "too many WebSockets and event streams "
                                   "are being closed");
        return NGX_DONE;
    }

    cln->handler = cleanup;
    cln->data = data;

    subscriber->connection = r->connection;
    subscriber->bytes = subscriber->shm->bytes[channel];

    if (all->timer.handler == NULL) {
        ngx_queue_init(&all->queue);
        all->timer.handler = ngx_http_taskforge_subscriber_tick;
        all->timer.data = all;
        all->timer.log = ngx_cycle->log;
        all->timer.cancelable = 1;
    }

    ngx_queue_insert_tail(&all->queue, &subscriber->queue);

    if (!all->timer.timer_set) {
        ngx_add_timer(&all->timer, NGX_HTTP_TASKFORGE_SUBSCRIBER_CHECK);
    }

    return NGX_OK;
}


void
ngx_http_taskforge_subscriber_remove(
    ngx_http_taskforge_subscriber_t *subscriber)
{
    ngx_queue_remove(&subscriber->queue);

    ngx_http_taskforge_relay_leave(subscriber->shm, subscriber->channel);
}


/*
 * What a client is behind waits in nchan's memory, and nchan gets slower with
 * every message that waits.  nginx's send_timeout sees only who reads
 * nothing at all.
 */

static void
ngx_http_taskforge_subscriber_tick(ngx_event_t *ev)
{
    ngx_queue_t                       *q;
    ngx_atomic_int_t                   behind;
    ngx_http_taskforge_subscriber_t   *subscriber;
    ngx_http_taskforge_subscribers_t  *all;

    all = ev->data;

    for (q = ngx_queue_head(&all->queue);
         q != ngx_queue_sentinel(&all->queue);
         q = ngx_queue_next(q))
    {
        subscriber = ngx_queue_data(q, ngx_http_taskforge_subscriber_t, queue);

        behind = (ngx_atomic_int_t)
                     (subscriber->shm->bytes[subscriber->channel]
                      - subscriber->bytes);

        if (behind <= NGX_HTTP_TASKFORGE_SUBSCRIBER_BACKLOG) {
            continue;
        }

        ngx_log_error(NGX_LOG_INFO, subscriber->connection->log, 0,
                      "client is %A bytes behind, closing",
                      behind);

        /* the request ends by its own events */

        ngx_http_taskforge_hang_up(subscriber->connection);
    }

    if (!ngx_queue_empty(&all->queue)) {
        ngx_add_timer(ev, NGX_HTTP_TASKFORGE_SUBSCRIBER_CHECK);
    }
}
