
/*
 * The connection to Redis: made, greeted, watched, made again.
 */

#include "ngx_http_taskforge_redis.h"
#include "ngx_http_taskforge_redis_adapter.h"
#include "ngx_http_taskforge_shm.h"
#include "redis_tls.h"

#if (TF_REDIS_TLS)
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#endif


#define NGX_HTTP_TASKFORGE_REDIS_BACKOFF_MIN  50
#define NGX_HTTP_TASKFORGE_REDIS_BACKOFF_MAX  1000


struct ngx_http_taskforge_redis_s {
    ngx_http_taskforge_redis_conf_t    *conf;
    ngx_http_taskforge_redis_state_pt   state;
    void                               *data;
    const char                         *name;
    ngx_log_t                          *log;
    ngx_msec_t                          timeout;

    redisAsyncContext                  *ac;
    ngx_http_taskforge_redis_adapter_t  adapter;
    ngx_uint_t                          outstanding;   /* commands */

    /* no ac: connect again; not ready: give up; ready: an answer is overdue */
    ngx_event_t                         timer;
    ngx_msec_t                          backoff;
    time_t                              complained;

    unsigned                            ready:1;
    unsigned                            stopped:1;
    unsigned                            hold:1;
    unsigned                            quiet:1;   /* failure is logged */
};


typedef struct {
    ngx_http_taskforge_redis_handler_pt   handler;
    void                                 *data;
} ngx_http_taskforge_redis_op_t;


static void ngx_http_taskforge_redis_connect(
    ngx_http_taskforge_redis_t *redis);
static ngx_int_t ngx_http_taskforge_redis_secure(redisAsyncContext *ac,
    ngx_http_taskforge_redis_conf_t *conf);
static void ngx_http_taskforge_redis_connected(const redisAsyncContext *ac,
    int status);
static void ngx_http_taskforge_redis_greet(ngx_http_taskforge_redis_t *redis);
static void ngx_http_taskforge_redis_greeted(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_taskforge_redis_reply(redisAsyncContext *ac, void *reply,
    void *data);
static void ngx_http_taskforge_redis_fail(ngx_http_taskforge_redis_t *redis,
    const char *why);
static void ngx_http_taskforge_redis_timer(ngx_event_t *ev);
static void ngx_http_taskforge_redis_watch(ngx_http_taskforge_redis_t *redis);
static void ngx_http_taskforge_redis_dropped(
    ngx_http_taskforge_redis_t *redis, const char *why);
static void ngx_http_taskforge_redis_closed(void *data, const char *why);
static ngx_uint_t ngx_http_taskforge_redis_level(
    ngx_http_taskforge_redis_t *redis);


ngx_http_taskforge_redis_t *
ngx_http_taskforge_redis_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_redis_conf_t *conf, const char *name,
    ngx_msec_t timeout, ngx_http_taskforge_redis_state_pt state, void *data)
{
    ngx_http_taskforge_redis_t  *redis;

    redis = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_redis_t));
    if (redis == NULL) {
        return NULL;
    }

    redis->conf = conf;
    redis->name = name;
    redis->timeout = timeout;
    redis->state = state;
    redis->data = data;
    redis->log = cycle->log;
    redis->stopped = 1;
    redis->backoff = NGX_HTTP_TASKFORGE_REDIS_BACKOFF_MIN;

    redis->timer.handler = ngx_http_taskforge_redis_timer;
    redis->timer.data = redis;
    redis->timer.log = cycle->log;
    redis->timer.cancelable = 1;

    return redis;
}


void
ngx_http_taskforge_redis_hold(ngx_http_taskforge_redis_t *redis)
{
    redis->hold = 1;
}


void
ngx_http_taskforge_redis_on_state(ngx_http_taskforge_redis_t *redis,
    ngx_http_taskforge_redis_state_pt state, void *data)
{
    redis->state = state;
    redis->data = data;
}


void
ngx_http_taskforge_redis_start(ngx_http_taskforge_redis_t *redis)
{
    if (redis->stopped) {
        redis->stopped = 0;
        ngx_http_taskforge_redis_connect(redis);
    }
}


void
ngx_http_taskforge_redis_stop(ngx_http_taskforge_redis_t *redis)
{
    redis->stopped = 1;

    if (redis->ac) {
        redisAsyncFree(redis->ac);
    }

    if (redis->timer.timer_set) {
        ngx_del_timer(&redis->timer);
    }
}


ngx_uint_t
ngx_http_taskforge_redis_ready(ngx_http_taskforge_redis_t *redis)
{
    return redis && redis->ready;
}


