#include "schedules.h"

#include <stdio.h>
#include <string.h>

#include "batch.h"
#include "log.h"
#include "pgparam.h"
#include "redis_keys.h"
#include "scheduler.h"
#include "sql.h"
#include "statements.h"

#define BATCH 100          /* schedules a step */
#define WAKE_MS 10         /* notifications within it are one look */
#define TROUBLE_MS 500     /* after an error */
#define SLEEP_MAX_MS 30000 /* a step of PostgreSQL's clock is noticed so late */
#define LATER_SECONDS 300  /* a schedule whose time zone is not known here is tried again */

static void look(tfs_schedules_t *schedules);
static void ask_due(tfs_schedules_t *schedules);

/* --- what is to become of a tick */

/* The first tick after `tick` that may still fire: among the newest TFS_CATCH_UP_MAX, and not too late. */
static bool first_to_keep(const tf_cron_t *cron, const tf_zone_t *zone, int64_t tick, int64_t now,
                          int32_t catch_up_seconds, int64_t *keep)
{
    int64_t newest[TFS_CATCH_UP_MAX], at = tick;
    size_t n = 0;
    bool more;

    if (at < now - catch_up_seconds - 1) {
        at = now - catch_up_seconds - 1;
    }
    while ((more = tf_cron_next(cron, zone, at, &at)) && at <= now) {
        newest[n++ % TFS_CATCH_UP_MAX] = at;
    }
    *keep = n == 0 ? at : newest[n > TFS_CATCH_UP_MAX ? n % TFS_CATCH_UP_MAX : 0];
    return n > 0 || more;
}

/* Whether as many as that have come since. */
static bool too_many(const tf_cron_t *cron, const tf_zone_t *zone, int64_t tick, int64_t now)
{
    int n = 0;

    while (n < TFS_CATCH_UP_MAX && tf_cron_next(cron, zone, tick, &tick) && tick <= now) {
        n++;
    }
    return n == TFS_CATCH_UP_MAX;
}

tfs_verdict_t tfs_schedules_judge(const tf_cron_t *cron, const tf_zone_t *zone, int64_t tick, int64_t now,
                                  int32_t catch_up_seconds)
{
    tfs_verdict_t verdict = {.outcome = "fired"};

    if (tick >= now - catch_up_seconds && !too_many(cron, zone, tick, now)) {
        verdict.again = tf_cron_next(cron, zone, tick, &verdict.following);
    } else {
        verdict.outcome = "skipped_missed";
        verdict.again = first_to_keep(cron, zone, tick, now, catch_up_seconds, &verdict.following);
    }
    return verdict;
}

/* --- sleeping */

static void on_timer(uv_timer_t *timer)
{
    tfs_schedules_t *schedules = timer->data;

    schedules->wake_ms = UINT64_MAX;
    ask_due(schedules);
}

static void sleep_for(tfs_schedules_t *schedules, uint64_t ms)
{
    schedules->wake_ms = uv_now(&schedules->scheduler->loop) + ms;
    uv_timer_start(&schedules->timer, on_timer, ms, 0);
}

static void on_next(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_schedules_t *schedules = data;
    int64_t wait_us = INT64_MAX;

    schedules->busy = false;
    if (result == NULL) {
        sleep_for(schedules, TROUBLE_MS);
        return;
    }
    if (PQntuples(result) == 1) {
        wait_us = tf_pg_get_time(PQgetvalue(result, 0, 0)) - tf_pg_get_time(PQgetvalue(result, 0, 1));
    }
    if (schedules->again || wait_us < 0) {
        sleep_for(schedules, WAKE_MS);
    } else if (wait_us > (int64_t)SLEEP_MAX_MS * 1000) {
        sleep_for(schedules, SLEEP_MAX_MS);
    } else {
        sleep_for(schedules, (uint64_t)wait_us / 1000 + 1);
    }
    schedules->again = false;
}

/* When is the next tick? */
static void look(tfs_schedules_t *schedules)
{
    tfs_scheduler_t *s = schedules->scheduler;

    schedules->limit = BATCH;
    schedules->hopeless = false;
    if (tfs_may_work(s)) {
        schedules->busy = tfd_pg_send(&s->work, &tfs_sql_next_tick, NULL, on_next, schedules);
        if (!schedules->busy) {
            sleep_for(schedules, TROUBLE_MS);
        }
    }
}

/* --- third: what was fired is put on its streams and announced */

static void on_dispatched(void *data, int64_t added, int64_t failed)
{
    tfs_schedules_t *schedules = data;

    schedules->busy = false;
    schedules->scheduler->stats.redis_failed += failed;
    ask_due(schedules);
}

