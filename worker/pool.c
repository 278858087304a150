#include "pool.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "attempt.h"
#include "catalogue.h"
#include "log.h"
#include "orphans.h"
#include "watch.h"
#include "worker.h"

#define AHEAD_US 5000                  /* so much work is sent ahead */
#define AHEAD_BYTES (32.0 * (1 << 20)) /* but never more payload than this, all executors together */
#define IO_BYTES (16 << 20) /* nor in the I/O executor at once: parsed they are some 50 times as much */
#define HOARD_US 1000000    /* a job that waits longer for an executor is given back */
#define AVERAGE_OVER 8
#define SHARE_OVER 32 /* claims, for the share of jobs for the I/O executor */
#define SHARE_ALL 0.9 /* nearly all of them are */
#define FULL_SOCKET_US 5000
#define SAMPLE_MAX_US (8.0 * AHEAD_US) /* one very long job must not slow the next hundred short ones */

static void on_timer(uv_timer_t *timer);

void tfw_pool_look_in(tfw_pool_t *pool, int64_t delay_us)
{
    int64_t due = (int64_t)uv_now(&pool->worker->loop) * 1000 + delay_us;

    if (pool->timer_due_us == 0 || due < pool->timer_due_us) {
        pool->timer_due_us = due;
        uv_timer_start(&pool->timer, on_timer, (uint64_t)(delay_us + 999) / 1000, 0);
    }
}

static void average(double *avg, double value, int over)
{
    *avg += (value - *avg) / over;
}

/* Which of the two lines a job waits in. */
static tfw_line_t *line_of(tfw_pool_t *pool, const tfw_job_t *job)
{
    return pool->io && tfw_catalogue_at((size_t)job->handler)->io_bound ? &pool->shared : &pool->alone;
}

static void sample_duration(tfw_pool_t *pool, const tfw_job_t *job)
{
    average(&pool->avg_us, fmin((double)(job->finished_us - job->started_us), SAMPLE_MAX_US), AVERAGE_OVER);
}

static int ahead(const tfw_pool_t *pool)
{
    double n = AHEAD_US / fmax(pool->avg_us, 1),
           by_size = AHEAD_BYTES / (pool->wanted * fmax(pool->avg_bytes, 1));

    n = fmin(n, by_size);
    return n < 1 ? 1 : n > TFW_AHEAD_MAX ? TFW_AHEAD_MAX : (int)n;
}

bool tfw_pool_wants(const tfw_pool_t *pool, const tfw_executor_t *ex)
{
    if (ex == pool->io) {
        return ex->pid > 0 || pool->shared.count;
    }
    return ex->index < pool->wanted;
}

/* How many more jobs this executor may get, of those that have it for themselves. */
static int quota(const tfw_executor_t *ex, int most)
{
    if (ex->pid <= 0 || ex->places > 0 || ex->doom != TFW_DOOM_NONE || ex->slow || ex->cancel_seq ||
        !tfw_pool_wants(&ex->worker->pool, ex) || ex->njobs >= most) {
        return 0;
    }
    return most - ex->njobs;
}

/* How many more jobs the I/O executor may get. It need not run yet. */
static int io_quota(const tfw_pool_t *pool)
{
    const tfw_executor_t *io = pool->io;

    return io && io->doom == TFW_DOOM_NONE && io->payload_bytes < IO_BYTES ? io->places - io->njobs : 0;
}

int tfw_pool_room(const tfw_pool_t *pool)
{
    int room = -pool->alone.count, most = ahead(pool), io = io_quota(pool) - pool->shared.count;

    for (int i = 0; i < pool->count; i++) {
        room += quota(&pool->executors[i], most);
    }
    room = room > 0 ? room : 0;
    if (io <= 0 || pool->io_share <= 0) {
        return room;
    }
    /* Redis does not say what is what: as many as should bring no more of the others than there is room for
     */
    if (pool->io_share > SHARE_ALL || room / (1 - pool->io_share) > room + io) {
        return room + io;
    }
    return (int)(room / (1 - pool->io_share));
}

