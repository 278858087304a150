/* redis.h: one Redis connection on the event loop: it logs in, loads the function library where it is missing
 * or older, and connects again with a growing pause until it is stopped. */
#ifndef TFD_REDIS_H
#define TFD_REDIS_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "buf.h"
#include "daemon/log_limit.h"
#include "settings.h"

#define TFD_REDIS_ANSWER_MS 5000 /* the usual limit of an answer */

typedef enum {
    TFD_REDIS_STOPPED,
    TFD_REDIS_WAITING, /* for the next attempt */
    TFD_REDIS_CONNECTING,
    TFD_REDIS_READY
} tfd_redis_state_t;

struct tfd_redis_link_s;

typedef struct {
    /* Set by the owner before tfd_redis_init; all of it must outlive the connection. */
    uv_loop_t *loop;
    const char *name;        /* in the log: "commands", "waiting" */
    const char *application; /* CLIENT SETNAME */
    const tf_redis_url_t *url;
    const tf_buf_t *library; /* text of core/taskforge.lua */
    uint64_t answer_ms;      /* no byte for so long although an answer is due: the connection is dead */
    void (*up)(void *data);  /* logged in, library loaded; may be NULL */
    void *data;

    tfd_redis_state_t state;
    redisAsyncContext *context;    /* NULL: not connected */
    struct tfd_redis_link_s *link; /* the context's place on the loop */
    uv_timer_t timer;              /* pause before connecting; while connected, looks for overdue answers */
    uint64_t pause_ms;
    uint64_t silent_ms; /* an answer is due and nothing has come for so long */
    tfd_log_limit_t log_connect, log_error;
} tfd_redis_t;

/* Once, before the first tfd_redis_start. */
void tfd_redis_init(tfd_redis_t *redis);

/* Connects, and again whenever the connection is lost, until tfd_redis_stop. */
void tfd_redis_start(tfd_redis_t *redis);

/* Drops the connection at once; commands under way get a NULL reply. */
void tfd_redis_stop(tfd_redis_t *redis);

/* Stops for good and closes the timer's handle. */
void tfd_redis_close(tfd_redis_t *redis);

/* One command. fn (may be NULL) gets a redisReply, which hiredis frees, or NULL when the connection broke and
 * the outcome is unknown. false: not connected; fn is not called. Commands leave together, at
 * tfd_redis_flush. */
bool tfd_redis_send(tfd_redis_t *redis, redisCallbackFn *fn, void *data, int argc, const char **argv,
                    const size_t *lengths);

/* Writes what was gathered since the last flush. To be called once per turn of the event loop, before it
 * sleeps (uv_prepare_t), and never from inside a callback of hiredis, which would write in the middle of
 * reading (hiredis 1.2 asserts that nobody does). */
void tfd_redis_flush(tfd_redis_t *redis);

/* true: the reply is an error (logged, within limits) or NULL. command: for the log. An error that says that
 * the function library has disappeared makes a new connection, which loads it. */
bool tfd_redis_failed(tfd_redis_t *redis, const char *command, const redisReply *reply);

bool tfd_redis_ready(const tfd_redis_t *redis);

/* No answer is outstanding. */
bool tfd_redis_idle(const tfd_redis_t *redis);

#endif
