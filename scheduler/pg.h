/* pg.h: one PostgreSQL connection on the event loop: it connects, reconnects with a growing pause, prepares
 * each statement on its first use and runs one after the other. Nothing here blocks, except that libpq
 * resolves a host name. */
#ifndef TFS_PG_H
#define TFS_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "log_limit.h"
#include "pg_args.h"
#include "sql.h"

#define TFS_PG_PREPARED_MAX 16 /* different statements on one connection */
#define TFS_PG_QUEUE_MAX 32    /* statements waiting on one connection */

/* The outcome of a statement: its rows, or NULL when it failed or the connection was lost (then it is not
 * known whether it took effect). The error has been logged. result lives until the function returns; values
 * are binary. */
typedef void (*tfs_pg_result_fn)(void *data, const PGresult *result);

typedef struct tfs_pg_request_s tfs_pg_request_t;

typedef enum { TFS_PG_STOPPED, TFS_PG_WAITING, TFS_PG_CONNECTING, TFS_PG_READY } tfs_pg_state_t;

typedef struct {
    /* Set by the owner before tfs_pg_start. All texts must outlive the connection. */
    uv_loop_t *loop;
    const char *name;         /* in the log */
    const char *url;          /* libpq URL or conninfo */
    const char *options;      /* added to the URL's own "options" */
    uint64_t answer_ms;       /* a statement without an answer for so long means a dead connection */
    void (*up)(void *data);   /* connected; may send statements */
    void (*down)(void *data); /* was up and is lost, or stopped */
    void (*notified)(void *data, const char *channel); /* may be NULL */
    void *data;

    tfs_pg_state_t state;
    PGconn *conn;
    uv_poll_t *poll; /* of the current socket; NULL: none */
    int events;
    uv_timer_t timer; /* pause before connecting; deadline of connecting and of a statement */
    uint64_t pause_ms;
    const tf_sql_t *prepared[TFS_PG_PREPARED_MAX];
    int prepared_count;
    tfs_pg_request_t *head, *tail; /* the first one is under way when `busy` */
    int queued;
    bool busy;
    bool preparing; /* the server is preparing the first request's statement */
    bool broken;    /* sending failed: about to be lost */
    bool failed;    /* the request under way has failed; its answer is not complete yet */
    PGresult *result;
    tfs_log_limit_t log_connect;
    tfs_log_limit_t log_error;
} tfs_pg_t;

/* Checks a URL or conninfo without connecting. false: error says what is wrong, without the text itself. */
bool tfs_pg_check_url(const char *url, char *error, size_t error_size);

/* Once, before the first tfs_pg_start. */
void tfs_pg_init(tfs_pg_t *pg);

/* Connects, and again whenever the connection is lost, until tfs_pg_stop. */
void tfs_pg_start(tfs_pg_t *pg);

/* Drops the connection at once. Requests that wait or are under way get NULL, then down() is called if it was
 * up. */
void tfs_pg_stop(tfs_pg_t *pg);

/* Closes the timer's handle; the connection must be stopped. */
void tfs_pg_close(tfs_pg_t *pg);

/* Sends a statement, or queues it. done is called later, never from inside this function. false: not
 * connected or too many are waiting; done is not called. args may be NULL. */
bool tfs_pg_query(tfs_pg_t *pg, const tf_sql_t *sql, const tfs_pg_args_t *args, tfs_pg_result_fn done,
                  void *data);

/* No statement is under way or waiting. */
bool tfs_pg_idle(const tfs_pg_t *pg);

/* tf_column_fn over tfs_pg_row_t, for tf_job_from_row. */
typedef struct {
    const PGresult *result;
    int row;
} tfs_pg_row_t;

const char *tfs_pg_column(const void *row, int column, int *len);

#endif
