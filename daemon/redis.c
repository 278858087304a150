/* redis.c: see redis.h. The link between hiredis and libuv is our own: the one that comes with hiredis 0.14
 * ignores the error status of a poll, so that a refused connection is never noticed, and writes with one
 * epoll_ctl and one write per command. Here commands gather until tfd_redis_flush. */
#include "redis.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "redis_keys.h"
#include "redis_tls.h"
#if TF_REDIS_TLS
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#endif

#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 2000
#define CONNECT_MS 5000
#define WATCH_MS 1000

typedef struct tfd_redis_link_s {
    uv_poll_t poll;
    tfd_redis_t *redis;
    redisAsyncContext *context; /* NULL once hiredis has let go */
    bool connected;
    bool want_read, want_write; /* what hiredis asked for */
    bool socket_full;           /* a write fell short: wait until the socket takes more */
    int events;
} link_t;

static void connect_now(uv_timer_t *timer);
static void on_poll(uv_poll_t *poll, int status, int events);

/* ---- hiredis's place on the event loop ---- */

static void link_watch(link_t *link)
{
    int events = link->want_read ? UV_READABLE : 0;

    if (link->want_write && (link->socket_full || !link->connected)) {
        events |= UV_WRITABLE;
    }
    if (events == link->events) {
        return;
    }
    link->events = events;
    if (events) {
        uv_poll_start(&link->poll, events, on_poll);
    } else {
        uv_poll_stop(&link->poll);
    }
}

static void link_add_read(void *data)
{
    link_t *link = data;

    link->want_read = true;
    link_watch(link);
}

static void link_del_read(void *data)
{
    link_t *link = data;

    link->want_read = false;
    link_watch(link);
}

static void link_add_write(void *data)
{
    link_t *link = data;

    link->want_write = true;
    link_watch(link);
}

static void link_del_write(void *data)
{
    link_t *link = data;

    link->want_write = link->socket_full = false;
    link_watch(link);
}

static void link_free(uv_handle_t *handle)
{
    free(handle->data);
}

/* hiredis is about to close the socket and free the context. */
static void link_cleanup(void *data)
{
    link_t *link = data;

    link->context = NULL;
    uv_poll_stop(&link->poll);
    uv_close((uv_handle_t *)&link->poll, link_free);
}

