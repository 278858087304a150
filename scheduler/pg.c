#include "pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"

#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 2000
#define CONNECT_MS 5000

struct tfs_pg_request_s {
    tfs_pg_request_t *next;
    const tf_sql_t *sql;
    tfs_pg_result_fn done;
    void *data;
    int count;
    Oid types[TFS_PG_ARGS_MAX];
    const char *values[TFS_PG_ARGS_MAX];
    int lengths[TFS_PG_ARGS_MAX];
    char bytes[]; /* the values */
};

static void connect_now(uv_timer_t *timer);
static void on_socket(uv_poll_t *poll, int status, int events);
static void send_next(tfs_pg_t *pg);

static void log_trouble(tfs_pg_t *pg, tfs_log_limit_t *limit, const char *event, const char *sqlstate,
                        const char *text)
{
    int64_t left_out;
    char line[512];
    size_t len = strcspn(text, "\n");

    if (tfs_log_allowed(limit, uv_now(pg->loop), &left_out)) {
        snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1), text);
        tf_log(TF_LOG_ERROR, event, "s:connection", pg->name, "s:sqlstate", sqlstate, "s:error", line,
               "i:left_out", left_out, NULL);
    }
}

/* libpq would print what the server says on standard error, between the lines of the log. Errors come with
 * their results; what remains is said to nobody in particular. */
static void on_notice(void *data, const PGresult *notice)
{
    tfs_pg_t *pg = data;
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);

    tf_log(TF_LOG_DEBUG, "postgres_notice", "s:connection", pg->name, "s:text", text, NULL);
}

static void poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/* libpq may close its socket and open another with the same number whenever it is called while connecting, so
 * the handle never outlives such a call. */
static void unwatch(tfs_pg_t *pg)
{
    if (pg->poll) {
        uv_poll_stop(pg->poll);
        uv_close((uv_handle_t *)pg->poll, poll_closed);
        pg->poll = NULL;
        pg->events = 0;
    }
}

static bool watch(tfs_pg_t *pg, int events)
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
        pg->events = 0;
    }
    if (pg->events == events) {
        return true;
    }
    pg->events = events;
    return uv_poll_start(pg->poll, events, on_socket) == 0;
}

/* Drops the connection; the requests get to know. The state must have been set to what comes next. */
static void disconnect(tfs_pg_t *pg, bool was_up)
{
    tfs_pg_request_t *request;

    uv_timer_stop(&pg->timer);
    unwatch(pg);
    PQclear(pg->result);
    pg->result = NULL;
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->busy = pg->preparing = pg->failed = pg->broken = false;
    pg->prepared_count = 0;
    while ((request = pg->head) != NULL) {
        pg->head = request->next;
        request->done(request->data, NULL);
        free(request);
    }
    pg->tail = NULL;
    pg->queued = 0;
    if (was_up) {
        pg->down(pg->data);
    }
}

static void lose(tfs_pg_t *pg, const char *why)
{
    bool was_up = pg->state == TFS_PG_READY;

    log_trouble(pg, &pg->log_connect, was_up ? "postgres_lost" : "postgres_connect_failed", NULL, why);
    pg->state = TFS_PG_WAITING;
    disconnect(pg, was_up);
    if (pg->state == TFS_PG_WAITING) { /* down() may have stopped us */
        uv_timer_start(&pg->timer, connect_now, pg->pause_ms, 0);
        pg->pause_ms = pg->pause_ms * 2 < PAUSE_MAX_MS ? pg->pause_ms * 2 : PAUSE_MAX_MS;
    }
}

static void on_deadline(uv_timer_t *timer)
{
    tfs_pg_t *pg = timer->data;

    if (pg->broken) {
        lose(pg, PQerrorMessage(pg->conn));
    } else {
        lose(pg, pg->state == TFS_PG_CONNECTING ? "no connection in time" : "no answer in time");
    }
}

/* Sending failed. The requests hear of it from the event loop, never from inside tfs_pg_query. */
static void lose_soon(tfs_pg_t *pg)
{
    pg->broken = true;
    uv_timer_start(&pg->timer, on_deadline, 0, 0);
}

