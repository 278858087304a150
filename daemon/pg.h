/* pg.h: one PostgreSQL connection on the event loop: libpq in pipeline mode, statements prepared at every
 * connect, answers in the order of the questions, reconnect with a growing pause until it is stopped. Nothing
 * here blocks, except that libpq resolves a host name. */
#ifndef TFD_PG_H
#define TFD_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/log_limit.h"
#include "daemon/pg_params.h"
#include "sql.h"

#define TFD_PG_OPS_MAX 64 /* statements under way at once */

/* The usual limit of an answer. The server gives up first, so that a slow statement costs no connection. */
#define TFD_PG_ANSWER_MS 30000
#define TFD_PG_OPTIONS TF_PG_OPTIONS " -c statement_timeout=25000"

/* What became of a statement. */
typedef enum {
    TFD_PG_OK,
    TFD_PG_AGAIN,  /* it failed, and may succeed when sent again: deadlock, shutdown, out of space, read-only
                    */
    TFD_PG_BAD,    /* this data or this statement cannot succeed */
    TFD_PG_UNKNOWN /* the connection broke: it may have been committed or not */
} tfd_pg_outcome_t;

/* The answer to a statement. result: the rows, values in binary; NULL unless TFD_PG_OK. It lives until the
 * function returns, or longer: tfd_pg_keep. A failure has been logged. */
typedef void (*tfd_pg_answer_fn)(void *data, tfd_pg_outcome_t outcome, const PGresult *result);

typedef struct {
    const tf_sql_t *sql;
    tfd_pg_answer_fn answer;
    void *data;
} tfd_pg_op_t;

typedef enum {
    TFD_PG_STOPPED,
    TFD_PG_WAITING, /* for the next attempt */
    TFD_PG_CONNECTING,
    TFD_PG_PREPARING,
    TFD_PG_READY
} tfd_pg_state_t;

typedef struct {
    /* Set by the owner before tfd_pg_init; all of it must outlive the connection. */
    uv_loop_t *loop;
    const char *name;        /* in the log: "claim", "leader" */
    const char *application; /* application_name, where the URL has none */
    const char *url;         /* libpq URL or conninfo */
    const char *options;     /* added to the URL's own "options" */
    const tf_sql_t *const *statements;
    int nstatements;
    uint64_t answer_ms;                                /* without an answer for so long it is given up */
    void (*up)(void *data);                            /* connected and prepared; may be NULL */
    void (*down)(void *data);                          /* was up and is lost, or stopped; may be NULL */
    void (*notified)(void *data, const char *channel); /* NOTIFY; may be NULL */
    void *data;

    tfd_pg_state_t state;
    PGconn *conn;
    uv_poll_t *poll; /* of the current socket; NULL: none */
    int events;
    uv_timer_t timer; /* pause before connecting; deadline of connecting and of the oldest answer */
    uint64_t pause_ms;
    bool is_up;   /* up() was called and down() not yet */
    int prepared; /* answers to PREPARE that have come */
    tfd_pg_op_t ops[TFD_PG_OPS_MAX];
    unsigned first_op, op_count;
    PGresult *held;      /* of the oldest one, until its commit is known */
    PGresult *answering; /* of the one whose answer function runs */
    tfd_log_limit_t log_connect, log_error;
} tfd_pg_t;

/* Checks a URL or conninfo without connecting. false: error says what is wrong, without the text itself. */
bool tfd_pg_check_url(const char *url, char *error, size_t error_size);

/* Once, before the first tfd_pg_start. */
void tfd_pg_init(tfd_pg_t *pg);

/* Connects, and again whenever the connection is lost, until tfd_pg_stop. */
void tfd_pg_start(tfd_pg_t *pg);

/* Drops the connection at once. What is under way is answered TFD_PG_UNKNOWN, then down() is called. */
void tfd_pg_stop(tfd_pg_t *pg);

/* Stops for good and closes the timer's handle. */
void tfd_pg_close(tfd_pg_t *pg);

/* Sends one of `statements`. params NULL: it has none. answer is called exactly once, never from within this
 * call. false: not connected, TFD_PG_OPS_MAX are under way, or it is not the statement's number of parameters
 * (logged); nothing was sent and answer is not called. */
bool tfd_pg_send(tfd_pg_t *pg, const tf_sql_t *sql, const tfd_pg_params_t *params, tfd_pg_answer_fn answer,
                 void *data);

/* From within an answer function: the caller takes the result over and clears it. */
PGresult *tfd_pg_keep(tfd_pg_t *pg);

bool tfd_pg_ready(const tfd_pg_t *pg);

/* No statement is under way. */
bool tfd_pg_idle(const tfd_pg_t *pg);

/* tf_column_fn over tfd_pg_row_t, for tf_job_from_row. */
typedef struct {
    const PGresult *result;
    int row;
} tfd_pg_row_t;

const char *tfd_pg_column(const void *row, int column, int *len);

#endif
