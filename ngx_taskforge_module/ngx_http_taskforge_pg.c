
/*
 * Each connection has a FIFO of operations, in the order in which libpq
 * returns results.  An operation is a PREPARE if need be (a result, NULL), a
 * statement (a result, NULL) and a Sync (PGRES_PIPELINE_SYNC, no NULL).
 *
 * The transaction commits at the Sync.  A result that arrived without its
 * Sync proves nothing: a server that is killed while it commits still sends
 * what it had ready.  So a handler is called only when the Sync is back.
 */

#include "ngx_http_taskforge_pg_conn.h"


#define NGX_HTTP_TASKFORGE_PG_PARAMS  64    /* of a statement */


static ngx_int_t ngx_http_taskforge_pg_result(ngx_http_taskforge_pg_conn_t *pc,
    PGresult *res);
static void ngx_http_taskforge_pg_prepared(ngx_http_taskforge_pg_conn_t *pc,
    const tf_sql_t *sql, PGresult *res);
static ngx_http_taskforge_pg_conn_t *ngx_http_taskforge_pg_pick(
    ngx_http_taskforge_pg_t *pg, ngx_http_taskforge_pg_kind_e kind);
static ngx_int_t ngx_http_taskforge_pg_send(ngx_http_taskforge_pg_conn_t *pc,
    const tf_sql_t *sql, const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_expect_e *expect);


ngx_http_taskforge_pg_op_t *
ngx_http_taskforge_pg_query(ngx_http_taskforge_pg_t *pg,
    ngx_http_taskforge_pg_kind_e kind, const tf_sql_t *sql,
    const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_handler_pt handler, void *data)
{
    ngx_http_taskforge_pg_conn_t  *pc;

    if (pg == NULL) {
        return NULL;
    }

    pc = ngx_http_taskforge_pg_pick(pg, kind);

    if (pc == NULL || pc->nops >= pg->mcf->database_queue) {
        return NULL;
    }

    return ngx_http_taskforge_pg_start(pc, sql, values, lengths, handler,
                                       data);
}


ngx_http_taskforge_pg_op_t *
ngx_http_taskforge_pg_start(ngx_http_taskforge_pg_conn_t *pc,
    const tf_sql_t *sql, const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_handler_pt handler, void *data)
{
    ngx_http_taskforge_pg_op_t  *op;

    op = ngx_calloc(sizeof(ngx_http_taskforge_pg_op_t), pc->pg->log);
    if (op == NULL) {
        return NULL;
    }

    if (ngx_http_taskforge_pg_send(pc, sql, values, lengths, &op->expect)
        != NGX_OK)
    {
        /* what was sent of it makes the order of results unknown */

        ngx_free(op);

        pc->broken = 1;
        ngx_post_event(&pc->wake, &ngx_posted_events);
        return NULL;
    }

    /*
     * When the socket would block, libpq reads while it sends, and what it
     * has read already epoll will not announce.
     */

    if (!pc->draining && !PQisBusy(pc->conn)) {
        ngx_post_event(&pc->wake, &ngx_posted_events);
    }

    op->sql = sql;
    op->handler = handler;
    op->data = data;

    ngx_queue_insert_tail(&pc->ops, &op->queue);
    pc->nops++;

    if (!pc->timer.timer_set) {
        ngx_http_taskforge_pg_watch(pc);
    }

    return op;
}


/* The connection of that kind with the least under way. */

static ngx_http_taskforge_pg_conn_t *
ngx_http_taskforge_pg_pick(ngx_http_taskforge_pg_t *pg,
    ngx_http_taskforge_pg_kind_e kind)
{
    ngx_uint_t                     i;
    ngx_http_taskforge_pg_conn_t  *pc, *best;

    best = NULL;

    for (i = 0; i < pg->nconns; i++) {
        pc = &pg->conns[i];

        if (pc->kind == kind
            && pc->state == NGX_HTTP_TASKFORGE_PG_UP
            && !pc->broken
            && (best == NULL || pc->nops < best->nops))
        {
            best = pc;
        }
    }

    return best;
}


