/* pg.c: see pg.h. libpq may replace its socket while it connects, so the poll handle is made anew after every
 * step of connecting and kept only from then on. */
#include "pg.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

#define CONNECT_LIMIT_MS 5000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 3000

static void connect_begin(tfw_pg_t *pg);
static void on_poll(uv_poll_t *poll, int status, int events);

void tfw_pg_int2(tfw_pg_params_t *p, int16_t v)
{
    tf_pg_put_int2(p->scalars[p->n], v);
    tfw_pg_bytes(p, p->scalars[p->n], 2);
}

void tfw_pg_int4(tfw_pg_params_t *p, int32_t v)
{
    tf_pg_put_int4(p->scalars[p->n], v);
    tfw_pg_bytes(p, p->scalars[p->n], 4);
}

void tfw_pg_int8(tfw_pg_params_t *p, int64_t v)
{
    tf_pg_put_int8(p->scalars[p->n], v);
    tfw_pg_bytes(p, p->scalars[p->n], 8);
}

void tfw_pg_bool(tfw_pg_params_t *p, bool v)
{
    p->scalars[p->n][0] = v;
    tfw_pg_bytes(p, p->scalars[p->n], 1);
}

void tfw_pg_bytes(tfw_pg_params_t *p, const void *data, size_t len)
{
    p->values[p->n] = data;
    p->lengths[p->n] = (int)len;
    p->n++;
}

void tfw_pg_array(tfw_pg_params_t *p, const tf_pgarray_t *array)
{
    tfw_pg_bytes(p, array->buf.data, array->buf.len);
}

const char *tfw_pg_column(const void *row, int column, int *len)
{
    const tfw_pg_row_t *r = row;

    if (PQgetisnull(r->result, r->row, column)) {
        return NULL;
    }
    *len = PQgetlength(r->result, r->row, column);
    return PQgetvalue(r->result, r->row, column);
}

bool tfw_pg_ready(const tfw_pg_t *pg)
{
    return pg->state == TFW_PG_READY;
}

unsigned tfw_pg_busy(const tfw_pg_t *pg)
{
    return pg->op_count;
}

tfw_pg_verdict_t tfw_pg_verdict(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return TFW_PG_OK;
    }
    if (!state) {
        return TFW_PG_AGAIN;
    }
    /* Class 22: data, 23: constraint, 42: statement or rights, 54: limit exceeded. All else may pass: 08
     * connection, 25 read-only, 40 rolled back, 53 resources, 57 operator, 58 system. */
    if (!memcmp(state, "22", 2) || !memcmp(state, "23", 2) || !memcmp(state, "42", 2) ||
        !memcmp(state, "54", 2)) {
        return TFW_PG_BAD;
    }
    return TFW_PG_AGAIN;
}

void tfw_pg_log_error(const tfw_pg_t *pg, const char *event, const PGresult *result)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    tf_log(TF_LOG_ERROR, event, "s:connection", pg->name, "s:sqlstate",
           PQresultErrorField(result, PG_DIAG_SQLSTATE), "s:message",
           message ? message : PQresultErrorMessage(result), NULL);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void poll_drop(tfw_pg_t *pg)
{
    if (pg->poll) {
        uv_poll_stop(pg->poll);
        uv_close((uv_handle_t *)pg->poll, free_handle);
        pg->poll = NULL;
    }
    pg->poll_events = 0;
}

static bool poll_want(tfw_pg_t *pg, int events)
{
    if (!pg->poll) {
        pg->poll = malloc(sizeof(*pg->poll));
        if (!pg->poll) {
            return false;
        }
        if (uv_poll_init(pg->loop, pg->poll, PQsocket(pg->conn)) != 0) {
            free(pg->poll);
            pg->poll = NULL;
            return false;
        }
        pg->poll->data = pg;
    }
    if (pg->poll_events != events) {
        pg->poll_events = events;
        return uv_poll_start(pg->poll, events, on_poll) == 0;
    }
    return true;
}

static void on_retry(uv_timer_t *timer)
{
    connect_begin(timer->data);
}

/* The connection is lost, or could not be made: every statement under way has an unknown outcome. */
static void lost(tfw_pg_t *pg, const char *why)
{
    unsigned first = pg->first_op, count = pg->op_count;

    if (!pg->failure_logged) {
        tf_log(TF_LOG_WARNING, "postgres_away", "s:connection", pg->name, "s:reason", why, NULL);
        pg->failure_logged = true;
    }
    poll_drop(pg);
    if (pg->conn) {
        PQfinish(pg->conn);
        pg->conn = NULL;
    }
    PQclear(pg->held);
    pg->held = NULL;
    pg->state = TFW_PG_DOWN;
    pg->op_count = 0;
    uv_timer_start(&pg->timer, on_retry, (uint64_t)pg->backoff_ms, 0);
    pg->backoff_ms = pg->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : pg->backoff_ms * 2;
    /* The callees see a connection that is down, so none of them can add to ops meanwhile. */
    for (unsigned i = 0; i < count; i++) {
        tfw_pg_op_t *op = &pg->ops[(first + i) % TFW_PG_OPS_MAX];

        op->answer(op->data, NULL);
    }
}

