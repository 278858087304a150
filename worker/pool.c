#include "pool.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "attempt.h"
#include "log.h"
#include "orphans.h"
#include "worker.h"

#define AHEAD_US 5000                  /* so much work is sent ahead */
#define AHEAD_BYTES (32.0 * (1 << 20)) /* but never more payload than this, all executors together */
#define SLOW_US 20000                  /* a job that runs longer has nothing queued behind it */
#define HOARD_US 1000000               /* a job that waits longer for an executor is given back */
#define AVERAGE_OVER 8
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

static void average(double *avg, double value)
{
    *avg += (value - *avg) / AVERAGE_OVER;
}

static void sample_duration(tfw_pool_t *pool, const tfw_job_t *job)
{
    average(&pool->avg_us, fmin((double)(job->finished_us - job->started_us), SAMPLE_MAX_US));
}

static int ahead(const tfw_pool_t *pool)
{
    double n = AHEAD_US / fmax(pool->avg_us, 1),
           by_size = AHEAD_BYTES / (pool->wanted * fmax(pool->avg_bytes, 1));

    n = fmin(n, by_size);
    return n < 1 ? 1 : n > TFW_AHEAD_MAX ? TFW_AHEAD_MAX : (int)n;
}

/* There are more executors than wanted, and this is one of those. */
static bool surplus(const tfw_executor_t *ex)
{
    return ex->index >= ex->worker->pool.wanted;
}

/* How many more jobs this executor may get. */
static int quota(const tfw_executor_t *ex, int most)
{
    if (ex->pid <= 0 || ex->doom != TFW_DOOM_NONE || ex->slow || ex->cancel_seq || surplus(ex) ||
        ex->njobs >= most) {
        return 0;
    }
    return most - ex->njobs;
}

int tfw_pool_room(const tfw_pool_t *pool)
{
    int room = -pool->nwaiting, most = ahead(pool);

    for (int i = 0; i < pool->count; i++) {
        room += quota(&pool->executors[i], most);
    }
    return room > 0 ? room : 0;
}

int tfw_pool_worthwhile(const tfw_pool_t *pool)
{
    int most = ahead(pool), all = 0;

    if (most == 1 || tfw_pool_idle(pool)) {
        return 1;
    }
    for (int i = 0; i < pool->count; i++) {
        const tfw_executor_t *ex = &pool->executors[i];

        all += ex->pid > 0 && ex->doom == TFW_DOOM_NONE && !ex->slow && !surplus(ex) ? most : 0;
    }
    return all > 1 ? all / 2 : 1;
}

void tfw_pool_wait(tfw_pool_t *pool, tfw_job_t *job)
{
    job->waiting_since_us = tfw_monotonic_us();
    TAILQ_INSERT_TAIL(&pool->waiting, job, link);
    pool->nwaiting++;
    tfw_pool_look_in(pool, HOARD_US);
}

void tfw_pool_add(tfw_pool_t *pool, tfw_job_t *job)
{
    average(&pool->avg_bytes, (double)job->row.payload.len);
    if (tfw_types_admit(pool->worker, job)) {
        tfw_pool_wait(pool, job);
    } else {
        tfw_pool_look_in(pool, HOARD_US);
    }
}

