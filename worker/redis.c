/* redis.c: see redis.h. The link between hiredis and libuv is our own: the one that comes with hiredis 0.14
 * ignores the error status of a poll, so that a refused connection is never noticed, and writes with one
 * epoll_ctl and one write per command. Here commands gather until tfw_redis_flush. */
#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "redis_keys.h"

#define CONNECT_LIMIT_MS 5000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000
#define LIBRARY_MAX_BYTES (1 << 20)

typedef struct tfw_redis_link_s {
    uv_poll_t poll;
    redisAsyncContext *context; /* NULL once hiredis has let go */
    bool connected;
    bool want_read, want_write; /* what hiredis asked for */
    bool socket_full;           /* a write fell short: wait until the socket takes more */
    int events;
} link_t;

static void connect_begin(tfw_redis_t *redis);
static void on_poll(uv_poll_t *poll, int status, int events);

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
    if (link->context->c.flags & REDIS_IN_CALLBACK) {
        link_watch(link); /* hiredis 1.2 does not write from inside a callback: the loop will */
        return;
    }
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
        redisAsyncHandleRead(link->context);
    }
    if (link->context && (events & UV_WRITABLE)) {
        link_write(link);
    }
    if (link->context && status < 0) {
        link_watch(link);
    }
}

static link_t *link_new(redisAsyncContext *context, uv_loop_t *loop)
{
    link_t *link = calloc(1, sizeof(*link));

    if (!link) {
        return NULL;
    }
    if (uv_poll_init(loop, &link->poll, context->c.fd) != 0) {
        free(link);
        return NULL;
    }
    link->poll.data = link;
    link->context = context;
    context->ev.data = link;
    context->ev.addRead = link_add_read;
    context->ev.delRead = link_del_read;
    context->ev.addWrite = link_add_write;
    context->ev.delWrite = link_del_write;
    context->ev.cleanup = link_cleanup;
    return link;
}

bool tfw_redis_ready(const tfw_redis_t *redis)
{
    return redis->state == TFW_REDIS_READY;
}

bool tfw_redis_failed(const tfw_redis_t *redis, const char *event, const redisReply *reply)
{
    if (reply && reply->type != REDIS_REPLY_ERROR) {
        return false;
    }
    if (reply) {
        tf_log(TF_LOG_ERROR, event, "s:connection", redis->name, "s:message", reply->str, NULL);
    }
    return true;
}

static void on_retry(uv_timer_t *timer)
{
    connect_begin(timer->data);
}

/* The context is gone or about to be freed by hiredis. */
static void lost(tfw_redis_t *redis, const char *why)
{
    redis->context = NULL;
    redis->link = NULL;
    if (redis->state == TFW_REDIS_CLOSED) {
        return;
    }
    redis->state = TFW_REDIS_DOWN;
    if (!redis->failure_logged) {
        tf_log(TF_LOG_WARNING, "redis_away", "s:connection", redis->name, "s:reason",
               why && *why ? why : "closed", NULL);
        redis->failure_logged = true;
    }
    uv_timer_start(&redis->timer, on_retry, (uint64_t)redis->backoff_ms, 0);
    redis->backoff_ms = redis->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : redis->backoff_ms * 2;
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    tfw_redis_t *redis = context->data;

    if (redis->context == context) {
        lost(redis, status == REDIS_OK ? NULL : context->errstr);
    }
}

/* Gives the connection up. Only from timers and replies; hiredis allows both. */
static void give_up(tfw_redis_t *redis, const char *why)
{
    redisAsyncContext *context = redis->context;

    lost(redis, why);
    if (context) {
        redisAsyncFree(context);
    }
}

static void ready(tfw_redis_t *redis)
{
    redis->state = TFW_REDIS_READY;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    redis->failure_logged = false;
    uv_timer_stop(&redis->timer);
    tf_log(TF_LOG_INFO, "redis_connected", "s:connection", redis->name, NULL);
    redis->on_ready(redis->data);
}

/* A reply that the connection cannot do without. */
static bool refused(tfw_redis_t *redis, redisAsyncContext *context, const redisReply *reply)
{
    if (redis->context != context) {
        return true; /* an earlier reply gave it up */
    }
    if (!reply) {
        return true;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        give_up(redis, reply->str);
        return true;
    }
    return false;
}

static void on_greeting(redisAsyncContext *context, void *reply, void *data)
{
    refused(data, context, reply);
}

static void on_loaded(redisAsyncContext *context, void *reply, void *data)
{
    tfw_redis_t *redis = data;

    if (!refused(redis, context, reply)) {
        tf_log(TF_LOG_INFO, "redis_library_loaded", "i:version", (int64_t)TF_REDIS_LIBRARY_VERSION, NULL);
        ready(redis);
    }
}

