#include "pg.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"

#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 2000
#define CONNECT_MS 5000

static void connect_now(uv_timer_t *timer);
static void on_poll(uv_poll_t *poll, int status, int events);

/* text: its first line is logged, and with whom it was. */
static void log_trouble(tfd_pg_t *pg, tfd_log_limit_t *limit, const char *event, const char *text)
{
    int64_t left_out;
    char line[512];
    size_t len = strcspn(text, "\n");

    if (tfd_log_allowed(limit, uv_now(pg->loop), &left_out)) {
        snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1), text);
        tf_log(TF_LOG_ERROR, event, "s:connection", pg->name, "s:host", pg->conn ? PQhost(pg->conn) : NULL,
               "s:error", line, "i:left_out", left_out, NULL);
    }
}

static const char *message_of(const PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    return text ? text : PQresultErrorMessage(result);
}

static void log_failure(tfd_pg_t *pg, const tf_sql_t *sql, const PGresult *result)
{
    int64_t left_out;

    if (tfd_log_allowed(&pg->log_error, uv_now(pg->loop), &left_out)) {
        tf_log(TF_LOG_ERROR, "statement_failed", "s:connection", pg->name, "s:statement", sql->name,
               "s:sqlstate", PQresultErrorField(result, PG_DIAG_SQLSTATE), "s:error", message_of(result),
               "i:left_out", left_out, NULL);
    }
}

/* libpq would print what the server says on standard error, between the lines of the log. Errors come with
 * their results; what remains is said to nobody in particular. */
static void on_notice(void *data, const PGresult *notice)
{
    tfd_pg_t *pg = data;

    tf_log(TF_LOG_DEBUG, "postgres_notice", "s:connection", pg->name, "s:text", message_of(notice), NULL);
}

/* ---- the socket ---- */

static void poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/* libpq may close its socket and open another with the same number whenever it is called while connecting, so
 * the handle never outlives such a call. */
static void unwatch(tfd_pg_t *pg)
{
    if (pg->poll) {
        uv_poll_stop(pg->poll);
        uv_close((uv_handle_t *)pg->poll, poll_closed);
        pg->poll = NULL;
    }
    pg->events = 0;
}

static bool watch(tfd_pg_t *pg, int events)
{
    if (pg->poll == NULL) {
        pg->poll = malloc(sizeof(*pg->poll));
        if (pg->poll == NULL) {
            return false;
        }
        if (uv_poll_init(pg->loop, pg->poll, PQsocket(pg->conn)) != 0) {
            free(pg->poll);
            pg->poll = NULL;
            return false;
        }
        pg->poll->data = pg;
    }
    if (pg->events == events) {
        return true;
    }
    pg->events = events;
    return uv_poll_start(pg->poll, events, on_poll) == 0;
}

/* ---- losing the connection ---- */

/* Frees the connection; who waits for an answer gets to know, then the owner. The state must say already that
 * it is down, so that none of them can send anything meanwhile. */
static void disconnect(tfd_pg_t *pg)
{
    unsigned first = pg->first_op, count = pg->op_count;

    unwatch(pg);
    PQfinish(pg->conn);
    pg->conn = NULL;
    PQclear(pg->held);
    pg->held = NULL;
    pg->op_count = 0;
    for (unsigned i = 0; i < count; i++) {
        tfd_pg_op_t *op = &pg->ops[(first + i) % TFD_PG_OPS_MAX];

        op->answer(op->data, TFD_PG_UNKNOWN, NULL);
    }
    if (pg->is_up) {
        pg->is_up = false;
        if (pg->down) {
            pg->down(pg->data);
        }
    }
}

static void lose(tfd_pg_t *pg, const char *why)
{
    log_trouble(pg, &pg->log_connect, pg->is_up ? "postgres_lost" : "postgres_connect_failed", why);
    pg->state = TFD_PG_WAITING;
    uv_timer_start(&pg->timer, connect_now, pg->pause_ms, 0);
    pg->pause_ms = pg->pause_ms * 2 < PAUSE_MAX_MS ? pg->pause_ms * 2 : PAUSE_MAX_MS;
    disconnect(pg);
}

static void on_deadline(uv_timer_t *timer)
{
    tfd_pg_t *pg = timer->data;

    lose(pg, pg->state == TFD_PG_READY ? "no answer in time" : "no connection in time");
}

