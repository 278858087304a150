#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "slice.h"
#include "worker/sql.h"

#define PROGRAM "taskforge-worker"
#define LEAVE_LIMIT_MS 3000
#define GIVE_UP_MS 5000 /* after the last executor should be dead: PostgreSQL is away */

static void leave(tfw_worker_t *w);

const char *tfw_worker_status(const tfw_worker_t *w)
{
    switch (w->state) {
    case TFW_RUNNING:
        return "online";
    case TFW_QUIET:
        return "quiet";
    default:
        return "stopping";
    }
}

bool tfw_worker_holds(const tfw_worker_t *w, const uint8_t id[16])
{
    tfw_executor_t *ex;

    return tfw_pool_find((tfw_pool_t *)&w->pool, id, &ex) || tfw_ledger_holds(&w->ledger, id);
}

void tfw_worker_drop_jobs(tfw_worker_t *w)
{
    tfw_pool_kill(&w->pool, TFW_DOOM_DROP, 0);
    tfw_ledger_drop(&w->ledger);
}

/* ---- leaving ---- */

static void close_all(tfw_worker_t *w)
{
    uv_prepare_stop(&w->turn);
    uv_close((uv_handle_t *)&w->turn, NULL);
    uv_close((uv_handle_t *)&w->deadline, NULL);
    for (size_t i = 0; i < sizeof(w->signals) / sizeof(w->signals[0]); i++) {
        uv_close((uv_handle_t *)&w->signals[i], NULL);
    }
    tfd_redis_close(&w->waiting);
    tfd_redis_close(&w->redis);
    tfd_redis_close(&w->control);
    tfd_pg_close(&w->claim_pg);
    tfd_pg_close(&w->ledger_pg);
    tfw_registration_close(&w->registration);
    tfw_orders_close(&w->orders);
    tfw_claim_close(&w->claim);
    tfw_pool_close(&w->pool);
    tfw_ledger_close(&w->ledger);
    tfw_journal_close(&w->journal);
    tfw_streams_close(&w->streams);
    tfd_events_free(&w->events);
}

static void on_leave_limit(uv_timer_t *timer)
{
    close_all(timer->data);
}

static void on_goodbye(redisAsyncContext *context, void *reply, void *data)
{
    tfw_worker_t *w = data;

    (void)context;
    if (reply) { /* else the connection broke, or is being closed: the timer ends it */
        uv_timer_start(&w->deadline, on_leave_limit, 0, 0);
    }
}

/* The row says offline, or cannot: the last words to Redis. */
static void gone(tfw_worker_t *w)
{
    static const char *ping[] = {"PING"};
    static const size_t lengths[] = {4};

    if (w->state != TFW_LEAVING || uv_is_closing((uv_handle_t *)&w->deadline)) {
        return;
    }
    tfw_registration_announce(w, "worker_offline", "offline");
    tfd_events_flush(&w->events);
    tfw_streams_flush(w);
    tfw_streams_forget(w);
    if (!tfd_redis_send(&w->redis, on_goodbye, w, 1, ping, lengths)) {
        uv_timer_start(&w->deadline, on_leave_limit, 0, 0);
    }
}

static void leave(tfw_worker_t *w)
{
    w->state = TFW_LEAVING;
    tf_log(TF_LOG_INFO, "worker_leaving", "i:unfinished",
           (int64_t)tfw_ledger_count(&w->ledger) + w->pool.active, NULL);
    uv_timer_start(&w->deadline, on_leave_limit, LEAVE_LIMIT_MS, 0);
    if (!tfw_registration_leave(w, gone)) {
        gone(w);
    }
}

/* PostgreSQL does not come back: what could not be written is found by the reaper. */
static void on_give_up(uv_timer_t *timer)
{
    tfw_worker_t *w = timer->data;

    w->exit_status = 1;
    leave(w);
}

static void kill_and_give_back(tfw_worker_t *w)
{
    tfw_pool_kill(&w->pool, TFW_DOOM_GIVE_BACK, w->options.kill_grace_seconds * 1000);
    tfw_claim_abandon(w);
    uv_timer_start(&w->deadline, on_give_up, (uint64_t)w->options.kill_grace_seconds * 1000 + GIVE_UP_MS, 0);
}

