#include "pool.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "catalogue.h"
#include "log.h"
#include "worker.h"

#define AHEAD_US 5000                  /* so much work is sent ahead */
#define AHEAD_BYTES (32.0 * (1 << 20)) /* but never more payload than this, all executors together */
#define SLOW_US 20000                  /* a job that runs longer has nothing queued behind it */
#define HOARD_US 1000000               /* a job that waits longer for an executor is given back */
#define AVERAGE_OVER 8
#define SAMPLE_MAX_US (8.0 * AHEAD_US) /* one very long job must not slow the next hundred short ones */

static void on_timer(uv_timer_t *timer);

/* Looks at the executors again in delay_us at the latest. */
static void arm(tfw_pool_t *pool, int64_t delay_us)
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
           by_size = AHEAD_BYTES / (pool->count * fmax(pool->avg_bytes, 1));

    n = fmin(n, by_size);
    return n < 1 ? 1 : n > TFW_AHEAD_MAX ? TFW_AHEAD_MAX : (int)n;
}

/* How many more jobs this executor may get. */
static int quota(const tfw_executor_t *ex, int most)
{
    if (ex->pid <= 0 || ex->doom != TFW_DOOM_NONE || ex->slow || ex->njobs >= most) {
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

        all += ex->pid > 0 && ex->doom == TFW_DOOM_NONE && !ex->slow ? most : 0;
    }
    return all > 1 ? all / 2 : 1;
}

static int64_t timeout_us(const tfw_job_t *job)
{
    int64_t seconds = job->row.timeout_seconds;

    if (seconds <= 0) {
        seconds = tfw_catalogue_at((size_t)job->handler)->timeout_seconds;
    }
    return seconds * 1000000;
}

