
/*
 * A connection is a small state machine:
 *
 *   CLOSED --timer--> CONNECTING --PQconnectPoll--> UP --lost--> CLOSED
 */

#include "ngx_http_taskforge_pg_conn.h"

#include <openssl/ssl.h>


#define NGX_HTTP_TASKFORGE_PG_BACKOFF_MIN   50
#define NGX_HTTP_TASKFORGE_PG_BACKOFF_MAX   1000

/* what the server's statement_timeout gets on top before we hang up */
#define NGX_HTTP_TASKFORGE_PG_GRACE         2000


static void ngx_http_taskforge_pg_connect(ngx_http_taskforge_pg_conn_t *pc);
static void ngx_http_taskforge_pg_event(ngx_event_t *ev);
static void ngx_http_taskforge_pg_read(ngx_http_taskforge_pg_conn_t *pc);
static void ngx_http_taskforge_pg_poll(ngx_http_taskforge_pg_conn_t *pc);
static void ngx_http_taskforge_pg_established(
    ngx_http_taskforge_pg_conn_t *pc);
static ngx_int_t ngx_http_taskforge_pg_attach(ngx_http_taskforge_pg_conn_t *pc,
    ngx_int_t event);
static void ngx_http_taskforge_pg_detach(ngx_http_taskforge_pg_conn_t *pc);
static void ngx_http_taskforge_pg_close(ngx_http_taskforge_pg_conn_t *pc);
static void ngx_http_taskforge_pg_fail(ngx_http_taskforge_pg_conn_t *pc,
    const char *why);
static void ngx_http_taskforge_pg_timer(ngx_event_t *ev);
static void ngx_http_taskforge_pg_wake(ngx_event_t *ev);
static void ngx_http_taskforge_pg_settle(ngx_event_t *ev);
static void ngx_http_taskforge_pg_notice(void *data, const PGresult *res);


ngx_http_taskforge_pg_t *
ngx_http_taskforge_pg_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf, void (*connected)(void *data),
    void *data)
{
    ngx_uint_t                     i;
    ngx_http_taskforge_pg_t       *pg;
    ngx_http_taskforge_pg_conn_t  *pc;

    pg = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_pg_t));
    if (pg == NULL) {
        return NULL;
    }

    pg->mcf = mcf;
    pg->log = cycle->log;
    pg->connected = connected;
    pg->data = data;
    pg->nconns = mcf->write_connections + mcf->read_connections;

    ngx_queue_init(&pg->waits);

    pg->settle.handler = ngx_http_taskforge_pg_settle;
    pg->settle.data = pg;
    pg->settle.log = cycle->log;

    pg->conns = ngx_pcalloc(cycle->pool,
                            pg->nconns * sizeof(ngx_http_taskforge_pg_conn_t));
    if (pg->conns == NULL) {
        return NULL;
    }

    for (i = 0; i < pg->nconns; i++) {
        pc = &pg->conns[i];

        pc->pg = pg;
        pc->kind = (i < mcf->write_connections) ? NGX_HTTP_TASKFORGE_PG_WRITE
                                                : NGX_HTTP_TASKFORGE_PG_READ;
        pc->backoff = NGX_HTTP_TASKFORGE_PG_BACKOFF_MIN;
        ngx_queue_init(&pc->ops);

        pc->timer.handler = ngx_http_taskforge_pg_timer;
        pc->timer.data = pc;
        pc->timer.log = cycle->log;
        pc->timer.cancelable = 1;

        pc->wake.handler = ngx_http_taskforge_pg_wake;
        pc->wake.data = pc;
        pc->wake.log = cycle->log;

        ngx_http_taskforge_pg_connect(pc);
    }

    return pg;
}


void
ngx_http_taskforge_pg_destroy(ngx_http_taskforge_pg_t *pg)
{
    ngx_uint_t  i;

    if (pg->settle.posted) {
        ngx_delete_posted_event(&pg->settle);
    }

    ngx_http_taskforge_pg_listen_stop(pg);

    for (i = 0; i < pg->nconns; i++) {
        ngx_http_taskforge_pg_close(&pg->conns[i]);
    }
}


