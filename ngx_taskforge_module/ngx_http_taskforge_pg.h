
/*
 * PostgreSQL on nginx's event loop: libpq, non-blocking, pipeline mode.
 *
 * Each worker process has connections of two kinds, so that a slow list
 * never delays a submit.  Every statement is a transaction of its own with
 * a Sync of its own: its failure touches no neighbour.  Statements are
 * prepared on a connection the first time they are used there.
 */

#ifndef _NGX_HTTP_TASKFORGE_PG_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PG_H_INCLUDED_


#include <libpq-fe.h>

#include "ngx_http_taskforge_module.h"
#include "pgparam.h"
#include "sql.h"


typedef enum {
    NGX_HTTP_TASKFORGE_PG_WRITE = 0,
    NGX_HTTP_TASKFORGE_PG_READ,
    NGX_HTTP_TASKFORGE_PG_KINDS
} ngx_http_taskforge_pg_kind_e;


typedef struct ngx_http_taskforge_pg_op_s  ngx_http_taskforge_pg_op_t;


/*
 * Called once per statement, from the event loop, never from within the call
 * that sent it.  res: the result (PGRES_TUPLES_OK, PGRES_COMMAND_OK or an
 * error status), valid during the call; NULL: the connection was lost and the
 * outcome is unknown.
 */

typedef void (*ngx_http_taskforge_pg_handler_pt)(void *data, PGresult *res);

typedef void (*ngx_http_taskforge_pg_request_pt)(ngx_http_request_t *r,
    void *data, PGresult *res);


/*
 * Sends a statement.  values and lengths are sql->nparams long, all in binary
 * format (a text is its bytes), a NULL value is SQL NULL; they are copied.
 * The result comes in binary.  sql->name == NULL: not prepared, for text
 * that is put together per request; give its parameters casts ($1::uuid).
 *
 * NULL: no connection, or the connection's queue (taskforge_database_queue)
 * is full; the handler is not called.  Answer 503.
 */

ngx_http_taskforge_pg_op_t *ngx_http_taskforge_pg_query(
    ngx_http_taskforge_pg_t *pg, ngx_http_taskforge_pg_kind_e kind,
    const tf_sql_t *sql, const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_handler_pt handler, void *data);


/* The handler will not be called any more.  The statement still runs. */

void ngx_http_taskforge_pg_forget(ngx_http_taskforge_pg_op_t *op);


/*
 * The same for a request: is forgotten by itself when the request ends
 * first, and runs posted requests after the handler.  data lives in r->pool
 * or is NULL.  When the statement could not be sent, the request is answered
 * with 503 and NGX_ERROR is returned: return from the handler.
 */

ngx_int_t ngx_http_taskforge_pg_request(ngx_http_request_t *r,
    ngx_http_taskforge_pg_kind_e kind, const tf_sql_t *sql,
    const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_request_pt handler, void *data);


/*
 * NGX_OK: res is PGRES_TUPLES_OK or PGRES_COMMAND_OK.  Otherwise the problem
 * is logged, the request is answered (500 when the data was refused, 503 for
 * the rest, never SQL) and NGX_ERROR is returned.
 */

ngx_int_t ngx_http_taskforge_pg_check(ngx_http_request_t *r, PGresult *res);


/* For tf_job_from_row(): row is a ngx_http_taskforge_pg_row_t. */

typedef struct {
    PGresult    *res;
    int          row;
} ngx_http_taskforge_pg_row_t;

const char *ngx_http_taskforge_pg_column(const void *row, int column,
    int *len);


/* True while at least one connection of the kind can take statements. */

ngx_uint_t ngx_http_taskforge_pg_ready(ngx_http_taskforge_pg_t *pg,
    ngx_http_taskforge_pg_kind_e kind);


/*
 * What a result means: NGX_OK; NGX_DECLINED: the data was refused, trying
 * again cannot help; NGX_AGAIN: everything else, the outcome unknown (NULL)
 * included.  Errors of the server are logged.
 */

ngx_int_t ngx_http_taskforge_pg_verdict(ngx_log_t *log, PGresult *res);


/*
 * True once the process knows how its first connections fare: there is one
 * of each kind, or one failed, which takes connect_timeout at most.  pg may
 * be NULL.
 */

ngx_uint_t ngx_http_taskforge_pg_settled(ngx_http_taskforge_pg_t *pg);


/* Who waits for that; handler is called once, from the event loop. */

typedef struct {
    ngx_queue_t                          queue;
    void                               (*handler)(void *data);
    void                                *data;
    unsigned                             waiting:1;
} ngx_http_taskforge_pg_settle_t;

void ngx_http_taskforge_pg_settle_wait(ngx_http_taskforge_pg_t *pg,
    ngx_http_taskforge_pg_settle_t *wait);


/*
 * Configuration time: a libpq URL or conninfo becomes a conninfo with
 * numeric addresses and our options.  Returns NGX_CONF_OK or what is wrong
 * with it, never its text, which may hold a password.
 */

char *ngx_http_taskforge_pg_conninfo(ngx_conf_t *cf, ngx_str_t *url,
    ngx_str_t *conninfo, ngx_msec_t statement_timeout);


/* Configuration time: the first address of a name, NUL-terminated text. */

ngx_int_t ngx_http_taskforge_resolve(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *address);


/*
 * Listens to a channel (LISTEN) on one of the read connections, for good;
 * once per process.  statement: "LISTEN ...", a literal.
 *
 * notify(data, payload) is called for each notification.  heard(data, since,
 * anew) is called about once a second: all that was notified before `since`
 * (ngx_current_msec) has been passed on; anew: except what was notified while
 * there was no connection.  While heard is not called, notifications may be
 * missing.
 */

typedef void (*ngx_http_taskforge_pg_notify_pt)(void *data,
    const char *payload);

typedef void (*ngx_http_taskforge_pg_heard_pt)(void *data, ngx_msec_t since,
    ngx_uint_t anew);

void ngx_http_taskforge_pg_listen(ngx_http_taskforge_pg_t *pg,
    const char *statement, ngx_http_taskforge_pg_notify_pt notify,
    ngx_http_taskforge_pg_heard_pt heard, void *data);


/*
 * Process start and end.  connected(data) is called whenever a read
 * connection became ready.
 */

ngx_http_taskforge_pg_t *ngx_http_taskforge_pg_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf, void (*connected)(void *data),
    void *data);

void ngx_http_taskforge_pg_destroy(ngx_http_taskforge_pg_t *pg);


#endif /* _NGX_HTTP_TASKFORGE_PG_H_INCLUDED_ */