void tfw_pool_add(tfw_pool_t *pool, tfw_job_t *job)
{
    average(&pool->avg_bytes, (double)job->row.payload.len);
    job->waiting_since_us = tfw_monotonic_us();
    TAILQ_INSERT_TAIL(&pool->waiting, job, link);
    pool->nwaiting++;
    arm(pool, HOARD_US);
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
        arm(pool, ex->njobs > 1 ? SLOW_US : timeout_us(TAILQ_FIRST(&ex->jobs)));
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

/* The first job of an executor is over: the next one begins. */
static void head_gone(tfw_executor_t *ex, tfw_job_t *job)
{
    TAILQ_REMOVE(&ex->jobs, job, link);
    ex->njobs--;
    ex->worker->pool.active--;
    ex->slow = false;
    ex->head_since_us = tfw_monotonic_us();
}

static void end_failed(tfw_executor_t *ex, tfw_job_t *job, bool permanent, tf_str_t error)
{
    ex->worker->pool.failed++;
    tfw_job_fail(job, permanent, error, tfw_random());
    tf_log(TF_LOG_INFO, "attempt_failed", "u:job_id", job->row.id, "s:status",
           tf_status_name(job->row.status), "i:attempt", (int64_t)job->row.attempt, NULL);
}

static void on_result(tfw_executor_t *ex, const tfw_frame_in_t *frame)
{
    tfw_pool_t *pool = &ex->worker->pool;
    tfw_job_t *job = TAILQ_FIRST(&ex->jobs);
    size_t error_len = frame->head.u.result.error_len;
    tf_str_t error, result = {NULL, 0};

    if (!job || job->seq != frame->head.seq || error_len > frame->head.body_len) {
        tf_log(TF_LOG_ERROR, "executor_nonsense", "i:executor_pid", (int64_t)ex->pid, "s:reason",
               "a result for a job it does not run", NULL);
        tfw_executor_kill(ex, ex->doom, 0);
        return;
    }
    error = (tf_str_t){frame->body, error_len};
    if (frame->head.body_len > error_len) {
        result = (tf_str_t){frame->body + error_len, frame->head.body_len - error_len};
    }
    job->started_us = frame->head.u.result.started_us;
    job->finished_us = frame->head.u.result.finished_us;
    sample_duration(pool, job);
    pool->processed++;
    head_gone(ex, job);
    if (ex->doom == TFW_DOOM_DROP) {
        tfw_job_release(job);
        return;
    }
    if (frame->head.u.result.outcome == TFW_OK) {
        tfw_job_end(job, TF_SUCCESS, (tf_str_t){NULL, 0}, result);
        job->row.progress = 100;
    } else if (frame->head.u.result.outcome == TFW_CANCELLED &&
               atomic_load(&ex->board->cancel_seq) == frame->head.seq) {
        tfw_job_end(job, TF_CANCELLED, error, (tf_str_t){NULL, 0});
    } else {
        end_failed(ex, job, frame->head.u.result.outcome == TFW_PERMANENT, error);
    }
    tfw_ledger_add(ex->worker, job);
}

void tfw_pool_frame(tfw_executor_t *ex, tfw_frame_in_t *frame)
{
    tfw_job_t *job = TAILQ_FIRST(&ex->jobs);
    int percent;

    if (frame->head.kind == TFW_FRAME_RESULT) {
        on_result(ex, frame);
        return;
    }
    if (!job || job->seq != frame->head.seq || ex->doom == TFW_DOOM_DROP) {
        return;
    }
    if (frame->head.kind == TFW_FRAME_PROGRESS) {
        percent = frame->head.u.progress.percent;
        if (percent >= 0 && percent <= 100) {
            job->row.progress = percent;
            job->progress_dirty = true;
            tfd_events_job(&ex->worker->events, &job->row, "job_progress", tfw_realtime_us());
            tfw_journal_progress(ex->worker);
        }
    } else if (frame->head.kind == TFW_FRAME_LOG && frame->head.u.log.level_len <= frame->head.body_len) {
        tfw_journal_line(ex->worker, job, frame->head.u.log.at_us,
                         (tf_str_t){frame->body, frame->head.u.log.level_len},
                         (tf_str_t){frame->body + frame->head.u.log.level_len,
                                    frame->head.body_len - frame->head.u.log.level_len});
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
    arm(pool, HOARD_US);
}

static void give_back_waiting(tfw_pool_t *pool)
{
    tfw_job_t *job;

    while ((job = TAILQ_FIRST(&pool->waiting)) != NULL) {
        TAILQ_REMOVE(&pool->waiting, job, link);
        pool->nwaiting--;
        tfw_ledger_give_back(pool->worker, job);
    }
}

void tfw_pool_give_back(tfw_pool_t *pool)
{
    for (int i = 0; i < pool->count; i++) {
        tfw_jobs_t taken = TAILQ_HEAD_INITIALIZER(taken);

        if (pool->executors[i].pid > 0) {
            pool->active -= tfw_executor_take_back(&pool->executors[i], &taken);
            wait_again(pool, &taken);
        }
    }
    give_back_waiting(pool);
}

void tfw_pool_kill(tfw_pool_t *pool, tfw_doom_t doom, int64_t grace_seconds)
{
    tfw_job_t *job;

    for (int i = 0; i < pool->count; i++) {
        if (pool->executors[i].njobs) {
            tfw_executor_kill(&pool->executors[i], doom, grace_seconds);
        }
    }
    if (doom == TFW_DOOM_DROP) {
        while ((job = TAILQ_FIRST(&pool->waiting)) != NULL) {
            TAILQ_REMOVE(&pool->waiting, job, link);
            pool->nwaiting--;
            tfw_job_release(job);
        }
    }
    arm(pool, SLOW_US);
}

/* What the death of its process means for the job that ran. */
static void end_by_death(tfw_executor_t *ex, tfw_job_t *job, int status)
{
    char text[96];
    int n;

    job->started_us = atomic_load(&ex->board->started_us);
    job->finished_us = tfw_monotonic_us();
    switch (ex->doom) {
    case TFW_DOOM_DROP:
        tfw_job_release(job);
        return;
    case TFW_DOOM_GIVE_BACK:
        tfw_ledger_give_back(ex->worker, job);
        return;
    case TFW_DOOM_CANCEL:
        tfw_job_end(job, TF_CANCELLED, TF_STR("cancelled"), (tf_str_t){NULL, 0});
        tfw_ledger_add(ex->worker, job);
        return;
    case TFW_DOOM_TIMEOUT:
        n = snprintf(text, sizeof(text), "timed out after %lld s", (long long)(timeout_us(job) / 1000000));
        break;
    default:
        if (WIFSIGNALED(status)) {
            const char *name = sigabbrev_np(WTERMSIG(status));

            n = snprintf(text, sizeof(text), "killed by signal %d (SIG%s)", WTERMSIG(status),
                         name ? name : "?");
        } else {
            n = snprintf(text, sizeof(text), "the executor exited with status %d", WEXITSTATUS(status));
        }
    }
    ex->worker->pool.processed++;
    sample_duration(&ex->worker->pool, job);
    end_failed(ex, job, false, (tf_str_t){text, (size_t)n});
    tfw_ledger_add(ex->worker, job);
}

static void executor_died(tfw_executor_t *ex, int status)
{
    tfw_worker_t *w = ex->worker;
    tfw_jobs_t rest = TAILQ_HEAD_INITIALIZER(rest);
    pid_t pid = ex->pid;
    uint32_t running;
    tfw_job_t *job;

    tfw_executor_bury(ex);
    running = atomic_load(&ex->board->running);
    tf_log(ex->doom == TFW_DOOM_NONE && w->state < TFW_LEAVING ? TF_LOG_WARNING : TF_LOG_INFO,
           "executor_died", "i:executor_pid", (int64_t)pid, "i:signal",
           (int64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : 0), "i:status",
           (int64_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 0), "i:jobs", (int64_t)ex->njobs, NULL);
    /* Only the job whose handler ran has failed; those behind it have not begun. */
    while ((job = TAILQ_FIRST(&ex->jobs)) != NULL) {
        TAILQ_REMOVE(&ex->jobs, job, link);
        ex->njobs--;
        w->pool.active--;
        if (job->seq == running) {
            end_by_death(ex, job, status);
        } else if (ex->doom == TFW_DOOM_DROP) {
            tfw_job_release(job);
        } else {
            TAILQ_INSERT_TAIL(&rest, job, link);
        }
    }
    wait_again(&w->pool, &rest);
    if (w->state >= TFW_STOPPING) {
        give_back_waiting(&w->pool);
    }
    arm(&w->pool, ex->respawn_at_us - tfw_monotonic_us() > 0 ? ex->respawn_at_us - tfw_monotonic_us() : 0);
}

static void on_sigchld(uv_signal_t *handle, int signum)
{
    tfw_pool_t *pool = handle->data;

    (void)signum;
    for (int i = 0; i < pool->count; i++) {
        tfw_executor_t *ex = &pool->executors[i];
        int status;

        if (ex->pid > 0 && waitpid(ex->pid, &status, WNOHANG) == ex->pid) {
            executor_died(ex, status);
        }
    }
}

/* The handler of the executor's first job has run for long. An executor that has not come to it is starved of
 * CPU time, as the others are: taking its jobs away helps nobody. */
static bool runs_long(const tfw_executor_t *ex, const tfw_job_t *first, int64_t now)
{
    return atomic_load(&ex->board->running) == first->seq &&
           now - atomic_load(&ex->board->started_us) >= SLOW_US;
}

/* Looks at one executor; lowers *next_us to when it has to be looked at again. */
static void look_at(tfw_pool_t *pool, tfw_executor_t *ex, int64_t now, int64_t *next_us)
{
    tfw_job_t *job = TAILQ_FIRST(&ex->jobs);
    int64_t elapsed = now - ex->head_since_us, left = INT64_MAX;

    if (ex->pid <= 0) {
        if (pool->worker->state < TFW_STOPPING) {
            if (now < ex->respawn_at_us || !tfw_executor_spawn(ex)) {
                left = ex->respawn_at_us - now;
            }
        }
    } else if (ex->kill_at_us) {
        tfw_executor_kill_overdue(ex, now);
        left = ex->kill_at_us ? ex->kill_at_us - now : INT64_MAX;
    } else if (job && ex->doom == TFW_DOOM_NONE) {
        if (elapsed >= timeout_us(job)) {
            tf_log(TF_LOG_WARNING, "attempt_timed_out", "u:job_id", job->row.id, "i:executor_pid",
                   (int64_t)ex->pid, NULL);
            tfw_executor_kill(ex, TFW_DOOM_TIMEOUT, pool->worker->options.kill_grace_seconds);
            left = pool->worker->options.kill_grace_seconds * 1000000;
        } else {
            left = timeout_us(job) - elapsed;
        }
        if (ex->njobs > 1 && runs_long(ex, job, now)) {
            tfw_jobs_t taken = TAILQ_HEAD_INITIALIZER(taken);

            pool->active -= tfw_executor_take_back(ex, &taken);
            ex->slow = ex->njobs > 0;
            wait_again(pool, &taken);
        } else if (ex->njobs > 1) {
            left = SLOW_US < left ? SLOW_US : left;
        }
    }
    *next_us = left < *next_us ? left : *next_us;
}

static void on_timer(uv_timer_t *timer)
{
    tfw_pool_t *pool = timer->data;
    int64_t now = tfw_monotonic_us(), next_us = INT64_MAX;
    tfw_job_t *first;

    pool->timer_due_us = 0;
    for (int i = 0; i < pool->count; i++) {
        look_at(pool, &pool->executors[i], now, &next_us);
    }
    tfw_pool_dispatch(pool);
    first = TAILQ_FIRST(&pool->waiting);
    if (first && now - first->waiting_since_us >= HOARD_US) {
        /* Every executor is busy for long: somebody else may have a free one. */
        give_back_waiting(pool);
    } else if (first) {
        next_us = HOARD_US < next_us ? HOARD_US : next_us;
    }
    if (next_us != INT64_MAX) {
        arm(pool, next_us < 1000 ? 1000 : next_us);
    }
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
    pool->executors = calloc((size_t)worker->options.concurrency, sizeof(*pool->executors));
    if (!pool->executors) {
        return false;
    }
    for (int i = 0; i < worker->options.concurrency; i++) {
        if (!tfw_executor_init(&pool->executors[i], worker, i)) {
            tf_log(TF_LOG_ERROR, "pool_not_started", "s:reason", strerror(errno), NULL);
            return false;
        }
        pool->count++;
        if (!tfw_executor_spawn(&pool->executors[i])) {
            arm(pool, HOARD_US);
        }
    }
    return true;
}

bool tfw_pool_holds(const tfw_pool_t *pool, const uint8_t id[16])
{
    const tfw_job_t *job;

    TAILQ_FOREACH(job, &pool->waiting, link)
    {
        if (memcmp(job->row.id, id, 16) == 0) {
            return true;
        }
    }
    for (int i = 0; i < pool->count; i++) {
        TAILQ_FOREACH(job, &pool->executors[i].jobs, link)
        {
            if (memcmp(job->row.id, id, 16) == 0) {
                return true;
            }
        }
    }
    return false;
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
    return pool->nwaiting == 0 && pool->active == 0;
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
    free(pool->executors);
}
