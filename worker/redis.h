/* redis.h: one asynchronous Redis connection on the event loop, with the function library loaded and
 * reconnect with backoff for as long as the process lives. */
#ifndef TFW_REDIS_H
#define TFW_REDIS_H

#include <hiredis/async.h>
#include <stdbool.h>
#include <uv.h>

#include "settings.h"

typedef enum { TFW_REDIS_DOWN, TFW_REDIS_CONNECTING, TFW_REDIS_READY, TFW_REDIS_CLOSED } tfw_redis_state_t;

struct tfw_redis_link_s;

typedef struct {
    uv_loop_t *loop;
    const char *name; /* for the log: "commands", "waiting" */
    const tf_redis_url_t *url;
    const char *library_path;
    void (*on_ready)(void *data);
    void *data;

    tfw_redis_state_t state;
    redisAsyncContext *context;
    struct tfw_redis_link_s *link; /* the context's place on the loop */
    uv_timer_t timer;
    int backoff_ms;
    bool failure_logged;
} tfw_redis_t;

/* Starts connecting. url, name and library_path must outlive the connection. on_ready is called at every new
 * connection, when the function library is there. */
void tfw_redis_start(tfw_redis_t *redis, uv_loop_t *loop, const char *name, const tf_redis_url_t *url,
                     const char *library_path, void (*on_ready)(void *data), void *data);

/* One command. fn gets a redisReply (freed by hiredis), or NULL when the connection broke and the outcome is
 * unknown. false: not connected; fn is not called. Commands leave in one write, at tfw_redis_flush or when
 * the socket allows. */
bool tfw_redis_send(tfw_redis_t *redis, redisCallbackFn *fn, void *data, int argc, const char **argv,
                    const size_t *lengths);

/* Writes what was queued since the last flush; call it once per turn of the event loop. */
void tfw_redis_flush(tfw_redis_t *redis);

bool tfw_redis_ready(const tfw_redis_t *redis);

/* Logs an error reply; true if it was one (or NULL). */
bool tfw_redis_failed(const tfw_redis_t *redis, const char *event, const redisReply *reply);

/* Closes for good; commands under way get a NULL reply. */
void tfw_redis_close(tfw_redis_t *redis);

#endif