static void on_broken(uv_timer_t *timer)
{
    tfd_pg_t *pg = timer->data;

    lose(pg, PQerrorMessage(pg->conn));
}

/* Sending failed, and half a statement may be in libpq's buffer. Who waits for an answer hears of it from the
 * event loop, never from inside tfd_pg_send. */
static void lose_soon(tfd_pg_t *pg)
{
    pg->state = TFD_PG_WAITING;
    unwatch(pg);
    uv_timer_start(&pg->timer, on_broken, 0, 0);
}

/* ---- connecting ---- */

/* The URL's own options, then ours. */
static bool merge_options(const char *url, const char *ours, tf_buf_t *out)
{
    PQconninfoOption *list = PQconninfoParse(url, NULL);

    for (PQconninfoOption *o = list; o && o->keyword; o++) {
        if (strcmp(o->keyword, "options") == 0 && o->val) {
            tf_buf_addf(out, "%s ", o->val);
        }
    }
    PQconninfoFree(list);
    tf_buf_adds(out, ours);
    tf_buf_cstr(out);
    return !out->failed;
}

static void connect_now(uv_timer_t *timer)
{
    tfd_pg_t *pg = timer->data;
    tf_buf_t options = TF_BUF_INIT;

    pg->state = TFD_PG_CONNECTING;
    if (merge_options(pg->url, pg->options, &options)) {
        /* Before dbname: defaults that the URL may override. A peer that is gone without a word is noticed in
         * seconds. */
        const char *const keywords[] = {"fallback_application_name",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "dbname",
                                        "options",
                                        "client_encoding",
                                        NULL};
        const char *const values[] = {pg->application, "3",          "1",    "3", "5000",
                                      pg->url,         options.data, "UTF8", NULL};

        pg->conn = PQconnectStartParams(keywords, values, 1);
    }
    tf_buf_free(&options);
    if (pg->conn == NULL) {
        lose(pg, "out of memory");
        return;
    }
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        lose(pg, PQerrorMessage(pg->conn));
        return;
    }
    PQsetNoticeReceiver(pg->conn, on_notice, pg);
    uv_timer_start(&pg->timer, on_deadline, CONNECT_MS, 0);
    if (!watch(pg, UV_WRITABLE)) {
        lose(pg, "the socket cannot be watched");
    }
}

/* Sends what libpq holds; waits for writability while the socket is full. */
static void flush(tfd_pg_t *pg)
{
    int left = PQflush(pg->conn);

    if (left < 0 || !watch(pg, left ? UV_READABLE | UV_WRITABLE : UV_READABLE)) {
        lose_soon(pg);
    }
}

static void prepare(tfd_pg_t *pg)
{
    bool sent = PQsetnonblocking(pg->conn, 1) == 0 && PQenterPipelineMode(pg->conn) == 1;

    for (int i = 0; sent && i < pg->nstatements; i++) {
        sent = PQsendPrepare(pg->conn, pg->statements[i]->name, pg->statements[i]->text, 0, NULL) == 1;
    }
    if (!sent || PQpipelineSync(pg->conn) != 1) {
        lose(pg, PQerrorMessage(pg->conn));
        return;
    }
    pg->state = TFD_PG_PREPARING;
    pg->prepared = 0;
    flush(pg);
}

static void go_on_connecting(tfd_pg_t *pg)
{
    PostgresPollingStatusType status;

    unwatch(pg);
    status = PQconnectPoll(pg->conn);
    if (status == PGRES_POLLING_OK) {
        prepare(pg);
    } else if (status != PGRES_POLLING_READING && status != PGRES_POLLING_WRITING) {
        lose(pg, PQerrorMessage(pg->conn));
    } else if (!watch(pg, status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE)) {
        lose(pg, "the socket cannot be watched");
    }
}

/* One PREPARE's answer, or the Sync behind all of them. */
static void take_prepared(tfd_pg_t *pg, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_PIPELINE_SYNC) {
        pg->state = TFD_PG_READY;
        pg->pause_ms = PAUSE_FIRST_MS;
        pg->is_up = true;
        uv_timer_stop(&pg->timer);
        tf_log(TF_LOG_INFO, "postgres_connected", "s:connection", pg->name, "i:server_version",
               (int64_t)PQserverVersion(pg->conn), NULL);
        if (pg->up) {
            pg->up(pg->data);
        }
    } else if (status == PGRES_COMMAND_OK && pg->prepared < pg->nstatements) {
        pg->prepared++;
    } else {
        /* most likely the schema is not there yet */
        if (pg->prepared < pg->nstatements) {
            log_failure(pg, pg->statements[pg->prepared], result);
        }
        lose(pg, "a statement cannot be prepared");
    }
    PQclear(result);
}

