#include "direct.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_keys.h"
#include "redis_tls.h"
#if TF_REDIS_TLS
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#endif
#include "uuid.h"

#define REDIS_TIMEOUT_SECONDS 2

/* The server notices within seconds when the executor is killed in the middle of a long statement. */
#define OPTIONS TF_PG_OPTIONS " -c client_connection_check_interval=2000"

/* ---- PostgreSQL ---- */

static bool fail(tfw_direct_t *d, const char *what)
{
    const char *message = PQerrorMessage(d->conn);

    tfw_run_error(d->run, "%s: %.*s", what, (int)strcspn(message, "\n"), message);
    return false;
}

/* The URL's own options, then ours. */
static bool merge_options(const char *url, tf_buf_t *out)
{
    PQconninfoOption *list = PQconninfoParse(url, NULL);

    for (PQconninfoOption *o = list; o && o->keyword; o++) {
        if (strcmp(o->keyword, "options") == 0 && o->val) {
            tf_buf_addf(out, "%s ", o->val);
        }
    }
    PQconninfoFree(list);
    tf_buf_adds(out, OPTIONS);
    tf_buf_cstr(out);
    return !out->failed;
}

bool tfw_direct_open(tfw_direct_t *d, tfw_run_t *run)
{
    static const char *const keywords[] = {"fallback_application_name",
                                           "connect_timeout",
                                           "tcp_user_timeout",
                                           "dbname",
                                           "options",
                                           "client_encoding",
                                           NULL};
    const char *url = tfw_run_database_url(run);
    tf_buf_t options = TF_BUF_INIT;
    bool merged = merge_options(url, &options);
    const char *const values[] = {"taskforge-executor", "10", "10000", url, options.data, "UTF8", NULL};

    memset(d, 0, sizeof(*d));
    d->run = run;
    if (!merged) {
        tfw_run_error(run, "out of memory");
    } else {
        d->conn = PQconnectdbParams(keywords, values, 1);
        merged = PQstatus(d->conn) == CONNECTION_OK || fail(d, "PostgreSQL");
    }
    tf_buf_free(&options);
    if (!merged) {
        PQfinish(d->conn);
        return false;
    }
    return true;
}

void tfw_direct_close(tfw_direct_t *d)
{
    PQfinish(d->conn);
    if (d->redis) {
        redisFree(d->redis);
    }
    tf_buf_free(&d->events);
}

bool tfw_direct_prepare(tfw_direct_t *d, const tf_sql_t *sql)
{
    PGresult *result = PQprepare(d->conn, sql->name, sql->text, 0, NULL);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;

    PQclear(result);
    return ok || fail(d, sql->name);
}

PGresult *tfw_direct_run(tfw_direct_t *d, const tf_sql_t *sql, const char *const *values, const int *lengths)
{
    int formats[TFD_PG_PARAMS_MAX];
    PGresult *result;

    for (int i = 0; i < TFD_PG_PARAMS_MAX; i++) {
        formats[i] = 1;
    }
    result = PQexecPrepared(d->conn, sql->name, sql->nparams, values, lengths, formats, 1);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail(d, sql->name);
        PQclear(result);
        return NULL;
    }
    return result;
}

/* ---- Redis ---- */

static void lose_redis(tfw_direct_t *d)
{
    if (d->redis) {
        redisFree(d->redis);
        d->redis = NULL;
    }
    d->owed = 0;
}

/* One command whose answer must be a status. */
static bool greet(redisContext *redis, int argc, const char **argv)
{
    redisReply *reply = redisCommandArgv(redis, argc, argv, NULL);
    bool ok = reply && reply->type == REDIS_REPLY_STATUS;

    freeReplyObject(reply);
    return ok;
}

/* The whole handshake. */
static bool secure(redisContext *redis, const tf_redis_url_t *url)
{
#if TF_REDIS_TLS
    SSL *ssl = url->tls ? tf_redis_tls_session(url->tls_context, url->host) : NULL;

    if (url->tls && (ssl == NULL || redisInitiateSSL(redis, ssl) != REDIS_OK)) {
        SSL_free(ssl);
        return false;
    }
#endif
    return true;
}

