
/*
 * LISTEN, and the proof that it works.  A connection whose peer has vanished
 * looks like one on which nobody has anything to say, so LISTEN is said
 * again every second: the server passes on all notifications of before
 * together with its answer.
 */

#include "ngx_http_taskforge_pg_conn.h"


#define NGX_HTTP_TASKFORGE_PG_LISTEN_EVERY  1000    /* ms */


static void ngx_http_taskforge_pg_listen_send(ngx_http_taskforge_pg_t *pg);
static void ngx_http_taskforge_pg_listen_done(void *data, PGresult *res);
static void ngx_http_taskforge_pg_listen_timer(ngx_event_t *ev);


void
ngx_http_taskforge_pg_listen(ngx_http_taskforge_pg_t *pg,
    const char *statement, ngx_http_taskforge_pg_notify_pt notify,
    ngx_http_taskforge_pg_heard_pt heard, void *data)
{
    ngx_http_taskforge_pg_conn_t    *pc;
    ngx_http_taskforge_pg_listen_t  *listen;

    listen = &pg->listen;

    listen->sql.text = statement;
    listen->notify = notify;
    listen->heard = heard;
    listen->data = data;

    listen->timer.handler = ngx_http_taskforge_pg_listen_timer;
    listen->timer.data = pg;
    listen->timer.log = pg->log;
    listen->timer.cancelable = 1;

    pc = ngx_http_taskforge_pg_listener(pg);

    if (pc->state == NGX_HTTP_TASKFORGE_PG_UP) {
        ngx_http_taskforge_pg_listen_begin(pc);
    }
}


void
ngx_http_taskforge_pg_listen_begin(ngx_http_taskforge_pg_conn_t *pc)
{
    ngx_http_taskforge_pg_t  *pg;

    pg = pc->pg;

    if (pg->listen.heard && pc == ngx_http_taskforge_pg_listener(pg)) {
        pg->listen.anew = 1;
        ngx_http_taskforge_pg_listen_send(pg);
    }
}


static void
ngx_http_taskforge_pg_listen_send(ngx_http_taskforge_pg_t *pg)
{
    ngx_http_taskforge_pg_conn_t    *pc;
    ngx_http_taskforge_pg_listen_t  *listen;

    pc = ngx_http_taskforge_pg_listener(pg);
    listen = &pg->listen;

    if (listen->op == NULL && pc->state == NGX_HTTP_TASKFORGE_PG_UP
        && !pc->broken)
    {
        listen->sent = ngx_current_msec;
        listen->op = ngx_http_taskforge_pg_start(pc, &listen->sql, NULL, NULL,
                                             ngx_http_taskforge_pg_listen_done,
                                             pg);
    }

    ngx_add_timer(&listen->timer, NGX_HTTP_TASKFORGE_PG_LISTEN_EVERY);
}


static void
ngx_http_taskforge_pg_listen_done(void *data, PGresult *res)
{
    ngx_uint_t                       anew;
    ngx_http_taskforge_pg_t         *pg = data;
    ngx_http_taskforge_pg_listen_t  *listen;

    listen = &pg->listen;
    listen->op = NULL;

    if (ngx_http_taskforge_pg_verdict(pg->log, res) != NGX_OK) {
        return;
    }

    /* what came with the answer is older than it */

    ngx_http_taskforge_pg_listen_take(ngx_http_taskforge_pg_listener(pg));

    anew = listen->anew;
    listen->anew = 0;

    listen->heard(listen->data, listen->sent, anew);
}


void
ngx_http_taskforge_pg_listen_take(ngx_http_taskforge_pg_conn_t *pc)
{
    PGnotify                        *n;
    ngx_http_taskforge_pg_listen_t  *listen;

    listen = &pc->pg->listen;

    if (listen->heard == NULL
        || pc != ngx_http_taskforge_pg_listener(pc->pg))
    {
        return;
    }

    while ((n = PQnotifies(pc->conn)) != NULL) {
        listen->notify(listen->data, n->extra);
        PQfreemem(n);
    }
}


static void
ngx_http_taskforge_pg_listen_timer(ngx_event_t *ev)
{
    ngx_http_taskforge_pg_listen_send(ev->data);
}


void
ngx_http_taskforge_pg_listen_stop(ngx_http_taskforge_pg_t *pg)
{
    if (pg->listen.timer.timer_set) {
        ngx_del_timer(&pg->listen.timer);
    }
}