static void lost_with_message(tfw_pg_t *pg)
{
    char why[256];
    const char *message = PQerrorMessage(pg->conn);
    size_t n = strcspn(message, "\n");

    if (n >= sizeof(why)) {
        n = sizeof(why) - 1;
    }
    memcpy(why, message, n);
    why[n] = '\0';
    lost(pg, why);
}

static void on_connect_limit(uv_timer_t *timer)
{
    lost(timer->data, "no connection within 5 s");
}

static void on_send_failed(uv_timer_t *timer)
{
    lost(timer->data, "a statement could not be sent");
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static void connect_begin(tfw_pg_t *pg)
{
    static const char *const keys[] = {
        "dbname",          "options", "fallback_application_name", "tcp_user_timeout", "keepalives_idle",
        "client_encoding", NULL};
    const char *const values[] = {pg->url, TF_PG_OPTIONS, "taskforge-worker", "15000", "10", "UTF8", NULL};

    pg->state = TFW_PG_CONNECTING;
    uv_timer_start(&pg->timer, on_connect_limit, CONNECT_LIMIT_MS, 0);
    pg->conn = PQconnectStartParams(keys, values, 1);
    if (!pg->conn || PQstatus(pg->conn) == CONNECTION_BAD) {
        if (pg->conn) {
            lost_with_message(pg);
        } else {
            lost(pg, "out of memory");
        }
        return;
    }
    PQsetNoticeProcessor(pg->conn, ignore_notice, NULL);
    if (!poll_want(pg, UV_WRITABLE)) {
        lost(pg, "cannot watch the socket");
    }
}

/* Sends what libpq holds; asks for writability while the socket is full. */
static void flush(tfw_pg_t *pg)
{
    int left = PQflush(pg->conn);

    if (left < 0 || !poll_want(pg, left ? UV_READABLE | UV_WRITABLE : UV_READABLE)) {
        lost_with_message(pg);
    }
}

static void prepare(tfw_pg_t *pg)
{
    bool sent = PQsetnonblocking(pg->conn, 1) == 0 && PQenterPipelineMode(pg->conn) == 1;

    for (int i = 0; sent && i < pg->nstatements; i++) {
        sent = PQsendPrepare(pg->conn, pg->statements[i]->name, pg->statements[i]->text, 0, NULL) == 1;
    }
    if (!sent || PQpipelineSync(pg->conn) != 1) {
        lost_with_message(pg);
        return;
    }
    pg->state = TFW_PG_PREPARING;
    pg->preparing = pg->nstatements;
    flush(pg);
}

static void connect_step(tfw_pg_t *pg)
{
    poll_drop(pg);
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        if (!poll_want(pg, UV_READABLE)) {
            lost(pg, "cannot watch the socket");
        }
        break;
    case PGRES_POLLING_WRITING:
        if (!poll_want(pg, UV_WRITABLE)) {
            lost(pg, "cannot watch the socket");
        }
        break;
    case PGRES_POLLING_OK:
        prepare(pg);
        break;
    default:
        lost_with_message(pg);
    }
}

static void ready(tfw_pg_t *pg)
{
    pg->state = TFW_PG_READY;
    pg->backoff_ms = BACKOFF_FIRST_MS;
    uv_timer_stop(&pg->timer);
    tf_log(TF_LOG_INFO, "postgres_connected", "s:connection", pg->name, "i:server_version",
           (int64_t)PQserverVersion(pg->conn), NULL);
    pg->failure_logged = false;
    pg->on_ready(pg->data);
}

/* One PREPARE's answer, or the sync behind all of them. false: the connection was given up. */
static bool prepared(tfw_pg_t *pg, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_PIPELINE_SYNC) {
        PQclear(result);
        ready(pg);
        return pg->state == TFW_PG_READY;
    }
    if (status != PGRES_COMMAND_OK) {
        /* Most likely the schema is not there yet: try again, and say why. */
        tfw_pg_log_error(pg, "postgres_prepare_failed", result);
        PQclear(result);
        lost(pg, "a statement cannot be prepared");
        return false;
    }
    PQclear(result);
    return true;
}

/* The answer is the end of the connection, from the server (FATAL, PANIC) or from libpq (no SQLSTATE). What
 * became of the statement is unknown: its commit may have come before the end. */
