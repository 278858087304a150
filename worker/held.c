#include "held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "catalogue.h"
#include "retry.h"
#include "run.h"

tfw_batch_t *tfw_batch_new(PGresult *result, size_t count)
{
    tfw_batch_t *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->jobs[0]));

    if (batch) {
        batch->result = result;
    } else {
        PQclear(result);
    }
    return batch;
}

void tfw_batch_free(tfw_batch_t *batch)
{
    PQclear(batch->result);
    free(batch);
}

void tfw_job_release(tfw_job_t *job)
{
    tfw_batch_t *batch = job->batch;

    free(job->words);
    free(job->traceback);
    job->words = job->traceback = NULL;
    if (--batch->held == 0) {
        tfw_batch_free(batch);
    }
}

bool tfw_jobs_use(const tfw_jobs_t *jobs, int queue)
{
    const tfw_job_t *job;

    TAILQ_FOREACH(job, jobs, link)
    {
        if (job->entry.queue == queue) {
            return true;
        }
    }
    return false;
}

tfw_job_t *tfw_jobs_find(const tfw_jobs_t *jobs, const uint8_t id[16])
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

void tfw_jobs_ids(const tfw_jobs_t *jobs, tf_pgarray_t *ids)
{
    const tfw_job_t *job;

    TAILQ_FOREACH(job, jobs, link)
    {
        tf_pgarray_bytes(ids, job->row.id, 16);
    }
}

bool tfw_job_end(tfw_job_t *job, tf_status_t status, tf_str_t error, tf_str_t result)
{
    size_t size = (error.data ? error.len : 0) + (result.data ? result.len : 0);

    job->row.status = status;
    job->row.error = job->row.result = job->row.traceback = (tf_str_t){NULL, 0};
    free(job->words);
    job->words = NULL;
    if (!error.data && !result.data) {
        return true;
    }
    job->words = malloc(size + 1);
    if (!job->words) {
        return false;
    }
    size = 0;
    if (error.data) {
        memcpy(job->words, error.data, error.len);
        job->row.error = (tf_str_t){job->words, error.len};
        size = error.len;
    }
    if (result.data) {
        memcpy(job->words + size, result.data, result.len);
        job->row.result = (tf_str_t){job->words + size, result.len};
    }
    return true;
}

/* The job's own policy, where it has one, else its type's. */
static tf_retry_policy_t policy_of(const tfw_job_t *job)
{
    tf_retry_policy_t policy = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true};

    if (job->handler >= 0) {
        policy = tfw_catalogue_at((size_t)job->handler)->retry;
    }
    if (job->row.retry_base_ms >= 0) {
        policy.base_ms = job->row.retry_base_ms;
    }
    if (job->row.retry_max_ms >= 0) {
        policy.max_ms = job->row.retry_max_ms;
    }
    if (job->row.retry_jitter >= 0) {
        policy.jitter = job->row.retry_jitter != 0;
    }
    return policy;
}

void tfw_job_give_back(tfw_job_t *job)
{
    tfw_job_end(job, TF_QUEUED, (tf_str_t){NULL, 0}, (tf_str_t){NULL, 0});
}

void tfw_job_put_off(tfw_job_t *job, int64_t delay_ms)
{
    tfw_job_end(job, TF_SCHEDULED, (tf_str_t){NULL, 0}, (tf_str_t){NULL, 0});
    job->delay_ms = delay_ms;
}

static void fail(tfw_job_t *job, tf_status_t status, tf_str_t error)
{
    tfw_job_end(job, status, error, (tf_str_t){NULL, 0});
    if (!job->row.error.data) {
        job->row.error = TF_STR("out of memory while the attempt's error was kept");
    }
}

/* Whether an attempt that begins in delay_ms is within the job's time budget, by the server's clock. */
static bool in_budget(const tfw_job_t *job, int64_t delay_ms)
{
    int64_t since = job->row.retried_at, now;

    if (job->row.retry_budget_seconds < 0 || job->row.started_at == TF_TIME_NONE) {
        return true;
    }
    if (since == TF_TIME_NONE) {
        since = job->row.scheduled_at != TF_TIME_NONE ? job->row.scheduled_at : job->row.created_at;
    }
    now = job->row.started_at + (job->finished_us - job->claimed_us);
    return tf_retry_in_budget(since, job->row.retry_budget_seconds, now + delay_ms * 1000);
}

void tfw_job_fail(tfw_job_t *job, int64_t retry_after_ms, tf_str_t error, uint64_t random)
{
    tf_retry_policy_t policy = policy_of(job);
    char text[TFW_ERROR_MAX + 80];
    int n;

    job->delay_ms =
        retry_after_ms >= 0 ? retry_after_ms : tf_retry_delay_ms(&policy, job->row.attempt, random);
    if (!tf_retry_left(job->row.attempt, job->row.max_retries)) {
        fail(job, TF_DEAD_LETTER, error);
    } else if (in_budget(job, job->delay_ms)) {
        fail(job, TF_RETRYING, error);
    } else {
        n = snprintf(text, sizeof(text), "%.*s; not tried again: the time budget of %d s is spent",
                     (int)error.len, error.data, job->row.retry_budget_seconds);
        fail(job, TF_DEAD_LETTER, (tf_str_t){text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1});
    }
}

void tfw_job_fail_for_good(tfw_job_t *job, tf_str_t error)
{
    fail(job, TF_FAILED, error);
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t tfw_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t tfw_realtime_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

uint64_t tfw_random(void)
{
    static uint64_t state; /* splitmix64, Steele, Lea and Flood 2014 */
    uint64_t z;

    if (!state) {
        state = (uint64_t)tfw_realtime_us() ^ (uint64_t)getpid() << 40;
    }
    z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