static void on_deadline(uv_timer_t *timer)
{
    tfw_worker_t *w = timer->data;

    tf_log(TF_LOG_WARNING, "shutdown_deadline", "i:jobs_given_back", (int64_t)w->pool.active, NULL);
    kill_and_give_back(w);
}

void tfw_worker_stop(tfw_worker_t *w, bool now, int exit_status)
{
    if (w->state == TFW_LEAVING) {
        return;
    }
    if (exit_status) {
        w->exit_status = exit_status;
    }
    if (w->state != TFW_STOPPING) {
        w->state = TFW_STOPPING;
        tf_log(TF_LOG_INFO, "worker_stopping", "i:active", (int64_t)w->pool.active, NULL);
        tfw_pool_give_back(&w->pool);
        tfw_registration_beat(w);
        uv_timer_start(&w->deadline, on_deadline, (uint64_t)w->options.shutdown_seconds * 1000, 0);
    }
    if (now) {
        kill_and_give_back(w);
    }
}

static void stop_when_done(tfw_worker_t *w)
{
    if (w->state == TFW_STOPPING && tfw_pool_idle(&w->pool) && tfw_ledger_count(&w->ledger) == 0 &&
        !tfw_claim_busy(&w->claim)) {
        leave(w);
    }
}

/* ---- signals ---- */

void tfw_worker_quiet(tfw_worker_t *w, bool on)
{
    if (w->state != (on ? TFW_RUNNING : TFW_QUIET)) {
        return;
    }
    w->state = on ? TFW_QUIET : TFW_RUNNING;
    tf_log(TF_LOG_INFO, on ? "worker_quiet" : "worker_resumed", NULL);
    tfw_registration_beat(w);
    tfw_claim_look_again(w);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    tfw_worker_t *w = handle->data;

    switch (signum) {
    case SIGUSR1:
        w->registration.own_will = true;
        tfw_worker_quiet(w, w->state == TFW_RUNNING);
        break;
    case SIGUSR2:
        w->registration.own_will = true;
        tfw_worker_quiet(w, false);
        break;
    case SIGPIPE:
        break;
    default:
        tfw_worker_stop(w, w->state == TFW_STOPPING, 0);
    }
}

/* ---- the loop ---- */

/* Once per turn of the event loop, before it sleeps. */
static void on_turn(uv_prepare_t *prepare)
{
    tfw_worker_t *w = prepare->data;

    if (w->state != TFW_LEAVING) {
        tfw_claim_turn(w);
        tfw_pool_dispatch(&w->pool);
        tfw_ledger_flush(w);
        tfw_journal_flush(w);
        tfw_registration_turn(w);
        tfw_orders_turn(w);
        stop_when_done(w);
        tfw_streams_flush(w);
        if (!tfw_ledger_gathers(w)) {
            tfd_events_flush(&w->events); /* else with those of the results that gather */
        }
    }
    tfd_redis_flush(&w->redis);
    tfd_redis_flush(&w->waiting);
    tfd_redis_flush(&w->control);
}

static void on_ledger_up(void *data)
{
    tfw_registration_connected(data);
}

static void on_redis_up(void *data)
{
    tfw_streams_forget(data);
    tfw_claim_look_again(data);
}

static void on_waiting_up(void *data)
{
    tfw_claim_connected(data);
}

static void on_control_up(void *data)
{
    tfw_orders_connected(data);
}