ngx_uint_t
ngx_http_taskforge_pg_ready(ngx_http_taskforge_pg_t *pg,
    ngx_http_taskforge_pg_kind_e kind)
{
    ngx_uint_t  i, n;

    if (pg == NULL) {
        return 0;
    }

    n = 0;

    for (i = 0; i < pg->nconns; i++) {
        if (pg->conns[i].kind == kind
            && pg->conns[i].state == NGX_HTTP_TASKFORGE_PG_UP)
        {
            n++;
        }
    }

    return n;
}


ngx_uint_t
ngx_http_taskforge_pg_settled(ngx_http_taskforge_pg_t *pg)
{
    return pg == NULL || pg->settled;
}


void
ngx_http_taskforge_pg_settle_wait(ngx_http_taskforge_pg_t *pg,
    ngx_http_taskforge_pg_settle_t *wait)
{
    ngx_queue_insert_tail(&pg->waits, &wait->queue);
    wait->waiting = 1;
}


/*
 * Posted when the first connections are up or one has failed, which happens
 * within connect_timeout.
 */

static void
ngx_http_taskforge_pg_settle(ngx_event_t *ev)
{
    ngx_queue_t                   *q;
    ngx_http_taskforge_pg_t       *pg;
    ngx_http_taskforge_pg_settle_t  *wait;

    pg = ev->data;
    pg->settled = 1;

    while (!ngx_queue_empty(&pg->waits)) {
        q = ngx_queue_head(&pg->waits);
        ngx_queue_remove(q);

        wait = ngx_queue_data(q, ngx_http_taskforge_pg_settle_t, queue);
        wait->waiting = 0;
        wait->handler(wait->data);
    }
}


static void
ngx_http_taskforge_pg_connect(ngx_http_taskforge_pg_conn_t *pc)
{
    pc->conn = PQconnectStart((char *) pc->pg->mcf->database.data);

    if (pc->conn == NULL) {
        ngx_http_taskforge_pg_fail(pc, "no memory");
        return;
    }

    if (PQstatus(pc->conn) == CONNECTION_BAD) {
        ngx_http_taskforge_pg_fail(pc, PQerrorMessage(pc->conn));
        return;
    }

    PQsetNoticeReceiver(pc->conn, ngx_http_taskforge_pg_notice, pc);

    pc->state = NGX_HTTP_TASKFORGE_PG_CONNECTING;

    if (ngx_http_taskforge_pg_attach(pc, NGX_WRITE_EVENT) != NGX_OK) {
        ngx_http_taskforge_pg_fail(pc, "no free worker_connections");
        return;
    }

    ngx_add_timer(&pc->timer, pc->pg->mcf->connect_timeout);
}


static void
ngx_http_taskforge_pg_event(ngx_event_t *ev)
{
    ngx_connection_t              *c;
    ngx_http_taskforge_pg_conn_t  *pc;

    c = ev->data;
    pc = c->data;

    if (pc->state == NGX_HTTP_TASKFORGE_PG_CONNECTING) {
        ngx_http_taskforge_pg_poll(pc);
        return;
    }

    if (ev->write && ngx_http_taskforge_pg_flush(pc) != NGX_OK) {
        ngx_http_taskforge_pg_fail(pc, PQerrorMessage(pc->conn));
        return;
    }

    ngx_http_taskforge_pg_read(pc);
}


static void
ngx_http_taskforge_pg_read(ngx_http_taskforge_pg_conn_t *pc)
{
    SSL        *ssl;
    ngx_int_t   rc;

    for ( ;; ) {

        if (!PQconsumeInput(pc->conn)) {
            ngx_http_taskforge_pg_fail(pc, PQerrorMessage(pc->conn));
            return;
        }

        pc->draining = 1;
        rc = ngx_http_taskforge_pg_drain(pc);
        ngx_http_taskforge_pg_listen_take(pc);
        pc->draining = 0;

        if (rc != NGX_OK) {
            ngx_http_taskforge_pg_fail(pc, PQerrorMessage(pc->conn));
            return;
        }

        /* what OpenSSL has decrypted already, epoll will not announce */

        ssl = PQsslInUse(pc->conn) ? PQgetssl(pc->conn) : NULL;

        if (ssl == NULL || SSL_pending(ssl) == 0) {
            break;
        }
    }

    if (ngx_http_taskforge_pg_flush(pc) != NGX_OK) {
        ngx_http_taskforge_pg_fail(pc, PQerrorMessage(pc->conn));
        return;
    }

    ngx_http_taskforge_pg_watch(pc);
}