static ngx_int_t
ngx_http_taskforge_pg_send(ngx_http_taskforge_pg_conn_t *pc,
    const tf_sql_t *sql, const char *const *values, const int *lengths,
    ngx_http_taskforge_pg_expect_e *expect)
{
    int         i, rc, formats[NGX_HTTP_TASKFORGE_PG_PARAMS];
    ngx_uint_t  n;

    if (sql->nparams > NGX_HTTP_TASKFORGE_PG_PARAMS) {
        return NGX_ERROR;
    }

    for (i = 0; i < sql->nparams; i++) {
        formats[i] = 1;
    }

    *expect = NGX_HTTP_TASKFORGE_PG_RESULT;

    if (sql->name) {

        for (n = 0; n < pc->nprepared; n++) {
            if (pc->prepared[n] == sql) {
                break;
            }
        }

        if (n == pc->nprepared) {
            if (n == NGX_HTTP_TASKFORGE_PG_PREPARED
                || !PQsendPrepare(pc->conn, sql->name, sql->text, 0, NULL))
            {
                return NGX_ERROR;
            }

            pc->prepared[pc->nprepared++] = sql;
            *expect = NGX_HTTP_TASKFORGE_PG_PREPARE;
        }

        rc = PQsendQueryPrepared(pc->conn, sql->name, sql->nparams, values,
                                 lengths, formats, 1);
    } else {
        rc = PQsendQueryParams(pc->conn, sql->text, sql->nparams, NULL, values,
                               lengths, formats, 1);
    }

    if (!rc || !PQpipelineSync(pc->conn)) {
        return NGX_ERROR;
    }

    return ngx_http_taskforge_pg_flush(pc);
}


void
ngx_http_taskforge_pg_forget(ngx_http_taskforge_pg_op_t *op)
{
    op->handler = NULL;
}


/* NGX_ERROR: the connection is lost. */

ngx_int_t
ngx_http_taskforge_pg_drain(ngx_http_taskforge_pg_conn_t *pc)
{
    PGresult  *res;

    for ( ;; ) {

        /* also parses notices and parameter changes when nothing waits */

        if (PQisBusy(pc->conn)) {
            return NGX_OK;
        }

        if (ngx_queue_empty(&pc->ops)) {
            return (PQstatus(pc->conn) == CONNECTION_OK) ? NGX_OK : NGX_ERROR;
        }

        res = PQgetResult(pc->conn);

        if (PQstatus(pc->conn) != CONNECTION_OK) {
            PQclear(res);
            return NGX_ERROR;
        }

        if (ngx_http_taskforge_pg_result(pc, res) != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


/* Takes over the result. */

static ngx_int_t
ngx_http_taskforge_pg_result(ngx_http_taskforge_pg_conn_t *pc, PGresult *res)
{
    ngx_queue_t                 *q;
    ngx_http_taskforge_pg_op_t  *op;

    q = ngx_queue_head(&pc->ops);
    op = ngx_queue_data(q, ngx_http_taskforge_pg_op_t, queue);

    /* the analyzer takes an op that was freed for still in the queue */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    if (op->expect == NGX_HTTP_TASKFORGE_PG_SYNC) {

        if (res == NULL) {
            return NGX_ERROR;
        }

        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            ngx_http_taskforge_pg_finish(pc, op, op->res);
            return NGX_OK;
        }

        /* the commit failed: that is the result */

    } else if (res == NULL) {
        op->expect++;
        return NGX_OK;

    } else if (op->expect == NGX_HTTP_TASKFORGE_PG_PREPARE) {
        ngx_http_taskforge_pg_prepared(pc, op->sql, res);
        PQclear(res);
        return NGX_OK;
    }

    PQclear(op->res);
    op->res = res;

    return NGX_OK;
}


/* The operation is over; res NULL: its outcome is unknown. */

void
ngx_http_taskforge_pg_finish(ngx_http_taskforge_pg_conn_t *pc,
    ngx_http_taskforge_pg_op_t *op, PGresult *res)
{
    ngx_queue_remove(&op->queue);
    pc->nops--;

    if (op->handler) {
        op->handler(op->data, res);
    }

    PQclear(op->res);
    ngx_free(op);
}


/*
 * A statement counts as prepared from when its PREPARE was sent.  If that
 * failed (the schema is not there yet), it is forgotten and tried again with
 * the next use.
 */

static void
ngx_http_taskforge_pg_prepared(ngx_http_taskforge_pg_conn_t *pc,
    const tf_sql_t *sql, PGresult *res)
{
    ngx_uint_t  i;

    if (PQresultStatus(res) == PGRES_COMMAND_OK) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, pc->pg->log, 0, "taskforge: PREPARE %s: %s",
                  sql->name, PQresultErrorMessage(res));

    for (i = 0; i < pc->nprepared; i++) {
        if (pc->prepared[i] == sql) {
            pc->prepared[i] = pc->prepared[--pc->nprepared];
            return;
        }
    }
}
