#include "redis.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "redis_keys.h"

#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 2000
#define ANSWER_MS 5000 /* no byte for so long although an answer is due: the connection is dead */
#define WATCH_MS 1000

/* hiredis's side of the event loop. The header that comes with hiredis ignores errors of the socket, so that
 * a refused connection would never be noticed. */
struct tfs_redis_link_s {
    uv_poll_t poll;
    tfs_redis_t *redis;
    redisAsyncContext *context; /* NULL: hiredis has freed it */
    int events;
};

static void connect_now(uv_timer_t *timer);
static void get_ready(tfs_redis_t *redis);

static void link_event(uv_poll_t *poll, int status, int events)
{
    tfs_redis_link_t *link = poll->data;

    if (status < 0) {
        events = UV_READABLE; /* reading tells hiredis what is wrong */
    }
    if (link->context && events & UV_READABLE) {
        link->redis->heard_ms = uv_now(link->redis->loop);
        redisAsyncHandleRead(link->context);
    }
    if (link->context && events & UV_WRITABLE) {
        redisAsyncHandleWrite(link->context);
    }
}

static void link_want(tfs_redis_link_t *link, int events)
{
    link->events = events;
    if (events) {
        uv_poll_start(&link->poll, events, link_event);
    } else {
        uv_poll_stop(&link->poll);
    }
}

static void link_add_read(void *data)
{
    tfs_redis_link_t *link = data;

    link_want(link, link->events | UV_READABLE);
}

static void link_del_read(void *data)
{
    tfs_redis_link_t *link = data;

    link_want(link, link->events & ~UV_READABLE);
}

static void link_add_write(void *data)
{
    tfs_redis_link_t *link = data;

    if (!(link->events & UV_WRITABLE)) {
        link_want(link, link->events | UV_WRITABLE);
    }
}

static void link_del_write(void *data)
{
    tfs_redis_link_t *link = data;

    link_want(link, link->events & ~UV_WRITABLE);
}

static void link_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void link_cleanup(void *data)
{
    tfs_redis_link_t *link = data;

    link->context = NULL;
    uv_close((uv_handle_t *)&link->poll, link_closed);
}

