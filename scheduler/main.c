/* taskforge-scheduler: any number may run; one leads and makes due jobs queued, rescues jobs of lost workers,
 * repairs what Redis has lost and keeps the tables in shape. docs/scheduler.md. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "scheduler.h"
#include "slice.h"
#include "statements.h"

#define STATS_MS 60000
#define STOP_LOOK_MS 10
/* SIGTERM: what is under way may end within; the rest is found by the next leader. */
#define STOP_MAX_MS 700

static void listen_all(tfs_scheduler_t *s);

static void on_listening(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_scheduler_t *s = data;

    if (result) {
        tfs_due_start(&s->due); /* after LISTEN, so that nothing falls between looking and listening */
        tfs_schedules_start(&s->schedules);
    } else if (tfs_may_work(s)) {
        listen_all(s);
    }
}

static void on_listening_more(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
}

/* Answers come in this order; a LISTEN fails only when all of them do. */
static void listen_all(tfs_scheduler_t *s)
{
    tfd_pg_send(&s->work, &tfs_sql_listen_upkeep, NULL, on_listening_more, s);
    tfd_pg_send(&s->work, &tfs_sql_listen_schedules, NULL, on_listening_more, s);
    tfd_pg_send(&s->work, &tfs_sql_listen, NULL, on_listening, s);
}

static void work_up(void *data)
{
    tfs_scheduler_t *s = data;

    listen_all(s);
    tfs_rescue_start(&s->rescue);
    tfs_reconcile_start(&s->reconcile);
    tfs_stuck_start(&s->stuck);
    tfs_ranges_start(&s->ranges);
    tfs_expiry_start(&s->expiry);
}

static void work_down(void *data)
{
    tfs_scheduler_t *s = data;

    tfs_due_stop(&s->due);
    tfs_schedules_stop(&s->schedules);
    tfs_rescue_stop(&s->rescue);
    tfs_reconcile_stop(&s->reconcile);
    tfs_stuck_stop(&s->stuck);
    tfs_ranges_stop(&s->ranges);
    tfs_expiry_stop(&s->expiry);
}

static void notified(void *data, const char *channel)
{
    tfs_scheduler_t *s = data;

    if (strcmp(channel, "tf_schedules") == 0) {
        tfs_schedules_wake(&s->schedules);
    } else if (strcmp(channel, "tf_upkeep") == 0) {
        tfs_janitor_now(&s->janitor);
    } else {
        tfs_due_wake(&s->due);
    }
}

/* New, restarted or cut off for a while: whatever it lost is to be found now. */
static void redis_up(void *data)
{
    tfs_scheduler_t *s = data;

    tfs_reconcile_now(&s->reconcile);
}

static void log_stats(uv_timer_t *timer)
{
    tfs_scheduler_t *s = timer->data;
    const tfs_stats_t *n = &s->stats;
    static const tfs_stats_t nothing;

    if (memcmp(n, &nothing, sizeof(nothing)) != 0) {
        tf_log(TF_LOG_INFO, "stats", "i:promoted", n->promoted, "i:fired", n->fired, "i:expired", n->expired,
               "i:rescued", n->rescued, "i:dead_letter", n->buried, "i:added_again", n->added_again,
               "i:forgotten_entries", n->forgotten, "i:queues_mirrored", n->mirrored, "i:redis_failed",
               n->redis_failed, NULL);
        s->stats = nothing;
    }
}

static void elected(void *data)
{
    tfs_scheduler_t *s = data;

    tfd_pg_start(&s->work);
    tfd_redis_start(&s->redis);
    tfs_janitor_start(&s->janitor);
    uv_timer_start(&s->stats_timer, log_stats, STATS_MS, STATS_MS);
}

/* The connections go first: from here on nothing can act. */
static void deposed(void *data)
{
    tfs_scheduler_t *s = data;

    tfd_pg_stop(&s->work);
    tfs_janitor_stop(&s->janitor);
    tfd_redis_stop(&s->redis);
    uv_timer_stop(&s->stats_timer);
    log_stats(&s->stats_timer);
}

static void close_all(tfs_scheduler_t *s)
{
    tfs_leader_close(&s->leader);
    tfd_pg_close(&s->work);
    tfd_redis_close(&s->redis);
    tfs_due_close(&s->due);
    tfs_schedules_close(&s->schedules);
    tfs_rescue_close(&s->rescue);
    tfs_reconcile_close(&s->reconcile);
    tfs_stuck_close(&s->stuck);
    tfs_ranges_close(&s->ranges);
    tfs_expiry_close(&s->expiry);
    tfs_janitor_close(&s->janitor);
    uv_close((uv_handle_t *)&s->turn, NULL);
    uv_close((uv_handle_t *)&s->stats_timer, NULL);
    uv_close((uv_handle_t *)&s->stop_timer, NULL);
    uv_close((uv_handle_t *)&s->sigterm, NULL);
    uv_close((uv_handle_t *)&s->sigint, NULL);
}

