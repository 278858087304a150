#include "expiry.h"

#include <string.h>

#include "batch.h"
#include "log.h"
#include "scheduler.h"
#include "sql.h"

#define PERIOD_MS 1000
#define BATCH 1000

static void look(uv_timer_t *timer);

static void on_announced(void *data, int64_t added, int64_t failed)
{
    tfs_expiry_t *expiry = data;

    expiry->scheduler->stats.redis_failed += failed;
    expiry->busy = false;
}

static void on_expired(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_expiry_t *expiry = data;
    tfs_scheduler_t *s = expiry->scheduler;
    int expired = result ? PQntuples(result) : 0;
    tfs_batch_t *batch = expired ? tfs_batch_begin(&s->redis, on_announced, expiry) : NULL;
    tf_job_t job;

    s->stats.expired += expired;
    if (batch == NULL) {
        on_announced(expiry, 0, 0);
        return;
    }
    for (int i = 0; i < expired; i++) {
        tfd_pg_row_t row = {result, i};

        if (tf_job_from_row(&job, &row, tfd_pg_column, 0, false)) {
            tfs_batch_job_event(batch, &job);
        }
    }
    tfs_batch_end(batch);
    if (expired == BATCH && uv_is_active((uv_handle_t *)&expiry->timer)) {
        uv_timer_start(&expiry->timer, look, 0, PERIOD_MS); /* there may be more */
    }
}

static void look(uv_timer_t *timer)
{
    tfs_expiry_t *expiry = timer->data;
    tfs_scheduler_t *s = expiry->scheduler;
    tfd_pg_params_t params = {0};

    if (expiry->busy || !tfs_may_work(s)) {
        return;
    }
    tfd_pg_int2(&params, TF_WRITER_SCHEDULER);
    tfd_pg_int4(&params, BATCH);
    expiry->busy = tfd_pg_send(&s->work, &tf_sql_expire, &params, on_expired, expiry);
}

void tfs_expiry_init(tfs_expiry_t *expiry, tfs_scheduler_t *scheduler)
{
    memset(expiry, 0, sizeof(*expiry));
    expiry->scheduler = scheduler;
    uv_timer_init(&scheduler->loop, &expiry->timer);
    expiry->timer.data = expiry;
}

void tfs_expiry_start(tfs_expiry_t *expiry)
{
    uv_timer_start(&expiry->timer, look, 0, PERIOD_MS);
}

void tfs_expiry_stop(tfs_expiry_t *expiry)
{
    uv_timer_stop(&expiry->timer);
}

void tfs_expiry_close(tfs_expiry_t *expiry)
{
    uv_close((uv_handle_t *)&expiry->timer, NULL);
}
