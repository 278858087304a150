/* direct.h: an executor's own connections, for handlers that work on jobs themselves. Blocking, as handlers
 * may be: PostgreSQL, where every change is, and Redis, which only hears of it. */
#ifndef TFW_DIRECT_H
#define TFW_DIRECT_H

#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include "buf.h"
#include "daemon/pg_params.h"
#include "handler.h"
#include "job.h"
#include "sql.h"

typedef struct {
    tfw_run_t *run; /* of the job that it is for */
    PGconn *conn;
    redisContext *redis; /* NULL: away; reconcile finds what it does not hear */
    tf_buf_t events;     /* one a line, not sent yet */
    int nevents;
    int owed; /* replies of Redis */
} tfw_direct_t;

/* Connects. false: PostgreSQL is away, with the reason set by tfw_run_error; nothing needs to be closed. */
bool tfw_direct_open(tfw_direct_t *direct, tfw_run_t *run);

void tfw_direct_close(tfw_direct_t *direct);

/* Prepares a statement under its name. false: the reason is set by tfw_run_error. */
bool tfw_direct_prepare(tfw_direct_t *direct, const tf_sql_t *sql);

/* Runs a prepared statement: one transaction. NULL: the reason is set by tfw_run_error, and whether anything
 * changed is not known. The result is the caller's to PQclear. */
PGresult *tfw_direct_run(tfw_direct_t *direct, const tf_sql_t *sql, const char *const *values,
                         const int *lengths);

/* After a commit: puts a QUEUED job on its stream, and adds the event of its status. */
void tfw_direct_announce(tfw_direct_t *direct, const tf_job_t *job);

/* After a commit: the worker of that incarnation shall look into PostgreSQL (TF_REDIS_CTL). */
void tfw_direct_order(tfw_direct_t *direct, int64_t incarnation);

/* Sends what was announced. Redis away: it is dropped, and the next flush connects again. */
void tfw_direct_flush(tfw_direct_t *direct);

#endif
