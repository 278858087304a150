#include "batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_keys.h"
#include "uuid.h"

struct tfs_batch_s {
    tfs_redis_t *redis;
    tfs_batch_done_fn done;
    void *data;
    int64_t outstanding;
    int64_t added;
    int64_t failed;
    bool ended;
    int events;      /* in `text` */
    tf_buf_t text;   /* one event a line */
    char maxlen[16]; /* of the event stream */
};

static void finish(tfs_batch_t *batch)
{
    if (batch->ended && batch->outstanding == 0) {
        batch->done(batch->data, batch->added, batch->failed);
        tf_buf_free(&batch->text);
        free(batch);
    }
}

static bool take(tfs_batch_t *batch, const redisReply *reply)
{
    bool ok = reply && reply->type != REDIS_REPLY_ERROR;

    if (reply && !ok) {
        tfs_redis_log_error(batch->redis, "XADD", reply->str);
    }
    batch->failed += !ok;
    batch->outstanding--;
    return ok;
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

static void send_command(tfs_batch_t *batch, redisCallbackFn *done, int argc, const char **argv,
                         const size_t *lengths)
{
    batch->outstanding++;
    if (!tfs_redis_command(batch->redis, done, batch, argc, argv, lengths)) {
        batch->outstanding--;
        batch->failed++;
    }
}

tfs_batch_t *tfs_batch_begin(tfs_redis_t *redis, tfs_batch_done_fn done, void *data)
{
    tfs_batch_t *batch = calloc(1, sizeof(*batch));

    if (batch) {
        batch->redis = redis;
        batch->done = done;
        batch->data = data;
        snprintf(batch->maxlen, sizeof(batch->maxlen), "%d", TF_REDIS_EVENTS_MAXLEN);
    }
    return batch;
}

void tfs_batch_add(tfs_batch_t *batch, const char *queue, size_t queue_len, int priority,
                   const uint8_t id[16])
{
    char key[96], text[TF_UUID_TEXT_LEN];
    const char *argv[] = {"XADD", key, "*", TF_REDIS_JOB_FIELD, text};
    size_t lengths[] = {4, 0, 1, sizeof(TF_REDIS_JOB_FIELD) - 1, sizeof(text)};

    lengths[1] = tf_redis_level_key(key, sizeof(key), queue, queue_len, priority);
    if (lengths[1] == 0) {
        batch->failed++;
        return;
    }
    tf_uuid_format(id, text);
    send_command(batch, on_added, 5, argv, lengths);
}

static void send_events(tfs_batch_t *batch)
{
    const char *argv[] = {"XADD", TF_REDIS_EVENTS, "MAXLEN", "~", batch->maxlen, "*", "e", batch->text.data};
    size_t lengths[] = {4, sizeof(TF_REDIS_EVENTS) - 1, 6, 1, strlen(batch->maxlen), 1, 1, batch->text.len};

    if (batch->text.failed) {
        batch->failed++;
    } else if (batch->events) {
        send_command(batch, on_announced, 8, argv, lengths);
    }
    tf_buf_reset(&batch->text);
    batch->events = 0;
}

static void begin_event(tfs_batch_t *batch)
{
    if (batch->events == TF_REDIS_EVENTS_PER_ENTRY) {
        send_events(batch);
    }
    if (batch->events++) {
        tf_buf_addc(&batch->text, '\n');
    }
}

void tfs_batch_job_event(tfs_batch_t *batch, const tf_job_t *job)
{
    begin_event(batch);
    tf_job_write_event(&batch->text, job, tf_status_event(job->status), job->updated_at);
}

void tfs_batch_worker_offline(tfs_batch_t *batch, int64_t incarnation, tf_str_t hostname, tf_str_t pool,
                              int64_t at)
{
    tf_buf_t *out = &batch->text;

    begin_event(batch);
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "event", "worker_offline");
    tf_json_ktime(out, "ts", at);
    tf_json_key(out, "worker");
    tf_buf_addc(out, '{');
    tf_json_kint(out, "incarnation", incarnation);
    tf_json_kstr(out, "hostname", hostname.data, hostname.len);
    tf_json_kstr(out, "pool", pool.data, pool.len);
    tf_json_kcstr(out, "status", "lost");
    tf_buf_adds(out, "}}");
}

void tfs_batch_end(tfs_batch_t *batch)
{
    send_events(batch);
    batch->ended = true;
    finish(batch);
}
