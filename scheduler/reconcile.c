#include "reconcile.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "log.h"
#include "redis_keys.h"
#include "rounds.h"
#include "scheduler.h"
#include "sql.h"
#include "statements.h"
#include "uuid.h"

#define BATCH 2000            /* a step that delays no due job by more than some tens of milliseconds */
#define CLOCK_STEP_US 1000000 /* a stream id so far ahead of Redis's clock: that clock was set back */

static void next_queue(tfs_reconcile_t *r);
static void search_level(tfs_reconcile_t *r);

static void begin_round(uv_timer_t *timer);

static void wait_for_round(tfs_reconcile_t *r, uint64_t ms)
{
    uv_timer_start(&r->timer, begin_round, ms, 0);
}

static void end_round(tfs_reconcile_t *r)
{
    tfs_scheduler_t *s = r->scheduler;
    uint64_t period_ms = (uint64_t)s->config.reconcile_seconds * 1000, pause_ms = r->again ? 0 : period_ms;

    if (r->added) {
        tf_log(TF_LOG_WARNING, "jobs_added_again", "i:count", r->added, NULL);
    }
    tfs_names_free(&r->queues);
    r->busy = false;
    if (tfs_may_work(s)) {
        wait_for_round(r, pause_ms);
        tfs_round_note(&s->work, TFS_ROUND_RECONCILE, true, pause_ms, period_ms, NULL, NULL);
    }
    r->again = false;
}

/* PostgreSQL's clock by now: what it said at the beginning of the round, carried on by a clock that never
 * jumps. */
static int64_t pg_now(const tfs_reconcile_t *r)
{
    return r->pg_now_us + (int64_t)((uv_hrtime() - r->pg_now_at_ns) / 1000);
}

/* Third, level by level: add what is lost. */

static void on_added(void *data, int64_t added, int64_t failed)
{
    tfs_reconcile_t *r = data;

    r->added += added;
    r->scheduler->stats.added_again += added;
    r->scheduler->stats.redis_failed += failed;
    if (failed) {
        end_round(r); /* Redis is in trouble: the rest would only be marked, not added */
        return;
    }
    if (r->found < BATCH) {
        r->level++;
    }
    search_level(r);
}

static void on_found(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_reconcile_t *r = data;
    const char *queue = r->queues.items[r->queue];
    tfs_batch_t *batch;

    if (result == NULL) {
        end_round(r);
        return;
    }
    r->found = PQntuples(result);
    batch = r->found ? tfs_batch_begin(&r->scheduler->redis, on_added, r) : NULL;
    if (batch == NULL) {
        on_added(r, 0, r->found);
        return;
    }
    for (int i = 0; i < r->found; i++) {
        if (PQgetlength(result, i, 0) == 16) {
            tfs_batch_add(batch, (tf_str_t){queue, strlen(queue)}, r->level,
                          (const uint8_t *)PQgetvalue(result, i, 0));
        }
    }
    tfs_batch_end(batch);
}

static void search_level(tfs_reconcile_t *r)
{
    tfs_scheduler_t *s = r->scheduler;
    tfd_pg_params_t params = {0};
    tfs_level_t *level;
    const char *queue;

    while (r->level < TFS_LEVELS && r->levels[r->level].before_us == TF_TIME_NONE) {
        r->level++;
    }
    if (r->level == TFS_LEVELS) {
        next_queue(r);
        return;
    }
    level = &r->levels[r->level];
    queue = r->queues.items[r->queue];
    tfd_pg_bytes(&params, queue, strlen(queue));
    tfd_pg_int2(&params, (int16_t)r->level);
    tfd_pg_time(&params, level->before_us);
    tfd_pg_int4(&params, BATCH);
    tfd_pg_array(&params, &level->pending);
    if (!tfs_may_work(s) || !tfd_redis_ready(&s->redis) ||
        !tfd_pg_send(&s->work, &tf_sql_lost_in_redis, &params, on_found, r)) {
        end_round(r);
    }
}

/* Second, queue by queue: what does Redis know? */

int64_t tfs_reconcile_before(int64_t asked_us, int64_t redis_us, int64_t watermark_ms, int64_t grace_us)
{
    int64_t now = asked_us - grace_us, age_us;

    if (watermark_ms < 0) {
        return now;
    }
    age_us = redis_us - watermark_ms * 1000;
    if (age_us < -CLOCK_STEP_US) {
        return TF_TIME_NONE; /* ids stand still until the clock has caught up, and tell nothing about time */
    }
    return age_us > 0 ? now - age_us : now;
}

static int64_t judge_before(const tfs_reconcile_t *r, int64_t watermark_ms)
{
    return tfs_reconcile_before(r->asked_us, r->redis_us, watermark_ms,
                                r->scheduler->config.reconcile_grace_ms * 1000);
}

/* {level, watermark ms, job id, ...}. false: out of memory. */
static bool read_level(tfs_reconcile_t *r, const redisReply *row)
{
    tfs_level_t *level;
    uint8_t id[16];

    if (row->type != REDIS_REPLY_ARRAY || row->elements < 2 || row->element[0]->type != REDIS_REPLY_INTEGER ||
        row->element[1]->type != REDIS_REPLY_INTEGER || row->element[0]->integer < 0 ||
        row->element[0]->integer >= TFS_LEVELS) {
        return true;
    }
    level = &r->levels[row->element[0]->integer];
    level->before_us = judge_before(r, row->element[1]->integer);
    tf_pgarray_begin(&level->pending, TF_PG_UUID);
    for (size_t i = 2; i < row->elements; i++) {
        const redisReply *text = row->element[i];

        if (text->type == REDIS_REPLY_STRING && tf_uuid_parse(text->str, text->len, id)) {
            tf_pgarray_bytes(&level->pending, id, sizeof(id));
        }
    }
    return tf_pgarray_end(&level->pending);
}

