#include "stuck.h"

#include <string.h>

#include "batch.h"
#include "log.h"
#include "scheduler.h"
#include "statements.h"

#define PERIOD_MIN_MS 1000 /* a quarter of TASKFORGE_STUCK_SECONDS within these */
#define PERIOD_MAX_MS 5000

static void on_announced(void *data, int64_t added, int64_t failed)
{
    tfs_stuck_t *stuck = data;

    stuck->scheduler->stats.redis_failed += failed;
    stuck->busy = false;
}

static tf_str_t text_at(const PGresult *result, int row, int column)
{
    return (tf_str_t){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

static void announce(tfs_batch_t *batch, const PGresult *result, int row)
{
    bool is_stuck = PQgetvalue(result, row, 4)[0];
    tfd_worker_state_t worker = {
        .id = (const uint8_t *)PQgetvalue(result, row, 0),
        .incarnation = tf_pg_get_int8(PQgetvalue(result, row, 1)),
        .hostname = text_at(result, row, 2),
        .pool = text_at(result, row, 3),
        .status = is_stuck ? "stuck" : "online",
    };
    uv_timeval64_t now;

    uv_gettimeofday(&now);
    tf_log(is_stuck ? TF_LOG_WARNING : TF_LOG_INFO, is_stuck ? "worker_stuck" : "worker_not_stuck",
           "s:hostname", worker.hostname.data, "s:pool", worker.pool.data, "i:incarnation",
           worker.incarnation, NULL);
    tfs_batch_worker_event(batch, &worker, is_stuck ? "worker_stuck" : "worker_online",
                           now.tv_sec * 1000000 + now.tv_usec);
}

static void on_marked(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_stuck_t *stuck = data;
    int changed = result ? PQntuples(result) : 0;
    tfs_batch_t *batch = changed ? tfs_batch_begin(&stuck->scheduler->redis, on_announced, stuck) : NULL;

    if (batch == NULL) {
        on_announced(stuck, 0, 0);
        return;
    }
    for (int i = 0; i < changed; i++) {
        announce(batch, result, i);
    }
    tfs_batch_end(batch);
}

/* Without Redis nobody can fetch, and it is not the worker that is stuck. */
static void look(uv_timer_t *timer)
{
    tfs_stuck_t *stuck = timer->data;
    tfs_scheduler_t *s = stuck->scheduler;
    tfd_pg_params_t params = {0};

    if (stuck->busy || !tfs_may_work(s) || !tfd_redis_ready(&s->redis)) {
        return;
    }
    tfd_pg_int4(&params, (int32_t)s->config.stuck_seconds);
    tfd_pg_int4(&params, (int32_t)s->config.lost_seconds);
    stuck->busy = tfd_pg_send(&s->work, &tfs_sql_mark_stuck, &params, on_marked, stuck);
}

void tfs_stuck_init(tfs_stuck_t *stuck, tfs_scheduler_t *scheduler)
{
    memset(stuck, 0, sizeof(*stuck));
    stuck->scheduler = scheduler;
    uv_timer_init(&scheduler->loop, &stuck->timer);
    stuck->timer.data = stuck;
}

void tfs_stuck_start(tfs_stuck_t *stuck)
{
    uint64_t period_ms = (uint64_t)stuck->scheduler->config.stuck_seconds * 250;

    if (period_ms < PERIOD_MIN_MS) {
        period_ms = PERIOD_MIN_MS;
    } else if (period_ms > PERIOD_MAX_MS) {
        period_ms = PERIOD_MAX_MS;
    }
    uv_timer_start(&stuck->timer, look, period_ms, period_ms);
}

void tfs_stuck_stop(tfs_stuck_t *stuck)
{
    uv_timer_stop(&stuck->timer);
}

void tfs_stuck_close(tfs_stuck_t *stuck)
{
    uv_close((uv_handle_t *)&stuck->timer, NULL);
}
