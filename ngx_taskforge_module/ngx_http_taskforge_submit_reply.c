
/*
 * The answers to submissions.
 */

#include "ngx_http_taskforge_submission.h"
#include "ngx_http_taskforge_idempotency.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_wait.h"


static void ngx_http_taskforge_submit_not_ended(ngx_http_request_t *r,
    PGresult *res);
static void ngx_http_taskforge_submit_write_item(
    ngx_http_taskforge_submission_t *sub, ngx_uint_t i, tf_buf_t *out);


void
ngx_http_taskforge_submit_invalid(ngx_http_taskforge_submission_t *sub)
{
    tf_buf_t  names;

    names = (tf_buf_t) TF_BUF_INIT;

    if (sub->unknown) {
        tf_buf_adds(&names, "; known types: ");
        ngx_http_taskforge_types_names(sub->mcf->types, &names);
    }

    ngx_http_taskforge_problem_errors(sub->request,
                                      NGX_HTTP_TASKFORGE_INVALID,
                                      &sub->errors, "%s%s",
                                      sub->batch ? "the batch is not valid"
                                                 : "the job is not valid",
                                      tf_buf_cstr(&names));
    tf_buf_free(&names);
}


void
ngx_http_taskforge_submit_busy(ngx_http_taskforge_submission_t *sub)
{
    ngx_http_taskforge_problem(sub->request, NGX_HTTP_SERVICE_UNAVAILABLE,
                               "jobs cannot be taken at the moment");
}


void
ngx_http_taskforge_submit_reply_one(ngx_http_taskforge_submission_t *sub)
{
    ngx_uint_t                    status;
    const char                   *detail;
    ngx_http_request_t           *r;
    ngx_http_taskforge_wait_pt    usual;
    ngx_http_taskforge_insert_t  *ins;

    r = sub->request;
    ins = sub->group.jobs;

    if (ins->rc == NGX_ABORT || ins->rc == NGX_ERROR) {
        detail = ngx_http_taskforge_idempotency_problem(ins->rc, &status);
        ngx_http_taskforge_problem(r, status, "%s", detail);
        return;
    }

    if (ins->rc == NGX_DECLINED) {
        ngx_http_taskforge_problem(r, NGX_HTTP_TASKFORGE_INVALID,
                                   "the database refused this job");
        return;
    }

    if (ins->rc == NGX_DONE) {
        if (ngx_http_taskforge_header_add(r, "Idempotent-Replayed",
                                          (u_char *) "true", 4)
            != NGX_OK)
        {
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }

    } else if (ins->rc != NGX_OK) {
        ngx_http_taskforge_submit_busy(sub);
        return;
    }

    if (ngx_http_taskforge_jobs_location(r, ins->job.id) != NGX_OK) {
        return;
    }

    /* a replayed job is in a result that will be gone */

    usual = (ins->rc == NGX_DONE) ? ngx_http_taskforge_jobs_reply
                                  : ngx_http_taskforge_submit_not_ended;

    if (ngx_http_taskforge_wait(r, ins->job.id, ins->rc == NGX_DONE,
                                ngx_http_taskforge_jobs_reply, usual)
        != NGX_DECLINED)
    {
        return;
    }

    ngx_http_taskforge_submit_not_ended(r, NULL);
}


/* The usual answer.  res: who has waited in vain gets the job as it is now. */

static void
ngx_http_taskforge_submit_not_ended(ngx_http_request_t *r, PGresult *res)
{
    tf_buf_t                         *out;
    tf_job_t                          now;
    ngx_uint_t                        status;
    const tf_job_t                   *job;
    ngx_http_taskforge_ctx_t         *ctx;
    ngx_http_taskforge_insert_t      *ins;
    ngx_http_taskforge_pg_row_t       row = { res, 0 };
    ngx_http_taskforge_submission_t  *sub;

    ctx = ngx_http_taskforge_get_ctx(r);
    sub = ctx->data;
    ins = sub->group.jobs;
    status = (ins->rc == NGX_DONE) ? NGX_HTTP_OK : NGX_HTTP_ACCEPTED;
    job = &ins->job;

    if (res && PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res)
        && tf_job_from_row(&now, &row, ngx_http_taskforge_pg_column, 0, true))
    {
        job = &now;
    }

    out = &sub->mcf->scratch;

    tf_buf_reset(out);
    tf_job_write_json(out, job, true, false);

    ngx_http_taskforge_reply_json(r, status, out);
}