static void on_jobs(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_schedules_t *schedules = data;
    tfs_scheduler_t *s = schedules->scheduler;
    int n = result ? PQntuples(result) : 0;
    tfs_batch_t *batch = tfs_batch_begin(&s->redis, on_dispatched, schedules);
    tf_job_t job;

    if (batch == NULL) {
        on_dispatched(schedules, 0, n);
        return;
    }
    for (int i = 0; i < n; i++) {
        tfd_pg_row_t row = {result, i};

        if (tf_job_from_row(&job, &row, tfd_pg_column, 0, false)) {
            if (job.status == TF_QUEUED) {
                tfs_batch_add(batch, job.queue, job.priority, job.id);
            } else {
                tfs_due_wake(&s->due);
            }
            tfs_batch_job_event(batch, &job);
        }
    }
    tfs_batch_end(batch);
}

/* Workers are told that jobs of theirs are to be cancelled. Lost, they see it with their next heartbeat. */
static void tell_workers(tfs_scheduler_t *s, const char *incarnations)
{
    const char *argv[] = {"XADD", TF_REDIS_CTL,       "MAXLEN", "~", TF_REDIS_CTL_MAXLEN_TEXT,
                          "*",    TF_REDIS_CTL_FIELD, NULL};
    size_t lengths[] = {4, sizeof(TF_REDIS_CTL) - 1,       6, 1, sizeof(TF_REDIS_CTL_MAXLEN_TEXT) - 1,
                        1, sizeof(TF_REDIS_CTL_FIELD) - 1, 0};

    while (*incarnations) {
        argv[7] = incarnations;
        lengths[7] = strcspn(incarnations, " ");
        tfd_redis_send(&s->redis, NULL, NULL, 8, argv, lengths);
        incarnations += lengths[7] + (incarnations[lengths[7]] == ' ');
    }
}

static bool ask_jobs(tfs_schedules_t *schedules, const PGresult *fired)
{
    tfs_scheduler_t *s = schedules->scheduler;
    tfd_pg_params_t params = {0};
    tf_pgarray_t ids = {0};
    bool sent = false;

    tf_pgarray_begin(&ids, TF_PG_UUID);
    for (int i = 0; i < PQntuples(fired); i++) {
        if (!PQgetisnull(fired, i, 2)) {
            tf_pgarray_bytes(&ids, PQgetvalue(fired, i, 2), 16);
        }
    }
    if (tf_pgarray_end(&ids) && ids.count) {
        tfd_pg_array(&params, &ids);
        sent = tfs_may_work(s) && tfd_pg_send(&s->work, &tfs_sql_fired, &params, on_jobs, schedules);
    }
    tf_pgarray_free(&ids);
    return sent;
}

/* --- second: the ticks */

static void on_fired(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_schedules_t *schedules = data;
    tfs_scheduler_t *s = schedules->scheduler;

    if (result == NULL) {
        schedules->hopeless = outcome == TFD_PG_BAD && schedules->limit == 1;
        schedules->limit = outcome == TFD_PG_BAD ? 1 : schedules->limit;
        schedules->busy = false;
        sleep_for(schedules, TROUBLE_MS);
        return;
    }
    schedules->hopeless = false;
    for (int i = 0; i < PQntuples(result); i++) {
        s->stats.fired += !PQgetisnull(result, i, 2);
        tf_log(TF_LOG_DEBUG, "schedule_tick", "u:schedule_id", (const uint8_t *)PQgetvalue(result, i, 0),
               "s:outcome", PQgetvalue(result, i, 1), NULL);
        if (!PQgetisnull(result, i, 3)) {
            tell_workers(s, PQgetvalue(result, i, 3));
        }
    }
    if (!ask_jobs(schedules, result)) {
        schedules->busy = false;
        ask_due(schedules);
    }
}

/* The parameters of a step. */
enum { ID, TICK, REVISION, FOLLOWING, OUTCOME, WHY, COLUMNS };

static const uint32_t types[COLUMNS] = {TF_PG_UUID,        TF_PG_TIMESTAMPTZ, TF_PG_INT4,
                                        TF_PG_TIMESTAMPTZ, TF_PG_TEXT,        TF_PG_TEXT};