/* ---- answers ---- */

static tfd_pg_outcome_t judge(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return TFD_PG_OK;
    }
    if (state == NULL) {
        return TFD_PG_AGAIN;
    }
    /* Class 22: data, 23: constraint, 42: statement or rights, 54: limit exceeded. All else may pass: 25
     * read-only, 40 rolled back, 53 resources, 57 operator, 58 system. */
    if (!memcmp(state, "22", 2) || !memcmp(state, "23", 2) || !memcmp(state, "42", 2) ||
        !memcmp(state, "54", 2)) {
        return TFD_PG_BAD;
    }
    return TFD_PG_AGAIN;
}

/* The answer is the end of the session: said so by the server (FATAL, PANIC) or by libpq (no SQLSTATE), or a
 * plan no longer fits the schema (0A000), or the server does not know the statement any more (26000). Of the
 * first two nobody knows what became of the statement: its commit may have come before the end. */
static bool is_end(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    if (PQresultStatus(result) != PGRES_FATAL_ERROR) {
        return false;
    }
    return state == NULL || strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0 ||
           (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0));
}

/* The Sync of the oldest statement is back. The transaction commits there, not when its result is made: a
 * server that is killed in between has sent the result all the same. */
static void committed(tfd_pg_t *pg)
{
    tfd_pg_op_t op = pg->ops[pg->first_op];
    tfd_pg_outcome_t outcome;

    if (pg->op_count == 0 || pg->held == NULL) {
        lose(pg, "an answer to no question");
        return;
    }
    pg->answering = pg->held;
    pg->held = NULL;
    pg->first_op = (pg->first_op + 1) % TFD_PG_OPS_MAX;
    if (--pg->op_count) {
        uv_timer_start(&pg->timer, on_deadline, pg->answer_ms, 0);
    } else {
        uv_timer_stop(&pg->timer);
    }
    outcome = judge(pg->answering);
    if (outcome != TFD_PG_OK) {
        log_failure(pg, op.sql, pg->answering);
    }
    op.answer(op.data, outcome, outcome == TFD_PG_OK ? pg->answering : NULL);
    PQclear(pg->answering);
    pg->answering = NULL;
}

static void take(tfd_pg_t *pg, PGresult *result)
{
    if (is_end(result)) {
        lose(pg, message_of(result));
        PQclear(result);
    } else if (pg->state == TFD_PG_PREPARING) {
        take_prepared(pg, result);
    } else if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
        PQclear(result);
        committed(pg);
    } else {
        PQclear(pg->held);
        pg->held = result;
    }
}

/* false: this connection has been given up. */
static bool is_open(const tfd_pg_t *pg, const PGconn *conn)
{
    return pg->conn == conn && pg->state >= TFD_PG_PREPARING;
}

/* Takes what has arrived. false: the connection was given up. */
static bool take_all(tfd_pg_t *pg, PGconn *conn)
{
    PGnotify *notify;
    PGresult *result;

    while (!PQisBusy(conn)) {
        result = PQgetResult(conn);
        if (result == NULL) {
            /* the end of one statement; a second NULL in a row: nothing is left */
            result = PQisBusy(conn) ? NULL : PQgetResult(conn);
            if (result == NULL) {
                break;
            }
        }
        take(pg, result);
        if (!is_open(pg, conn)) {
            return false;
        }
    }
    while ((notify = PQnotifies(conn)) != NULL) {
        if (pg->notified) {
            pg->notified(pg->data, notify->relname);
        }
        PQfreemem(notify);
        if (!is_open(pg, conn)) {
            return false;
        }
    }
    return true;
}

/* Bytes that OpenSSL has taken from the socket already are not announced by the event loop. */
static bool has_more(PGconn *conn)
{
    SSL *ssl = PQsslInUse(conn) ? PQsslStruct(conn, "OpenSSL") : NULL;

    return ssl && SSL_pending(ssl) > 0;
}

