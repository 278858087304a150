#include "rescue.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "log.h"
#include "redis_keys.h"
#include "rounds.h"
#include "scheduler.h"
#include "sql.h"
#include "statements.h"

#define BATCH 1000
#define PERIOD_MIN_MS 1000 /* a quarter of TASKFORGE_LOST_SECONDS within these */
#define PERIOD_MAX_MS 5000
#define NEVER_SECONDS 1000000000

static void rescue_jobs(tfs_rescue_t *rescue);
static void ask_queues(tfs_rescue_t *rescue);
static void next_queue(tfs_rescue_t *rescue);

static void end_round(tfs_rescue_t *rescue)
{
    tfs_scheduler_t *s = rescue->scheduler;

    tfs_names_free(&rescue->queues);
    rescue->busy = false;
    if (tfs_may_work(s)) {
        tfs_round_note(&s->work, TFS_ROUND_RESCUE, true, uv_timer_get_due_in(&rescue->timer),
                       uv_timer_get_repeat(&rescue->timer), NULL, NULL);
    }
    if (rescue->took_back) {
        tfs_reconcile_now(&s->reconcile);
    }
}

/* Fourth, queue by queue: forget the dead consumers. */

static void on_forgotten(redisAsyncContext *context, void *answer, void *data)
{
    tfs_rescue_t *rescue = data;
    redisReply *reply = answer;

    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0) {
        rescue->took_back = true;
        rescue->scheduler->stats.forgotten += reply->integer;
        tf_log(TF_LOG_INFO, "consumer_forgotten", "s:queue", rescue->queues.items[rescue->queue], "i:entries",
               (int64_t)reply->integer, NULL);
    } else {
        tfd_redis_failed(&rescue->scheduler->redis, "FCALL tf_forget", reply);
    }
    if (--rescue->forgetting == 0) {
        next_queue(rescue);
    }
}

static void on_dead(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_rescue_t *rescue = data;
    tfd_redis_t *redis = &rescue->scheduler->redis;
    char base[96];
    const char *argv[] = {"FCALL", "tf_forget", "1", base, NULL};
    size_t lengths[] = {5, 9, 1, 0, 0};
    const char *queue = rescue->queues.items[rescue->queue];

    lengths[3] = tf_redis_queue_base(base, sizeof(base), queue, strlen(queue));
    rescue->forgetting = 0;
    for (int i = 0; result && i < PQntuples(result); i++) {
        argv[4] = PQgetvalue(result, i, 0);
        lengths[4] = (size_t)PQgetlength(result, i, 0);
        rescue->forgetting += tfd_redis_send(redis, on_forgotten, rescue, 5, argv, lengths);
    }
    if (rescue->forgetting == 0) {
        next_queue(rescue);
    }
}

/* A consumer's name is its worker's incarnation; names of another kind are none of our business. */
static bool parse_incarnation(const redisReply *name, int64_t *incarnation)
{
    char *end;

    if (name->type != REDIS_REPLY_STRING || name->len == 0 || name->len > 18 || name->str[0] < '1' ||
        name->str[0] > '9') {
        return false;
    }
    *incarnation = strtoll(name->str, &end, 10);
    return *end == '\0';
}

/* Third, queue by queue: which consumers are nobody's? They are asked for after Redis has named them: a
 * worker is registered before it becomes a consumer. */
static void on_consumers(redisAsyncContext *context, void *answer, void *data)
{
    tfs_rescue_t *rescue = data;
    tfs_scheduler_t *s = rescue->scheduler;
    redisReply *reply = answer;
    tfd_pg_params_t params = {0};
    tf_pgarray_t array = {0};
    bool sent = false;
    int64_t incarnation;

    if (!tfd_redis_failed(&s->redis, "FCALL tf_consumers", reply) && reply->type == REDIS_REPLY_ARRAY &&
        reply->elements) {
        tf_pgarray_begin(&array, TF_PG_INT8);
        for (size_t i = 0; i < reply->elements; i++) {
            if (parse_incarnation(reply->element[i], &incarnation)) {
                tf_pgarray_int8(&array, incarnation);
            }
        }
        if (tf_pgarray_end(&array)) {
            tfd_pg_array(&params, &array);
            sent = tfs_may_work(s) &&
                   tfd_pg_send(&s->work, &tfs_sql_dead_incarnations, &params, on_dead, rescue);
        }
        tf_pgarray_free(&array);
    }
    if (!sent) {
        next_queue(rescue);
    }
}

