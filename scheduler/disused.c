#include "disused.h"

#include <string.h>

#include "log.h"
#include "redis_keys.h"
#include "scheduler.h"
#include "statements.h"

#define NAMES 10000 /* read at once: each reading goes through all counters */
#define BATCH 100   /* in one transaction: whoever counts on a row of theirs waits for it */
/* What Redis was told since then may be about a job or a setting that PostgreSQL did not know yet when the
 * names were read. */
#define UNUSED_MS "3600000"

static void next_batch(tfs_disused_t *d);

static void finish(tfs_disused_t *d, bool complete)
{
    if (d->forgotten) {
        tf_log(TF_LOG_INFO, "queues_forgotten", "i:count", d->forgotten, NULL);
    }
    d->running = false;
    tfs_names_free(&d->names);
    if (tfd_pg_ready(d->pg)) {
        d->done(d->data, complete);
    }
}

/* Third: their counters. */

static void on_counters(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_disused_t *d = data;

    if (!d->running) {
        return;
    }
    if (!result || PQntuples(result) != 1) {
        finish(d, false);
        return;
    }
    d->forgotten += tf_pg_get_int4(PQgetvalue(result, 0, 0));
    next_batch(d);
}

static void forget_counters(tfs_disused_t *d)
{
    tfd_pg_params_t params = {0};

    if (tf_pgarray_end(&d->batch)) {
        tfd_pg_array(&params, &d->batch);
        if (tfd_pg_send(d->pg, &tfs_sql_forget_queues, &params, on_counters, d)) {
            return;
        }
    }
    finish(d, false);
}

/* Second: what Redis has of them, unless it says that they are in use. */

static void on_forgotten(redisAsyncContext *context, void *answer, void *data)
{
    tfs_disused_t *d = data;
    redisReply *reply = answer;

    d->outstanding--;
    if (!d->running) {
        return;
    }
    if (!tfd_redis_failed(&d->scheduler->redis, "FCALL tf_forget_queue", reply) &&
        reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
        tf_pgarray_bytes(&d->batch, d->names.items[d->asked], strlen(d->names.items[d->asked]));
    }
    d->asked++; /* answers come in the order of the questions */
    if (d->outstanding == 0) {
        forget_counters(d);
    }
}

static bool ask(tfs_disused_t *d, const char *name)
{
    char base[96];
    size_t len = tf_redis_queue_base(base, sizeof(base), name, strlen(name));
    const char *argv[] = {"FCALL", "tf_forget_queue", "1", base, UNUSED_MS};
    size_t lengths[] = {5, 15, 1, len, sizeof(UNUSED_MS) - 1};
    bool sent = tfd_redis_send(&d->scheduler->redis, on_forgotten, d, 5, argv, lengths);

    d->outstanding += sent;
    return sent;
}

/* First: which have neither jobs nor settings? */

static void on_names(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_disused_t *d = data;

    if (!d->running) {
        return;
    }
    if (!result || !tfs_names_read(&d->names, result)) {
        finish(d, false);
        return;
    }
    d->more = PQntuples(result) == NAMES && d->names.count;
    d->next = 0;
    next_batch(d);
}

static bool ask_names(tfs_disused_t *d)
{
    const char *after = d->names.count ? d->names.items[d->names.count - 1] : "";
    tfd_pg_params_t params = {0};

    tfd_pg_bytes(&params, after, strlen(after));
    tfd_pg_int4(&params, NAMES);
    return tfd_pg_send(d->pg, &tfs_sql_disused_queues, &params, on_names, d);
}

static void next_batch(tfs_disused_t *d)
{
    int first = d->next;

    if (d->scheduler->stopping || (first == d->names.count && !d->more)) {
        finish(d, !d->scheduler->stopping);
        return;
    }
    if (first == d->names.count) {
        if (!ask_names(d)) {
            finish(d, false);
        }
        return;
    }
    d->asked = first;
    tf_pgarray_begin(&d->batch, TF_PG_TEXT);
    while (d->next < d->names.count && d->next < first + BATCH && ask(d, d->names.items[d->next])) {
        d->next++;
    }
    if (d->next == first) {
        finish(d, true); /* Redis is away: the rest in the next round */
    }
}

bool tfs_disused_run(tfs_disused_t *d, void (*done)(void *, bool), void *data)
{
    if (d->outstanding || !tfd_redis_ready(&d->scheduler->redis)) {
        return false;
    }
    d->done = done;
    d->data = data;
    d->forgotten = 0;
    d->running = ask_names(d);
    return d->running;
}

void tfs_disused_stop(tfs_disused_t *d)
{
    d->running = false;
    tfs_names_free(&d->names);
}

void tfs_disused_init(tfs_disused_t *d, tfs_scheduler_t *scheduler, tfd_pg_t *pg)
{
    *d = (tfs_disused_t){.scheduler = scheduler, .pg = pg};
}

void tfs_disused_close(tfs_disused_t *d)
{
    tfs_disused_stop(d);
    tf_pgarray_free(&d->batch);
}