/* false: the connection was given up. */
static bool read_answers(tfd_pg_t *pg)
{
    PGconn *conn = pg->conn;
    bool open;

    do {
        open = PQconsumeInput(conn) == 1;
        if (!take_all(pg, conn)) { /* what came before the end counts */
            return false;
        }
    } while (open && has_more(conn));
    if (!open || PQstatus(conn) == CONNECTION_BAD) {
        lose(pg, PQerrorMessage(conn));
        return false;
    }
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    tfd_pg_t *pg = poll->data;

    if (status < 0) {
        /* libuv has stopped watching; libpq finds out what is wrong when it touches the socket */
        pg->events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (pg->state == TFD_PG_CONNECTING) {
        go_on_connecting(pg);
        return;
    }
    if (events & UV_READABLE && !read_answers(pg)) {
        return;
    }
    if (events & UV_WRITABLE && pg->poll == poll) {
        flush(pg);
    }
}

/* ---- for the owner ---- */

bool tfd_pg_check_url(const char *url, char *error, size_t error_size)
{
    char *text = NULL;
    PQconninfoOption *list = PQconninfoParse(url, &text);

    /* libpq's text may quote the URL, and with it the password */
    if (list == NULL) {
        snprintf(error, error_size, "DATABASE_URL is not a valid PostgreSQL URL or connection string");
    }
    PQfreemem(text);
    PQconninfoFree(list);
    return list != NULL;
}

void tfd_pg_init(tfd_pg_t *pg)
{
    uv_timer_init(pg->loop, &pg->timer);
    pg->timer.data = pg;
    pg->state = TFD_PG_STOPPED;
}

void tfd_pg_start(tfd_pg_t *pg)
{
    if (pg->state == TFD_PG_STOPPED) {
        pg->pause_ms = PAUSE_FIRST_MS;
        connect_now(&pg->timer);
    }
}

void tfd_pg_stop(tfd_pg_t *pg)
{
    if (pg->state != TFD_PG_STOPPED) {
        pg->state = TFD_PG_STOPPED;
        uv_timer_stop(&pg->timer);
        disconnect(pg);
    }
}

void tfd_pg_close(tfd_pg_t *pg)
{
    tfd_pg_stop(pg);
    uv_close((uv_handle_t *)&pg->timer, NULL);
}

bool tfd_pg_send(tfd_pg_t *pg, const tf_sql_t *sql, const tfd_pg_params_t *params, tfd_pg_answer_fn answer,
                 void *data)
{
    static const tfd_pg_params_t none;
    static const int binary[TFD_PG_PARAMS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const tfd_pg_params_t *p = params ? params : &none;

    if (pg->state != TFD_PG_READY || pg->op_count == TFD_PG_OPS_MAX) {
        return false;
    }
    if (p->n != sql->nparams) {
        tf_log(TF_LOG_ERROR, "wrong_parameters", "s:statement", sql->name, "i:count", (int64_t)p->n, NULL);
        return false;
    }
    if (PQsendQueryPrepared(pg->conn, sql->name, p->n, p->values, p->lengths, binary, 1) != 1 ||
        PQpipelineSync(pg->conn) != 1) {
        lose_soon(pg);
        return false;
    }
    pg->ops[(pg->first_op + pg->op_count) % TFD_PG_OPS_MAX] = (tfd_pg_op_t){sql, answer, data};
    if (pg->op_count++ == 0) {
        uv_timer_start(&pg->timer, on_deadline, pg->answer_ms, 0);
    }
    flush(pg);
    return true;
}

PGresult *tfd_pg_keep(tfd_pg_t *pg)
{
    PGresult *result = pg->answering;

    pg->answering = NULL;
    return result;
}

bool tfd_pg_ready(const tfd_pg_t *pg)
{
    return pg->state == TFD_PG_READY;
}

bool tfd_pg_idle(const tfd_pg_t *pg)
{
    return pg->op_count == 0;
}

const char *tfd_pg_column(const void *row, int column, int *len)
{
    const tfd_pg_row_t *r = row;

    if (PQgetisnull(r->result, r->row, column)) {
        *len = 0;
        return NULL;
    }
    *len = PQgetlength(r->result, r->row, column);
    return PQgetvalue(r->result, r->row, column);
}
