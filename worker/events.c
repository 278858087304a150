#include "events.h"

#include <stdio.h>
#include <string.h>

#include "held.h"
#include "redis_keys.h"
#include "uuid.h"
#include "worker.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

static void on_added(redisAsyncContext *context, void *reply, void *data)
{
    tfw_worker_t *w = data;

    (void)context;
    tfw_redis_failed(&w->redis, "redis_event_failed", reply);
}

void tfw_events_flush(tfw_worker_t *w)
{
    tfw_events_t *e = &w->events;
    const char *argv[] = {"XADD", TF_REDIS_EVENTS, "MAXLEN", "~", TEXT(TF_REDIS_EVENTS_MAXLEN), "*", "e",
                          NULL};
    size_t lengths[8];

    if (e->count && !e->entry.failed) {
        argv[7] = e->entry.data;
        lengths[7] = e->entry.len;
        for (int i = 0; i < 7; i++) {
            lengths[i] = strlen(argv[i]);
        }
        tfw_redis_send(&w->redis, on_added, w, 8, argv, lengths);
    }
    tf_buf_reset(&e->entry);
    e->count = 0;
}

/* Room for one more event; false: Redis is away, so it would only be thrown away later. */
static bool begin(tfw_worker_t *w)
{
    if (!tfw_redis_ready(&w->redis)) {
        return false;
    }
    if (w->events.count == TF_REDIS_EVENTS_PER_ENTRY) {
        tfw_events_flush(w);
    }
    if (w->events.count++) {
        tf_buf_addc(&w->events.entry, '\n');
    }
    return true;
}

void tfw_events_job(tfw_worker_t *w, const tf_job_t *row, const char *event)
{
    if (begin(w)) {
        tf_job_write_event(&w->events.entry, row, event, tfw_realtime_us());
    }
}

void tfw_events_worker(tfw_worker_t *w, const char *event, const char *status)
{
    tf_buf_t *b = &w->events.entry;
    char id[TF_UUID_TEXT_LEN];

    if (!begin(w)) {
        return;
    }
    tf_uuid_format(w->registration.id, id);
    tf_buf_addc(b, '{');
    tf_json_kcstr(b, "event", event);
    tf_json_ktime(b, "ts", tfw_realtime_us());
    tf_json_key(b, "worker");
    tf_buf_addc(b, '{');
    tf_json_kstr(b, "id", id, sizeof(id));
    tf_json_kcstr(b, "hostname", w->options.hostname);
    tf_json_kcstr(b, "pool", w->options.pool);
    tf_json_kcstr(b, "status", status);
    tf_buf_adds(b, "}}");
}
