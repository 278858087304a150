/* streams.h: what both daemons add to Redis after a commit: jobs to their streams, events to tf:events. If
 * any of it is lost, the jobs are found by reconcile and the events are gone. */
#ifndef TFD_STREAMS_H
#define TFD_STREAMS_H

#include <stdint.h>

#include "daemon/redis.h"
#include "job.h"

/* Puts a waiting job on the stream of its queue and level. done and the result: see tfd_redis_send; false
 * also for a name that no queue can have. */
bool tfd_stream_add(tfd_redis_t *redis, tf_str_t queue, int priority, const uint8_t id[16],
                    redisCallbackFn *done, void *data);

/* Events that gather until they are sent, several in one stream entry. Zeroed but for the first three: empty.
 */
typedef struct {
    tfd_redis_t *redis;
    redisCallbackFn *done; /* gets the reply to every command sent */
    void *data;
    tf_buf_t entry; /* one event a line */
    int count;
    int64_t sent; /* commands, since the beginning */
} tfd_events_t;

/* What an event says about a worker. */
typedef struct {
    const uint8_t *id; /* of its row; NULL: not known */
    int64_t incarnation;
    tf_str_t hostname, pool;
    const char *status;
} tfd_worker_state_t;

/* An event of a job, as the row is now. event: of tf_status_event. at: microseconds since 1970. Nothing is
 * kept while Redis is away. */
void tfd_events_job(tfd_events_t *events, const tf_job_t *row, const char *event, int64_t at);

/* "worker_online" or "worker_offline". */
void tfd_events_worker(tfd_events_t *events, const tfd_worker_state_t *worker, const char *event, int64_t at);

/* Sends what was gathered. */
void tfd_events_flush(tfd_events_t *events);

void tfd_events_free(tfd_events_t *events);

#endif