static void on_stop_timer(uv_timer_t *timer)
{
    tfs_scheduler_t *s = timer->data;
    bool idle = tfd_pg_idle(&s->work) && tfd_redis_idle(&s->redis);

    if (idle || uv_now(&s->loop) - s->stop_ms >= STOP_MAX_MS) {
        close_all(s);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    tfs_scheduler_t *s = handle->data;

    if (!s->stopping) {
        tf_log(TF_LOG_INFO, "stopping", "i:signal", (int64_t)number, NULL);
        s->stopping = true;
        s->stop_ms = uv_now(&s->loop);
        uv_timer_start(&s->stop_timer, on_stop_timer, 0, STOP_LOOK_MS);
    }
}

/* Before the loop sleeps: what this turn gathered is sent in one write. */
static void on_turn(uv_prepare_t *prepare)
{
    tfs_scheduler_t *s = prepare->data;

    tfd_redis_flush(&s->redis);
}

static void init_connections(tfs_scheduler_t *s)
{
    static const tf_sql_t *const statements[] = {
        &tfs_sql_listen,        &tfs_sql_listen_schedules,
        &tfs_sql_listen_upkeep, &tfs_sql_next_tick,
        &tfs_sql_due_ticks,     &tf_sql_schedule_fire,
        &tfs_sql_fired,         &tfs_sql_note_round,
        &tf_sql_next_due,       &tf_sql_due,
        &tfs_sql_queues,        &tf_sql_lose_workers,
        &tf_sql_rescue,         &tfs_sql_dead_incarnations,
        &tfs_sql_now,           &tf_sql_active_queues,
        &tf_sql_lost_in_redis,  &tfs_sql_queue_states,
        &tfs_sql_mark_stuck,    &tf_sql_expire,
        &tfs_sql_gather_ranges,
    };

    s->work = (tfd_pg_t){
        .loop = &s->loop,
        .name = "work",
        .application = TFS_PROGRAM,
        .url = s->config.shared.database_url,
        .options = TFD_PG_OPTIONS,
        .statements = statements,
        .nstatements = sizeof(statements) / sizeof(statements[0]),
        .answer_ms = TFD_PG_ANSWER_MS,
        .up = work_up,
        .down = work_down,
        .notified = notified,
        .data = s,
    };
    s->redis = (tfd_redis_t){
        .loop = &s->loop,
        .name = "redis",
        .application = TFS_PROGRAM,
        .url = &s->config.shared.redis,
        .library = &s->config.shared.library,
        .answer_ms = TFD_REDIS_ANSWER_MS,
        .up = redis_up,
        .data = s,
    };
    tfd_pg_init(&s->work);
    tfd_redis_init(&s->redis);
}

static bool init(tfs_scheduler_t *s)
{
    if (uv_loop_init(&s->loop) != 0) {
        return false;
    }
    tfs_leader_init(&s->leader, &s->loop, s->config.shared.database_url, elected, deposed, s);
    init_connections(s);
    tfs_due_init(&s->due, s);
    tfs_schedules_init(&s->schedules, s);
    tfs_rescue_init(&s->rescue, s);
    tfs_reconcile_init(&s->reconcile, s);
    tfs_stuck_init(&s->stuck, s);
    tfs_ranges_init(&s->ranges, s);
    tfs_expiry_init(&s->expiry, s);
    tfs_janitor_init(&s->janitor, s);
    uv_prepare_init(&s->loop, &s->turn);
    uv_timer_init(&s->loop, &s->stats_timer);
    uv_timer_init(&s->loop, &s->stop_timer);
    uv_signal_init(&s->loop, &s->sigterm);
    uv_signal_init(&s->loop, &s->sigint);
    s->turn.data = s->stats_timer.data = s->stop_timer.data = s->sigterm.data = s->sigint.data = s;
    return uv_prepare_start(&s->turn, on_turn) == 0 &&
           uv_signal_start(&s->sigterm, on_signal, SIGTERM) == 0 &&
           uv_signal_start(&s->sigint, on_signal, SIGINT) == 0;
}

int main(int argc, char **argv)
{
    static tfs_scheduler_t scheduler;
    tfd_command_line_t line;
    char error[512];
    int status = tfd_command_line(TFS_PROGRAM, argc, argv, &line);

    if (status >= 0) {
        return status;
    }
    if (!tfs_config_load(&scheduler.config, line.path, error, sizeof(error))) {
        fprintf(stderr, TFS_PROGRAM ": %s\n", error);
        return 1;
    }
    if (line.check) {
        fprintf(stderr, TFS_PROGRAM ": the settings are ok\n");
        tfs_config_free(&scheduler.config);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    (void)tf_slice_set(TF_SLICE_SHORT);
    if (!init(&scheduler)) {
        fprintf(stderr, TFS_PROGRAM ": the event loop cannot be set up\n");
        return 1;
    }
    tf_log(TF_LOG_INFO, "started", "s:version", TF_VERSION, NULL);
    tfs_leader_start(&scheduler.leader);
    uv_run(&scheduler.loop, UV_RUN_DEFAULT);
    uv_loop_close(&scheduler.loop);
    tfs_config_free(&scheduler.config);
    tf_log(TF_LOG_INFO, "stopped", NULL);
    return 0;
}
