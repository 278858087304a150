/* taskforge-scheduler: any number may run; one leads and makes due jobs queued, rescues jobs of lost workers,
 * repairs what Redis has lost and keeps the tables in shape. docs/scheduler.md. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "scheduler.h"
#include "statements.h"

#define STATS_MS 60000
#define STOP_LOOK_MS 10
#define STOP_MAX_MS                                                                                          \
    700 /* SIGTERM: what is under way may end within; the rest is found by the next leader                   \
         */
#define WORK_ANSWER_MS 30000
#define WORK_OPTIONS TF_PG_OPTIONS " -c statement_timeout=30000"

static void on_listening(void *data, const PGresult *result)
{
    tfs_scheduler_t *s = data;

    if (result) {
        tfs_due_start(&s->due); /* after LISTEN, so that nothing falls between looking and listening */
    } else if (tfs_may_work(s)) {
        tfs_pg_query(&s->work, &tfs_sql_listen, NULL, on_listening, s);
    }
}

static void work_up(void *data)
{
    tfs_scheduler_t *s = data;

    tfs_pg_query(&s->work, &tfs_sql_listen, NULL, on_listening, s);
    tfs_rescue_start(&s->rescue);
    tfs_reconcile_start(&s->reconcile);
}

static void work_down(void *data)
{
    tfs_scheduler_t *s = data;

    tfs_due_stop(&s->due);
    tfs_rescue_stop(&s->rescue);
    tfs_reconcile_stop(&s->reconcile);
}

static void notified(void *data, const char *channel)
{
    tfs_scheduler_t *s = data;

    tfs_due_wake(&s->due);
}

/* New, restarted or cut off for a while: whatever it lost is to be found now. */
static void redis_up(void *data)
{
    tfs_scheduler_t *s = data;

    tfs_reconcile_now(&s->reconcile);
}

static void redis_down(void *data)
{
}

static void log_stats(uv_timer_t *timer)
{
    tfs_scheduler_t *s = timer->data;
    const tfs_stats_t *n = &s->stats;
    static const tfs_stats_t nothing;

    if (memcmp(n, &nothing, sizeof(nothing)) != 0) {
        tf_log(TF_LOG_INFO, "stats", "i:promoted", n->promoted, "i:rescued", n->rescued, "i:dead_letter",
               n->buried, "i:added_again", n->added_again, "i:forgotten_entries", n->forgotten,
               "i:redis_failed", n->redis_failed, NULL);
        s->stats = nothing;
    }
}

static void elected(void *data)
{
    tfs_scheduler_t *s = data;

    tfs_pg_start(&s->work);
    tfs_redis_start(&s->redis);
    tfs_janitor_start(&s->janitor);
    uv_timer_start(&s->stats_timer, log_stats, STATS_MS, STATS_MS);
}

/* The connections go first: from here on nothing can act. */
static void deposed(void *data)
{
    tfs_scheduler_t *s = data;

    tfs_pg_stop(&s->work);
    tfs_janitor_stop(&s->janitor);
    tfs_redis_stop(&s->redis);
    uv_timer_stop(&s->stats_timer);
    log_stats(&s->stats_timer);
}

static void close_all(tfs_scheduler_t *s)
{
    tfs_leader_close(&s->leader);
    tfs_pg_stop(&s->work);
    tfs_pg_close(&s->work);
    tfs_redis_stop(&s->redis);
    tfs_redis_close(&s->redis);
    tfs_due_close(&s->due);
    tfs_rescue_close(&s->rescue);
    tfs_reconcile_close(&s->reconcile);
    tfs_janitor_close(&s->janitor);
    uv_close((uv_handle_t *)&s->stats_timer, NULL);
    uv_close((uv_handle_t *)&s->stop_timer, NULL);
    uv_close((uv_handle_t *)&s->sigterm, NULL);
    uv_close((uv_handle_t *)&s->sigint, NULL);
}

static void on_stop_timer(uv_timer_t *timer)
{
    tfs_scheduler_t *s = timer->data;
    bool idle = tfs_pg_idle(&s->work) && tfs_redis_idle(&s->redis);

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

static bool init(tfs_scheduler_t *s)
{
    if (uv_loop_init(&s->loop) != 0) {
        return false;
    }
    tfs_leader_init(&s->leader, &s->loop, s->config.database_url, elected, deposed, s);
    s->work.loop = s->redis.loop = &s->loop;
    s->work.name = "work";
    s->work.url = s->config.database_url;
    s->work.options = WORK_OPTIONS;
    s->work.answer_ms = WORK_ANSWER_MS;
    s->work.up = work_up;
    s->work.down = work_down;
    s->work.notified = notified;
    s->redis.up = redis_up;
    s->redis.down = redis_down;
    s->work.data = s->redis.data = s;
    tfs_pg_init(&s->work);
    tfs_redis_init(&s->redis);
    tfs_due_init(&s->due, s);
    tfs_rescue_init(&s->rescue, s);
    tfs_reconcile_init(&s->reconcile, s);
    tfs_janitor_init(&s->janitor, s);
    uv_timer_init(&s->loop, &s->stats_timer);
    uv_timer_init(&s->loop, &s->stop_timer);
    uv_signal_init(&s->loop, &s->sigterm);
    uv_signal_init(&s->loop, &s->sigint);
    s->stats_timer.data = s->stop_timer.data = s->sigterm.data = s->sigint.data = s;
    return uv_signal_start(&s->sigterm, on_signal, SIGTERM) == 0 &&
           uv_signal_start(&s->sigint, on_signal, SIGINT) == 0;
}

static int usage(FILE *out, int status)
{
    fputs("usage: taskforge-scheduler [-c FILE] [-t] [-V]\n"
          "  -c FILE  settings, NAME=value lines; the environment wins over them\n"
          "  -t       check the settings and leave\n"
          "  -V       print the version and leave\n",
          out);
    return status;
}

int main(int argc, char **argv)
{
    static tfs_scheduler_t scheduler;
    const char *path = NULL;
    bool test = false;
    char error[512];
    int option;

    while ((option = getopt(argc, argv, "c:thV")) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 't':
            test = true;
            break;
        case 'V':
            puts("taskforge-scheduler " TF_VERSION);
            return 0;
        case 'h':
            return usage(stdout, 0);
        default:
            return usage(stderr, 2);
        }
    }
    if (optind != argc) {
        return usage(stderr, 2);
    }
    if (!tfs_config_load(&scheduler.config, &scheduler.redis.url, &scheduler.redis.library, path, error,
                         sizeof(error))) {
        fprintf(stderr, "taskforge-scheduler: %s\n", error);
        return 1;
    }
    if (!tf_log_init("scheduler", scheduler.config.log_level)) {
        fprintf(stderr, "taskforge-scheduler: TASKFORGE_LOG_LEVEL: expected debug, info, warning or error\n");
        return 1;
    }
    if (test) {
        fprintf(stderr, "taskforge-scheduler: the settings are ok\n");
        tf_redis_url_free(&scheduler.redis.url);
        tf_buf_free(&scheduler.redis.library);
        tfs_config_free(&scheduler.config);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    if (!init(&scheduler)) {
        fprintf(stderr, "taskforge-scheduler: the event loop cannot be set up\n");
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
