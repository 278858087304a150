#include "attempt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "catalogue.h"
#include "crash.h"
#include "io_loop.h"
#include "log.h"
#include "worker.h"

int64_t tfw_attempt_timeout_us(const tfw_job_t *job)
{
    int64_t seconds = job->row.timeout_seconds;

    if (seconds <= 0) {
        seconds = tfw_catalogue_at((size_t)job->handler)->timeout_seconds;
    }
    return seconds * 1000000;
}

#define TIMED_OUT_MAX 48

static void log_failed(tfw_executor_t *ex, const tfw_job_t *job)
{
    ex->worker->pool.failed++;
    tf_log(TF_LOG_INFO, "attempt_failed", "u:job_id", job->row.id, "s:type",
           tfw_catalogue_at((size_t)job->handler)->type, "s:status", tf_status_name(job->row.status),
           "i:attempt", (int64_t)job->row.attempt, NULL);
}

/* "timed out after 30 s"; returns its length. */
static size_t timed_out_text(const tfw_job_t *job, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "timed out after %lld s",
                            (long long)(tfw_attempt_timeout_us(job) / 1000000));
}

/* What the handler's answer makes of the job. Who asked for a cancel gets it, unless the job has succeeded.
 */
static void settle(tfw_executor_t *ex, tfw_job_t *job, const tfw_frame_in_t *frame)
{
    size_t error_len = frame->head.u.result.error_len;
    tf_str_t error = {frame->body, error_len}, none = {NULL, 0}, result = none;
    int64_t delay_ms = frame->head.u.result.delay_ms;
    char text[TIMED_OUT_MAX];

    if (frame->head.body_len > error_len) {
        result = (tf_str_t){frame->body + error_len, frame->head.body_len - error_len};
    }
    if (frame->head.u.result.outcome == TFW_OK) {
        tfw_job_end(job, TF_SUCCESS, none, result);
        job->row.progress = 100;
    } else if (job->cancel_asked) {
        /* what it had done by then, where the handler says so */
        tfw_job_end(job, TF_CANCELLED, error_len ? error : TF_STR("cancelled"), result);
    } else if (job->timed_out) {
        tfw_job_fail(job, -1, (tf_str_t){text, timed_out_text(job, text, sizeof(text))}, tfw_random());
        log_failed(ex, job);
    } else if (frame->head.u.result.outcome == TFW_SNOOZE) {
        tfw_job_put_off(job, delay_ms);
    } else if (frame->head.u.result.outcome == TFW_PERMANENT) {
        tfw_job_fail_for_good(job, error);
        log_failed(ex, job);
    } else {
        tfw_job_fail(job, delay_ms, error, tfw_random());
        log_failed(ex, job);
    }
}

static void on_result(tfw_executor_t *ex, const tfw_frame_in_t *frame)
{
    tfw_pool_t *pool = &ex->worker->pool;
    tfw_job_t *job = tfw_executor_job(ex, frame->head.seq);

    if (!job || frame->head.u.result.error_len > frame->head.body_len) {
        tf_log(TF_LOG_ERROR, "executor_nonsense", "i:executor_pid", (int64_t)ex->pid, "s:reason",
               "a result for a job it does not run", NULL);
        tfw_executor_kill(ex, ex->doom, 0);
        return;
    }
    job->started_us = frame->head.u.result.started_us;
    job->finished_us = frame->head.u.result.finished_us;
    pool->processed++;
    tfw_executor_remove(ex, job);
    pool->active--;
    if (ex->doom == TFW_DOOM_DROP) {
        tfw_pool_let_go(pool, job, false);
        return;
    }
    settle(ex, job, frame);
    tfw_pool_let_go(pool, job, true);
}

