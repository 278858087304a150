#include "janitor.h"

#include "log.h"
#include "pgparam.h"
#include "scheduler.h"
#include "statements.h"

#define WEEKS_AHEAD 4
#define PERIOD_MS (60 * 60 * 1000)
#define TROUBLE_MS (60 * 1000)
#define ANSWER_MS 1800000 /* counting a week of many million jobs takes its time */

/* A lock that is not had at once is asked for again a minute later: a waiting exclusive lock makes everybody
 * wait. */
#define UPKEEP_OPTIONS TF_PG_OPTIONS " -c lock_timeout=500 -c statement_timeout=1800000"

static const struct {
    const tf_sql_t *sql;
    bool repeat;       /* until it answers 0 */
    const char *event; /* logged when it answers more than 0 */
} steps[] = {
    {&tfs_sql_make_partitions, false, "partitions_made"},
    {&tfs_sql_drop_partitions, true, "partitions_dropped"},
    {&tfs_sql_forget_throughput, false, NULL},
    {&tfs_sql_forget_workers, false, NULL},
    {&tfs_sql_forget_keys, true, NULL},
    {&tfs_sql_forget_deliveries, true, NULL},
};

#define STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

static void begin_round(uv_timer_t *timer);
static void do_step(tfs_janitor_t *janitor);

static void end_round(tfs_janitor_t *janitor)
{
    tf_log(janitor->failed ? TF_LOG_WARNING : TF_LOG_DEBUG, "upkeep_done", "b:complete", !janitor->failed,
           NULL);
    tfd_pg_stop(&janitor->pg);
    uv_timer_start(&janitor->timer, begin_round, janitor->failed ? TROUBLE_MS : PERIOD_MS, 0);
}

static void on_done(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_janitor_t *janitor = data;
    int32_t count = 0;

    if (!tfd_pg_ready(&janitor->pg)) {
        return; /* on_up comes again */
    }
    if (result == NULL) {
        janitor->failed = true;
    } else if (PQntuples(result) == 1 && PQgetlength(result, 0, 0) == 4) {
        count = tf_pg_get_int4(PQgetvalue(result, 0, 0));
    }
    if (count && steps[janitor->step].event) {
        tf_log(TF_LOG_INFO, steps[janitor->step].event, "i:count", (int64_t)count, NULL);
    }
    if (count == 0 || !steps[janitor->step].repeat) {
        janitor->step++;
    }
    do_step(janitor);
}

static void do_step(tfs_janitor_t *janitor)
{
    tfd_pg_params_t params = {0};
    const tf_sql_t *sql;

    if (janitor->step == STEPS || janitor->scheduler->stopping) {
        end_round(janitor);
        return;
    }
    sql = steps[janitor->step].sql;
    if (sql == &tfs_sql_make_partitions) {
        tfd_pg_int4(&params, WEEKS_AHEAD);
    } else if (sql == &tfs_sql_drop_partitions || sql == &tfs_sql_forget_deliveries) {
        tfd_pg_int4(&params, (int32_t)janitor->scheduler->config.retention_days);
    }
    if (!tfd_pg_send(&janitor->pg, sql, &params, on_done, janitor)) {
        janitor->failed = true;
        end_round(janitor);
    }
}

/* Lost in the middle, it connects again by itself and begins anew: every step may be done twice. */
static void on_up(void *data)
{
    tfs_janitor_t *janitor = data;

    janitor->step = 0;
    janitor->failed = false;
    do_step(janitor);
}

static void begin_round(uv_timer_t *timer)
{
    tfs_janitor_t *janitor = timer->data;

    tfd_pg_start(&janitor->pg);
}

void tfs_janitor_init(tfs_janitor_t *janitor, tfs_scheduler_t *scheduler)
{
    static const tf_sql_t *statements[STEPS];

    for (int i = 0; i < STEPS; i++) {
        statements[i] = steps[i].sql;
    }
    *janitor = (tfs_janitor_t){.scheduler = scheduler};
    janitor->pg = (tfd_pg_t){
        .loop = &scheduler->loop,
        .name = "upkeep",
        .application = TFS_PROGRAM,
        .url = scheduler->config.shared.database_url,
        .options = UPKEEP_OPTIONS,
        .statements = statements,
        .nstatements = STEPS,
        .answer_ms = ANSWER_MS,
        .up = on_up,
        .data = janitor,
    };
    tfd_pg_init(&janitor->pg);
    uv_timer_init(&scheduler->loop, &janitor->timer);
    janitor->timer.data = janitor;
}

void tfs_janitor_start(tfs_janitor_t *janitor)
{
    uv_timer_start(&janitor->timer, begin_round, 0, 0);
}

void tfs_janitor_stop(tfs_janitor_t *janitor)
{
    uv_timer_stop(&janitor->timer);
    tfd_pg_stop(&janitor->pg);
}

void tfs_janitor_close(tfs_janitor_t *janitor)
{
    tfd_pg_close(&janitor->pg);
    uv_close((uv_handle_t *)&janitor->timer, NULL);
}
