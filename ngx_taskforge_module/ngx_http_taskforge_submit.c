
/*
 * A submission is checked, waits for its place in a batch and is answered
 * when the batch is committed.  A type that is not known makes it wait once
 * for a fresh copy of the table of types.
 */

#include "ngx_http_taskforge_submission.h"
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_idempotency.h"
#include "ngx_http_taskforge_outgoing.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_submit.h"
#include "ngx_http_taskforge_traceparent.h"
#include "json_error.h"
#include "json_slice.h"


static ngx_http_taskforge_submission_t *ngx_http_taskforge_submission_create(
    ngx_http_request_t *r, json_t *body, tf_str_t text, ngx_uint_t njobs);
static void ngx_http_taskforge_submission_cleanup(void *data);
static ngx_int_t ngx_http_taskforge_submit_shape(ngx_http_request_t *r,
    json_t *body);
static void ngx_http_taskforge_submit_run(
    ngx_http_taskforge_submission_t *sub);
static void ngx_http_taskforge_submit_check(
    ngx_http_taskforge_submission_t *sub);
static void ngx_http_taskforge_submit_check_job(
    ngx_http_taskforge_submission_t *sub, ngx_uint_t i, tf_str_t text,
    int64_t now);
static ngx_int_t ngx_http_taskforge_submit_webhook(
    ngx_http_taskforge_submission_t *sub, const tf_job_t *job,
    const char *pointer);
static void ngx_http_taskforge_submit_extras(
    ngx_http_taskforge_submission_t *sub, tf_job_t *job);
static const tf_type_defaults_t *ngx_http_taskforge_submit_lookup(void *data,
    const char *type, size_t len);
static void ngx_http_taskforge_submit_types(void *data, ngx_uint_t ok);
static void ngx_http_taskforge_submit_rules(void *data, ngx_uint_t ok);
static void ngx_http_taskforge_submit_again(
    ngx_http_taskforge_submission_t *sub, ngx_uint_t ok);
static void ngx_http_taskforge_submit_insert(
    ngx_http_taskforge_submission_t *sub);
static void ngx_http_taskforge_submit_done(
    ngx_http_taskforge_insert_group_t *group);
static void ngx_http_taskforge_submit_finish(ngx_http_request_t *r);
static void ngx_http_taskforge_submit_reply(ngx_http_request_t *r);


void
ngx_http_taskforge_submit_one(ngx_http_request_t *r)
{
    json_t                           *body;
    tf_str_t                          text;
    ngx_http_taskforge_submission_t  *sub;

    body = ngx_http_taskforge_body_submission(r, 0, &text);
    if (body == NULL) {
        return;
    }

    sub = ngx_http_taskforge_submission_create(r, body, text, 1);
    if (sub) {
        ngx_http_taskforge_submit_run(sub);
    }
}


void
ngx_http_taskforge_submit_batch(ngx_http_request_t *r)
{
    json_t                           *body, *jobs;
    tf_str_t                          text;
    ngx_http_taskforge_submission_t  *sub;

    body = ngx_http_taskforge_body_submission(r, 1, &text);

    if (body == NULL
        || ngx_http_taskforge_submit_shape(r, body) != NGX_OK)
    {
        return;
    }

    jobs = json_object_get(body, "jobs");

    sub = ngx_http_taskforge_submission_create(r, jobs, text,
                                               json_array_size(jobs));
    if (sub == NULL) {
        return;
    }

    sub->batch = 1;
    sub->group.atomic = json_is_true(json_object_get(body, "atomic"));

    ngx_http_taskforge_submit_run(sub);
}


/* The body of a batch without its jobs.  NGX_ERROR: answered. */