static bool link_attach(tfs_redis_t *redis, redisAsyncContext *context)
{
    tfs_redis_link_t *link = calloc(1, sizeof(*link));

    if (link == NULL || uv_poll_init(redis->loop, &link->poll, context->c.fd) != 0) {
        free(link);
        return false;
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
    return true;
}

/* hiredis has freed the context, or is about to. */
static void gone(tfs_redis_t *redis, const char *why)
{
    bool was_ready = redis->ready;
    int64_t left_out;

    redis->context = NULL;
    redis->ready = false;
    uv_timer_stop(&redis->timer);
    if (!redis->started) {
        return;
    }
    if (tfs_log_allowed(&redis->log_connect, uv_now(redis->loop), &left_out)) {
        tf_log(TF_LOG_ERROR, was_ready ? "redis_lost" : "redis_connect_failed", "s:error", why, "i:left_out",
               left_out, NULL);
    }
    uv_timer_start(&redis->timer, connect_now, redis->pause_ms, 0);
    redis->pause_ms = redis->pause_ms * 2 < PAUSE_MAX_MS ? redis->pause_ms * 2 : PAUSE_MAX_MS;
    if (was_ready) {
        redis->down(redis->data);
    }
}

static void drop(tfs_redis_t *redis, const char *why)
{
    redisAsyncContext *context = redis->context;

    gone(redis, why);
    if (context) {
        redisAsyncFree(context);
    }
}

static void on_connect(const redisAsyncContext *context, int status)
{
    tfs_redis_t *redis = context->data;

    if (context != redis->context) {
        return;
    }
    if (status == REDIS_OK) {
        get_ready(redis);
    } else {
        gone(redis, context->errstr);
    }
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    tfs_redis_t *redis = context->data;

    if (context == redis->context) {
        gone(redis, status == REDIS_OK ? "closed" : context->errstr);
    }
}

static void on_watch(uv_timer_t *timer)
{
    tfs_redis_t *redis = timer->data;
    bool waiting = !redis->ready || !tfs_redis_idle(redis);

    if (waiting && uv_now(redis->loop) - redis->heard_ms > ANSWER_MS) {
        drop(redis, "no answer in time");
    }
}

static void connect_now(uv_timer_t *timer)
{
    tfs_redis_t *redis = timer->data;
    redisAsyncContext *context;

    context = redis->url.socket_path ? redisAsyncConnectUnix(redis->url.socket_path)
                                     : redisAsyncConnect(redis->url.host, redis->url.port);
    redis->context = context;
    if (context == NULL || context->err || !link_attach(redis, context)) {
        drop(redis, context && context->err ? context->errstr : "out of memory");
        return;
    }
    context->data = redis;
    redis->heard_ms = uv_now(redis->loop);
    uv_timer_start(&redis->timer, on_watch, WATCH_MS, WATCH_MS);
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
}

static void renew(uv_timer_t *timer)
{
    drop(timer->data, "a fresh session is needed");
}

void tfs_redis_renew(tfs_redis_t *redis)
{
    if (redis->context) {
        uv_timer_start(&redis->timer, renew, 0, 0);
    }
}

/* AUTH, SELECT and FUNCTION LOAD: an error ends the session. */
static void on_step(redisAsyncContext *context, void *reply, void *command)
{
    tfs_redis_t *redis = context->data;
    redisReply *r = reply;

    if (r && r->type == REDIS_REPLY_ERROR && context == redis->context) {
        tfs_redis_log_error(redis, command, r->str);
        uv_timer_start(&redis->timer, renew, 0, 0);
    }
}

static void now_ready(redisAsyncContext *context, void *reply, void *unused)
{
    tfs_redis_t *redis = context->data;
    redisReply *r = reply;

    if (r == NULL || context != redis->context) {
        return;
    }
    if (r->type != REDIS_REPLY_INTEGER || r->integer < TF_REDIS_LIBRARY_VERSION) {
        tfs_redis_log_error(redis, "FCALL tf_version",
                            r->type == REDIS_REPLY_ERROR ? r->str : "an old library");
        uv_timer_start(&redis->timer, renew, 0, 0);
        return;
    }
    redis->ready = true;
    redis->pause_ms = PAUSE_FIRST_MS;
    tf_log(TF_LOG_INFO, "redis_connected", "i:library_version", (int64_t)r->integer, NULL);
    redis->up(redis->data);
}

static void on_version(redisAsyncContext *context, void *reply, void *unused)
{
    tfs_redis_t *redis = context->data;
    redisReply *r = reply;

    if (r == NULL || context != redis->context) {
        return;
    }
    if ((r->type == REDIS_REPLY_ERROR && strstr(r->str, "unction not found")) ||
        (r->type == REDIS_REPLY_INTEGER && r->integer < TF_REDIS_LIBRARY_VERSION)) {
        tf_log(TF_LOG_INFO, "redis_library_load", "i:version", (int64_t)TF_REDIS_LIBRARY_VERSION, NULL);
        redisAsyncCommand(context, on_step, (void *)"FUNCTION LOAD", "FUNCTION LOAD REPLACE %b",
                          redis->library.data, redis->library.len);
        redisAsyncCommand(context, now_ready, NULL, "FCALL tf_version 0");
        return;
    }
    now_ready(context, reply, unused);
}

static void get_ready(tfs_redis_t *redis)
{
    const tf_redis_url_t *url = &redis->url;
    redisAsyncContext *context = redis->context;

    if (url->socket_path == NULL) {
        /* on a Unix socket hiredis takes the refusal of TCP options as an error of the connection */
        if (!url->socket_path) {
            redisEnableKeepAlive(&context->c);
        }
    }
    if (url->password && url->user) {
        redisAsyncCommand(context, on_step, (void *)"AUTH", "AUTH %s %s", url->user, url->password);
    } else if (url->password) {
        redisAsyncCommand(context, on_step, (void *)"AUTH", "AUTH %s", url->password);
    }
    if (url->db) {
        redisAsyncCommand(context, on_step, (void *)"SELECT", "SELECT %d", url->db);
    }
    redisAsyncCommand(context, on_version, NULL, "FCALL tf_version 0");
}

void tfs_redis_init(tfs_redis_t *redis)
{
    uv_timer_init(redis->loop, &redis->timer);
    redis->timer.data = redis;
}

void tfs_redis_start(tfs_redis_t *redis)
{
    if (!redis->started) {
        redis->started = true;
        redis->pause_ms = PAUSE_FIRST_MS;
        connect_now(&redis->timer);
    }
}

void tfs_redis_stop(tfs_redis_t *redis)
{
    if (redis->started) {
        redis->started = false;
        drop(redis, NULL);
    }
}

void tfs_redis_close(tfs_redis_t *redis)
{
    uv_close((uv_handle_t *)&redis->timer, NULL);
    tf_redis_url_free(&redis->url);
    tf_buf_free(&redis->library);
}

bool tfs_redis_command(tfs_redis_t *redis, redisCallbackFn *done, void *data, int argc, const char **argv,
                       const size_t *argvlen)
{
    if (!redis->ready) {
        return false;
    }
    if (tfs_redis_idle(redis)) {
        redis->heard_ms = uv_now(redis->loop);
    }
    return redisAsyncCommandArgv(redis->context, done, data, argc, argv, argvlen) == REDIS_OK;
}

void tfs_redis_log_error(tfs_redis_t *redis, const char *command, const char *error)
{
    int64_t left_out;

    if (tfs_log_allowed(&redis->log_error, uv_now(redis->loop), &left_out)) {
        tf_log(TF_LOG_ERROR, "redis_error", "s:command", command, "s:error", error, "i:left_out", left_out,
               NULL);
    }
}

bool tfs_redis_idle(const tfs_redis_t *redis)
{
    return redis->context == NULL || redis->context->replies.head == NULL;
}