void tfw_attempt_frame(tfw_executor_t *ex, tfw_frame_in_t *frame)
{
    tfw_job_t *job;
    int percent;

    if (frame->head.kind == TFW_FRAME_RESULT) {
        on_result(ex, frame);
        return;
    }
    job = tfw_executor_job(ex, frame->head.seq);
    if (!job || ex->doom == TFW_DOOM_DROP) {
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

/* Why the process that ran the job died, as the attempt's error. Returns its length. */
static size_t cause_of_death(const tfw_executor_t *ex, const tfw_job_t *job, int status, char *text,
                             size_t size)
{
    int n;

    if (job->timed_out) {
        return timed_out_text(job, text, size);
    }
    if (ex->doom == TFW_DOOM_HANG && ex->blamed == job->seq) {
        n = snprintf(text, size, "kept the other jobs of its process from going on");
    } else if (ex->doom == TFW_DOOM_HANG) {
        n = snprintf(text, size, "the process that it shared with other jobs did not go on");
    } else if (ex->places > 0 && WIFEXITED(status) && WEXITSTATUS(status) == TFW_IO_GREEDY) {
        n = snprintf(text, size, "took more than %lld MB of the memory that it shares with other jobs",
                     (long long)TFW_IO_JOB_SHARE(ex->worker->options.executor_memory_mb));
    } else if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));

        n = snprintf(text, size, "killed by signal %d (SIG%s)", WTERMSIG(status), name ? name : "?");
    } else {
        n = snprintf(text, size, "the executor exited with status %d", WEXITSTATUS(status));
    }
    return (size_t)n < size ? (size_t)n : size - 1;
}

/* Where it was when it crashed. */
static void keep_traceback(const tfw_executor_t *ex, tfw_job_t *job)
{
    char text[TFW_TRACEBACK_MAX];
    size_t len = tfw_crash_text(ex->board, text, sizeof(text));

    if (len && (job->traceback = strdup(text)) != NULL) {
        job->row.traceback = (tf_str_t){job->traceback, tfw_text_clean(job->traceback, len, len)};
    }
}

/* What the death of its process means for a job that ran. */
static void end_by_death(tfw_executor_t *ex, tfw_job_t *job, int status)
{
    tfw_pool_t *pool = &ex->worker->pool;
    char text[96];

    job->finished_us = tfw_monotonic_us();
    if (ex->doom == TFW_DOOM_DROP) {
        tfw_pool_let_go(pool, job, false);
        return;
    }
    if (job->cancel_asked) {
        tfw_job_end(job, TF_CANCELLED, TF_STR("cancelled"), (tf_str_t){NULL, 0});
    } else if (!job->timed_out && (ex->doom == TFW_DOOM_GIVE_BACK || ex->doom == TFW_DOOM_CANCEL ||
                                   ex->doom == TFW_DOOM_TIMEOUT)) {
        tfw_job_give_back(job); /* not the first: it had begun after the one that was meant */
    } else {
        tfw_job_fail(job, -1, (tf_str_t){text, cause_of_death(ex, job, status, text, sizeof(text))},
                     tfw_random());
        if (!job->timed_out) {
            keep_traceback(ex, job);
        }
        pool->processed++;
        log_failed(ex, job);
    }
    tfw_pool_let_go(pool, job, true);
}

/* Whether its process's death ends the job's attempt; else it is as if it had not begun. One after the other,
 * only the job whose handler ran has failed. Of many at once, so have those that were asked to stop; if
 * nobody's code ran, nobody knows whose fault it was, and all have, so that none of them does it again for
 * ever. */
static bool ends(const tfw_executor_t *ex, const tfw_job_t *job, uint32_t culprit)
{
    if (job->seq == culprit || ex->places == 0) {
        return job->seq == culprit;
    }
    return job->cancel_asked || job->timed_out || (culprit == 0 && ex->doom != TFW_DOOM_GIVE_BACK);
}

void tfw_attempt_died(tfw_executor_t *ex, int status, tfw_jobs_t *rest)
{
    tfw_worker_t *w = ex->worker;
    pid_t pid = ex->pid;
    uint32_t culprit;
    tfw_job_t *job;

    tfw_executor_bury(ex);
    culprit = ex->doom == TFW_DOOM_HANG ? ex->blamed : atomic_load(&ex->board->running);
    tf_log(ex->doom == TFW_DOOM_NONE && w->state < TFW_LEAVING ? TF_LOG_WARNING : TF_LOG_INFO,
           "executor_died", "i:executor_pid", (int64_t)pid, "i:signal",
           (int64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : 0), "i:status",
           (int64_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 0), "i:jobs", (int64_t)ex->njobs, NULL);
    while ((job = TAILQ_FIRST(&ex->jobs)) != NULL) {
        tfw_executor_remove(ex, job);
        w->pool.active--;
        if (ends(ex, job, culprit)) {
            end_by_death(ex, job, status);
        } else if (ex->doom == TFW_DOOM_DROP) {
            tfw_pool_let_go(&w->pool, job, false);
        } else {
            TAILQ_INSERT_TAIL(rest, job, link);
        }
    }
}