static void
ngx_http_taskforge_pg_poll(ngx_http_taskforge_pg_conn_t *pc)
{
    ngx_int_t  rc;

    /*
     * PQconnectPoll() may close the socket and open another one, perhaps with
     * the same number: leave epoll first, register what is there afterwards.
     */

    ngx_http_taskforge_pg_detach(pc);

    switch (PQconnectPoll(pc->conn)) {

    case PGRES_POLLING_READING:
        rc = ngx_http_taskforge_pg_attach(pc, NGX_READ_EVENT);
        break;

    case PGRES_POLLING_WRITING:
        rc = ngx_http_taskforge_pg_attach(pc, NGX_WRITE_EVENT);
        break;

    case PGRES_POLLING_OK:
        ngx_http_taskforge_pg_established(pc);
        return;

    default:
        ngx_http_taskforge_pg_fail(pc, PQerrorMessage(pc->conn));
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_taskforge_pg_fail(pc, "no free worker_connections");
    }
}


static void
ngx_http_taskforge_pg_established(ngx_http_taskforge_pg_conn_t *pc)
{
    ngx_uint_t  level;

    ngx_del_timer(&pc->timer);

    if (PQsetnonblocking(pc->conn, 1) != 0
        || !PQenterPipelineMode(pc->conn)
        || ngx_http_taskforge_pg_attach(pc, NGX_READ_EVENT) != NGX_OK)
    {
        ngx_http_taskforge_pg_fail(pc, "cannot enter pipeline mode");
        return;
    }

    pc->state = NGX_HTTP_TASKFORGE_PG_UP;
    pc->backoff = NGX_HTTP_TASKFORGE_PG_BACKOFF_MIN;
    pc->nprepared = 0;
    pc->broken = 0;

    /* the end of an outage is logged where its beginning was */

    level = pc->quiet ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(level, pc->pg->log, 0,
                  "taskforge: connected to PostgreSQL %d, backend %d",
                  PQserverVersion(pc->conn), PQbackendPID(pc->conn));

    pc->quiet = 0;

    ngx_http_taskforge_pg_listen_begin(pc);

    if (pc->kind == NGX_HTTP_TASKFORGE_PG_READ && pc->pg->connected) {
        pc->pg->connected(pc->pg->data);
    }

    if (!pc->pg->settled
        && ngx_http_taskforge_pg_ready(pc->pg, NGX_HTTP_TASKFORGE_PG_WRITE)
        && ngx_http_taskforge_pg_ready(pc->pg, NGX_HTTP_TASKFORGE_PG_READ))
    {
        ngx_post_event(&pc->pg->settle, &ngx_posted_events);
    }
}


/* Registered level-triggered: libpq reads as much as it likes at a time. */

static ngx_int_t
ngx_http_taskforge_pg_attach(ngx_http_taskforge_pg_conn_t *pc, ngx_int_t event)
{
    int                fd;
    ngx_event_t       *ev;
    ngx_connection_t  *c;

    fd = PQsocket(pc->conn);
    if (fd == -1) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, pc->pg->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = pc;
    c->log = pc->pg->log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_http_taskforge_pg_event;
    c->write->handler = ngx_http_taskforge_pg_event;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    pc->c = c;

    ev = (event == NGX_READ_EVENT) ? c->read : c->write;

    return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
}


/* Makes nginx forget the descriptor, which libpq owns and closes. */

static void
ngx_http_taskforge_pg_detach(ngx_http_taskforge_pg_conn_t *pc)
{
    ngx_connection_t  *c;

    c = pc->c;

    if (c == NULL) {
        return;
    }

    if (PQsocket(pc->conn) != c->fd) {
        /* libpq has closed it already, and with that epoll has dropped it */
        c->read->active = 0;
        c->write->active = 0;
    }

    if (c->read->active || c->write->active) {
        (void) ngx_del_conn(c, 0);
    }

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    pc->c = NULL;
}


/* What waits for an answer stays where it is. */

static void
ngx_http_taskforge_pg_close(ngx_http_taskforge_pg_conn_t *pc)
{
    if (pc->timer.timer_set) {
        ngx_del_timer(&pc->timer);
    }

    if (pc->wake.posted) {
        ngx_delete_posted_event(&pc->wake);
    }

    ngx_http_taskforge_pg_detach(pc);

    if (pc->conn) {
        PQfinish(pc->conn);
        pc->conn = NULL;
    }

    pc->state = NGX_HTTP_TASKFORGE_PG_CLOSED;
}