ngx_int_t
ngx_http_taskforge_redis_command(ngx_http_taskforge_redis_t *redis,
    ngx_http_taskforge_redis_handler_pt handler, void *data, int argc,
    const char **argv, const size_t *argvlen)
{
    ngx_http_taskforge_redis_op_t  *op;

    if (redis == NULL || !redis->ready) {
        return NGX_DECLINED;
    }

    if (sdslen(redis->ac->c.obuf) > redis->conf->buffer_size) {
        ngx_http_taskforge_redis_dropped(redis, "it does not keep up");
        return NGX_DECLINED;
    }

    op = NULL;

    if (handler) {
        op = ngx_alloc(sizeof(ngx_http_taskforge_redis_op_t), redis->log);
        if (op == NULL) {
            return NGX_DECLINED;
        }

        op->handler = handler;
        op->data = data;
    }

    if (redisAsyncCommandArgv(redis->ac, ngx_http_taskforge_redis_reply, op,
                              argc, argv, argvlen)
        != REDIS_OK)
    {
        ngx_free(op);
        return NGX_DECLINED;
    }

    if (redis->outstanding++ == 0) {
        ngx_http_taskforge_redis_watch(redis);
    }

    return NGX_OK;
}


static void
ngx_http_taskforge_redis_reply(redisAsyncContext *ac, void *reply, void *data)
{
    redisReply                     *rr = reply;
    ngx_http_taskforge_redis_t     *redis = ac->data;
    ngx_http_taskforge_redis_op_t  *op = data;

    redis->outstanding--;

    if (rr == NULL) {
        /* the connection is being torn down: it takes no more commands */
        redis->ready = 0;

    } else {
        ngx_http_taskforge_redis_watch(redis);
    }

    if (op) {
        op->handler(op->data, rr);
        ngx_free(op);
        return;
    }

    if (rr && rr->type == REDIS_REPLY_ERROR) {
        ngx_http_taskforge_redis_dropped(redis, rr->str);
    }
}


static void
ngx_http_taskforge_redis_dropped(ngx_http_taskforge_redis_t *redis,
    const char *why)
{
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_taskforge_cycle_conf(ngx_cycle);

    ngx_http_taskforge_shm(mcf)->redis_dropped_at = ngx_time();

    /* a full or read-only Redis would fill the log */

    if (redis->complained != ngx_time()) {
        redis->complained = ngx_time();
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "taskforge: Redis (%s) did not take a command: %s",
                      redis->name, why);
    }
}


static void
ngx_http_taskforge_redis_connect(ngx_http_taskforge_redis_t *redis)
{
    redisAsyncContext                *ac;
    ngx_http_taskforge_redis_conf_t  *conf;

    conf = redis->conf;

    ac = conf->socket_path.len
             ? redisAsyncConnectUnix((char *) conf->socket_path.data)
             : redisAsyncConnect((char *) conf->address.data,
                                 (int) conf->port);

    if (ac == NULL) {
        ngx_http_taskforge_redis_fail(redis, "no memory");
        return;
    }

    if (ac->err) {
        ngx_http_taskforge_redis_fail(redis, ac->errstr);
        redisAsyncFree(ac);
        return;
    }

    if (ngx_http_taskforge_redis_secure(ac, conf) != NGX_OK) {
        ngx_http_taskforge_redis_fail(redis, "TLS cannot begin");
        redisAsyncFree(ac);
        return;
    }

    redis->ac = ac;
    ac->data = redis;

    redis->adapter.closed = ngx_http_taskforge_redis_closed;
    redis->adapter.data = redis;

    if (ngx_http_taskforge_redis_attach(&redis->adapter, ac, redis->log)
        != NGX_OK)
    {
        redis->ac = NULL;
        redisAsyncFree(ac);
        ngx_http_taskforge_redis_fail(redis, "no free worker_connections");
        return;
    }

    redis->timer.cancelable = 1;
    ngx_add_timer(&redis->timer, conf->timeout);

    (void) redisAsyncSetConnectCallback(ac,
                                        ngx_http_taskforge_redis_connected);
}


/* hiredis begins the handshake; the rest of it goes on with the events. */

static ngx_int_t
ngx_http_taskforge_redis_secure(redisAsyncContext *ac,
    ngx_http_taskforge_redis_conf_t *conf)
{
#if (TF_REDIS_TLS)
    SSL  *ssl;

    if (conf->tls == NULL) {
        return NGX_OK;
    }

    ssl = tf_redis_tls_session(conf->tls, (char *) conf->host.data);

    if (ssl == NULL || redisInitiateSSL(&ac->c, ssl) != REDIS_OK) {
        SSL_free(ssl);
        return NGX_ERROR;
    }
#endif

    return NGX_OK;
}


static void
ngx_http_taskforge_redis_connected(const redisAsyncContext *ac, int status)
{
    ngx_http_taskforge_redis_t  *redis = ac->data;

    /* when it failed, hiredis frees the context now and calls cleanup */

    if (status == REDIS_OK) {
        ngx_http_taskforge_redis_greet(redis);
    }
}


/*
 * AUTH and SELECT, then a PING that fails while Redis is still loading its
 * data: the connection is ready when that was answered.
 */