/* Writes what hiredis holds; a rest waits for the socket. */
static void link_write(link_t *link)
{
    link->socket_full = true; /* unless hiredis calls link_del_write because all of it went */
    redisAsyncHandleWrite(link->context);
    if (link->context) {
        link_watch(link);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    link_t *link = poll->data;

    if (status < 0) {
        /* libuv has stopped watching; hiredis finds the error when it touches the socket. */
        link->events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (link->context && (events & UV_READABLE)) {
        link->redis->silent_ms = 0;
        redisAsyncHandleRead(link->context);
        if (link->context && link->redis->url->tls && link->want_write && !link->socket_full) {
            link_write(link); /* what waited for the other side of a handshake */
        }
    }
    if (link->context && (events & UV_WRITABLE)) {
        link_write(link);
    }
    if (link->context && status < 0) {
        link_watch(link);
    }
}

static link_t *link_new(tfd_redis_t *redis, redisAsyncContext *context)
{
    link_t *link = calloc(1, sizeof(*link));

    if (link == NULL) {
        return NULL;
    }
    if (uv_poll_init(redis->loop, &link->poll, context->c.fd) != 0) {
        free(link);
        return NULL;
    }
    link->poll.data = link;
    link->redis = redis;
    link->context = context;
    context->ev.data = link;
    context->ev.addRead = link_add_read;
    context->ev.delRead = link_del_read;
    context->ev.addWrite = link_add_write;
    context->ev.delWrite = link_del_write;
    context->ev.cleanup = link_cleanup;
    return link;
}

/* ---- the connection ---- */

/* hiredis has freed the context, or is about to. */
static void lost(tfd_redis_t *redis, const char *why)
{
    int64_t left_out;

    if (tfd_log_allowed(&redis->log_connect, uv_now(redis->loop), &left_out)) {
        tf_log(TF_LOG_ERROR, redis->state == TFD_REDIS_READY ? "redis_lost" : "redis_connect_failed",
               "s:connection", redis->name, "s:host",
               redis->url->socket_path ? redis->url->socket_path : redis->url->host, "s:error", why,
               "i:left_out", left_out, NULL);
    }
    redis->context = NULL;
    redis->link = NULL;
    redis->state = TFD_REDIS_WAITING;
    uv_timer_start(&redis->timer, connect_now, redis->pause_ms, 0);
    redis->pause_ms = redis->pause_ms * 2 < PAUSE_MAX_MS ? redis->pause_ms * 2 : PAUSE_MAX_MS;
}

/* Gives the connection up. Only from timers and replies; hiredis allows both. */
static void drop(tfd_redis_t *redis, const char *why)
{
    redisAsyncContext *context = redis->context;

    lost(redis, why);
    if (context) {
        redisAsyncFree(context);
    }
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    tfd_redis_t *redis = context->data;

    if (context == redis->context) {
        lost(redis, status == REDIS_OK ? "closed" : context->errstr);
    }
}

static void on_watch(uv_timer_t *timer)
{
    tfd_redis_t *redis = timer->data;
    bool is_ready = redis->state == TFD_REDIS_READY;

    /* Counted, not measured: when this process itself was stopped for a while, the answers are there by now
     * and only wait to be read. */
    redis->silent_ms = is_ready && tfd_redis_idle(redis) ? 0 : redis->silent_ms + WATCH_MS;
    if (redis->silent_ms > (is_ready ? redis->answer_ms : CONNECT_MS)) {
        drop(redis, "no answer in time");
    }
}

/* A reply that the connection cannot do without. */
static bool is_refused(tfd_redis_t *redis, redisAsyncContext *context, const redisReply *reply)
{
    if (reply == NULL || context != redis->context) {
        return true; /* it is lost, or an earlier reply gave it up */
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        drop(redis, reply->str);
        return true;
    }
    return false;
}

static void on_greeting(redisAsyncContext *context, void *reply, void *data)
{
    is_refused(data, context, reply);
}

/* The version of the library that is there by now. */
static void on_ready(redisAsyncContext *context, void *answer, void *data)
{
    tfd_redis_t *redis = data;
    redisReply *reply = answer;

    if (is_refused(redis, context, reply)) {
        return;
    }
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < TF_REDIS_LIBRARY_VERSION) {
        drop(redis, "the file in TASKFORGE_REDIS_LIBRARY is older than this program");
        return;
    }
    redis->state = TFD_REDIS_READY;
    redis->pause_ms = PAUSE_FIRST_MS;
    tf_log(TF_LOG_INFO, "redis_connected", "s:connection", redis->name, "i:library_version",
           (int64_t)reply->integer, NULL);
    if (redis->up) {
        redis->up(redis->data);
    }
}

static bool is_missing(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "unction not found");
}

static void on_version(redisAsyncContext *context, void *answer, void *data)
{
    tfd_redis_t *redis = data;
    redisReply *reply = answer;

    if (reply && context == redis->context &&
        (is_missing(reply) ||
         (reply->type == REDIS_REPLY_INTEGER && reply->integer < TF_REDIS_LIBRARY_VERSION))) {
        tf_log(TF_LOG_INFO, "redis_library_load", "i:version", (int64_t)TF_REDIS_LIBRARY_VERSION, NULL);
        redisAsyncCommand(context, on_greeting, redis, "FUNCTION LOAD REPLACE %b", redis->library->data,
                          redis->library->len);
        redisAsyncCommand(context, on_ready, redis, "FCALL tf_version 0");
        return;
    }
    on_ready(context, answer, data);
}

static void greet(tfd_redis_t *redis)
{
    redisAsyncContext *context = redis->context;
    const tf_redis_url_t *url = redis->url;

    if (url->password && url->user) {
        redisAsyncCommand(context, on_greeting, redis, "AUTH %s %s", url->user, url->password);
    } else if (url->password) {
        redisAsyncCommand(context, on_greeting, redis, "AUTH %s", url->password);
    }
    if (url->db) {
        redisAsyncCommand(context, on_greeting, redis, "SELECT %d", url->db);
    }
    redisAsyncCommand(context, on_greeting, redis, "CLIENT SETNAME %s", redis->application);
    redisAsyncCommand(context, on_version, redis, "FCALL tf_version 0");
}

