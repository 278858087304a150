
#include "ngx_http_taskforge_why.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_sql.h"

#include <stdarg.h>


/* jobs before it are counted so far */
#define NGX_HTTP_TASKFORGE_WHY_COUNTED  10000

/* microseconds: what takes longer than a healthy system takes */
#define NGX_HTTP_TASKFORGE_WHY_LATE     5000000


/* What the database says of the job and of who could run it. */

typedef struct {
    tf_job_t      job;
    int64_t       enqueued_at;
    int64_t       now;
    ngx_uint_t    paused;
    ngx_uint_t    draining;

    int32_t       alive;
    int32_t       serving;
    int32_t       able;
    int32_t       wanting;
    int32_t       taking;
    int32_t       slots;
    int32_t       busy;
    int32_t       before;
} ngx_http_taskforge_why_t;


static void ngx_http_taskforge_why_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static ngx_int_t ngx_http_taskforge_why_read(ngx_http_taskforge_why_t *why,
    PGresult *res);
static void ngx_http_taskforge_why_write(tf_buf_t *out,
    ngx_http_taskforge_why_t *why);
static void ngx_http_taskforge_why_started(tf_buf_t *out,
    ngx_http_taskforge_why_t *why);
static void ngx_http_taskforge_why_later(tf_buf_t *out,
    ngx_http_taskforge_why_t *why);
static const char *ngx_http_taskforge_why_scheduled(const tf_job_t *job);
static void ngx_http_taskforge_why_queue(tf_buf_t *out,
    ngx_http_taskforge_why_t *why);
static void ngx_http_taskforge_why_workers(tf_buf_t *out,
    ngx_http_taskforge_why_t *why);
static void ngx_http_taskforge_why_turn(tf_buf_t *out,
    ngx_http_taskforge_why_t *why);
static void ngx_http_taskforge_why_reason(tf_buf_t *out, const char *code,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));


static const tf_sql_t  ngx_http_taskforge_sql_why = {
    "tfr_why", NGX_HTTP_TASKFORGE_SQL_WHY, 2
};


void
ngx_http_taskforge_why(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_int4(&args, NGX_HTTP_TASKFORGE_WHY_COUNTED);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_why,
                                         args.values, args.lengths,
                                         ngx_http_taskforge_why_done, NULL);
}


static void
ngx_http_taskforge_why_done(ngx_http_request_t *r, void *data, PGresult *res)
{
    tf_buf_t                  out;
    ngx_http_taskforge_why_t  why;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_jobs_not_found(r);
        return;
    }

    if (ngx_http_taskforge_why_read(&why, res) != NGX_OK) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the job cannot be read");
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    ngx_http_taskforge_why_write(&out, &why);
    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);

    tf_buf_free(&out);
}


static ngx_int_t
ngx_http_taskforge_why_read(ngx_http_taskforge_why_t *why, PGresult *res)
{
    int                           c;
    size_t                        i;
    int32_t                      *counts[] = {
        &why->alive, &why->serving, &why->able, &why->wanting, &why->taking,
        &why->slots, &why->busy, &why->before
    };
    ngx_http_taskforge_pg_row_t   row = { res, 0 };

    if (!tf_job_from_row(&why->job, &row, ngx_http_taskforge_pg_column, 0,
                         false))
    {
        return NGX_ERROR;
    }

    c = TF_JOB_NCOLUMNS_LIGHT;

    why->enqueued_at = PQgetisnull(res, 0, c)
                           ? TF_TIME_NONE
                           : tf_pg_get_time(PQgetvalue(res, 0, c));
    why->now = tf_pg_get_time(PQgetvalue(res, 0, c + 1));
    why->paused = ngx_http_taskforge_is(res, c + 2, "paused");
    why->draining = ngx_http_taskforge_is(res, c + 2, "draining");

    for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        *counts[i] = tf_pg_get_int4(PQgetvalue(res, 0, c + 3 + (int) i));
    }

    return NGX_OK;
}


