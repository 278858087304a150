
/*
 * hiredis owns the socket; nginx watches it level-triggered, because hiredis
 * reads at most 16 KB a call.  The same code works with hiredis 0.14 and 1.x.
 */

#include "ngx_http_taskforge_redis_adapter.h"


static void ngx_http_taskforge_redis_read_event(ngx_event_t *rev);
static void ngx_http_taskforge_redis_write_event(ngx_event_t *wev);
static void ngx_http_taskforge_redis_add_read(void *data);
static void ngx_http_taskforge_redis_del_read(void *data);
static void ngx_http_taskforge_redis_add_write(void *data);
static void ngx_http_taskforge_redis_del_write(void *data);
static void ngx_http_taskforge_redis_cleanup(void *data);


ngx_int_t
ngx_http_taskforge_redis_attach(ngx_http_taskforge_redis_adapter_t *ra,
    redisAsyncContext *ac, ngx_log_t *log)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(ac->c.fd, log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = ra;
    c->log = log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_http_taskforge_redis_read_event;
    c->write->handler = ngx_http_taskforge_redis_write_event;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    ra->ac = ac;
    ra->c = c;

    ac->ev.data = ra;
    ac->ev.addRead = ngx_http_taskforge_redis_add_read;
    ac->ev.delRead = ngx_http_taskforge_redis_del_read;
    ac->ev.addWrite = ngx_http_taskforge_redis_add_write;
    ac->ev.delWrite = ngx_http_taskforge_redis_del_write;
    ac->ev.cleanup = ngx_http_taskforge_redis_cleanup;

    return NGX_OK;
}


static void
ngx_http_taskforge_redis_read_event(ngx_event_t *rev)
{
    ngx_connection_t                    *c;
    ngx_http_taskforge_redis_adapter_t  *ra;

    c = rev->data;
    ra = c->data;

    /* frees the context and everything of it when the connection is lost */

    redisAsyncHandleRead(ra->ac);
}


static void
ngx_http_taskforge_redis_write_event(ngx_event_t *wev)
{
    ngx_connection_t                    *c;
    ngx_http_taskforge_redis_adapter_t  *ra;

    c = wev->data;
    ra = c->data;

    redisAsyncHandleWrite(ra->ac);
}


static void
ngx_http_taskforge_redis_add_read(void *data)
{
    ngx_http_taskforge_redis_adapter_t  *ra = data;

    if (!ra->c->read->active) {
        (void) ngx_add_event(ra->c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_taskforge_redis_del_read(void *data)
{
    ngx_http_taskforge_redis_adapter_t  *ra = data;

    if (ra->c->read->active) {
        (void) ngx_del_event(ra->c->read, NGX_READ_EVENT, 0);
    }
}


/*
 * The first write of a turn of the event loop is only posted, without asking
 * epoll: so all commands of the turn leave in one write.  If the socket did
 * not take everything, hiredis asks again and epoll tells when.
 */

static void
ngx_http_taskforge_redis_add_write(void *data)
{
    ngx_event_t                         *wev;
    ngx_http_taskforge_redis_adapter_t  *ra = data;

    wev = ra->c->write;

    if (wev->active || wev->posted) {
        return;
    }

    if ((ra->ac->c.flags & REDIS_CONNECTED) && wev->ready) {
        wev->ready = 0;
        ngx_post_event(wev, &ngx_posted_events);
        return;
    }

    (void) ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
}


static void
ngx_http_taskforge_redis_del_write(void *data)
{
    ngx_event_t                         *wev;
    ngx_http_taskforge_redis_adapter_t  *ra = data;

    wev = ra->c->write;
    wev->ready = 1;

    if (wev->active) {
        (void) ngx_del_event(wev, NGX_WRITE_EVENT, 0);
    }
}


/* hiredis frees the context; it closes the socket after this. */

static void
ngx_http_taskforge_redis_cleanup(void *data)
{
    ngx_connection_t                    *c;
    redisAsyncContext                   *ac;
    ngx_http_taskforge_redis_adapter_t  *ra = data;

    c = ra->c;
    ac = ra->ac;

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    if (c->read->active || c->write->active) {
        (void) ngx_del_conn(c, 0);
    }

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    ra->c = NULL;
    ra->ac = NULL;
    ac->ev.data = NULL;

    ra->closed(ra->data, ac->errstr);
}
