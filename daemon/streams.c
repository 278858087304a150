#include "streams.h"

#include "redis_keys.h"
#include "uuid.h"

bool tfd_stream_add(tfd_redis_t *redis, tf_str_t queue, int priority, const uint8_t id[16],
                    redisCallbackFn *done, void *data)
{
    char key[96], text[TF_UUID_TEXT_LEN];
    size_t key_len = tf_redis_level_key(key, sizeof(key), queue.data, queue.len, priority);
    const char *argv[] = {"XADD", key, "*", TF_REDIS_JOB_FIELD, text};
    size_t lengths[] = {4, key_len, 1, sizeof(TF_REDIS_JOB_FIELD) - 1, sizeof(text)};

    tf_uuid_format(id, text);
    return key_len && tfd_redis_send(redis, done, data, 5, argv, lengths);
}

void tfd_events_flush(tfd_events_t *events)
{
    const char *argv[] = {"XADD", TF_REDIS_EVENTS,   "MAXLEN", "~", TF_REDIS_EVENTS_MAXLEN_TEXT, "*",
                          "e",    events->entry.data};
    size_t lengths[] = {4,
                        sizeof(TF_REDIS_EVENTS) - 1,
                        6,
                        1,
                        sizeof(TF_REDIS_EVENTS_MAXLEN_TEXT) - 1,
                        1,
                        1,
                        events->entry.len};

    if (events->count && !events->entry.failed) {
        events->sent += tfd_redis_send(events->redis, events->done, events->data, 8, argv, lengths);
    }
    tf_buf_reset(&events->entry);
    events->count = 0;
}

/* Room for one more event; false: Redis is away, so it would only be thrown away later. */
static bool begin(tfd_events_t *events)
{
    if (!tfd_redis_ready(events->redis)) {
        return false;
    }
    if (events->count == TF_REDIS_EVENTS_PER_ENTRY) {
        tfd_events_flush(events);
    }
    if (events->count++) {
        tf_buf_addc(&events->entry, '\n');
    }
    return true;
}

void tfd_events_job(tfd_events_t *events, const tf_job_t *row, const char *event, int64_t at)
{
    if (begin(events)) {
        tf_job_write_event(&events->entry, row, event, at);
    }
}

void tfd_events_worker(tfd_events_t *events, const tfd_worker_state_t *worker, const char *event, int64_t at)
{
    tf_buf_t *b = &events->entry;
    char id[TF_UUID_TEXT_LEN];

    if (!begin(events)) {
        return;
    }
    tf_buf_addc(b, '{');
    tf_json_kcstr(b, "event", event);
    tf_json_ktime(b, "ts", at);
    tf_json_key(b, "worker");
    tf_buf_addc(b, '{');
    if (worker->id) {
        tf_uuid_format(worker->id, id);
        tf_json_kstr(b, "id", id, sizeof(id));
    }
    tf_json_kint(b, "incarnation", worker->incarnation);
    tf_json_kstr(b, "hostname", worker->hostname.data, worker->hostname.len);
    tf_json_kstr(b, "pool", worker->pool.data, worker->pool.len);
    tf_json_kcstr(b, "status", worker->status);
    tf_buf_adds(b, "}}");
}

void tfd_events_free(tfd_events_t *events)
{
    tf_buf_free(&events->entry);
}