static void
ngx_http_taskforge_why_write(tf_buf_t *out, ngx_http_taskforge_why_t *why)
{
    char         id[TF_UUID_TEXT_LEN];
    tf_status_t  status;

    status = why->job.status;

    tf_uuid_format(why->job.id, id);

    tf_buf_addc(out, '{');
    tf_json_kstr(out, "id", id, sizeof(id));
    tf_json_kcstr(out, "status", tf_status_name(status));
    tf_json_kbool(out, "runnable",
                  status == TF_QUEUED && !why->paused && why->taking > 0);
    tf_json_key(out, "reasons");
    tf_buf_addc(out, '[');

    if (status == TF_RUNNING || tf_status_is_terminal(status)) {
        ngx_http_taskforge_why_started(out, why);

    } else {
        ngx_http_taskforge_why_later(out, why);
        ngx_http_taskforge_why_queue(out, why);
        ngx_http_taskforge_why_workers(out, why);

        if (status == TF_QUEUED) {
            ngx_http_taskforge_why_turn(out, why);
        }
    }

    tf_buf_adds(out, "]}");
}


/* It runs, or has ended. */

static void
ngx_http_taskforge_why_started(tf_buf_t *out, ngx_http_taskforge_why_t *why)
{
    tf_job_t  *job;

    job = &why->job;

    if (job->status != TF_RUNNING) {
        ngx_http_taskforge_why_reason(out, "ended", "it has ended: %s",
                                      tf_status_name(job->status));
        tf_json_ktime(out, "finished_at", job->finished_at);
        tf_buf_addc(out, '}');
        return;
    }

    ngx_http_taskforge_why_reason(out, "running", "it runs, attempt %d",
                                  (int) job->attempt);
    tf_json_kstr(out, "worker", job->worker.data, job->worker.len);
    tf_json_ktime(out, "since", job->started_at);
    tf_buf_addc(out, '}');

    if (job->cancel_requested) {
        ngx_http_taskforge_why_reason(out, "cancel_requested",
                                      "it has been asked to stop");
        tf_buf_addc(out, '}');
    }
}


/* Its time has not come. */

static void
ngx_http_taskforge_why_later(tf_buf_t *out, ngx_http_taskforge_why_t *why)
{
    tf_job_t  *job;

    job = &why->job;

    if (job->status == TF_SCHEDULED) {
        ngx_http_taskforge_why_reason(out, "scheduled", "%s",
                                      ngx_http_taskforge_why_scheduled(job));
        tf_json_ktime(out, "due_at", job->run_at);
        tf_buf_addc(out, '}');

    } else if (job->status == TF_RETRYING) {
        ngx_http_taskforge_why_reason(out, "retrying",
                                      "attempt %d of %d failed; it waits for "
                                      "the next", (int) job->attempt,
                                      (int) job->max_retries + 1);
        tf_json_ktime(out, "due_at", job->run_at);
        tf_json_kstr(out, "last_error", job->error.data, job->error.len);
        tf_buf_addc(out, '}');
    }

    if (job->run_at != TF_TIME_NONE
        && job->run_at + NGX_HTTP_TASKFORGE_WHY_LATE < why->now)
    {
        ngx_http_taskforge_why_reason(out, "overdue",
                                      "it is due: no scheduler runs, or it is "
                                      "behind");
        tf_buf_addc(out, '}');
    }

    /* what a worker has begun does not expire any more */

    if (job->expires_at != TF_TIME_NONE && job->expires_at <= why->now
        && job->worker.len == 0)
    {
        ngx_http_taskforge_why_reason(out, "expired",
                                      "it has expired and is about to be "
                                      "cancelled");
        tf_json_ktime(out, "expires_at", job->expires_at);
        tf_buf_addc(out, '}');
    }
}


/* Its time is the one that was asked for, or came since. */

static const char *
ngx_http_taskforge_why_scheduled(const tf_job_t *job)
{
    if (job->snoozes) {
        return "its handler asked to be run later";
    }

    if (job->run_at != job->scheduled_at && job->run_at > job->created_at) {
        return job->has_schedule_id
               ? "it was put off: an earlier job of its schedule has not "
                 "ended, or as many of its type run as may"
               : "it was put off: as many of its type run as may";
    }

    return "it is scheduled for later";
}