static void on_state(redisAsyncContext *context, void *answer, void *data)
{
    tfs_reconcile_t *r = data;
    redisReply *reply = answer;
    bool ok = reply && reply->type == REDIS_REPLY_ARRAY && r->redis_us != TF_TIME_NONE;

    tfd_redis_failed(&r->scheduler->redis, "FCALL tf_state", reply);
    for (int i = 0; ok && i < TFS_LEVELS; i++) {
        r->levels[i].before_us = judge_before(r, -1); /* a level without a stream */
        tf_pgarray_begin(&r->levels[i].pending, TF_PG_UUID);
        ok = tf_pgarray_end(&r->levels[i].pending);
    }
    for (size_t i = 0; ok && i < reply->elements; i++) {
        ok = read_level(r, reply->element[i]);
    }
    if (!ok) {
        end_round(r);
        return;
    }
    r->level = 0;
    search_level(r);
}

static void on_time(redisAsyncContext *context, void *answer, void *data)
{
    tfs_reconcile_t *r = data;
    redisReply *reply = answer;

    r->redis_us = TF_TIME_NONE;
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->type == REDIS_REPLY_STRING && reply->element[1]->type == REDIS_REPLY_STRING) {
        r->redis_us =
            strtoll(reply->element[0]->str, NULL, 10) * 1000000 + strtoll(reply->element[1]->str, NULL, 10);
    }
}

static void next_queue(tfs_reconcile_t *r)
{
    tfd_redis_t *redis = &r->scheduler->redis;
    char base[96];
    const char *time_argv[] = {"TIME"}, *argv[] = {"FCALL", "tf_state", "1", base}, *queue;
    size_t time_lengths[] = {4}, lengths[] = {5, 8, 1, 0};

    r->queue++;
    if (r->queue >= r->queues.count) {
        end_round(r);
        return;
    }
    queue = r->queues.items[r->queue];
    lengths[3] = tf_redis_queue_base(base, sizeof(base), queue, strlen(queue));
    r->asked_us = pg_now(r);
    if (!tfd_redis_send(redis, on_time, r, 1, time_argv, time_lengths) ||
        !tfd_redis_send(redis, on_state, r, 4, argv, lengths)) {
        end_round(r);
    }
}

/* First: what time is it, are paused queues paused, and which queues have waiting jobs? */

static void on_queues(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_reconcile_t *r = data;

    if (result == NULL || !tfs_names_read(&r->queues, result)) {
        end_round(r);
        return;
    }
    r->queue = -1;
    next_queue(r);
}

static void on_mirrored(void *data)
{
    tfs_reconcile_t *r = data;
    tfs_scheduler_t *s = r->scheduler;

    if (!tfs_may_work(s) || !tfd_pg_send(&s->work, &tf_sql_active_queues, NULL, on_queues, r)) {
        end_round(r);
    }
}

static void on_now(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_reconcile_t *r = data;

    if (result == NULL || PQntuples(result) != 1) {
        end_round(r);
        return;
    }
    r->pg_now_us = tf_pg_get_time(PQgetvalue(result, 0, 0));
    r->pg_now_at_ns = uv_hrtime(); /* a moment late, so that pg_now() is behind rather than ahead */
    /* before jobs come back: those of a paused queue must find it paused */
    tfs_mirror_run(&r->mirror, r->scheduler, on_mirrored, r);
}

static void begin_round(uv_timer_t *timer)
{
    tfs_reconcile_t *r = timer->data;
    tfs_scheduler_t *s = r->scheduler;

    if (r->busy || !tfd_redis_ready(&s->redis) || !tfs_may_work(s)) {
        return; /* tfs_reconcile_now or _start comes when both are there */
    }
    r->added = 0;
    r->busy = tfd_pg_send(&s->work, &tfs_sql_now, NULL, on_now, r);
    if (!r->busy) {
        wait_for_round(r, (uint64_t)s->config.reconcile_seconds * 1000);
    }
}

void tfs_reconcile_init(tfs_reconcile_t *r, tfs_scheduler_t *scheduler)
{
    memset(r, 0, sizeof(*r));
    r->scheduler = scheduler;
    uv_timer_init(&scheduler->loop, &r->timer);
    r->timer.data = r;
}

void tfs_reconcile_start(tfs_reconcile_t *r)
{
    tfs_reconcile_now(r);
}

void tfs_reconcile_now(tfs_reconcile_t *r)
{
    if (r->busy) {
        r->again = true;
    } else {
        wait_for_round(r, 0);
    }
}

void tfs_reconcile_stop(tfs_reconcile_t *r)
{
    uv_timer_stop(&r->timer);
    r->again = false;
}

void tfs_reconcile_close(tfs_reconcile_t *r)
{
    tfs_names_free(&r->queues);
    for (int i = 0; i < TFS_LEVELS; i++) {
        tf_pgarray_free(&r->levels[i].pending);
    }
    uv_close((uv_handle_t *)&r->timer, NULL);
}