/*
 * Drops the connection and tries again later.  Never called from within a
 * handler of an operation, because it runs those handlers.
 */

static void
ngx_http_taskforge_pg_fail(ngx_http_taskforge_pg_conn_t *pc, const char *why)
{
    size_t                       len;
    ngx_uint_t                   level;
    ngx_queue_t                  ops, *q;
    ngx_http_taskforge_pg_op_t  *op;

    len = strcspn(why, "\n");

    /* once per outage, not once per attempt */

    level = pc->quiet ? NGX_LOG_INFO : NGX_LOG_ERR;
    pc->quiet = 1;

    ngx_log_error(level, pc->pg->log, 0, "taskforge: PostgreSQL %s: %*s",
                  pc->state == NGX_HTTP_TASKFORGE_PG_UP
                      ? "connection lost" : "connection failed",
                  len, why);

    ngx_http_taskforge_pg_close(pc);

    pc->timer.cancelable = 1;
    ngx_add_timer(&pc->timer, pc->backoff);

    if (!pc->pg->settled) {
        ngx_post_event(&pc->pg->settle, &ngx_posted_events);
    }

    pc->backoff = ngx_min(pc->backoff * 2, NGX_HTTP_TASKFORGE_PG_BACKOFF_MAX);

    ngx_queue_init(&ops);

    if (!ngx_queue_empty(&pc->ops)) {
        ngx_queue_add(&ops, &pc->ops);
        ngx_queue_init(&pc->ops);
    }

    while (!ngx_queue_empty(&ops)) {
        q = ngx_queue_head(&ops);
        op = ngx_queue_data(q, ngx_http_taskforge_pg_op_t, queue);

        ngx_http_taskforge_pg_finish(pc, op, NULL);
    }
}


static void
ngx_http_taskforge_pg_timer(ngx_event_t *ev)
{
    ngx_http_taskforge_pg_conn_t  *pc;

    pc = ev->data;

    switch (pc->state) {

    case NGX_HTTP_TASKFORGE_PG_CLOSED:
        ngx_http_taskforge_pg_connect(pc);
        break;

    case NGX_HTTP_TASKFORGE_PG_CONNECTING:
        ngx_http_taskforge_pg_fail(pc, "timed out");
        break;

    case NGX_HTTP_TASKFORGE_PG_UP:
        ngx_http_taskforge_pg_fail(pc, "no answer in time");
        break;
    }
}


static void
ngx_http_taskforge_pg_wake(ngx_event_t *ev)
{
    ngx_http_taskforge_pg_conn_t  *pc;

    pc = ev->data;

    if (pc->broken) {
        ngx_http_taskforge_pg_fail(pc, PQerrorMessage(pc->conn));
        return;
    }

    ngx_http_taskforge_pg_read(pc);
}


ngx_int_t
ngx_http_taskforge_pg_flush(ngx_http_taskforge_pg_conn_t *pc)
{
    int           rc;
    ngx_event_t  *wev;

    wev = pc->c->write;

    rc = PQflush(pc->conn);

    if (rc == -1) {
        return NGX_ERROR;
    }

    if (rc == 1 && !wev->active) {
        return ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
    }

    if (rc == 0 && wev->active) {
        return ngx_del_event(wev, NGX_WRITE_EVENT, 0);
    }

    return NGX_OK;
}


/*
 * While something is under way there is a timer, and it is not cancelable:
 * a worker process that shuts down gracefully waits for the answers.
 */

void
ngx_http_taskforge_pg_watch(ngx_http_taskforge_pg_conn_t *pc)
{
    if (ngx_queue_empty(&pc->ops)) {

        if (pc->timer.timer_set) {
            ngx_del_timer(&pc->timer);
        }

        return;
    }

    pc->timer.cancelable = 0;
    ngx_add_timer(&pc->timer, pc->pg->mcf->statement_timeout
                              + NGX_HTTP_TASKFORGE_PG_GRACE);
}


static void
ngx_http_taskforge_pg_notice(void *data, const PGresult *res)
{
    ngx_http_taskforge_pg_conn_t  *pc = data;

    ngx_log_error(NGX_LOG_INFO, pc->pg->log, 0, "taskforge: PostgreSQL: %s",
                  PQresultErrorMessage(res));
}
