#include "cancel.h"

#include "log.h"
#include "worker.h"

static void cancel_running(tfw_worker_t *w, tfw_executor_t *ex, tfw_job_t *job)
{
    int64_t grace_us = w->options.cancel_grace_ms * 1000;

    job->cancel_asked = true;
    job->row.cancel_requested = true;
    ex->cancel_seq = job->seq;
    ex->cancel_at_us = tfw_monotonic_us() + grace_us;
    atomic_store(&ex->board->cancel_seq, job->seq);
    tfw_pool_look_in(&w->pool, grace_us);
    tf_log(TF_LOG_INFO, "attempt_cancelled", "u:job_id", job->row.id, "i:executor_pid", (int64_t)ex->pid,
           NULL);
}

void tfw_cancel(tfw_worker_t *w, const uint8_t id[16])
{
    tfw_executor_t *ex;
    tfw_job_t *job = tfw_pool_find(&w->pool, id, &ex);

    if (ex && !job->cancel_asked) {
        tfw_pool_take_back(&w->pool, ex);
        job = tfw_pool_find(&w->pool, id, &ex); /* it may be one of those */
    }
    if (!job || job->cancel_asked) {
        return;
    }
    if (ex) {
        cancel_running(w, ex, job);
        return;
    }
    job->row.cancel_requested = true;
    tfw_job_end(job, TF_CANCELLED, TF_STR("cancelled before it began"), (tf_str_t){NULL, 0});
    tfw_pool_take_out(&w->pool, job);
}