bool tfw_pool_gathers(const tfw_pool_t *pool)
{
    return pool->io && pool->io->njobs && pool->io_share > SHARE_ALL;
}

int tfw_pool_worthwhile(const tfw_pool_t *pool)
{
    int most = ahead(pool), all = 0;

    if (most == 1 || tfw_pool_idle(pool)) {
        return 1;
    }
    for (int i = 0; i < pool->count; i++) {
        const tfw_executor_t *ex = &pool->executors[i];

        all += ex->pid > 0 && ex->places == 0 && ex->doom == TFW_DOOM_NONE && !ex->slow &&
                       tfw_pool_wants(pool, ex)
                   ? most
                   : 0;
    }
    return all > 1 ? all / 2 : 1;
}

void tfw_pool_wait(tfw_pool_t *pool, tfw_job_t *job)
{
    tfw_line_t *line = line_of(pool, job);

    job->waiting_since_us = tfw_monotonic_us();
    TAILQ_INSERT_TAIL(&line->jobs, job, link);
    line->count++;
    tfw_pool_look_in(pool, HOARD_US);
}

void tfw_pool_add(tfw_pool_t *pool, tfw_job_t *job)
{
    bool io = line_of(pool, job) == &pool->shared;

    average(&pool->io_share, io, SHARE_OVER);
    if (!io) {
        average(&pool->avg_bytes, (double)job->row.payload.len, AVERAGE_OVER);
    }
    if (tfw_types_admit(pool->worker, job)) {
        tfw_pool_wait(pool, job);
    } else {
        tfw_pool_look_in(pool, HOARD_US);
    }
}

void tfw_pool_let_go(tfw_pool_t *pool, tfw_job_t *job, bool ours)
{
    if (job->started_us && job->finished_us && line_of(pool, job) == &pool->alone) {
        sample_duration(pool, job);
    }
    tfw_types_left(pool->worker, job);
    if (ours) {
        tfw_ledger_add(pool->worker, job);
    } else {
        tfw_job_release(job);
    }
}

static void hand_out(tfw_pool_t *pool, tfw_executor_t *ex, int share)
{
    int allowed = quota(ex, ahead(pool)), sent;

    if (allowed == 0) {
        return;
    }
    sent = tfw_executor_send(ex, &pool->alone.jobs, share < allowed ? share : allowed);
    pool->alone.count -= sent;
    pool->active += sent;
    if (sent) {
        tfw_pool_look_in(pool, ex->njobs > 1 ? TFW_SLOW_US : tfw_attempt_timeout_us(TAILQ_FIRST(&ex->jobs)));
    }
}

/* How many of those that wait for it the I/O executor may get now. */
static int io_allowed(const tfw_pool_t *pool)
{
    int quota = io_quota(pool), n = 0;
    int64_t bytes = quota ? pool->io->payload_bytes : 0;
    const tfw_job_t *job;

    TAILQ_FOREACH(job, &pool->shared.jobs, link)
    {
        if (n == quota || bytes >= IO_BYTES) {
            break;
        }
        bytes += (int64_t)job->row.payload.len;
        n++;
    }
    return n;
}

/* The I/O executor begins with its first job: a worker that has none for it does not pay for it. */
static void hand_out_io(tfw_pool_t *pool)
{
    tfw_executor_t *ex = pool->io;
    int allowed = io_allowed(pool), sent;
    int64_t later_us = ex->pid > 0 ? INT64_MAX : tfw_watch(ex, tfw_monotonic_us());

    if (later_us != INT64_MAX) {
        tfw_pool_look_in(pool, later_us);
    }
    if (ex->pid <= 0 || allowed == 0) {
        return;
    }
    sent = tfw_executor_send(ex, &pool->shared.jobs, allowed);
    pool->shared.count -= sent;
    pool->active += sent;
    tfw_pool_look_in(pool, pool->shared.count && sent < allowed ? FULL_SOCKET_US : HOARD_US);
}