static void on_queues(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_rescue_t *rescue = data;

    rescue->queue = -1;
    if (result == NULL || !tfs_names_read(&rescue->queues, result)) {
        end_round(rescue);
        return;
    }
    next_queue(rescue);
}

static void ask_queues(tfs_rescue_t *rescue)
{
    tfs_scheduler_t *s = rescue->scheduler;

    if (!tfd_redis_ready(&s->redis) || !tfs_may_work(s) ||
        !tfd_pg_send(&s->work, &tfs_sql_queues, NULL, on_queues, rescue)) {
        end_round(rescue);
    }
}

static void next_queue(tfs_rescue_t *rescue)
{
    char base[96];
    const char *argv[] = {"FCALL", "tf_consumers", "1", base}, *queue;
    size_t lengths[] = {5, 12, 1, 0};

    rescue->queue++;
    if (rescue->queue >= rescue->queues.count) {
        end_round(rescue);
        return;
    }
    queue = rescue->queues.items[rescue->queue];
    lengths[3] = tf_redis_queue_base(base, sizeof(base), queue, strlen(queue));
    if (!tfd_redis_send(&rescue->scheduler->redis, on_consumers, rescue, 4, argv, lengths)) {
        end_round(rescue);
    }
}

/* Second: the jobs of workers that are gone, in batches. */

static void on_rescue_announced(void *data, int64_t added, int64_t failed)
{
    tfs_rescue_t *rescue = data;

    rescue->scheduler->stats.redis_failed += failed;
    if (rescue->rescued == BATCH) {
        rescue_jobs(rescue);
    } else {
        ask_queues(rescue);
    }
}

static void on_rescued(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_rescue_t *rescue = data;
    tfs_scheduler_t *s = rescue->scheduler;
    int64_t retrying = 0, dead = 0, cancelled = 0;
    tfs_batch_t *batch;
    tf_job_t job;

    rescue->rescued = result ? PQntuples(result) : 0;
    batch = rescue->rescued ? tfs_batch_begin(&s->redis, on_rescue_announced, rescue) : NULL;
    if (batch == NULL) {
        on_rescue_announced(rescue, 0, 0);
        return;
    }
    for (int i = 0; i < rescue->rescued; i++) {
        tfd_pg_row_t row = {result, i};

        if (!tf_job_from_row(&job, &row, tfd_pg_column, 0, false)) {
            continue;
        }
        retrying += job.status == TF_RETRYING;
        dead += job.status == TF_DEAD_LETTER;
        cancelled += job.status == TF_CANCELLED;
        tf_log(TF_LOG_DEBUG, "job_rescued", "u:job_id", job.id, "s:status", tf_status_name(job.status),
               "i:attempt", (int64_t)job.attempt, NULL);
        tfs_batch_job_event(batch, &job);
    }
    s->stats.rescued += retrying;
    s->stats.buried += dead;
    tf_log(TF_LOG_WARNING, "jobs_rescued", "i:retrying", retrying, "i:dead_letter", dead, "i:cancelled",
           cancelled, NULL);
    tfs_due_wake(&s->due);
    tfs_batch_end(batch);
}

/* Only who has watched for so long may say that nothing was heard for so long: when PostgreSQL was away, all
 * heartbeats are old, and those of living workers are on their way. */
static bool may_judge(const tfs_scheduler_t *s)
{
    return tfs_leader_watched_ms(&s->leader) >= (uint64_t)s->config.lost_seconds * 1000;
}

static void rescue_jobs(tfs_rescue_t *rescue)
{
    tfs_scheduler_t *s = rescue->scheduler;
    int64_t overdue_seconds =
        may_judge(s) ? s->config.kill_grace_seconds + s->config.lost_seconds : NEVER_SECONDS;
    tfd_pg_params_t params = {0};

    tfd_pg_int2(&params, TF_WRITER_SCHEDULER);
    tfd_pg_int4(&params, BATCH);
    tfd_pg_int4(&params, (int32_t)s->config.poison_limit);
    tfd_pg_int4(&params, (int32_t)overdue_seconds);
    if (!tfs_may_work(s) || !tfd_pg_send(&s->work, &tf_sql_rescue, &params, on_rescued, rescue)) {
        end_round(rescue);
    }
}