static ngx_int_t
ngx_http_taskforge_submit_shape(ngx_http_request_t *r, json_t *body)
{
    char         pointer[TF_JSON_POINTER_SIZE];
    size_t       n;
    json_t      *value;
    tf_buf_t     errors;
    ngx_int_t    rc;
    const char  *key;

    errors = (tf_buf_t) TF_BUF_INIT;
    rc = NGX_OK;

    json_object_foreach(body, key, value) {
        if (ngx_strcmp(key, "jobs") != 0 && ngx_strcmp(key, "atomic") != 0) {
            tf_json_error(&errors, tf_json_pointer(pointer, "#", key),
                          "unknown field \"%.64s\"", key);
        }
    }

    n = json_array_size(json_object_get(body, "jobs"));

    if (n < 1 || n > NGX_HTTP_TASKFORGE_BATCH_MAX) {
        ngx_http_taskforge_error_add(&errors, "pointer", "#/jobs", 6,
                                     "must be an array of 1 to %d jobs",
                                     NGX_HTTP_TASKFORGE_BATCH_MAX);
    }

    value = json_object_get(body, "atomic");

    if (value && !json_is_boolean(value)) {
        ngx_http_taskforge_error_add(&errors, "pointer", "#/atomic", 8,
                                     "must be true or false");
    }

    if (errors.len || errors.failed) {
        ngx_http_taskforge_problem_errors(r, NGX_HTTP_TASKFORGE_INVALID,
                                          &errors, "the batch is not valid");
        rc = NGX_ERROR;
    }

    tf_buf_free(&errors);

    return rc;
}


/*
 * body: the job, or the array of jobs; text: the whole request body.
 * NULL: answered.
 */

static ngx_http_taskforge_submission_t *
ngx_http_taskforge_submission_create(ngx_http_request_t *r, json_t *body,
    tf_str_t text, ngx_uint_t njobs)
{
    ngx_pool_cleanup_t               *cln;
    ngx_http_taskforge_ctx_t         *ctx;
    ngx_http_taskforge_submission_t  *sub;

    ctx = ngx_http_taskforge_get_ctx(r);

    sub = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_submission_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (sub == NULL || cln == NULL) {
        goto failed;
    }

    sub->group.jobs = ngx_palloc(r->pool,
                                 njobs * sizeof(ngx_http_taskforge_insert_t));
    sub->spans = ngx_palloc(r->pool, njobs * sizeof(ngx_str_t));

    if (sub->group.jobs == NULL || sub->spans == NULL) {
        goto failed;
    }

    sub->request = r;
    sub->mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);
    sub->body = body;
    sub->text = text;

    sub->group.njobs = njobs;
    sub->group.done = ngx_http_taskforge_submit_done;
    sub->group.data = sub;

    sub->errors = (tf_buf_t) TF_BUF_INIT;

    cln->handler = ngx_http_taskforge_submission_cleanup;
    cln->data = sub;

    ctx->data = sub;

    return sub;

failed:

    ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                               "out of memory");
    return NULL;
}


static void
ngx_http_taskforge_submission_cleanup(void *data)
{
    ngx_http_taskforge_submission_t  *sub = data;

    if (sub->waiting) {
        ngx_queue_remove(&sub->wait.queue);
    }

    if (sub->rules_waiting) {
        ngx_queue_remove(&sub->rules_wait.queue);
    }

    tf_buf_free(&sub->errors);
}


static void
ngx_http_taskforge_submit_run(ngx_http_taskforge_submission_t *sub)
{
    if (sub->mcf->types == NULL) {
        ngx_http_taskforge_submit_busy(sub);
        return;
    }

    if (!ngx_http_taskforge_queue_rules_ready(sub->mcf->queue_rules)) {
        sub->rules_waiting = 1;
        sub->rules_wait.handler = ngx_http_taskforge_submit_rules;
        sub->rules_wait.data = sub;
        ngx_http_taskforge_queue_rules_wait(sub->mcf->queue_rules,
                                            &sub->rules_wait);
        return;
    }

    ngx_http_taskforge_submit_check(sub);

    if (sub->unknown && !sub->waited) {
        sub->waiting = 1;
        sub->wait.handler = ngx_http_taskforge_submit_types;
        sub->wait.data = sub;
        ngx_http_taskforge_types_wait(sub->mcf->types, &sub->wait);
        return;
    }

    if (sub->nvalid == 0
        || (sub->group.atomic && sub->nvalid < sub->group.njobs))
    {
        ngx_http_taskforge_submit_invalid(sub);
        return;
    }

    ngx_http_taskforge_submit_insert(sub);
}


