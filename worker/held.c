#include "held.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "catalogue.h"
#include "retry.h"

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
    job->words = NULL;
    if (--batch->held == 0) {
        tfw_batch_free(batch);
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

void tfw_job_fail(tfw_job_t *job, bool permanent, tf_str_t error, uint64_t random)
{
    tf_status_t status = TF_FAILED;

    if (!permanent) {
        tf_retry_policy_t policy = policy_of(job);

        status = tf_retry_left(job->row.attempt, job->row.max_retries) ? TF_RETRYING : TF_DEAD_LETTER;
        job->delay_ms = tf_retry_delay_ms(&policy, job->row.attempt, random);
    }
    tfw_job_end(job, status, error, (tf_str_t){NULL, 0});
    if (!job->row.error.data) {
        job->row.error = TF_STR("out of memory while the attempt's error was kept");
    }
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
