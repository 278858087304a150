/* redis.h: the Redis connection on the event loop: it connects, logs in, loads the function library where it
 * is missing or older, and does all of this again whenever the connection is lost. */
#ifndef TFS_REDIS_H
#define TFS_REDIS_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "buf.h"
#include "log_limit.h"
#include "settings.h"

typedef struct tfs_redis_link_s tfs_redis_link_t;

typedef struct {
    /* Set by the owner before tfs_redis_start. */
    uv_loop_t *loop;
    tf_redis_url_t url;
    tf_buf_t library;         /* text of core/taskforge.lua */
    void (*up)(void *data);   /* logged in, library loaded */
    void (*down)(void *data); /* was up and is lost; not after tfs_redis_stop */
    void *data;

    bool started;
    bool ready;
    redisAsyncContext *context; /* NULL: not connected */
    uv_timer_t timer;           /* pause before connecting; while connected, looks for overdue answers */
    uint64_t pause_ms;
    uint64_t heard_ms; /* when bytes came last, or a command was sent to an idle connection */
    tfs_log_limit_t log_connect;
    tfs_log_limit_t log_error;
} tfs_redis_t;

/* Once, before the first start. */
void tfs_redis_init(tfs_redis_t *redis);

void tfs_redis_start(tfs_redis_t *redis);

/* Drops the connection at once; commands under way get a NULL reply. */
void tfs_redis_stop(tfs_redis_t *redis);

/* Stopped: closes the timer's handle and frees url and library. */
void tfs_redis_close(tfs_redis_t *redis);

/* Sends a command. false: not ready; done is not called. reply NULL: the connection was lost. */
bool tfs_redis_command(tfs_redis_t *redis, redisCallbackFn *done, void *data, int argc, const char **argv,
                       const size_t *argvlen);

/* Connects anew, e.g. because the function library has disappeared. Not from inside a reply's callback: takes
 * effect when the event loop comes round. */
void tfs_redis_renew(tfs_redis_t *redis);

/* Logs an error reply, within limits. */
void tfs_redis_log_error(tfs_redis_t *redis, const char *command, const char *error);

/* No answer is outstanding. */
bool tfs_redis_idle(const tfs_redis_t *redis);

#endif