static void
ngx_http_taskforge_redis_greet(ngx_http_taskforge_redis_t *redis)
{
    int                               argc;
    u_char                            db[NGX_INT_T_LEN];
    const char                       *argv[3];
    size_t                            argvlen[3];
    ngx_http_taskforge_redis_conf_t  *conf;

    conf = redis->conf;

    if (conf->password.len) {
        argc = 0;
        argv[argc] = "AUTH";
        argvlen[argc++] = 4;

        if (conf->user.len) {
            argv[argc] = (char *) conf->user.data;
            argvlen[argc++] = conf->user.len;
        }

        argv[argc] = (char *) conf->password.data;
        argvlen[argc++] = conf->password.len;

        (void) redisAsyncCommandArgv(redis->ac,
                                     ngx_http_taskforge_redis_greeted, NULL,
                                     argc, argv, argvlen);
    }

    if (conf->db) {
        argv[0] = "SELECT";
        argvlen[0] = 6;
        argv[1] = (char *) db;
        argvlen[1] = ngx_sprintf(db, "%ui", conf->db) - db;

        (void) redisAsyncCommandArgv(redis->ac,
                                     ngx_http_taskforge_redis_greeted, NULL,
                                     2, argv, argvlen);
    }

    argv[0] = "PING";
    argvlen[0] = 4;

    (void) redisAsyncCommandArgv(redis->ac, ngx_http_taskforge_redis_greeted,
                                 redis, 1, argv, argvlen);
}


static void
ngx_http_taskforge_redis_greeted(redisAsyncContext *ac, void *reply,
    void *data)
{
    redisReply                  *rr = reply;
    ngx_uint_t                   level;
    ngx_http_taskforge_redis_t  *redis = ac->data;

    if (rr == NULL) {
        return;
    }

    if (rr->type == REDIS_REPLY_ERROR) {
        ngx_log_error(ngx_http_taskforge_redis_level(redis), redis->log, 0,
                      "taskforge: Redis (%s): %s", redis->name, rr->str);
        redis->quiet = 1;

        /* freed when this callback has returned */
        redisAsyncFree(ac);
        return;
    }

    if (data == NULL) {
        return;
    }

    redis->ready = 1;
    redis->backoff = NGX_HTTP_TASKFORGE_REDIS_BACKOFF_MIN;
    ngx_del_timer(&redis->timer);

    /* the end of an outage is logged where its beginning was */

    level = redis->quiet ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(level, redis->log, 0,
                  "taskforge: connected to Redis (%s)", redis->name);

    redis->quiet = 0;

    if (redis->state) {
        redis->state(redis->data, 1);
    }
}


/* An outage is an error once; its further attempts are for the curious. */

static ngx_uint_t
ngx_http_taskforge_redis_level(ngx_http_taskforge_redis_t *redis)
{
    return redis->quiet ? NGX_LOG_INFO : NGX_LOG_ERR;
}


/* There is no context any more: tries again later, unless stopped. */

static void
ngx_http_taskforge_redis_fail(ngx_http_taskforge_redis_t *redis,
    const char *why)
{
    ngx_uint_t  was_ready;

    was_ready = redis->ready;

    redis->ready = 0;
    redis->outstanding = 0;

    if (redis->stopped) {
        return;
    }

    ngx_log_error(ngx_http_taskforge_redis_level(redis), redis->log, 0,
                  "taskforge: Redis (%s): %s", redis->name,
                  (why && *why) ? why : "connection closed");
    redis->quiet = 1;

    redis->timer.cancelable = 1;
    ngx_add_timer(&redis->timer, redis->backoff);

    redis->backoff = ngx_min(redis->backoff * 2,
                             NGX_HTTP_TASKFORGE_REDIS_BACKOFF_MAX);

    if (was_ready && redis->state) {
        redis->state(redis->data, 0);
    }
}


static void
ngx_http_taskforge_redis_timer(ngx_event_t *ev)
{
    ngx_http_taskforge_redis_t  *redis;

    redis = ev->data;

    if (redis->ac == NULL) {
        ngx_http_taskforge_redis_connect(redis);
        return;
    }

    ngx_log_error(ngx_http_taskforge_redis_level(redis), redis->log, 0,
                  "taskforge: Redis (%s): no answer in time", redis->name);
    redis->quiet = 1;

    redisAsyncFree(redis->ac);
}


static void
ngx_http_taskforge_redis_watch(ngx_http_taskforge_redis_t *redis)
{
    if (redis->outstanding == 0) {

        if (redis->timer.timer_set) {
            ngx_del_timer(&redis->timer);
        }

        return;
    }

    /* what is not cancelable holds back a graceful exit */

    redis->timer.cancelable = !redis->hold;
    ngx_add_timer(&redis->timer, redis->timeout);
}


/* The socket is about to be closed, and hiredis frees the context. */

static void
ngx_http_taskforge_redis_closed(void *data, const char *why)
{
    ngx_http_taskforge_redis_t  *redis = data;

    if (redis->timer.timer_set) {
        ngx_del_timer(&redis->timer);
    }

    redis->ac = NULL;

    ngx_http_taskforge_redis_fail(redis, why);
}