static void
ngx_http_taskforge_why_queue(tf_buf_t *out, ngx_http_taskforge_why_t *why)
{
    if (why->paused) {
        ngx_http_taskforge_why_reason(out, "queue_paused",
                                      "its queue is paused");

    } else if (why->draining) {
        ngx_http_taskforge_why_reason(out, "queue_draining",
                                      "its queue takes no more jobs, but runs "
                                      "those it has");

    } else {
        return;
    }

    tf_json_kstr(out, "queue", why->job.queue.data, why->job.queue.len);
    tf_buf_addc(out, '}');
}


/* The first of these that is so explains the others. */

static void
ngx_http_taskforge_why_workers(tf_buf_t *out, ngx_http_taskforge_why_t *why)
{
    if (why->alive == 0) {
        ngx_http_taskforge_why_reason(out, "no_worker", "no worker is alive");

    } else if (why->serving == 0) {
        ngx_http_taskforge_why_reason(out, "no_worker_for_queue",
                                      "none of the workers that are alive "
                                      "(%d) serves its queue",
                                      (int) why->alive);
        tf_json_kstr(out, "queue", why->job.queue.data, why->job.queue.len);

    } else if (why->able == 0) {
        ngx_http_taskforge_why_reason(out, "no_worker_for_type",
                                      "none of the workers of its queue (%d) "
                                      "knows its type", (int) why->serving);
        tf_json_kstr(out, "type", why->job.type.data, why->job.type.len);

    } else if (why->wanting == 0) {
        ngx_http_taskforge_why_reason(out, "no_worker_for_priority",
                                      "the workers that could run it (%d) "
                                      "take no jobs of its priority",
                                      (int) why->able);
        tf_json_kint(out, "priority_value", why->job.priority);

    } else if (why->taking == 0) {
        ngx_http_taskforge_why_reason(out, "workers_quiet",
                                      "the workers that could run it (%d) "
                                      "have been told to take no jobs, or are "
                                      "stopping",
                                      (int) why->wanting);

    } else if (why->busy >= why->slots) {
        ngx_http_taskforge_why_reason(out, "workers_busy",
                                      "all executors of its workers are busy");
        tf_json_kint(out, "slots", why->slots);

    } else {
        return;
    }

    tf_buf_addc(out, '}');
}


/* Nothing but its turn. */

static void
ngx_http_taskforge_why_turn(tf_buf_t *out, ngx_http_taskforge_why_t *why)
{
    if (why->before > 0) {
        ngx_http_taskforge_why_reason(out, "jobs_before", "jobs of its queue "
                                      "that come before it: %d%s",
                                      (int) ngx_min(why->before,
                                              NGX_HTTP_TASKFORGE_WHY_COUNTED),
                                      why->before
                                      > NGX_HTTP_TASKFORGE_WHY_COUNTED
                                          ? "+" : "");
        tf_json_kint(out, "count",
                     ngx_min(why->before, NGX_HTTP_TASKFORGE_WHY_COUNTED));
        tf_json_kbool(out, "more",
                      why->before > NGX_HTTP_TASKFORGE_WHY_COUNTED);

    } else if (why->paused || why->taking == 0 || why->busy >= why->slots) {
        return;

    } else if (why->enqueued_at != TF_TIME_NONE
               && why->enqueued_at + NGX_HTTP_TASKFORGE_WHY_LATE < why->now)
    {
        ngx_http_taskforge_why_reason(out, "awaiting_reconcile",
                                      "nothing is in its way: Redis may have "
                                      "lost it, then the scheduler is about to "
                                      "hand it out again");

    } else {
        ngx_http_taskforge_why_reason(out, "starting",
                                      "nothing is in its way, it is about to "
                                      "start");
    }

    tf_buf_addc(out, '}');
}


/* Begins a member of reasons; the caller may add to it and closes it. */

static void
ngx_http_taskforge_why_reason(tf_buf_t *out, const char *code,
    const char *fmt, ...)
{
    char     detail[256];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);

    if (out->len && out->data[out->len - 1] == '}') {
        tf_buf_addc(out, ',');
    }

    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "code", code);
    tf_json_kcstr(out, "detail", detail);
}
