#include "cancel.h"

#include "log.h"
#include "watch.h"
#include "worker.h"

static void cancel_running(tfw_worker_t *w, tfw_executor_t *ex, tfw_job_t *job)
{
    int64_t grace_ms = tfw_watch_cancel_grace_ms(ex);

    job->cancel_asked = true;
    job->row.cancel_requested = true;
    tfw_executor_ask_to_stop(ex, job, grace_ms);
    tfw_pool_look_in(&w->pool, grace_ms * 1000);
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
