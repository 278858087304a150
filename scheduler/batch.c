#include "batch.h"

#include <stdlib.h>

struct tfs_batch_s {
    tfd_events_t events;
    tfs_batch_done_fn done;
    void *data;
    int64_t sent; /* jobs; events.sent counts the rest */
    int64_t answered;
    int64_t added;
    int64_t failed;
    bool ended;
};

static void finish(tfs_batch_t *batch)
{
    if (batch->ended && batch->answered == batch->sent + batch->events.sent) {
        batch->done(batch->data, batch->added, batch->failed);
        tfd_events_free(&batch->events);
        free(batch);
    }
}

static bool take(tfs_batch_t *batch, const redisReply *reply)
{
    bool failed = tfd_redis_failed(batch->events.redis, "XADD", reply);

    batch->failed += failed;
    batch->answered++;
    return !failed;
}

static void on_added(redisAsyncContext *context, void *reply, void *data)
{
    tfs_batch_t *batch = data;

    batch->added += take(batch, reply);
    finish(batch);
}

static void on_announced(redisAsyncContext *context, void *reply, void *data)
{
    take(data, reply);
    finish(data);
}

tfs_batch_t *tfs_batch_begin(tfd_redis_t *redis, tfs_batch_done_fn done, void *data)
{
    tfs_batch_t *batch = calloc(1, sizeof(*batch));

    if (batch) {
        batch->events = (tfd_events_t){.redis = redis, .done = on_announced, .data = batch};
        batch->done = done;
        batch->data = data;
    }
    return batch;
}

void tfs_batch_add(tfs_batch_t *batch, tf_str_t queue, int priority, const uint8_t id[16])
{
    if (tfd_stream_add(batch->events.redis, queue, priority, id, on_added, batch)) {
        batch->sent++;
    } else {
        batch->failed++;
    }
}

void tfs_batch_job_event(tfs_batch_t *batch, const tf_job_t *job)
{
    tfd_events_job(&batch->events, job, tf_status_event(job->status), job->updated_at);
}

void tfs_batch_worker_event(tfs_batch_t *batch, const tfd_worker_state_t *worker, const char *event,
                            int64_t at)
{
    tfd_events_worker(&batch->events, worker, event, at);
}

void tfs_batch_end(tfs_batch_t *batch)
{
    tfd_events_flush(&batch->events);
    batch->ended = true;
    finish(batch);
}