static bool log_in(redisContext *redis, const tf_redis_url_t *url)
{
    const char *auth[3] = {"AUTH", url->user ? url->user : url->password, url->password};
    char db[16];
    const char *select[2] = {"SELECT", db};

    snprintf(db, sizeof(db), "%d", url->db);
    return redisSetTimeout(redis, (struct timeval){REDIS_TIMEOUT_SECONDS, 0}) == REDIS_OK &&
           secure(redis, url) && (!url->password || greet(redis, url->user ? 3 : 2, auth)) &&
           (url->db == 0 || greet(redis, 2, select));
}

static bool find_redis(tfw_direct_t *d)
{
    const tf_redis_url_t *url = tfw_run_redis_url(d->run);
    struct timeval timeout = {REDIS_TIMEOUT_SECONDS, 0};

    if (!d->redis) {
        d->redis = url->socket_path ? redisConnectUnixWithTimeout(url->socket_path, timeout)
                                    : redisConnectWithTimeout(url->host, url->port, timeout);
        if (d->redis && (d->redis->err || !log_in(d->redis, url))) {
            lose_redis(d);
        }
    }
    return d->redis != NULL;
}

static void send_command(tfw_direct_t *d, int argc, const char **argv, const size_t *lengths)
{
    if (d->redis && redisAppendCommandArgv(d->redis, argc, argv, lengths) == REDIS_OK) {
        d->owed++;
    }
}

static void send_events(tfw_direct_t *d)
{
    const char *argv[] = {"XADD", TF_REDIS_EVENTS, "MAXLEN", "~", TF_REDIS_EVENTS_MAXLEN_TEXT, "*",
                          "e",    d->events.data};
    size_t lengths[8];

    if (d->nevents && !d->events.failed) {
        for (int i = 0; i < 7; i++) {
            lengths[i] = strlen(argv[i]);
        }
        lengths[7] = d->events.len;
        send_command(d, 8, argv, lengths);
    }
    tf_buf_reset(&d->events);
    d->nevents = 0;
}

void tfw_direct_announce(tfw_direct_t *d, const tf_job_t *job)
{
    char key[96], id[TF_UUID_TEXT_LEN];
    const char *argv[] = {"XADD", key, "*", TF_REDIS_JOB_FIELD, id};
    size_t lengths[] = {4, 0, 1, sizeof(TF_REDIS_JOB_FIELD) - 1, sizeof(id)};

    if (!find_redis(d)) {
        return;
    }
    if (job->status == TF_QUEUED) {
        lengths[1] = tf_redis_level_key(key, sizeof(key), job->queue.data, job->queue.len, job->priority);
        tf_uuid_format(job->id, id);
        send_command(d, 5, argv, lengths);
    }
    if (d->nevents++) {
        tf_buf_addc(&d->events, '\n');
    }
    tf_job_write_event(&d->events, job, tf_status_event(job->status), job->updated_at);
    if (d->nevents == TF_REDIS_EVENTS_PER_ENTRY) {
        send_events(d);
    }
}

void tfw_direct_order(tfw_direct_t *d, int64_t incarnation)
{
    char text[24];
    const char *argv[] = {"XADD", TF_REDIS_CTL,       "MAXLEN", "~", TF_REDIS_CTL_MAXLEN_TEXT,
                          "*",    TF_REDIS_CTL_FIELD, text};

    if (find_redis(d)) {
        snprintf(text, sizeof(text), "%" PRId64, incarnation);
        if (redisAppendCommandArgv(d->redis, 8, argv, NULL) == REDIS_OK) {
            d->owed++;
        }
    }
}

void tfw_direct_flush(tfw_direct_t *d)
{
    send_events(d);
    while (d->owed > 0) {
        void *reply = NULL;

        if (redisGetReply(d->redis, &reply) != REDIS_OK) {
            tfw_run_log(d->run, "warning", "Redis: %s", d->redis->errstr);
            lose_redis(d);
            return;
        }
        freeReplyObject(reply);
        d->owed--;
    }
}