void tfw_pool_let_go(tfw_pool_t *pool, tfw_job_t *job, bool ours)
{
    if (job->started_us && job->finished_us) {
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
    sent = tfw_executor_send(ex, &pool->waiting, share < allowed ? share : allowed);
    pool->nwaiting -= sent;
    pool->active += sent;
    if (sent) {
        tfw_pool_look_in(pool, ex->njobs > 1 ? SLOW_US : tfw_attempt_timeout_us(TAILQ_FIRST(&ex->jobs)));
    }
}

void tfw_pool_dispatch(tfw_pool_t *pool)
{
    int idle = 0, usable = 0, share;

    if (pool->nwaiting == 0) {
        return;
    }
    for (int i = 0; i < pool->count; i++) {
        if (quota(&pool->executors[i], TFW_AHEAD_MAX)) {
            usable++;
            idle += pool->executors[i].njobs == 0;
        }
    }
    if (idle) {
        share = (pool->nwaiting + idle - 1) / idle;
        for (int i = 0; i < pool->count && pool->nwaiting; i++) {
            if (pool->executors[i].njobs == 0) {
                hand_out(pool, &pool->executors[i], share);
            }
        }
    }
    if (usable > idle && pool->nwaiting) {
        share = (pool->nwaiting + usable - 1) / usable;
        for (int i = 0; i < pool->count && pool->nwaiting; i++) {
            hand_out(pool, &pool->executors[i], share);
        }
    }
}

/* Back to the front of the queue, in their order. */
static void wait_again(tfw_pool_t *pool, tfw_jobs_t *jobs)
{
    tfw_job_t *job;

    while ((job = TAILQ_LAST(jobs, tfw_jobs_s)) != NULL) {
        TAILQ_REMOVE(jobs, job, link);
        job->waiting_since_us = tfw_monotonic_us();
        TAILQ_INSERT_HEAD(&pool->waiting, job, link);
        pool->nwaiting++;
    }
    tfw_pool_look_in(pool, HOARD_US);
}

void tfw_pool_take_back(tfw_pool_t *pool, tfw_executor_t *ex)
{
    tfw_jobs_t taken = TAILQ_HEAD_INITIALIZER(taken);

    pool->active -= tfw_executor_take_back(ex, &taken);
    wait_again(pool, &taken);
}

static void give_back_waiting(tfw_pool_t *pool)
{
    tfw_job_t *job;

    while ((job = TAILQ_FIRST(&pool->waiting)) != NULL) {
        TAILQ_REMOVE(&pool->waiting, job, link);
        pool->nwaiting--;
        tfw_job_give_back(job);
        tfw_pool_let_go(pool, job, true);
    }
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
        while ((job = TAILQ_FIRST(&pool->waiting)) != NULL) {
            TAILQ_REMOVE(&pool->waiting, job, link);
            pool->nwaiting--;
            tfw_pool_let_go(pool, job, false);
        }
    }
    tfw_pool_look_in(pool, SLOW_US);
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

/* The handler of the executor's first job has run for long. An executor that has not come to it is starved of
 * CPU time, as the others are: taking its jobs away helps nobody. */
static bool runs_long(const tfw_executor_t *ex, const tfw_job_t *first, int64_t now)
{
    return atomic_load(&ex->board->running) == first->seq &&
           now - atomic_load(&ex->board->started_us) >= SLOW_US;
}

/* An executor that is not running, or is not to run any longer. Returns when to look again. */
static int64_t look_at_idle(tfw_pool_t *pool, tfw_executor_t *ex, int64_t now)
{
    if (ex->pid > 0) {
        tfw_pool_take_back(pool, ex);
        if (ex->njobs == 0) {
            tfw_executor_end(ex);
        }
        return INT64_MAX;
    }
    if (pool->worker->state < TFW_STOPPING && !surplus(ex) &&
        (now < ex->respawn_at_us || !tfw_executor_spawn(ex))) {
        return ex->respawn_at_us - now;
    }
    return INT64_MAX;
}

/* An executor with jobs. Returns when to look again. */
static int64_t look_at_busy(tfw_pool_t *pool, tfw_executor_t *ex, int64_t now)
{
    tfw_job_t *job = TAILQ_FIRST(&ex->jobs);
    const tfw_options_t *o = &pool->worker->options;
    int64_t left = tfw_attempt_timeout_us(job) - (now - ex->head_since_us);

    if (ex->cancel_seq && now >= ex->cancel_at_us) {
        tfw_executor_kill(ex, TFW_DOOM_CANCEL, o->cancel_grace_ms);
        return o->cancel_grace_ms * 1000;
    }
    if (left <= 0) {
        tf_log(TF_LOG_WARNING, "attempt_timed_out", "u:job_id", job->row.id, "i:executor_pid",
               (int64_t)ex->pid, NULL);
        tfw_executor_kill(ex, TFW_DOOM_TIMEOUT, o->kill_grace_seconds * 1000);
        return o->kill_grace_seconds * 1000000;
    }
    if (ex->cancel_seq && ex->cancel_at_us - now < left) {
        left = ex->cancel_at_us - now;
    }
    if (ex->njobs > 1 && runs_long(ex, job, now)) {
        tfw_pool_take_back(pool, ex);
        ex->slow = ex->njobs > 0;
    } else if (ex->njobs > 1) {
        left = SLOW_US < left ? SLOW_US : left;
    }
    return left;
}

/* Looks at one executor. Returns when it has to be looked at again. */
static int64_t look_at(tfw_pool_t *pool, tfw_executor_t *ex, int64_t now)
{
    if (ex->pid > 0 && ex->kill_at_us) {
        tfw_executor_kill_overdue(ex, now);
        return ex->kill_at_us ? ex->kill_at_us - now : INT64_MAX;
    }
    if (ex->pid <= 0 || (surplus(ex) && ex->njobs != 1)) {
        return look_at_idle(pool, ex, now);
    }
    return ex->njobs && ex->doom == TFW_DOOM_NONE ? look_at_busy(pool, ex, now) : INT64_MAX;
}

static void on_timer(uv_timer_t *timer)
{
    tfw_pool_t *pool = timer->data;
    int64_t now = tfw_monotonic_us(), next_us = INT64_MAX, left;
    tfw_job_t *first;

    pool->timer_due_us = 0;
    for (int i = 0; i < pool->count; i++) {
        left = look_at(pool, &pool->executors[i], now);
        next_us = left < next_us ? left : next_us;
    }
    left = tfw_types_look(pool->worker, now);
    next_us = left < next_us ? left : next_us;
    tfw_pool_dispatch(pool);
    first = TAILQ_FIRST(&pool->waiting);
    if (first && now - first->waiting_since_us >= HOARD_US) {
        /* Every executor is busy for long: somebody else may have a free one. */
        give_back_waiting(pool);
    } else if (first) {
        next_us = HOARD_US < next_us ? HOARD_US : next_us;
    }
    if (next_us != INT64_MAX) {
        tfw_pool_look_in(pool, next_us < 1000 ? 1000 : next_us);
    }
}

/* More executors. false: the system has no room for them. */
static bool grow(tfw_pool_t *pool, int wanted)
{
    pool->wanted = wanted;
    for (; pool->count < wanted; pool->count++) {
        if (!tfw_executor_init(&pool->executors[pool->count], pool->worker, pool->count)) {
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
    TAILQ_INIT(&pool->waiting);
    uv_timer_init(&worker->loop, &pool->timer);
    pool->timer.data = pool;
    uv_signal_init(&worker->loop, &pool->sigchld);
    pool->sigchld.data = pool;
    uv_signal_start(&pool->sigchld, on_sigchld, SIGCHLD);
    tfw_orphans_adopt();
    pool->executors = calloc(TFW_CONCURRENCY_MAX, sizeof(*pool->executors));
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
        pool->wanted = pool->count;
    }
    tfw_pool_look_in(pool, 0);
}

static tfw_job_t *find_in(const tfw_jobs_t *jobs, const uint8_t id[16])
{
    tfw_job_t *job;

    TAILQ_FOREACH(job, jobs, link)
    {
        if (memcmp(job->row.id, id, 16) == 0) {
            break;
        }
    }
    return job;
}

tfw_job_t *tfw_pool_find(tfw_pool_t *pool, const uint8_t id[16], tfw_executor_t **ex)
{
    tfw_job_t *job = find_in(&pool->waiting, id);

    *ex = NULL;
    if (!job) {
        job = tfw_types_find(&pool->types, id);
    }
    for (int i = 0; i < pool->count && !job; i++) {
        job = find_in(&pool->executors[i].jobs, id);
        *ex = job ? &pool->executors[i] : NULL;
    }
    return job;
}

void tfw_pool_take_out(tfw_pool_t *pool, tfw_job_t *job)
{
    if (find_in(&pool->waiting, job->row.id) == job) {
        TAILQ_REMOVE(&pool->waiting, job, link);
        pool->nwaiting--;
        tfw_pool_let_go(pool, job, true);
    } else {
        tfw_types_remove(&pool->types, job);
        tfw_ledger_add(pool->worker, job);
    }
}

bool tfw_pool_uses(const tfw_pool_t *pool, int queue)
{
    bool used = tfw_jobs_use(&pool->waiting, queue);

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
    const tfw_job_t *job;
    int count = pool->nwaiting + pool->active + pool->types.nheld;

    TAILQ_FOREACH(job, &pool->waiting, link)
    {
        tf_pgarray_bytes(ids, job->row.id, 16);
    }
    for (int i = 0; i < pool->count; i++) {
        TAILQ_FOREACH(job, &pool->executors[i].jobs, link)
        {
            tf_pgarray_bytes(ids, job->row.id, 16);
        }
    }
    tfw_types_ids(&pool->types, ids);
    return count;
}

void tfw_pool_resume(tfw_pool_t *pool)
{
    for (int i = 0; i < pool->count; i++) {
        if (pool->executors[i].pid > 0) {
            tfw_executor_resume(&pool->executors[i]);
        }
    }
}

bool tfw_pool_idle(const tfw_pool_t *pool)
{
    return pool->nwaiting == 0 && pool->active == 0 && pool->types.nheld == 0;
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
    while ((job = TAILQ_FIRST(&pool->waiting)) != NULL) {
        TAILQ_REMOVE(&pool->waiting, job, link);
        tfw_job_release(job);
    }
    tfw_orphans_kill(NULL, NULL);
    free(pool->executors);
}
