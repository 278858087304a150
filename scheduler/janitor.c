#include "janitor.h"

#include "log.h"
#include "pgparam.h"
#include "rounds.h"
#include "scheduler.h"
#include "statements.h"

#define WEEKS_AHEAD 4
#define KEPT_BATCH 1000 /* jobs looked at in one transaction */
#define PERIOD_MS (60 * 60 * 1000)
#define TROUBLE_MS (60 * 1000)
#define ANSWER_MS 1800000 /* counting a week of many million jobs takes its time */

/* A lock that is not had at once is asked for again a minute later: a waiting exclusive lock makes everybody
 * wait. */
#define UPKEEP_OPTIONS TF_PG_OPTIONS " -c lock_timeout=500 -c statement_timeout=1800000"

static const struct {
    const tf_sql_t *sql;
    bool repeat;       /* until it answers 0 */
    const char *event; /* logged with the sum of its answers, or of their second column where there is one */
} steps[] = {
    {&tfs_sql_make_partitions, false, "partitions_made"},
    {&tfs_sql_drop_partitions, true, "partitions_dropped"},
    {&tfs_sql_delete_kept, true, "jobs_deleted"},
    {&tfs_sql_forget_throughput, false, NULL},
    {&tfs_sql_forget_workers, false, NULL},
    {&tfs_sql_forget_keys, true, NULL},
    {&tfs_sql_forget_checkpoints, true, NULL},
    {&tfs_sql_forget_deliveries, true, NULL},
    {&tfs_sql_forget_ticks, true, NULL},
    {&tfs_sql_forget_ranges, false, NULL},
    {&tfs_sql_forget_queue_settings, false, NULL},
};

#define STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

static void begin_round(uv_timer_t *timer);
static void do_step(tfs_janitor_t *janitor);

static uint64_t pause_ms(const tfs_janitor_t *janitor)
{
    return janitor->failed ? TROUBLE_MS : PERIOD_MS;
}

static void end_round(tfs_janitor_t *janitor)
{
    tf_log(janitor->failed ? TF_LOG_WARNING : TF_LOG_DEBUG, "upkeep_done", "b:complete", !janitor->failed,
           NULL);
    tfd_pg_stop(&janitor->pg);
    uv_timer_start(&janitor->timer, begin_round, pause_ms(janitor), 0);
}

static void on_noted(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_janitor_t *janitor = data;

    if (tfd_pg_ready(&janitor->pg)) { /* else on_up comes again */
        end_round(janitor);
    }
}

/* The last step was done, or this process is stopping. */
static void note_round(tfs_janitor_t *janitor)
{
    if (!tfs_round_note(&janitor->pg, TFS_ROUND_UPKEEP, janitor->step == STEPS && !janitor->failed,
                        pause_ms(janitor), PERIOD_MS, on_noted, janitor)) {
        end_round(janitor);
    }
}

static void on_disused(void *data, bool complete)
{
    tfs_janitor_t *janitor = data;

    janitor->failed = janitor->failed || !complete;
    note_round(janitor);
}

static void end_step(tfs_janitor_t *janitor)
{
    if (janitor->done && steps[janitor->step].event) {
        tf_log(TF_LOG_INFO, steps[janitor->step].event, "i:count", janitor->done, NULL);
    }
    janitor->done = 0;
    janitor->step++;
}

/* An int4; 0 where there is none. */
static int32_t answer(const PGresult *result, int column)
{
    return PQntuples(result) == 1 && column < PQnfields(result) && PQgetlength(result, 0, column) == 4
               ? tf_pg_get_int4(PQgetvalue(result, 0, column))
               : 0;
}

static void on_done(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_janitor_t *janitor = data;
    int32_t left = 0;

    if (!tfd_pg_ready(&janitor->pg)) {
        return; /* on_up comes again */
    }
    if (result == NULL) {
        janitor->failed = true;
    } else {
        left = answer(result, 0);
        janitor->done += answer(result, PQnfields(result) - 1);
    }
    if (left == 0 || !steps[janitor->step].repeat) {
        end_step(janitor);
    }
    do_step(janitor);
}

static void do_step(tfs_janitor_t *janitor)
{
    const tfs_config_t *config = &janitor->scheduler->config;
    tfd_pg_params_t params = {0};
    const tf_sql_t *sql;

    if (janitor->step == STEPS || janitor->scheduler->stopping) {
        if (janitor->scheduler->stopping || !tfs_disused_run(&janitor->disused, on_disused, janitor)) {
            note_round(janitor);
        }
        return;
    }
    sql = steps[janitor->step].sql;
    if (sql == &tfs_sql_make_partitions) {
        tfd_pg_int4(&params, WEEKS_AHEAD);
    } else if (sql == &tfs_sql_drop_partitions || sql == &tfs_sql_forget_deliveries) {
        tfd_pg_int4(&params, (int32_t)config->retention_days);
    } else if (sql == &tfs_sql_delete_kept) {
        tfd_pg_int4(&params, (int32_t)config->retention_success_days);
        tfd_pg_int4(&params, (int32_t)config->retention_failed_days);
        tfd_pg_int4(&params, (int32_t)config->retention_dead_letter_days);
        tfd_pg_int4(&params, (int32_t)config->retention_cancelled_days);
        tfd_pg_int4(&params, KEPT_BATCH);
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

    tfs_disused_stop(&janitor->disused);
    janitor->step = 0;
    janitor->done = 0;
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
    static const tf_sql_t *statements[STEPS + 3] = {
        [STEPS] = &tfs_sql_note_round, &tfs_sql_disused_queues, &tfs_sql_forget_queues};

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
        .nstatements = STEPS + 3,
        .answer_ms = ANSWER_MS,
        .up = on_up,
        .data = janitor,
    };
    tfd_pg_init(&janitor->pg);
    tfs_disused_init(&janitor->disused, scheduler, &janitor->pg);
    uv_timer_init(&scheduler->loop, &janitor->timer);
    janitor->timer.data = janitor;
}

void tfs_janitor_start(tfs_janitor_t *janitor)
{
    uv_timer_start(&janitor->timer, begin_round, 0, 0);
}

void tfs_janitor_now(tfs_janitor_t *janitor)
{
    if (uv_is_active((uv_handle_t *)&janitor->timer)) { /* else a round is under way */
        uv_timer_start(&janitor->timer, begin_round, 0, 0);
    }
}

void tfs_janitor_stop(tfs_janitor_t *janitor)
{
    uv_timer_stop(&janitor->timer);
    tfs_disused_stop(&janitor->disused);
    tfd_pg_stop(&janitor->pg);
}

void tfs_janitor_close(tfs_janitor_t *janitor)
{
    tfd_pg_close(&janitor->pg);
    tfs_disused_close(&janitor->disused);
    uv_close((uv_handle_t *)&janitor->timer, NULL);
}
