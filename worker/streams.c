#include "streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "redis_keys.h"
#include "worker.h"

#define DONE_PER_COMMAND 1024
#define AGAIN_DELAY_MS 1000

static void on_added(redisAsyncContext *context, void *reply, void *data)
{
    tfw_worker_t *w = data;

    tfd_redis_failed(&w->redis, "XADD", reply);
}

/* A Redis that cannot write (disk full, memory full) refuses. What was to go stays then, and reconcile would
 * take it for a job that we have: it would not be put on its stream again. */
static void on_removed(redisAsyncContext *context, void *reply, void *data)
{
    tfw_worker_t *w = data;

    if (tfd_redis_failed(&w->redis, "FCALL tf_done", reply) && reply) {
        w->streams.forget_at = (int64_t)uv_now(&w->loop) + AGAIN_DELAY_MS;
    }
}

static void set_queue(tfw_stream_t *q, const char *name, size_t len, bool fixed)
{
    memcpy(q->name, name, len);
    q->name[len] = '\0';
    q->fixed = fixed;
    q->base_len = tf_redis_queue_base(q->base, sizeof(q->base), name, len);
}

void tfw_streams_start(tfw_streams_t *streams, tfw_worker_t *worker)
{
    const tfw_options_t *o = &worker->options;

    streams->worker = worker;
    worker->events = (tfd_events_t){.redis = &worker->redis, .done = on_added, .data = worker};
    for (int i = 0; i < o->nqueues; i++) {
        size_t len = strlen(o->queues[i]);

        if (o->queues[i][len - 1] == '*') {
            streams->patterns = true;
        } else {
            set_queue(&streams->queues[streams->nqueues++], o->queues[i], len, true);
        }
    }
}

bool tfw_streams_match(const tfw_worker_t *w, const char *name, size_t len)
{
    for (int i = 0; i < w->options.nqueues; i++) {
        const char *pattern = w->options.queues[i];
        size_t fixed = strlen(pattern) - 1;

        /* internal queues begin with '_', and "*" does not mean them */
        if (len >= fixed && pattern[fixed] == '*' && memcmp(pattern, name, fixed) == 0 &&
            (name[0] != '_' || pattern[0] == '_')) {
            return true;
        }
    }
    return false;
}

/* A place whose queue came by a pattern and has nothing to do with any job of ours. */
static int idle_place(const tfw_worker_t *w)
{
    for (int i = 0; i < w->streams.nqueues; i++) {
        if (!w->streams.queues[i].fixed && !w->streams.queues[i].ndone && tfw_claim_idle(&w->claim, i) &&
            !tfw_pool_uses(&w->pool, i) && !tfw_ledger_uses(&w->ledger, i)) {
            return i;
        }
    }
    return -1;
}

int tfw_streams_serve(tfw_worker_t *w, const char *name, size_t len, bool *added)
{
    tfw_streams_t *s = &w->streams;
    int place = s->nqueues;

    *added = false;
    if (!tf_queue_name_valid(name, len)) {
        return -1;
    }
    for (int i = 0; i < s->nqueues; i++) {
        if (strlen(s->queues[i].name) == len && memcmp(s->queues[i].name, name, len) == 0) {
            return i;
        }
    }
    if (place == TFW_QUEUES_MAX) {
        place = idle_place(w);
        if (place < 0) {
            if (!s->full) {
                tf_log(TF_LOG_WARNING, "queues_too_many", "i:served", (int64_t)TFW_QUEUES_MAX, "s:message",
                       "more queues have work than a worker serves at a time; they take turns", NULL);
                s->full = true;
            }
            return -1;
        }
    } else {
        s->nqueues++;
    }
    *added = true;
    set_queue(&s->queues[place], name, len, false);
    return place;
}

void tfw_streams_done(tfw_worker_t *w, const tfw_entry_t *entry)
{
    tfw_stream_t *q = &w->streams.queues[entry->queue];

    if (!tfd_redis_ready(&w->redis)) {
        return; /* tfw_streams_forget does it at the reconnect */
    }
    tf_buf_addf(&q->done, "%d", entry->level);
    tf_buf_addc(&q->done, '\0');
    tf_buf_add(&q->done, entry->id, strlen(entry->id) + 1);
    q->ndone++;
}

static void send_done(tfw_worker_t *w, tfw_stream_t *q)
{
    const char *argv[4 + 2 * DONE_PER_COMMAND], *p = q->done.data; /* large: not filled with zeros first */
    size_t lengths[4 + 2 * DONE_PER_COMMAND];
    int argc = 4;

    argv[0] = "FCALL";
    lengths[0] = 5;
    argv[1] = "tf_done";
    lengths[1] = 7;
    argv[2] = "1";
    lengths[2] = 1;
    argv[3] = q->base;
    lengths[3] = q->base_len;
    for (int i = 0; i < q->ndone && !q->done.failed; i++) {
        for (int part = 0; part < 2; part++) {
            argv[argc] = p;
            lengths[argc] = strlen(p);
            p += lengths[argc++] + 1;
        }
        if (argc == 4 + 2 * DONE_PER_COMMAND || i + 1 == q->ndone) {
            tfd_redis_send(&w->redis, on_removed, w, argc, argv, lengths);
            argc = 4;
        }
    }
    tf_buf_reset(&q->done);
    q->ndone = 0;
}

void tfw_streams_flush(tfw_worker_t *w)
{
    if (w->streams.forget_at && (int64_t)uv_now(&w->loop) >= w->streams.forget_at) {
        tfw_streams_forget(w);
    }
    for (int i = 0; i < w->streams.nqueues; i++) {
        if (w->streams.queues[i].ndone) {
            send_done(w, &w->streams.queues[i]);
        }
    }
}

void tfw_streams_add(tfw_worker_t *w, const tfw_job_t *job)
{
    tfd_stream_add(&w->redis, job->row.queue, job->row.priority, job->row.id, on_added, w);
}

void tfw_streams_forget(tfw_worker_t *w)
{
    char consumer[24];
    int n = snprintf(consumer, sizeof(consumer), "%lld", (long long)w->registration.incarnation);

    w->streams.forget_at = 0;
    if (!w->registration.incarnation) {
        return;
    }
    for (int i = 0; i < w->streams.nqueues; i++) {
        tfw_stream_t *q = &w->streams.queues[i];
        const char *argv[] = {"FCALL", "tf_forget", "1", q->base, consumer};
        size_t lengths[] = {5, 9, 1, q->base_len, (size_t)n};

        tf_buf_reset(&q->done);
        q->ndone = 0;
        tfd_redis_send(&w->redis, on_removed, w, 5, argv, lengths);
    }
}

void tfw_streams_close(tfw_streams_t *streams)
{
    for (int i = 0; i < streams->nqueues; i++) {
        tf_buf_free(&streams->queues[i].done);
    }
}