static void on_connect(const redisAsyncContext *context, int status)
{
    tfd_redis_t *redis = context->data;

    if (context != redis->context) {
        return;
    }
    if (status != REDIS_OK) {
        lost(redis, context->errstr); /* hiredis frees it */
        return;
    }
    redis->link->connected = true;
    greet(redis);
}

/* hiredis begins the handshake with the first bytes. */
static bool secure(redisAsyncContext *context, const tf_redis_url_t *url)
{
#if TF_REDIS_TLS
    SSL *ssl = url->tls ? tf_redis_tls_session(url->tls_context, url->host) : NULL;

    if (url->tls && (ssl == NULL || redisInitiateSSL(&context->c, ssl) != REDIS_OK)) {
        SSL_free(ssl);
        return false;
    }
#endif
    return true;
}

static void connect_now(uv_timer_t *timer)
{
    tfd_redis_t *redis = timer->data;
    const tf_redis_url_t *url = redis->url;
    redisAsyncContext *context =
        url->socket_path ? redisAsyncConnectUnix(url->socket_path) : redisAsyncConnect(url->host, url->port);

    redis->state = TFD_REDIS_CONNECTING;
    redis->context = context;
    redis->link = context && !context->err && secure(context, url) ? link_new(redis, context) : NULL;
    if (redis->link == NULL) {
        drop(redis, context && context->err ? context->errstr : "out of memory");
        return;
    }
    fcntl(context->c.fd, F_SETFD, FD_CLOEXEC);
    if (!url->socket_path) {
        /* on a Unix socket hiredis takes the refusal of TCP options as an error of the connection */
        redisEnableKeepAlive(&context->c);
    }
    context->data = redis;
    redis->silent_ms = 0;
    uv_timer_start(&redis->timer, on_watch, WATCH_MS, WATCH_MS);
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
}

static void on_library_lost(uv_timer_t *timer)
{
    drop(timer->data, "the function library has disappeared");
}

/* ---- for the owner ---- */

void tfd_redis_init(tfd_redis_t *redis)
{
    uv_timer_init(redis->loop, &redis->timer);
    redis->timer.data = redis;
    redis->state = TFD_REDIS_STOPPED;
}

void tfd_redis_start(tfd_redis_t *redis)
{
    if (redis->state == TFD_REDIS_STOPPED) {
        redis->pause_ms = PAUSE_FIRST_MS;
        connect_now(&redis->timer);
    }
}

void tfd_redis_stop(tfd_redis_t *redis)
{
    redisAsyncContext *context = redis->context;

    redis->state = TFD_REDIS_STOPPED;
    redis->context = NULL;
    redis->link = NULL;
    uv_timer_stop(&redis->timer);
    if (context) {
        redisAsyncFree(context);
    }
}

void tfd_redis_close(tfd_redis_t *redis)
{
    tfd_redis_stop(redis);
    uv_close((uv_handle_t *)&redis->timer, NULL);
}

bool tfd_redis_send(tfd_redis_t *redis, redisCallbackFn *fn, void *data, int argc, const char **argv,
                    const size_t *lengths)
{
    return redis->state == TFD_REDIS_READY &&
           redisAsyncCommandArgv(redis->context, fn, data, argc, argv, lengths) == REDIS_OK;
}

void tfd_redis_flush(tfd_redis_t *redis)
{
    link_t *link = redis->link;

    if (link && link->connected && link->want_write && !link->socket_full) {
        link_write(link);
    }
}

bool tfd_redis_failed(tfd_redis_t *redis, const char *command, const redisReply *reply)
{
    int64_t left_out;

    if (reply && reply->type != REDIS_REPLY_ERROR) {
        return false;
    }
    if (reply && tfd_log_allowed(&redis->log_error, uv_now(redis->loop), &left_out)) {
        tf_log(TF_LOG_ERROR, "redis_error", "s:connection", redis->name, "s:command", command, "s:error",
               reply->str, "i:left_out", left_out, NULL);
    }
    if (reply && is_missing(reply) && redis->state == TFD_REDIS_READY) {
        uv_timer_start(&redis->timer, on_library_lost, 0, 0);
    }
    return true;
}

bool tfd_redis_ready(const tfd_redis_t *redis)
{
    return redis->state == TFD_REDIS_READY;
}

bool tfd_redis_idle(const tfd_redis_t *redis)
{
    return redis->context == NULL || redis->context->replies.head == NULL;
}
