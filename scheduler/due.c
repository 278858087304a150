#include "due.h"

#include "batch.h"
#include "log.h"
#include "pgparam.h"
#include "scheduler.h"
#include "sql.h"

#define BATCH 1000
#define WAKE_MS 10         /* notifications within it are one look */
#define LOCKED_MS 50       /* what is due is being changed by somebody else: look again then */
#define TROUBLE_MS 500     /* after an error */
#define SLEEP_MAX_MS 30000 /* a step of PostgreSQL's clock is noticed so late */

static void look(tfs_due_t *due);
static void promote(tfs_due_t *due);

static void on_timer(uv_timer_t *timer)
{
    tfs_due_t *due = timer->data;

    due->wake_ms = UINT64_MAX;
    if (due->expected) {
        promote(due);
    } else {
        due->promoted = BATCH; /* nothing is known to be locked */
        look(due);
    }
}

static void sleep_for(tfs_due_t *due, uint64_t ms, bool expected)
{
    due->expected = expected;
    due->wake_ms = uv_now(&due->scheduler->loop) + ms;
    uv_timer_start(&due->timer, on_timer, ms, 0);
}

static void on_next(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_due_t *due = data;
    int64_t wait_us = INT64_MAX;

    due->busy = false;
    if (result == NULL) {
        sleep_for(due, TROUBLE_MS, false);
        return;
    }
    if (PQntuples(result) == 1) {
        wait_us = tf_pg_get_time(PQgetvalue(result, 0, 0)) - tf_pg_get_time(PQgetvalue(result, 0, 1));
    }
    if (wait_us <= 0 && due->promoted) {
        promote(due);
    } else if (wait_us <= 0) {
        sleep_for(due, LOCKED_MS, true);
    } else if (due->again) {
        sleep_for(due, WAKE_MS, false);
    } else if (wait_us > (int64_t)SLEEP_MAX_MS * 1000) {
        sleep_for(due, SLEEP_MAX_MS, false);
    } else {
        sleep_for(due, (uint64_t)wait_us / 1000 + 1, true);
    }
    due->again = false;
}

static void look(tfs_due_t *due)
{
    tfs_scheduler_t *s = due->scheduler;

    if (tfs_may_work(s)) {
        due->busy = tfd_pg_send(&s->work, &tf_sql_next_due, NULL, on_next, due);
        if (!due->busy) {
            sleep_for(due, TROUBLE_MS, false);
        }
    }
}

/* All commands of the batch are answered: as fast as Redis takes them, never faster. */
static void on_dispatched(void *data, int64_t added, int64_t failed)
{
    tfs_due_t *due = data;

    due->busy = false;
    due->scheduler->stats.redis_failed += failed;
    if (due->promoted == BATCH) {
        promote(due);
    } else {
        look(due);
    }
}

static void on_promoted(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_due_t *due = data;
    tfs_scheduler_t *s = due->scheduler;
    tfs_batch_t *batch;
    tf_job_t job;

    if (result == NULL) {
        due->busy = false;
        sleep_for(due, TROUBLE_MS, false);
        return;
    }
    due->promoted = PQntuples(result);
    s->stats.promoted += due->promoted;
    batch = tfs_batch_begin(&s->redis, on_dispatched, due);
    if (batch == NULL) {
        on_dispatched(due, 0, due->promoted);
        return;
    }
    for (int i = 0; i < due->promoted; i++) {
        tfd_pg_row_t row = {result, i};

        if (tf_job_from_row(&job, &row, tfd_pg_column, 0, false)) {
            tfs_batch_add(batch, job.queue, job.priority, job.id);
            tfs_batch_job_event(batch, &job);
        }
    }
    tfs_batch_end(batch);
}

static void promote(tfs_due_t *due)
{
    tfs_scheduler_t *s = due->scheduler;
    tfd_pg_params_t params = {0};

    tfd_pg_int2(&params, TF_WRITER_SCHEDULER);
    tfd_pg_int4(&params, BATCH);
    if (tfs_may_work(s)) {
        due->busy = tfd_pg_send(&s->work, &tf_sql_due, &params, on_promoted, due);
        if (!due->busy) {
            sleep_for(due, TROUBLE_MS, false);
        }
    }
}

void tfs_due_init(tfs_due_t *due, tfs_scheduler_t *scheduler)
{
    due->scheduler = scheduler;
    due->wake_ms = UINT64_MAX;
    due->busy = due->again = due->expected = false;
    uv_timer_init(&scheduler->loop, &due->timer);
    due->timer.data = due;
}

void tfs_due_start(tfs_due_t *due)
{
    if (!due->busy) {
        due->promoted = BATCH;
        look(due);
    }
}

void tfs_due_wake(tfs_due_t *due)
{
    if (due->busy) {
        due->again = true;
    } else if (tfs_may_work(due->scheduler) && due->wake_ms > uv_now(&due->scheduler->loop) + WAKE_MS) {
        sleep_for(due, WAKE_MS, false);
    }
}

void tfs_due_stop(tfs_due_t *due)
{
    uv_timer_stop(&due->timer);
    due->wake_ms = UINT64_MAX;
    due->again = false;
}

void tfs_due_close(tfs_due_t *due)
{
    uv_close((uv_handle_t *)&due->timer, NULL);
}