static void
ngx_http_taskforge_submit_insert(ngx_http_taskforge_submission_t *sub)
{
    ngx_uint_t           valid;
    ngx_http_request_t  *r;

    r = sub->request;
    valid = sub->nvalid;

    if (ngx_http_taskforge_submit_admit(sub) != NGX_OK) {
        ngx_http_taskforge_submit_busy(sub);
        return;
    }

    if (sub->nvalid < valid && (sub->nvalid == 0 || sub->group.atomic)) {
        ngx_http_taskforge_submit_leave(sub);
        (void) ngx_http_taskforge_submit_refused(sub);
        return;
    }

    if (ngx_http_taskforge_insert(sub->mcf->submit, &sub->group) != NGX_OK) {
        ngx_http_taskforge_submit_leave(sub);
        ngx_http_taskforge_submit_busy(sub);
        return;
    }

    /* until the commit the memory must stay, even if the client goes away */

    sub->committing = 1;
    r->main->blocked++;
    r->write_event_handler = ngx_http_taskforge_submit_finish;
}


static void
ngx_http_taskforge_submit_check(ngx_http_taskforge_submission_t *sub)
{
    int64_t           now;
    tf_str_t          key, text;
    ngx_uint_t        i;
    tf_json_slice_t   slice;

    tf_buf_reset(&sub->errors);

    sub->unknown = 0;
    sub->nvalid = 0;

    now = ngx_http_taskforge_now_us();

    if (!sub->batch) {
        ngx_http_taskforge_submit_check_job(sub, 0, sub->text, now);
        return;
    }

    text = tf_json_slice_member(sub->text, "jobs");
    (void) tf_json_slice(&slice, text);

    for (i = 0; i < sub->group.njobs; i++) {
        (void) tf_json_slice_next(&slice, &key, &text);
        ngx_http_taskforge_submit_check_job(sub, i, text, now);
    }
}


static void
ngx_http_taskforge_submit_check_job(ngx_http_taskforge_submission_t *sub,
    ngx_uint_t i, tf_str_t text, int64_t now)
{
    char                          pointer[sizeof("#/jobs/1000")];
    size_t                        before;
    json_t                       *body;
    tf_job_t                     *job;
    ngx_http_taskforge_insert_t  *ins;

    ins = &sub->group.jobs[i];
    ins->group = &sub->group;
    job = &ins->job;
    body = sub->body;

    (void) ngx_cpystrn((u_char *) pointer, (u_char *) "#", sizeof(pointer));

    if (sub->batch) {
        body = json_array_get(sub->body, i);
        (void) snprintf(pointer, sizeof(pointer), "#/jobs/%u", (unsigned) i);
    }

    before = sub->errors.len;

    if (!tf_submission_check(body, text, pointer, now,
                             ngx_http_taskforge_submit_lookup, sub, job,
                             &sub->errors)
        || ngx_http_taskforge_submit_webhook(sub, job, pointer) != NGX_OK
        || ngx_http_taskforge_idempotency_take(sub->request, text, pointer,
                                               !sub->batch, ins, &sub->errors)
           != NGX_OK)
    {
        ins->rc = NGX_DECLINED;
        sub->spans[i].data = (u_char *) before;
        sub->spans[i].len = sub->errors.len - before;
        return;
    }

    ins->rc = NGX_OK;
    ngx_str_null(&sub->spans[i]);
    sub->nvalid++;

    ngx_http_taskforge_submit_extras(sub, job);
}


/* The webhook's URL is a valid one; may it be called? */

