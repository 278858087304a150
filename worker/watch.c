#include "watch.h"

#include "log.h"
#include "worker.h"

#define HANG_US 10000000 /* so long one job may keep an I/O executor from its others */
#define GLANCE_US 1000000
#define TELL_AGAIN_US 20000
#define IO_GRACE_MS 1000 /* at least: the process's other jobs are begun again if it is killed */

/* The handler of the executor's first job has run for long. An executor that has not come to it is starved of
 * CPU time, as the others are: taking its jobs away helps nobody. */
static bool runs_long(const tfw_executor_t *ex, const tfw_job_t *first, int64_t now)
{
    return atomic_load(&ex->board->running) == first->seq &&
           now - atomic_load(&ex->board->started_us) >= TFW_SLOW_US;
}

/* An executor that is not running, or is not to run any longer. Returns when to look again. */
static int64_t look_at_idle(tfw_executor_t *ex, int64_t now)
{
    tfw_pool_t *pool = &ex->worker->pool;

    if (ex->pid > 0) {
        tfw_pool_take_back(pool, ex);
        if (ex->njobs == 0) {
            tfw_executor_end(ex);
        }
        return INT64_MAX;
    }
    if (ex->worker->state < TFW_STOPPING && tfw_pool_wants(pool, ex) &&
        (now < ex->respawn_at_us || !tfw_executor_spawn(ex))) {
        return ex->respawn_at_us - now;
    }
    return INT64_MAX;
}

static void log_timed_out(const tfw_executor_t *ex, tfw_job_t *job)
{
    job->timed_out = true;
    tf_log(TF_LOG_WARNING, "attempt_timed_out", "u:job_id", job->row.id, "i:executor_pid", (int64_t)ex->pid,
           NULL);
}

/* An executor with jobs, one after the other. Returns when to look again. */
static int64_t look_at_line(tfw_executor_t *ex, int64_t now)
{
    const tfw_options_t *o = &ex->worker->options;
    tfw_job_t *job = TAILQ_FIRST(&ex->jobs);
    int64_t left = job->deadline_us - now;

    if (left <= 0 && job->cancel_asked) {
        tfw_executor_kill(ex, TFW_DOOM_CANCEL, o->cancel_grace_ms);
        return o->cancel_grace_ms * 1000;
    }
    if (left <= 0) {
        log_timed_out(ex, job);
        tfw_executor_kill(ex, TFW_DOOM_TIMEOUT, o->kill_grace_seconds * 1000);
        return o->kill_grace_seconds * 1000000;
    }
    if (ex->njobs > 1 && runs_long(ex, job, now)) {
        tfw_pool_take_back(&ex->worker->pool, ex);
        ex->slow = ex->njobs > 0;
    } else if (ex->njobs > 1) {
        left = TFW_SLOW_US < left ? TFW_SLOW_US : left;
    }
    return left;
}

/* ---- many at once ---- */

static int64_t stop_grace_ms(const tfw_executor_t *ex)
{
    int64_t grace_ms = ex->worker->options.kill_grace_seconds * 1000;

    return grace_ms > IO_GRACE_MS ? grace_ms : IO_GRACE_MS;
}

int64_t tfw_watch_cancel_grace_ms(const tfw_executor_t *ex)
{
    int64_t grace_ms = ex->worker->options.cancel_grace_ms;

    return ex->places == 0 || grace_ms > stop_grace_ms(ex) ? grace_ms : stop_grace_ms(ex);
}

static bool asked_to_stop(const tfw_job_t *job)
{
    return job->cancel_asked || job->timed_out;
}

/* A job was asked to stop, had time to, and has not. */
static bool any_deaf(const tfw_executor_t *ex, int64_t now)
{
    const tfw_job_t *job;

    TAILQ_FOREACH(job, &ex->jobs, link)
    {
        if (asked_to_stop(job) && now >= job->deadline_us) {
            return true;
        }
    }
    return false;
}

/* Asks those to stop whose time is over, and notes who has to be looked at next, and when. */
static void look_at_deadlines(tfw_executor_t *ex, int64_t now)
{
    tfw_job_t *job;

    ex->look_us = INT64_MAX;
    TAILQ_FOREACH(job, &ex->jobs, link)
    {
        int64_t next_us;

        if (now >= job->deadline_us && !asked_to_stop(job)) {
            log_timed_out(ex, job);
            job->deadline_us = now + stop_grace_ms(ex) * 1000;
        }
        if (asked_to_stop(job) && !job->told) {
            tfw_executor_tell(ex, job);
        }
        next_us = asked_to_stop(job) && !job->told ? now + TELL_AGAIN_US : job->deadline_us;
        ex->look_us = next_us < ex->look_us ? next_us : ex->look_us;
    }
}

/* Kills it: one of its jobs does not let the others go on. */
static int64_t end_hang(tfw_executor_t *ex)
{
    int64_t grace_ms = ex->worker->options.kill_grace_seconds * 1000;
    const tfw_job_t *job;

    ex->blamed = atomic_load(&ex->board->running);
    job = tfw_executor_job(ex, ex->blamed);
    tf_log(TF_LOG_WARNING, "executor_hangs", "i:executor_pid", (int64_t)ex->pid, "i:jobs", (int64_t)ex->njobs,
           job ? "u:job_id" : NULL, job ? job->row.id : NULL, NULL);
    tfw_executor_kill(ex, TFW_DOOM_HANG, grace_ms);
    return grace_ms * 1000;
}

/* The code of one job has run for long, and others wait. Not while it waits for us to listen. */
static bool hogged(const tfw_executor_t *ex, int64_t now)
{
    int64_t since = atomic_load(&ex->board->started_us);

    since = since < ex->heard_us ? ex->heard_us : since;
    return ex->njobs > 1 && !ex->paused && atomic_load(&ex->board->running) && now - since >= HANG_US;
}

static int64_t look_at_many(tfw_executor_t *ex, int64_t now)
{
    int64_t left;

    if (now >= ex->look_us && any_deaf(ex, now)) {
        tfw_executor_listen(ex); /* it may just have said so */
        if (!ex->paused && any_deaf(ex, now)) {
            return end_hang(ex);
        }
    }
    if (hogged(ex, now)) {
        return end_hang(ex);
    }
    if (now >= ex->look_us) {
        look_at_deadlines(ex, now);
    }
    left = ex->look_us <= now ? TELL_AGAIN_US : ex->look_us - now;
    return left < GLANCE_US ? left : GLANCE_US;
}

int64_t tfw_watch(tfw_executor_t *ex, int64_t now)
{
    if (ex->pid > 0 && ex->kill_at_us) {
        tfw_executor_kill_overdue(ex, now);
        return ex->kill_at_us ? ex->kill_at_us - now : INT64_MAX;
    }
    if (ex->pid <= 0 || (!tfw_pool_wants(&ex->worker->pool, ex) && ex->njobs != 1)) {
        return look_at_idle(ex, now);
    }
    if (ex->njobs == 0 || ex->doom != TFW_DOOM_NONE) {
        return INT64_MAX;
    }
    return ex->places == 0 ? look_at_line(ex, now) : look_at_many(ex, now);
}