/* First: who is lost? */

static void on_lost_announced(void *data, int64_t added, int64_t failed)
{
    tfs_rescue_t *rescue = data;

    rescue->scheduler->stats.redis_failed += failed;
    rescue_jobs(rescue);
}

static tf_str_t text_at(const PGresult *result, int row, int column)
{
    return (tf_str_t){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

static void on_lost(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_rescue_t *rescue = data;
    int lost = result ? PQntuples(result) : 0;
    tfs_batch_t *batch = lost ? tfs_batch_begin(&rescue->scheduler->redis, on_lost_announced, rescue) : NULL;
    uv_timeval64_t now;

    if (batch == NULL) {
        on_lost_announced(rescue, 0, 0);
        return;
    }
    uv_gettimeofday(&now);
    for (int i = 0; i < lost; i++) {
        tfd_worker_state_t worker = {
            .incarnation = tf_pg_get_int8(PQgetvalue(result, i, 0)),
            .hostname = text_at(result, i, 1),
            .pool = text_at(result, i, 2),
            .status = "lost",
        };

        tf_log(TF_LOG_WARNING, "worker_lost", "s:hostname", worker.hostname.data, "s:pool", worker.pool.data,
               "i:incarnation", worker.incarnation, NULL);
        tfs_batch_worker_event(batch, &worker, "worker_offline", now.tv_sec * 1000000 + now.tv_usec);
    }
    tfs_batch_end(batch);
}

/* The statement must run right after this answer: one that PostgreSQL held back while it hung would judge
 * heartbeats that it held back, too. */
static void on_now(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_rescue_t *rescue = data;
    tfs_scheduler_t *s = rescue->scheduler;
    tfd_pg_params_t params = {0};

    if (!result || PQntuples(result) != 1 || !tfs_may_work(s)) {
        rescue->busy = false;
        return;
    }
    tfd_pg_int4(&params, (int32_t)s->config.lost_seconds);
    tfd_pg_time(&params, tf_pg_get_time(PQgetvalue(result, 0, 0)));
    rescue->busy = tfd_pg_send(&s->work, &tf_sql_lose_workers, &params, on_lost, rescue);
}

static void begin_round(uv_timer_t *timer)
{
    tfs_rescue_t *rescue = timer->data;
    tfs_scheduler_t *s = rescue->scheduler;

    if (rescue->busy || !tfs_may_work(s)) {
        return;
    }
    rescue->took_back = false;
    if (!may_judge(s)) {
        rescue->busy = true;
        rescue_jobs(rescue); /* of incarnations that were replaced, or have left */
        return;
    }
    rescue->busy = tfd_pg_send(&s->work, &tfs_sql_now, NULL, on_now, rescue);
}

void tfs_rescue_init(tfs_rescue_t *rescue, tfs_scheduler_t *scheduler)
{
    memset(rescue, 0, sizeof(*rescue));
    rescue->scheduler = scheduler;
    uv_timer_init(&scheduler->loop, &rescue->timer);
    rescue->timer.data = rescue;
}

void tfs_rescue_start(tfs_rescue_t *rescue)
{
    uint64_t period_ms = (uint64_t)rescue->scheduler->config.lost_seconds * 250;

    if (period_ms < PERIOD_MIN_MS) {
        period_ms = PERIOD_MIN_MS;
    } else if (period_ms > PERIOD_MAX_MS) {
        period_ms = PERIOD_MAX_MS;
    }
    uv_timer_start(&rescue->timer, begin_round, 0, period_ms);
}

void tfs_rescue_stop(tfs_rescue_t *rescue)
{
    uv_timer_stop(&rescue->timer);
}

void tfs_rescue_close(tfs_rescue_t *rescue)
{
    tfs_names_free(&rescue->queues);
    uv_close((uv_handle_t *)&rescue->timer, NULL);
}