void
ngx_http_taskforge_submit_reply_batch(ngx_http_taskforge_submission_t *sub)
{
    tf_buf_t    out;
    ngx_uint_t  i, accepted, again, used;

    accepted = 0;
    used = 0;
    again = 0;

    for (i = 0; i < sub->group.njobs; i++) {
        accepted += (sub->group.jobs[i].rc == NGX_OK
                     || sub->group.jobs[i].rc == NGX_DONE);
        used += (sub->group.jobs[i].rc == NGX_ABORT
                 || sub->group.jobs[i].rc == NGX_ERROR);
        again += (sub->group.jobs[i].rc == NGX_AGAIN);
    }

    if (accepted == 0 && again) {
        ngx_http_taskforge_submit_busy(sub);
        return;
    }

    if (accepted == 0 && used == 0
        && ngx_http_taskforge_submit_refused(sub) == NGX_OK)
    {
        return;
    }

    if (accepted == 0 && used == 0) {
        ngx_http_taskforge_problem(sub->request, NGX_HTTP_TASKFORGE_INVALID,
                                   "the database refused these jobs");
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    tf_json_kint(&out, "accepted", accepted);
    tf_json_kint(&out, "rejected", sub->group.njobs - accepted);
    tf_json_key(&out, "items");
    tf_buf_addc(&out, '[');

    for (i = 0; i < sub->group.njobs; i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        ngx_http_taskforge_submit_write_item(sub, i, &out);
    }

    tf_buf_adds(&out, "]}");

    ngx_http_taskforge_reply_json(sub->request, NGX_HTTP_ACCEPTED, &out);

    tf_buf_free(&out);
}


static void
ngx_http_taskforge_submit_write_item(ngx_http_taskforge_submission_t *sub,
    ngx_uint_t i, tf_buf_t *out)
{
    tf_buf_t                      errors;
    ngx_str_t                    *span;
    ngx_uint_t                    status;
    const char                   *detail;
    ngx_http_taskforge_insert_t  *ins;

    ins = &sub->group.jobs[i];
    span = &sub->spans[i];

    tf_buf_addc(out, '{');
    tf_json_kint(out, "index", i);

    if (ins->rc == NGX_OK || ins->rc == NGX_DONE) {
        tf_json_key(out, "job");
        tf_job_write_json(out, &ins->job, true, false);

        if (ins->rc == NGX_DONE) {
            tf_json_kbool(out, "replayed", true);
        }

    } else if (ins->rc == NGX_ABORT || ins->rc == NGX_ERROR) {
        detail = ngx_http_taskforge_idempotency_problem(ins->rc, &status);

        tf_json_key(out, "problem");
        ngx_http_taskforge_problem_write(out, status, detail, NULL, NULL);

    } else {
        tf_json_key(out, "problem");

        if (span->len) {
            errors = (tf_buf_t) TF_BUF_INIT;
            errors.data = sub->errors.data + (uintptr_t) span->data;
            errors.len = span->len;

            if (errors.data[0] == ',') {
                errors.data++;
                errors.len--;
            }

            ngx_http_taskforge_problem_write(out,
                                             NGX_HTTP_TASKFORGE_INVALID,
                                             "the job is not valid", &errors,
                                             NULL);

        } else if (ins->rc == NGX_DECLINED) {
            ngx_http_taskforge_problem_write(out,
                                             NGX_HTTP_TASKFORGE_INVALID,
                                             "the database refused this job",
                                             NULL, NULL);

        } else if (ins->rc > 0) {
            ngx_http_taskforge_problem_write(out, ins->rc,
                                    ngx_http_taskforge_submit_refusal(ins->rc),
                                    NULL, NULL);

        } else {
            ngx_http_taskforge_problem_write(out,
                                           NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "jobs cannot be taken at the moment",
                                           NULL, NULL);
        }
    }

    tf_buf_addc(out, '}');
}