static ngx_int_t
ngx_http_taskforge_submit_webhook(ngx_http_taskforge_submission_t *sub,
    const tf_job_t *job, const char *pointer)
{
    char         place[sizeof("#/jobs/1000/webhook_url")];
    const char  *why;

    if (job->webhook_url.len == 0) {
        return NGX_OK;
    }

    why = ngx_http_taskforge_outgoing_refusal(sub->request, job->webhook_url);
    if (why == NULL) {
        return NGX_OK;
    }

    (void) snprintf(place, sizeof(place), "%s/webhook_url", pointer);

    ngx_http_taskforge_error_add(&sub->errors, "pointer", place,
                                 ngx_strlen(place), "its host %s", why);

    return NGX_DECLINED;
}


/* What does not come from the body. */

static void
ngx_http_taskforge_submit_extras(ngx_http_taskforge_submission_t *sub,
    tf_job_t *job)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(sub->request);

    if (job->status == TF_QUEUED) {
        /* a time that has passed is no schedule */
        job->scheduled_at = TF_TIME_NONE;
    }

    if (ctx->has_user) {
        job->has_created_by = true;
        ngx_memcpy(job->created_by, ctx->user_id, sizeof(job->created_by));
    }

    job->traceparent = ngx_http_taskforge_traceparent(sub->request);
}


static const tf_type_defaults_t *
ngx_http_taskforge_submit_lookup(void *data, const char *type, size_t len)
{
    const tf_type_defaults_t         *found;
    ngx_http_taskforge_submission_t  *sub = data;

    found = ngx_http_taskforge_types_lookup(sub->mcf->types, type, len);

    if (found == NULL) {
        sub->unknown = 1;
    }

    return found;
}


static void
ngx_http_taskforge_submit_types(void *data, ngx_uint_t ok)
{
    ngx_http_taskforge_submission_t  *sub = data;

    sub->waiting = 0;
    sub->waited = 1;

    ngx_http_taskforge_submit_again(sub, ok);
}


static void
ngx_http_taskforge_submit_rules(void *data, ngx_uint_t ok)
{
    ngx_http_taskforge_submission_t  *sub = data;

    sub->rules_waiting = 0;

    ngx_http_taskforge_submit_again(sub, ok);
}


static void
ngx_http_taskforge_submit_again(ngx_http_taskforge_submission_t *sub,
    ngx_uint_t ok)
{
    ngx_connection_t  *c;

    c = sub->request->connection;

    ngx_http_set_log_request(c->log, sub->request);

    if (ok) {
        ngx_http_taskforge_submit_run(sub);

    } else {
        ngx_http_taskforge_submit_busy(sub);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * All jobs of the request are settled.  If the request was terminated in the
 * meantime, nginx has put a handler of its own here, which frees it.
 */

static void
ngx_http_taskforge_submit_done(ngx_http_taskforge_insert_group_t *group)
{
    ngx_connection_t                 *c;
    ngx_http_request_t               *r;
    ngx_http_taskforge_submission_t  *sub;

    sub = group->data;
    r = sub->request;
    c = r->connection;

    sub->committing = 0;
    sub->committed = 1;
    r->main->blocked--;

    ngx_http_taskforge_submit_leave(sub);

    ngx_http_set_log_request(c->log, r);

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


/* Also called by nginx whenever the client's socket takes data. */

static void
ngx_http_taskforge_submit_finish(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t         *ctx;
    ngx_http_taskforge_submission_t  *sub;

    ctx = ngx_http_taskforge_get_ctx(r);
    sub = ctx->data;

    if (sub->committing) {
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    if (ngx_http_taskforge_idempotency_replay(r, &sub->group,
                                              ngx_http_taskforge_submit_reply)
        == NGX_OK)
    {
        ngx_http_taskforge_submit_reply(r);
    }
}


static void
ngx_http_taskforge_submit_reply(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t         *ctx;
    ngx_http_taskforge_submission_t  *sub;

    ctx = ngx_http_taskforge_get_ctx(r);
    sub = ctx->data;

    if (sub->batch) {
        ngx_http_taskforge_submit_reply_batch(sub);

    } else {
        ngx_http_taskforge_submit_reply_one(sub);
    }
}
