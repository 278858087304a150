
/*
 * What the two halves of the PostgreSQL driver share: the connections
 * (ngx_http_taskforge_pg_conn.c) and the statements on them
 * (ngx_http_taskforge_pg.c).
 */

#ifndef _NGX_HTTP_TASKFORGE_PG_CONN_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PG_CONN_H_INCLUDED_


#include "ngx_http_taskforge_pg.h"


#define NGX_HTTP_TASKFORGE_PG_PREPARED      64    /* statements */


typedef enum {
    NGX_HTTP_TASKFORGE_PG_CLOSED = 0,
    NGX_HTTP_TASKFORGE_PG_CONNECTING,
    NGX_HTTP_TASKFORGE_PG_UP
} ngx_http_taskforge_pg_state_e;


typedef struct {
    ngx_http_taskforge_pg_t           *pg;
    ngx_http_taskforge_pg_kind_e       kind;
    ngx_http_taskforge_pg_state_e      state;
    PGconn                            *conn;
    ngx_connection_t                  *c;
    ngx_queue_t                        ops;
    ngx_uint_t                         nops;

    /* CLOSED: connect again; CONNECTING: give up; UP: an answer is overdue */
    ngx_event_t                        timer;

    /* posted: work that must not be done within a caller's handler */
    ngx_event_t                        wake;

    ngx_msec_t                         backoff;

    const tf_sql_t                    *prepared
                                           [NGX_HTTP_TASKFORGE_PG_PREPARED];
    ngx_uint_t                         nprepared;
    unsigned                           broken:1;   /* a send failed */
    unsigned                           draining:1;
    unsigned                           quiet:1;    /* failure is logged */
} ngx_http_taskforge_pg_conn_t;


/* What of an operation comes back next. */

typedef enum {
    NGX_HTTP_TASKFORGE_PG_PREPARE = 0,
    NGX_HTTP_TASKFORGE_PG_RESULT,
    NGX_HTTP_TASKFORGE_PG_SYNC
} ngx_http_taskforge_pg_expect_e;


struct ngx_http_taskforge_pg_op_s {
    ngx_queue_t                        queue;
    ngx_http_taskforge_pg_expect_e     expect;
    ngx_http_taskforge_pg_handler_pt   handler;
    void                              *data;
    const tf_sql_t                    *sql;
    PGresult                          *res;      /* held until the Sync */
};


/* What one of the read connections listens to. */

typedef struct {
    tf_sql_t                           sql;       /* LISTEN */
    ngx_http_taskforge_pg_notify_pt    notify;
    ngx_http_taskforge_pg_heard_pt     heard;     /* NULL: not listening */
    void                              *data;
    ngx_http_taskforge_pg_op_t        *op;        /* LISTEN under way */
    ngx_msec_t                         sent;
    ngx_event_t                        timer;
    unsigned                           anew:1;
} ngx_http_taskforge_pg_listen_t;


struct ngx_http_taskforge_pg_s {
    ngx_http_taskforge_main_conf_t    *mcf;
    ngx_log_t                         *log;
    ngx_http_taskforge_pg_conn_t      *conns;
    ngx_uint_t                         nconns;
    void                             (*connected)(void *data);
    void                              *data;

    ngx_queue_t                        waits;     /* until settled */
    ngx_event_t                        settle;
    unsigned                           settled:1;
    ngx_http_taskforge_pg_listen_t     listen;
};


/* The connection that listens: the first one for reading. */

#define ngx_http_taskforge_pg_listener(pg)                                    \
    (&(pg)->conns[(pg)->mcf->write_connections])


/*
 * Sends a statement on a connection that is UP and not broken; otherwise as
 * ngx_http_taskforge_pg_query().
 */

ngx_http_taskforge_pg_op_t *ngx_http_taskforge_pg_start(
    ngx_http_taskforge_pg_conn_t *pc, const tf_sql_t *sql,
    const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_handler_pt handler, void *data);


/* The connection is UP: listen, if anybody wants to. */

void ngx_http_taskforge_pg_listen_begin(ngx_http_taskforge_pg_conn_t *pc);


/* Passes on the notifications that libpq has read. */

void ngx_http_taskforge_pg_listen_take(ngx_http_taskforge_pg_conn_t *pc);


void ngx_http_taskforge_pg_listen_stop(ngx_http_taskforge_pg_t *pg);


/*
 * Takes all results that libpq has read.  NGX_ERROR: the connection is lost.
 */

ngx_int_t ngx_http_taskforge_pg_drain(ngx_http_taskforge_pg_conn_t *pc);


/* Ends an operation and frees it; res NULL: its outcome is unknown. */

void ngx_http_taskforge_pg_finish(ngx_http_taskforge_pg_conn_t *pc,
    ngx_http_taskforge_pg_op_t *op, PGresult *res);


/* Writes what libpq has buffered, now or when the socket takes it. */

ngx_int_t ngx_http_taskforge_pg_flush(ngx_http_taskforge_pg_conn_t *pc);


/* Starts, restarts or stops the timer of overdue answers. */

void ngx_http_taskforge_pg_watch(ngx_http_taskforge_pg_conn_t *pc);


#endif /* _NGX_HTTP_TASKFORGE_PG_CONN_H_INCLUDED_ */