/* The URL's own options, then ours. */
static bool merged_options(const char *url, const char *ours, tf_buf_t *out)
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
    tfs_pg_t *pg = timer->data;
    tf_buf_t options = TF_BUF_INIT;

    pg->state = TFS_PG_CONNECTING;
    if (merged_options(pg->url, pg->options, &options)) {
        /* Before dbname: defaults that the URL may override. A peer that is gone without a word is noticed in
         * seconds. */
        const char *const keywords[] = {"fallback_application_name",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "dbname",
                                        "options",
                                        NULL};
        const char *const values[] = {"taskforge-scheduler", "3", "1", "3", "5000", pg->url,
                                      options.data,          NULL};

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

static void go_on_connecting(tfs_pg_t *pg)
{
    int want;

    unwatch(pg);
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        want = UV_READABLE;
        break;
    case PGRES_POLLING_WRITING:
        want = UV_WRITABLE;
        break;
    case PGRES_POLLING_OK:
        want = UV_READABLE;
        pg->state = TFS_PG_READY;
        break;
    default:
        lose(pg, PQerrorMessage(pg->conn));
        return;
    }
    if (!watch(pg, want)) {
        lose(pg, "the socket cannot be watched");
        return;
    }
    if (pg->state == TFS_PG_READY) {
        uv_timer_stop(&pg->timer);
        PQsetnonblocking(pg->conn, 1);
        pg->pause_ms = PAUSE_FIRST_MS;
        pg->up(pg->data);
        send_next(pg);
    }
}

static bool is_prepared(const tfs_pg_t *pg, const tf_sql_t *sql)
{
    for (int i = 0; i < pg->prepared_count; i++) {
        if (pg->prepared[i] == sql) {
            return true;
        }
    }
    return false;
}

static void flush(tfs_pg_t *pg)
{
    int left = PQflush(pg->conn);

    if (left < 0 || !watch(pg, left ? UV_READABLE | UV_WRITABLE : UV_READABLE)) {
        lose_soon(pg);
    }
}

static void send_next(tfs_pg_t *pg)
{
    static const int binary[TFS_PG_ARGS_MAX] = {1, 1, 1, 1, 1, 1};
    tfs_pg_request_t *r = pg->head;
    int sent;

    if (pg->state != TFS_PG_READY || pg->busy || r == NULL) {
        return;
    }
    pg->busy = true;
    pg->preparing = !is_prepared(pg, r->sql);
    if (pg->preparing) {
        sent = PQsendPrepare(pg->conn, r->sql->name, r->sql->text, r->count, r->types);
    } else {
        sent = PQsendQueryPrepared(pg->conn, r->sql->name, r->count, r->values, r->lengths, binary, 1);
    }
    if (!sent) {
        lose_soon(pg);
        return;
    }
    uv_timer_start(&pg->timer, on_deadline, pg->answer_ms, 0);
    flush(pg);
}

/* The answer to what was sent is complete. */
static void finish_one(tfs_pg_t *pg)
{
    tfs_pg_request_t *r = pg->head;
    PGresult *result = pg->result;
    bool failed = pg->failed;

    uv_timer_stop(&pg->timer);
    pg->busy = pg->failed = false;
    pg->result = NULL;
    if (pg->preparing && !failed) {
        PQclear(result);
        if (pg->prepared_count == TFS_PG_PREPARED_MAX) {
            lose(pg, "too many different statements");
            return;
        }
        pg->prepared[pg->prepared_count++] = r->sql;
        send_next(pg);
        return;
    }
    pg->head = r->next;
    if (pg->head == NULL) {
        pg->tail = NULL;
    }
    pg->queued--;
    r->done(r->data, failed ? NULL : result);
    PQclear(result);
    free(r);
    send_next(pg);
}

static void take_result(tfs_pg_t *pg, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

        pg->failed = true;
        log_trouble(pg, &pg->log_error, "statement_failed", PQresultErrorField(result, PG_DIAG_SQLSTATE),
                    text ? text : PQresultErrorMessage(result));
    }
    PQclear(pg->result);
    pg->result = result;
}