/* The library's text, or NULL with errno. A small local file, read only when Redis has lost it. */
static char *read_library(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd < 0 ? NULL : malloc(LIBRARY_MAX_BYTES);
    ssize_t n = 0;

    *len = 0;
    while (text && *len < LIBRARY_MAX_BYTES && (n = read(fd, text + *len, LIBRARY_MAX_BYTES - *len)) > 0) {
        *len += (size_t)n;
    }
    if (text && (n < 0 || *len == 0)) {
        free(text);
        text = NULL;
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

static void on_version(redisAsyncContext *context, void *answer, void *data)
{
    tfw_redis_t *redis = data;
    redisReply *reply = answer;
    char *text;
    size_t len;

    if (redis->context != context || !reply) {
        return;
    }
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= TF_REDIS_LIBRARY_VERSION) {
        ready(redis);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR && !strstr(reply->str, "unction not found")) {
        give_up(redis, reply->str); /* NOAUTH, LOADING, no such command ... */
        return;
    }
    text = read_library(redis->library_path, &len);
    if (!text) {
        tf_log(TF_LOG_ERROR, "redis_library_unreadable", "s:path", redis->library_path, "s:reason",
               strerror(errno), NULL);
        give_up(redis, "the function library cannot be read");
        return;
    }
    redisAsyncCommand(context, on_loaded, redis, "FUNCTION LOAD REPLACE %b", text, len);
    free(text);
    tfw_redis_flush(redis);
}

static void greet(tfw_redis_t *redis)
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
    redisAsyncCommand(context, on_greeting, redis, "CLIENT SETNAME taskforge-worker");
    redisAsyncCommand(context, on_version, redis, "FCALL tf_version 0");
    tfw_redis_flush(redis);
}

static void on_connect(const redisAsyncContext *context, int status)
{
    tfw_redis_t *redis = context->data;

    if (redis->context != context) {
        return;
    }
    if (status != REDIS_OK) {
        lost(redis, context->errstr); /* hiredis frees it */
        return;
    }
    redis->link->connected = true;
    greet(redis);
}

static void on_connect_limit(uv_timer_t *timer)
{
    give_up(timer->data, "no answer within 5 s");
}

static void connect_begin(tfw_redis_t *redis)
{
    const tf_redis_url_t *url = redis->url;
    redisAsyncContext *context =
        url->socket_path ? redisAsyncConnectUnix(url->socket_path) : redisAsyncConnect(url->host, url->port);
    char why[160];

    if (!context || context->err) {
        snprintf(why, sizeof(why), "%s", context ? context->errstr : "out of memory");
        if (context) {
            redisAsyncFree(context);
        }
        lost(redis, why);
        return;
    }
    redis->link = link_new(context, redis->loop);
    if (!redis->link) {
        redisAsyncFree(context);
        lost(redis, "cannot watch the socket");
        return;
    }
    fcntl(context->c.fd, F_SETFD, FD_CLOEXEC);
    if (!url->socket_path) {
        redisEnableKeepAlive(&context->c);
    }
    redis->context = context;
    redis->state = TFW_REDIS_CONNECTING;
    context->data = redis;
    uv_timer_start(&redis->timer, on_connect_limit, CONNECT_LIMIT_MS, 0);
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
}

void tfw_redis_start(tfw_redis_t *redis, uv_loop_t *loop, const char *name, const tf_redis_url_t *url,
                     const char *library_path, void (*on_ready)(void *data), void *data)
{
    memset(redis, 0, sizeof(*redis));
    redis->loop = loop;
    redis->name = name;
    redis->url = url;
    redis->library_path = library_path;
    redis->on_ready = on_ready;
    redis->data = data;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    uv_timer_init(loop, &redis->timer);
    redis->timer.data = redis;
    connect_begin(redis);
}

bool tfw_redis_send(tfw_redis_t *redis, redisCallbackFn *fn, void *data, int argc, const char **argv,
                    const size_t *lengths)
{
    return redis->state == TFW_REDIS_READY &&
           redisAsyncCommandArgv(redis->context, fn, data, argc, argv, lengths) == REDIS_OK;
}

void tfw_redis_flush(tfw_redis_t *redis)
{
    link_t *link = redis->link;

    if (link && link->connected && link->want_write && !link->socket_full) {
        link_write(link);
    }
}

void tfw_redis_close(tfw_redis_t *redis)
{
    redisAsyncContext *context = redis->context;

    if (redis->state == TFW_REDIS_CLOSED) {
        return;
    }
    redis->state = TFW_REDIS_CLOSED;
    redis->context = NULL;
    redis->link = NULL;
    if (context) {
        redisAsyncFree(context);
    }
    uv_close((uv_handle_t *)&redis->timer, NULL);
}