/* What the connections are there for; whoever has something to send looks at them in its turn. */
static void init_connections(tfw_worker_t *w)
{
    static const tf_sql_t *const claims[] = {&tf_sql_claim, &tf_sql_claim_again};
    static const tf_sql_t *const changes[] = {&tf_sql_succeed,       &tf_sql_finish,     &tf_sql_progress,
                                              &tfw_sql_register,     &tfw_sql_heartbeat, &tfw_sql_owner,
                                              &tfw_sql_job_types,    &tfw_sql_log,       &tfw_sql_cancels,
                                              &tf_sql_active_queues, &tfw_sql_log_trim};
    const tfd_settings_t *s = &w->options.shared;

    w->claim_pg = (tfd_pg_t){
        .loop = &w->loop,
        .name = "claim",
        .application = PROGRAM,
        .url = s->database_url,
        /* Claims need not be on disk before they are acted upon: if the server crashes and forgets one, the
         * job is QUEUED again, its end changes no row, and reconcile puts it back on its stream. The end
         * itself is flushed, and every earlier claim with it. */
        .options = TFD_PG_OPTIONS " -c synchronous_commit=off",
        .statements = claims,
        .nstatements = sizeof(claims) / sizeof(claims[0]),
        .answer_ms = TFD_PG_ANSWER_MS,
        .data = w,
    };
    w->ledger_pg = w->claim_pg;
    w->ledger_pg.name = "ledger";
    w->ledger_pg.options = TFD_PG_OPTIONS;
    w->ledger_pg.statements = changes;
    w->ledger_pg.nstatements = sizeof(changes) / sizeof(changes[0]);
    w->ledger_pg.up = on_ledger_up;
    w->redis = (tfd_redis_t){
        .loop = &w->loop,
        .name = "commands",
        .application = PROGRAM,
        .url = &s->redis,
        .library = &s->library,
        .answer_ms = TFD_REDIS_ANSWER_MS,
        .up = on_redis_up,
        .data = w,
    };
    w->waiting = w->redis;
    w->waiting.name = "waiting";
    w->waiting.answer_ms = TFW_CLAIM_BLOCK_MS + TFD_REDIS_ANSWER_MS;
    w->waiting.up = on_waiting_up;
    w->control = w->waiting;
    w->control.name = "control";
    w->control.answer_ms = TFW_ORDERS_BLOCK_MS + TFD_REDIS_ANSWER_MS;
    w->control.up = on_control_up;
    tfd_pg_init(&w->claim_pg);
    tfd_pg_init(&w->ledger_pg);
    tfd_redis_init(&w->redis);
    tfd_redis_init(&w->waiting);
    tfd_redis_init(&w->control);
}

static bool start(tfw_worker_t *w)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uv_signal_init(&w->loop, &w->signals[i]);
        w->signals[i].data = w;
        uv_signal_start(&w->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&w->loop, &w->deadline);
    w->deadline.data = w;
    uv_prepare_init(&w->loop, &w->turn);
    w->turn.data = w;
    uv_prepare_start(&w->turn, on_turn);
    init_connections(w);
    tfw_streams_start(&w->streams, w);
    tfw_journal_start(&w->journal, w);
    tfw_ledger_start(&w->ledger, w);
    tfw_claim_start(&w->claim, w);
    tfw_registration_start(&w->registration, w);
    /* The first executors are forked before there is any connection. */
    if (!tfw_pool_start(&w->pool, w)) {
        return false;
    }
    tfd_pg_start(&w->claim_pg);
    tfd_pg_start(&w->ledger_pg);
    tfd_redis_start(&w->redis);
    tfd_redis_start(&w->waiting);
    tfd_redis_start(&w->control);
    return true;
}

int tfw_worker_run(tfw_worker_t *w, const tfw_options_t *options)
{
    w->options = *options;
    (void)tf_slice_set(TF_SLICE_SHORT);
    if (uv_loop_init(&w->loop) != 0 || !start(w)) {
        tf_log(TF_LOG_ERROR, "worker_not_started", NULL);
        return 1;
    }
    tf_log(TF_LOG_INFO, "worker_started", "s:version", TF_VERSION, "s:hostname", w->options.hostname,
           "s:pool", w->options.pool, "s:queues", w->options.queue_list, "i:concurrency",
           w->options.concurrency, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    tf_log(TF_LOG_INFO, "worker_stopped", "i:exit_status", (int64_t)w->exit_status, NULL);
    tfw_options_free(&w->options);
    return w->exit_status;
}