/* To those that run one job after the other. */
static void hand_out_alone(tfw_pool_t *pool)
{
    int idle = 0, usable = 0, share;

    for (int i = 0; i < pool->count; i++) {
        if (quota(&pool->executors[i], TFW_AHEAD_MAX)) {
            usable++;
            idle += pool->executors[i].njobs == 0;
        }
    }
    if (idle) {
        share = (pool->alone.count + idle - 1) / idle;
        for (int i = 0; i < pool->count && pool->alone.count; i++) {
            if (pool->executors[i].njobs == 0) {
                hand_out(pool, &pool->executors[i], share);
            }
        }
    }
    if (usable > idle && pool->alone.count) {
        share = (pool->alone.count + usable - 1) / usable;
        for (int i = 0; i < pool->count && pool->alone.count; i++) {
            hand_out(pool, &pool->executors[i], share);
        }
    }
}

void tfw_pool_dispatch(tfw_pool_t *pool)
{
    if (pool->alone.count) {
        hand_out_alone(pool);
    }
    if (pool->shared.count) {
        hand_out_io(pool);
    }
}

/* Back to the front of their line, in their order. */
static void wait_again(tfw_pool_t *pool, tfw_jobs_t *jobs)
{
    tfw_job_t *job;

    while ((job = TAILQ_LAST(jobs, tfw_jobs_s)) != NULL) {
        tfw_line_t *line = line_of(pool, job);

        TAILQ_REMOVE(jobs, job, link);
        job->started_us = 0;
        job->waiting_since_us = tfw_monotonic_us();
        TAILQ_INSERT_HEAD(&line->jobs, job, link);
        line->count++;
    }
    tfw_pool_look_in(pool, HOARD_US);
}

void tfw_pool_take_back(tfw_pool_t *pool, tfw_executor_t *ex)
{
    tfw_jobs_t taken = TAILQ_HEAD_INITIALIZER(taken);

    pool->active -= tfw_executor_take_back(ex, &taken);
    wait_again(pool, &taken);
}

static tfw_job_t *first_of(tfw_line_t *line)
{
    tfw_job_t *job = TAILQ_FIRST(&line->jobs);

    if (job) {
        TAILQ_REMOVE(&line->jobs, job, link);
        line->count--;
    }
    return job;
}

static void give_back_line(tfw_pool_t *pool, tfw_line_t *line)
{
    tfw_job_t *job;

    while ((job = first_of(line)) != NULL) {
        tfw_job_give_back(job);
        tfw_pool_let_go(pool, job, true);
    }
}

static void give_back_waiting(tfw_pool_t *pool)
{
    give_back_line(pool, &pool->alone);
    give_back_line(pool, &pool->shared);
}

void tfw_pool_give_back(tfw_pool_t *pool)
{
    for (int i = 0; i < pool->count; i++) {
        if (pool->executors[i].pid > 0) {
            tfw_pool_take_back(pool, &pool->executors[i]);
        }
    }
    give_back_waiting(pool);
    tfw_types_clear(pool->worker, false);
}

void tfw_pool_kill(tfw_pool_t *pool, tfw_doom_t doom, int64_t grace_ms)
{
    tfw_job_t *job;

    for (int i = 0; i < pool->count; i++) {
        if (pool->executors[i].njobs) {
            tfw_executor_kill(&pool->executors[i], doom, grace_ms);
        }
    }
    if (doom == TFW_DOOM_DROP) {
        tfw_types_clear(pool->worker, true);
        while ((job = first_of(&pool->alone)) != NULL || (job = first_of(&pool->shared)) != NULL) {
            tfw_pool_let_go(pool, job, false);
        }
    }
    tfw_pool_look_in(pool, TFW_SLOW_US);
}

static void executor_died(tfw_executor_t *ex, int status)
{
    tfw_worker_t *w = ex->worker;
    tfw_jobs_t rest = TAILQ_HEAD_INITIALIZER(rest);
    int64_t left;

    tfw_attempt_died(ex, status, &rest);
    wait_again(&w->pool, &rest);
    if (w->state >= TFW_STOPPING) {
        give_back_waiting(&w->pool);
    }
    left = ex->respawn_at_us - tfw_monotonic_us();
    tfw_pool_look_in(&w->pool, left > 0 ? left : 0);
}