/* A plan that no longer fits the schema, or a statement that the server does not know any more: only a new
 * session helps. */
static bool is_stale(const PGresult *result)
{
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

    return sqlstate && (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0);
}

static void read_answers(tfs_pg_t *pg)
{
    PGconn *conn = pg->conn;
    PGnotify *notify;

    if (!PQconsumeInput(conn)) {
        lose(pg, PQerrorMessage(conn));
        return;
    }
    while ((notify = PQnotifies(conn)) != NULL) {
        if (pg->notified) {
            pg->notified(pg->data, notify->relname);
        }
        PQfreemem(notify);
        if (pg->conn != conn) {
            return;
        }
    }
    while (pg->conn == conn && pg->busy && !PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);

        if (result) {
            take_result(pg, result);
        } else if (pg->failed && is_stale(pg->result)) {
            lose(pg, "the session is stale");
        } else {
            finish_one(pg);
        }
    }
    if (pg->conn == conn && PQstatus(conn) == CONNECTION_BAD) {
        lose(pg, PQerrorMessage(conn));
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    tfs_pg_t *pg = poll->data;

    if (pg->state == TFS_PG_CONNECTING) {
        go_on_connecting(pg);
        return;
    }
    /* an error status: libpq finds out which when it reads */
    if (status < 0 || events & UV_READABLE) {
        read_answers(pg);
    }
    if (status == 0 && events & UV_WRITABLE && pg->poll == poll) {
        flush(pg);
    }
}

bool tfs_pg_check_url(const char *url, char *error, size_t error_size)
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

void tfs_pg_init(tfs_pg_t *pg)
{
    uv_timer_init(pg->loop, &pg->timer);
    pg->timer.data = pg;
    pg->state = TFS_PG_STOPPED;
}

void tfs_pg_start(tfs_pg_t *pg)
{
    if (pg->state == TFS_PG_STOPPED) {
        pg->pause_ms = PAUSE_FIRST_MS;
        connect_now(&pg->timer);
    }
}

void tfs_pg_stop(tfs_pg_t *pg)
{
    bool was_up = pg->state == TFS_PG_READY;

    if (pg->state != TFS_PG_STOPPED) {
        pg->state = TFS_PG_STOPPED;
        disconnect(pg, was_up);
    }
}

void tfs_pg_close(tfs_pg_t *pg)
{
    uv_close((uv_handle_t *)&pg->timer, NULL);
}

bool tfs_pg_query(tfs_pg_t *pg, const tf_sql_t *sql, const tfs_pg_args_t *args, tfs_pg_result_fn done,
                  void *data)
{
    int count = args ? args->count : 0;
    size_t size = 0;
    tfs_pg_request_t *r;
    char *p;

    if (pg->state != TFS_PG_READY || pg->queued == TFS_PG_QUEUE_MAX) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        size += args->lengths[i];
    }
    r = calloc(1, sizeof(*r) + size);
    if (r == NULL) {
        return false;
    }
    r->sql = sql;
    r->done = done;
    r->data = data;
    r->count = count;
    p = r->bytes;
    for (int i = 0; i < count; i++) {
        memcpy(p, args->bytes[i] ? args->bytes[i] : args->small[i], args->lengths[i]);
        r->types[i] = args->types[i];
        r->values[i] = p;
        r->lengths[i] = (int)args->lengths[i];
        p += args->lengths[i];
    }
    if (pg->tail) {
        pg->tail->next = r;
    } else {
        pg->head = r;
    }
    pg->tail = r;
    pg->queued++;
    send_next(pg);
    return true;
}

bool tfs_pg_idle(const tfs_pg_t *pg)
{
    return pg->head == NULL;
}

const char *tfs_pg_column(const void *row, int column, int *len)
{
    const tfs_pg_row_t *r = row;

    if (PQgetisnull(r->result, r->row, column)) {
        *len = 0;
        return NULL;
    }
    *len = PQgetlength(r->result, r->row, column);
    return PQgetvalue(r->result, r->row, column);
}