static tf_str_t text_at(const PGresult *result, int row, int column)
{
    return (tf_str_t){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

/* One row of tfs_sql_due_ticks becomes one element of each array. */
static void add_tick(tfs_schedules_t *schedules, const PGresult *due, int row, tf_pgarray_t columns[COLUMNS])
{
    const char *id = PQgetvalue(due, row, 0);
    tf_str_t text = text_at(due, row, 1), zone_name = text_at(due, row, 2);
    int64_t tick_us = tf_pg_get_time(PQgetvalue(due, row, 5)), tick = tick_us / 1000000;
    int64_t now = tf_pg_get_time(PQgetvalue(due, row, 6)) / 1000000;
    const tf_zone_t *zone = tf_zones_find(schedules->zones, zone_name.data, zone_name.len);
    tfs_verdict_t verdict = {"failed", true, now + LATER_SECONDS};
    char why[300] = "";
    tf_cron_t cron;

    if (zone == NULL) {
        snprintf(why, sizeof(why), "the scheduler's host does not know the time zone %.64s", zone_name.data);
    } else if (!tf_cron_parse(&cron, text.data, text.len, why, sizeof(why))) {
        verdict.again = false;
    } else {
        verdict = tfs_schedules_judge(&cron, zone, tick, now, tf_pg_get_int4(PQgetvalue(due, row, 4)));
        if (schedules->hopeless && memcmp(id, schedules->hopeless_id, 16) == 0) {
            verdict.outcome = "failed";
            snprintf(why, sizeof(why), "PostgreSQL refused the job; its log says why");
        } else if (strcmp(verdict.outcome, "fired") != 0) {
            snprintf(why, sizeof(why), "no scheduler fired it in time, nor others that followed");
        }
    }
    memcpy(schedules->hopeless_id, id, 16);
    tf_pgarray_bytes(&columns[ID], id, 16);
    tf_pgarray_time(&columns[TICK], tick_us);
    tf_pgarray_int4(&columns[REVISION], tf_pg_get_int4(PQgetvalue(due, row, 3)));
    tf_pgarray_time(&columns[FOLLOWING], verdict.again ? verdict.following * 1000000 : TF_TIME_NONE);
    tf_pgarray_bytes(&columns[OUTCOME], verdict.outcome, strlen(verdict.outcome));
    tf_pgarray_bytes(&columns[WHY], why, strlen(why));
}

static bool fire(tfs_schedules_t *schedules, const PGresult *due)
{
    tfs_scheduler_t *s = schedules->scheduler;
    tf_pgarray_t columns[COLUMNS];
    tfd_pg_params_t params = {0};
    bool ok = true;

    memset(columns, 0, sizeof(columns));
    tfd_pg_int2(&params, TF_WRITER_SCHEDULER);
    for (int i = 0; i < COLUMNS; i++) {
        tf_pgarray_begin(&columns[i], types[i]);
    }
    for (int row = 0; row < PQntuples(due); row++) {
        add_tick(schedules, due, row, columns);
    }
    for (int i = 0; i < COLUMNS; i++) {
        ok &= tf_pgarray_end(&columns[i]);
        tfd_pg_array(&params, &columns[i]);
    }
    ok = ok && tfs_may_work(s) && tfd_pg_send(&s->work, &tf_sql_schedule_fire, &params, on_fired, schedules);
    for (int i = 0; i < COLUMNS; i++) {
        tf_pgarray_free(&columns[i]);
    }
    return ok;
}

/* --- first: whose tick has come? */

static void on_due(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_schedules_t *schedules = data;

    schedules->busy = false;
    if (result == NULL) {
        sleep_for(schedules, TROUBLE_MS);
    } else if (PQntuples(result) == 0) {
        look(schedules);
    } else {
        schedules->busy = fire(schedules, result);
        if (!schedules->busy) {
            sleep_for(schedules, TROUBLE_MS);
        }
    }
}

static void ask_due(tfs_schedules_t *schedules)
{
    tfs_scheduler_t *s = schedules->scheduler;
    tfd_pg_params_t params = {0};

    tfd_pg_int4(&params, schedules->limit);
    if (tfs_may_work(s)) {
        schedules->busy = tfd_pg_send(&s->work, &tfs_sql_due_ticks, &params, on_due, schedules);
        if (!schedules->busy) {
            sleep_for(schedules, TROUBLE_MS);
        }
    }
}

void tfs_schedules_init(tfs_schedules_t *schedules, tfs_scheduler_t *scheduler)
{
    *schedules = (tfs_schedules_t){.scheduler = scheduler, .wake_ms = UINT64_MAX, .limit = BATCH};
    uv_timer_init(&scheduler->loop, &schedules->timer);
    schedules->timer.data = schedules;
}

void tfs_schedules_start(tfs_schedules_t *schedules)
{
    tf_zones_t *zones = tf_zones_load(TF_ZONE_DIRECTORY);

    if (zones) {
        tf_zones_free(schedules->zones);
        schedules->zones = zones;
    }
    if (schedules->zones && !schedules->busy) {
        ask_due(schedules);
    }
}

void tfs_schedules_wake(tfs_schedules_t *schedules)
{
    if (schedules->busy) {
        schedules->again = true;
    } else if (tfs_may_work(schedules->scheduler) && schedules->zones &&
               schedules->wake_ms > uv_now(&schedules->scheduler->loop) + WAKE_MS) {
        sleep_for(schedules, WAKE_MS);
    }
}

void tfs_schedules_stop(tfs_schedules_t *schedules)
{
    uv_timer_stop(&schedules->timer);
    schedules->wake_ms = UINT64_MAX;
    schedules->again = false;
}

void tfs_schedules_close(tfs_schedules_t *schedules)
{
    tf_zones_free(schedules->zones);
    schedules->zones = NULL;
    uv_close((uv_handle_t *)&schedules->timer, NULL);
}