static bool is_executor(const void *data, pid_t pid)
{
    const tfw_pool_t *pool = data;
    int i = 0;

    while (i < pool->count && pool->executors[i].pid != pid) {
        i++;
    }
    return i < pool->count;
}

static void on_sigchld(uv_signal_t *handle, int signum)
{
    tfw_pool_t *pool = handle->data;

    (void)signum;
    for (int i = 0; i < pool->count; i++) {
        tfw_executor_t *ex = &pool->executors[i];
        int status;

        if (tfw_executor_reap(ex, &status)) {
            executor_died(ex, status);
        }
    }
    tfw_orphans_kill(is_executor, pool); /* what executors that were killed have left behind */
}

/* What has waited for too long goes back: somebody else may have a free executor. Returns when to look again.
 */
static int64_t look_at_line(tfw_pool_t *pool, tfw_line_t *line, int64_t now)
{
    const tfw_job_t *first = TAILQ_FIRST(&line->jobs);

    if (first && now - first->waiting_since_us >= HOARD_US) {
        give_back_line(pool, line);
        return INT64_MAX;
    }
    return first ? HOARD_US : INT64_MAX;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void on_timer(uv_timer_t *timer)
{
    tfw_pool_t *pool = timer->data;
    int64_t now = tfw_monotonic_us(), next_us = INT64_MAX;

    pool->timer_due_us = 0;
    for (int i = 0; i < pool->count; i++) {
        next_us = sooner(next_us, tfw_watch(&pool->executors[i], now));
    }
    next_us = sooner(next_us, tfw_types_look(pool->worker, now));
    tfw_pool_dispatch(pool);
    next_us = sooner(next_us, look_at_line(pool, &pool->alone, now));
    next_us = sooner(next_us, look_at_line(pool, &pool->shared, now));
    if (next_us != INT64_MAX) {
        tfw_pool_look_in(pool, next_us < 1000 ? 1000 : next_us);
    }
}

/* More executors. false: the system has no room for them. */
static bool grow(tfw_pool_t *pool, int wanted)
{
    int first = pool->io ? 1 : 0;

    pool->wanted = wanted;
    for (; pool->count < wanted + first; pool->count++) {
        if (!tfw_executor_init(&pool->executors[pool->count], pool->worker, pool->count - first, 0)) {
            tf_log(TF_LOG_ERROR, "executor_not_started", "i:executor", (int64_t)pool->count, "s:reason",
                   strerror(errno), NULL);
            return false;
        }
        if (!tfw_executor_spawn(&pool->executors[pool->count])) {
            tfw_pool_look_in(pool, HOARD_US);
        }
    }
    return true;
}

bool tfw_pool_start(tfw_pool_t *pool, tfw_worker_t *worker)
{
    pool->worker = worker;
    pool->avg_us = AHEAD_US; /* until the first results: one job at a time */
    TAILQ_INIT(&pool->alone.jobs);
    TAILQ_INIT(&pool->shared.jobs);
    uv_timer_init(&worker->loop, &pool->timer);
    pool->timer.data = pool;
    uv_signal_init(&worker->loop, &pool->sigchld);
    pool->sigchld.data = pool;
    uv_signal_start(&pool->sigchld, on_sigchld, SIGCHLD);
    tfw_orphans_adopt();
    pool->executors = calloc(TFW_CONCURRENCY_MAX + 1, sizeof(*pool->executors));
    if (pool->executors && worker->options.io_concurrency) {
        pool->io = &pool->executors[pool->count++];
        if (!tfw_executor_init(pool->io, worker, 0, (int)worker->options.io_concurrency)) {
            return false;
        }
    }
    return pool->executors && grow(pool, (int)worker->options.concurrency);
}

void tfw_pool_resize(tfw_pool_t *pool, int wanted)
{
    if (wanted == pool->wanted) {
        return;
    }
    tf_log(TF_LOG_INFO, "concurrency_changed", "i:from", (int64_t)pool->wanted, "i:to", (int64_t)wanted,
           NULL);
    if (!grow(pool, wanted)) {
        pool->wanted = pool->count - (pool->io ? 1 : 0);
    }
    tfw_pool_look_in(pool, 0);
}

tfw_job_t *tfw_pool_find(tfw_pool_t *pool, const uint8_t id[16], tfw_executor_t **ex)
{
    tfw_job_t *job = tfw_jobs_find(&pool->alone.jobs, id);

    *ex = NULL;
    if (!job) {
        job = tfw_jobs_find(&pool->shared.jobs, id);
    }
    if (!job) {
        job = tfw_types_find(&pool->types, id);
    }
    for (int i = 0; i < pool->count && !job; i++) {
        job = tfw_jobs_find(&pool->executors[i].jobs, id);
        *ex = job ? &pool->executors[i] : NULL;
    }
    return job;
}

void tfw_pool_take_out(tfw_pool_t *pool, tfw_job_t *job)
{
    tfw_line_t *line = line_of(pool, job);

    if (tfw_jobs_find(&line->jobs, job->row.id) == job) {
        TAILQ_REMOVE(&line->jobs, job, link);
        line->count--;
        tfw_pool_let_go(pool, job, true);
    } else {
        tfw_types_remove(&pool->types, job);
        tfw_ledger_add(pool->worker, job);
    }
}

bool tfw_pool_uses(const tfw_pool_t *pool, int queue)
{
    bool used = tfw_jobs_use(&pool->alone.jobs, queue) || tfw_jobs_use(&pool->shared.jobs, queue);

    for (int i = 0; i < TFW_HANDLERS_MAX && pool->types.nheld && !used; i++) {
        used = tfw_jobs_use(&pool->types.of[i].held, queue);
    }
    for (int i = 0; i < pool->count && !used; i++) {
        used = tfw_jobs_use(&pool->executors[i].jobs, queue);
    }
    return used;
}

int tfw_pool_ids(const tfw_pool_t *pool, tf_pgarray_t *ids)
{
    tfw_jobs_ids(&pool->alone.jobs, ids);
    tfw_jobs_ids(&pool->shared.jobs, ids);
    for (int i = 0; i < pool->count; i++) {
        tfw_jobs_ids(&pool->executors[i].jobs, ids);
    }
    tfw_types_ids(&pool->types, ids);
    return pool->alone.count + pool->shared.count + pool->active + pool->types.nheld;
}

void tfw_pool_resume(tfw_pool_t *pool)
{
    for (int i = 0; i < pool->count; i++) {
        if (pool->executors[i].pid > 0) {
            tfw_executor_resume(&pool->executors[i]);
        }
    }
}

int tfw_pool_active_io(const tfw_pool_t *pool)
{
    return pool->io ? pool->io->njobs : 0;
}

bool tfw_pool_busy(const tfw_pool_t *pool)
{
    return pool->active - tfw_pool_active_io(pool) >= pool->wanted;
}

bool tfw_pool_idle(const tfw_pool_t *pool)
{
    return pool->alone.count == 0 && pool->shared.count == 0 && pool->active == 0 && pool->types.nheld == 0;
}

void tfw_pool_close(tfw_pool_t *pool)
{
    tfw_job_t *job;

    uv_close((uv_handle_t *)&pool->timer, NULL);
    uv_close((uv_handle_t *)&pool->sigchld, NULL);
    for (int i = 0; i < pool->count; i++) {
        tfw_executor_t *ex = &pool->executors[i];

        if (ex->pid > 0) {
            kill(ex->pid, SIGKILL);
            waitpid(ex->pid, NULL, 0);
            tfw_executor_bury(ex);
        }
        while ((job = TAILQ_FIRST(&ex->jobs)) != NULL) {
            TAILQ_REMOVE(&ex->jobs, job, link);
            tfw_job_release(job);
        }
        tfw_executor_free(ex);
    }
    while ((job = first_of(&pool->alone)) != NULL || (job = first_of(&pool->shared)) != NULL) {
        tfw_job_release(job);
    }
    tfw_orphans_kill(NULL, NULL);
    free(pool->executors);
}
