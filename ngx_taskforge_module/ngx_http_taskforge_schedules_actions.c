
/*
 * What is done with a schedule: paused, resumed, deleted, run besides its
 * ticks.
 */

#include "ngx_http_taskforge_schedules.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_change.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_publish.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_schedules_sql.h"


#define NGX_HTTP_TASKFORGE_SCHEDULE_NOTE_MAX  500    /* bytes */


static void ngx_http_taskforge_schedule_turn(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_schedule_deleted(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_schedule_ran(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_schedule_job(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_schedule_upkeep(ngx_http_request_t *r);
static void ngx_http_taskforge_schedule_upkeep_done(ngx_http_request_t *r,
    void *data, PGresult *res);


static const tf_sql_t  ngx_http_taskforge_sql_schedule_pause = {
    "tf_schedule_pause", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_PAUSE, 8
};

static const tf_sql_t  ngx_http_taskforge_sql_schedule_delete = {
    "tf_schedule_delete", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_DELETE, 4
};

static const tf_sql_t  ngx_http_taskforge_sql_schedule_upkeep = {
    "tf_schedule_upkeep", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_UPKEEP, 4
};

static const tf_sql_t  ngx_http_taskforge_sql_schedule_job = {
    "tf_schedule_job", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_JOB_GET, 1
};


/* The body, with a note, may be left out. */

void
ngx_http_taskforge_schedules_pause(ngx_http_request_t *r)
{
    tf_buf_t                        errors;
    ngx_http_taskforge_schedule_t  *s;

    ngx_http_taskforge_field_t  fields[] = {
        { "note", JSON_STRING, 0, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    errors = (tf_buf_t) TF_BUF_INIT;

    if (r->request_body
        && ngx_http_taskforge_fields(r, fields, &errors, 0) != NGX_OK)
    {
        return;
    }

    if (fields[0].value
        && json_string_length(fields[0].value)
           > NGX_HTTP_TASKFORGE_SCHEDULE_NOTE_MAX)
    {
        ngx_http_taskforge_field_error(&errors, "note",
                                       "must have at most 500 bytes");
    }

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    s = ngx_http_taskforge_schedule_begin(r);

    if (s) {
        s->pause = 1;
        s->note = ngx_http_taskforge_field_str(&fields[0]);
        ngx_http_taskforge_schedule_load(r, ngx_http_taskforge_schedule_turn);
    }
}


void
ngx_http_taskforge_schedules_resume(ngx_http_request_t *r)
{
    if (ngx_http_taskforge_schedule_begin(r)) {
        ngx_http_taskforge_schedule_load(r, ngx_http_taskforge_schedule_turn);
    }
}


/* Ticks that came while it was paused are not made up for. */

static void
ngx_http_taskforge_schedule_turn(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int64_t                         next;
    tf_buf_t                        errors;
    ngx_str_t                       text, name;
    tf_cron_t                       cron;
    const tf_zone_t                *zone;
    ngx_http_taskforge_sql_args_t   args;
    ngx_http_taskforge_schedule_t  *s = data;

    if (ngx_http_taskforge_schedule_loaded(r, res) != NGX_OK) {
        return;
    }

    next = TF_TIME_NONE;

    if (!s->pause && !s->paused) {
        ngx_http_taskforge_schedule_reply(r, s->id, NGX_HTTP_OK);
        return;
    }

    if (!s->pause) {
        text.data = (u_char *) PQgetvalue(res, 0,
                                          NGX_HTTP_TASKFORGE_SCHEDULE_CRON);
        text.len = PQgetlength(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_CRON);
        name.data = (u_char *) PQgetvalue(res, 0,
                                       NGX_HTTP_TASKFORGE_SCHEDULE_TIME_ZONE);
        name.len = PQgetlength(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_TIME_ZONE);

        errors = (tf_buf_t) TF_BUF_INIT;

        if (ngx_http_taskforge_schedule_cron(r, &text, &name, &cron, &zone,
                                             &errors)
            != NGX_OK)
        {
            (void) ngx_http_taskforge_fields_done(r, &errors);
            return;
        }

        if (tf_cron_next(&cron, zone, s->check.after, &next)) {
            next *= 1000000;
        }
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, s->id);
    ngx_http_taskforge_sql_int4(&args, s->revision);
    ngx_http_taskforge_sql_bool(&args, s->pause);
    ngx_http_taskforge_sql_str(&args, &s->note);
    ngx_http_taskforge_schedule_sql_time(&args, next);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                      &ngx_http_taskforge_sql_schedule_pause,
                                      &args,
                                      ngx_http_taskforge_schedule_changed, s);
}


void
ngx_http_taskforge_schedules_delete(ngx_http_request_t *r)
{
    ngx_http_taskforge_accounts_query_id(r,
                                     &ngx_http_taskforge_sql_schedule_delete,
                                     ngx_http_taskforge_schedule_deleted);
}


static void
ngx_http_taskforge_schedule_deleted(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "missing")) {
        ngx_http_taskforge_schedule_missing(r);

    } else if (ngx_http_taskforge_is(res, 0, "builtin")) {
        ngx_http_taskforge_schedule_builtin(r, "deleted");

    } else {
        ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
    }
}


/* A job now, whatever the overlap says; no tick. */

void
ngx_http_taskforge_schedules_run(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_sql_args_t   args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_writer(&args);
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r, &tf_sql_schedule_run, &args,
                                             ngx_http_taskforge_schedule_ran,
                                             NULL);
}


static void
ngx_http_taskforge_schedule_ran(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_sql_args_t  args;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "missing")) {
        ngx_http_taskforge_schedule_missing(r);
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "builtin")) {
        ngx_http_taskforge_schedule_upkeep(r);
        return;
    }

    if (!ngx_http_taskforge_is(res, 0, "run")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "no worker knows the type of its job any "
                                   "more");
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, (uint8_t *) PQgetvalue(res, 0, 1));

    (void) ngx_http_taskforge_accounts_query(r,
                                        &ngx_http_taskforge_sql_schedule_job,
                                        &args,
                                        ngx_http_taskforge_schedule_job,
                                        NULL);
}


static void
ngx_http_taskforge_schedule_job(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_job_t                     job;
    ngx_http_taskforge_pg_row_t  row = { res, 0 };

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0
        || !tf_job_from_row(&job, &row, ngx_http_taskforge_pg_column, 0, true))
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the job was made, but cannot be read");
        return;
    }

    ngx_http_taskforge_publish_job(r, &job);

    if (ngx_http_taskforge_jobs_location(r, job.id) != NGX_OK) {
        return;
    }

    ngx_http_taskforge_change_reply(r, NGX_HTTP_ACCEPTED, &job);
}


/* Of the built-in ones, that which comes once an hour. */

static void
ngx_http_taskforge_schedule_upkeep(ngx_http_request_t *r)
{
    ngx_http_taskforge_accounts_query_id(r,
                                    &ngx_http_taskforge_sql_schedule_upkeep,
                                    ngx_http_taskforge_schedule_upkeep_done);
}


static void
ngx_http_taskforge_schedule_upkeep_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_ctx_t  *ctx;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (*PQgetvalue(res, 0, 0) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "it is built in and comes every few "
                                   "seconds by itself");
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_schedule_reply(r, ctx->id, NGX_HTTP_ACCEPTED);
}