static bool is_end(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    return PQresultStatus(result) == PGRES_FATAL_ERROR &&
           (!PQresultErrorField(result, PG_DIAG_SQLSTATE) ||
            (severity && (!strcmp(severity, "FATAL") || !strcmp(severity, "PANIC"))));
}

/* The Sync of the oldest statement is back. The transaction commits there, not when its result is made: a
 * server that is killed in between has sent the result all the same. */
static void committed(tfw_pg_t *pg)
{
    PGresult *result = pg->held;
    tfw_pg_op_t op = pg->ops[pg->first_op];

    pg->held = NULL;
    if (pg->op_count == 0 || !result) {
        PQclear(result);
        return;
    }
    pg->first_op = (pg->first_op + 1) % TFW_PG_OPS_MAX;
    pg->op_count--;
    op.answer(op.data, result);
}

/* Takes all answers that have arrived. */
static void take_answers(tfw_pg_t *pg)
{
    while (pg->conn && !PQisBusy(pg->conn)) {
        PGresult *result = PQgetResult(pg->conn);

        if (!result) {
            /* The end of one statement; in pipeline mode a second NULL in a row means that nothing is left.
             */
            result = PQisBusy(pg->conn) ? NULL : PQgetResult(pg->conn);
            if (!result) {
                return;
            }
        }
        if (is_end(result)) {
            PQclear(result);
            lost_with_message(pg);
            return;
        }
        if (pg->state == TFW_PG_PREPARING) {
            if (!prepared(pg, result)) {
                return;
            }
        } else if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            committed(pg);
        } else {
            PQclear(pg->held); /* only an unasked error has no statement to go with */
            pg->held = result;
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    tfw_pg_t *pg = poll->data;

    if (status < 0) {
        /* libuv has stopped watching; libpq finds out what is wrong when it touches the socket. */
        pg->poll_events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (pg->state == TFW_PG_CONNECTING) {
        connect_step(pg);
        return;
    }
    if (events & UV_READABLE) {
        if (!PQconsumeInput(pg->conn)) {
            take_answers(pg); /* what came before the end counts */
            if (pg->conn) {
                lost_with_message(pg);
            }
            return;
        }
        take_answers(pg);
    }
    if (pg->conn && PQstatus(pg->conn) == CONNECTION_BAD) {
        lost_with_message(pg);
    } else if (pg->conn && (status < 0 || (events & UV_WRITABLE))) {
        flush(pg);
    }
}

void tfw_pg_start(tfw_pg_t *pg, uv_loop_t *loop, const char *name, const char *url,
                  const tf_sql_t *const *statements, int nstatements, void (*on_ready)(void *data),
                  void *data)
{
    memset(pg, 0, sizeof(*pg));
    pg->loop = loop;
    pg->name = name;
    pg->url = url;
    pg->statements = statements;
    pg->nstatements = nstatements;
    pg->on_ready = on_ready;
    pg->data = data;
    pg->backoff_ms = BACKOFF_FIRST_MS;
    uv_timer_init(loop, &pg->timer);
    pg->timer.data = pg;
    connect_begin(pg);
}

bool tfw_pg_send(tfw_pg_t *pg, const tf_sql_t *sql, const tfw_pg_params_t *params, tfw_pg_answer_fn answer,
                 void *data)
{
    static const int binary[TFW_PG_PARAMS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    tfw_pg_op_t *op;

    if (pg->state != TFW_PG_READY || pg->op_count == TFW_PG_OPS_MAX) {
        return false;
    }
    if (PQsendQueryPrepared(pg->conn, sql->name, params->n, params->values, params->lengths, binary, 1) !=
            1 ||
        PQpipelineSync(pg->conn) != 1) {
        /* Half a statement may be in libpq's buffer. The socket's end is reported by the event loop, so that
         * no answer is given from in here. */
        tf_log(TF_LOG_ERROR, "postgres_send_failed", "s:connection", pg->name, "s:statement", sql->name,
               "s:message", PQerrorMessage(pg->conn), NULL);
        poll_drop(pg);
        pg->state = TFW_PG_DOWN;
        uv_timer_start(&pg->timer, on_send_failed, 0, 0);
        return false;
    }
    op = &pg->ops[(pg->first_op + pg->op_count) % TFW_PG_OPS_MAX];
    op->answer = answer;
    op->data = data;
    pg->op_count++;
    if (PQflush(pg->conn) == 1) {
        poll_want(pg, UV_READABLE | UV_WRITABLE);
    }
    return true;
}

void tfw_pg_close(tfw_pg_t *pg)
{
    if (pg->state == TFW_PG_CLOSED) {
        return;
    }
    pg->failure_logged = true; /* meant to be */
    lost(pg, "closed");
    pg->state = TFW_PG_CLOSED;
    uv_close((uv_handle_t *)&pg->timer, NULL);
}
