/* pg.h: one asynchronous PostgreSQL connection on the event loop: libpq in pipeline mode, statements prepared
 * at every connect, answers in the order of the questions, reconnect with backoff for as long as the process
 * lives. */
#ifndef TFW_PG_H
#define TFW_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <uv.h>

#include "pgparam.h"
#include "sql.h"

#define TFW_PG_PARAMS_MAX 20
#define TFW_PG_OPS_MAX 64 /* statements under way at once */

/* Parameters of one statement, in binary. They point into the caller's memory, which need only last until
 * tfw_pg_send returns. Scalars of up to 8 bytes are kept here. */
typedef struct {
    int n;
    const char *values[TFW_PG_PARAMS_MAX];
    int lengths[TFW_PG_PARAMS_MAX];
    uint8_t scalars[TFW_PG_PARAMS_MAX][8];
} tfw_pg_params_t;

void tfw_pg_int2(tfw_pg_params_t *p, int16_t v);
void tfw_pg_int4(tfw_pg_params_t *p, int32_t v);
void tfw_pg_int8(tfw_pg_params_t *p, int64_t v);
void tfw_pg_bool(tfw_pg_params_t *p, bool v);
void tfw_pg_bytes(tfw_pg_params_t *p, const void *data, size_t len); /* text, uuid; NULL: SQL NULL */
void tfw_pg_array(tfw_pg_params_t *p, const tf_pgarray_t *array);    /* after tf_pgarray_end */

/* The answer to one statement. The callee owns result and clears it. NULL: the connection broke and the
 * outcome is unknown; the next connection announces itself with on_ready. */
typedef void (*tfw_pg_answer_fn)(void *data, PGresult *result);

typedef struct {
    tfw_pg_answer_fn answer;
    void *data;
} tfw_pg_op_t;

typedef enum { TFW_PG_DOWN, TFW_PG_CONNECTING, TFW_PG_PREPARING, TFW_PG_READY, TFW_PG_CLOSED } tfw_pg_state_t;

typedef struct {
    uv_loop_t *loop;
    const char *name; /* for the log: "claim", "ledger" */
    const char *url;
    const tf_sql_t *const *statements;
    int nstatements;
    void (*on_ready)(void *data);
    void *data;

    tfw_pg_state_t state;
    PGconn *conn;
    uv_poll_t *poll;
    int poll_events;
    uv_timer_t timer; /* the next attempt, or the limit of the one under way */
    int backoff_ms;
    bool failure_logged; /* one line when it goes away, not one per attempt */
    int preparing;       /* answers to PREPARE still to come */
    tfw_pg_op_t ops[TFW_PG_OPS_MAX];
    unsigned first_op, op_count;
    PGresult *held; /* of the oldest one, until its commit is known */
} tfw_pg_t;

/* Starts connecting. url, name and statements must outlive the connection. on_ready is called at every new
 * connection, after its statements are prepared. */
void tfw_pg_start(tfw_pg_t *pg, uv_loop_t *loop, const char *name, const char *url,
                  const tf_sql_t *const *statements, int nstatements, void (*on_ready)(void *data),
                  void *data);

/* Sends a prepared statement. false: not connected, or TFW_PG_OPS_MAX are under way; nothing was sent and
 * answer is not called. Otherwise answer is called exactly once, never from within this call. */
bool tfw_pg_send(tfw_pg_t *pg, const tf_sql_t *sql, const tfw_pg_params_t *params, tfw_pg_answer_fn answer,
                 void *data);

bool tfw_pg_ready(const tfw_pg_t *pg);

/* Statements under way. */
unsigned tfw_pg_busy(const tfw_pg_t *pg);

/* Closes for good; statements under way get a NULL answer. */
void tfw_pg_close(tfw_pg_t *pg);

/* For tf_job_from_row. */
typedef struct {
    const PGresult *result;
    int row;
} tfw_pg_row_t;

/* A tf_column_fn over tfw_pg_row_t. */
const char *tfw_pg_column(const void *row, int column, int *len);

/* What an error answer means for who sent the statement. */
typedef enum {
    TFW_PG_OK,
    TFW_PG_AGAIN, /* may succeed when sent again: deadlock, shutdown, out of space, read-only ... */
    TFW_PG_BAD    /* this data or this statement cannot succeed */
} tfw_pg_verdict_t;

tfw_pg_verdict_t tfw_pg_verdict(const PGresult *result);

/* Logs an error answer: event, SQLSTATE, first line of the message. */
void tfw_pg_log_error(const tfw_pg_t *pg, const char *event, const PGresult *result);

#endif
