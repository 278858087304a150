
/*
 * Schedules are made and changed.
 */

#include "ngx_http_taskforge_schedules.h"
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_schedules_sql.h"
#include "json_slice.h"
#include "submission.h"


static void ngx_http_taskforge_schedule_cleanup(void *data);
static void ngx_http_taskforge_schedule_verify(
    ngx_http_taskforge_schedule_t *s);
static void ngx_http_taskforge_schedule_invalid(
    ngx_http_taskforge_schedule_t *s);
static void ngx_http_taskforge_schedule_types(void *data, ngx_uint_t ok);
static void ngx_http_taskforge_schedule_send_create(ngx_http_request_t *r);
static void ngx_http_taskforge_schedule_created(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_schedule_merge(ngx_http_request_t *r,
    void *data, PGresult *res);
static json_t *ngx_http_taskforge_schedule_fields(PGresult *res);
static void ngx_http_taskforge_schedule_send_change(ngx_http_request_t *r);


static const tf_sql_t  ngx_http_taskforge_sql_schedule_load = {
    "tf_schedule_load", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_GET, 1
};

static const tf_sql_t  ngx_http_taskforge_sql_schedule_create = {
    "tf_schedule_create", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_CREATE, 6
};

static const tf_sql_t  ngx_http_taskforge_sql_schedule_change = {
    "tf_schedule_change", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_CHANGE, 7
};


ngx_http_taskforge_schedule_t *
ngx_http_taskforge_schedule_begin(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_schedule_t  *s;

    ctx = ngx_http_taskforge_get_ctx(r);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_schedule_t));

    if (cln == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return NULL;
    }

    s = cln->data;
    ngx_memzero(s, sizeof(ngx_http_taskforge_schedule_t));

    s->request = r;
    s->check.errors = (tf_buf_t) TF_BUF_INIT;
    s->check.settings = (tf_buf_t) TF_BUF_INIT;
    s->check.after = ngx_http_taskforge_now_us() / 1000000;
    s->keep = TF_TIME_NONE;
    ngx_memcpy(s->id, ctx->id, sizeof(s->id));

    cln->handler = ngx_http_taskforge_schedule_cleanup;
    ctx->data = s;

    return s;
}


static void
ngx_http_taskforge_schedule_cleanup(void *data)
{
    ngx_http_taskforge_schedule_t  *s = data;

    if (s->waiting) {
        ngx_queue_remove(&s->wait.queue);
    }

    json_decref(s->check.fields);
    tf_buf_free(&s->check.errors);
    tf_buf_free(&s->check.settings);
}


void
ngx_http_taskforge_schedules_create(ngx_http_request_t *r)
{
    json_t                         *body;
    tf_str_t                        text;
    ngx_http_taskforge_schedule_t  *s;

    body = ngx_http_taskforge_body_json(r, &text);
    if (body == NULL) {
        return;
    }

    s = ngx_http_taskforge_schedule_begin(r);
    if (s == NULL) {
        return;
    }

    if (!json_is_object(body)) {
        ngx_http_taskforge_error_add(&s->check.errors, "pointer", "#", 1,
                                     "must be an object");
        ngx_http_taskforge_schedule_invalid(s);
        return;
    }

    if (!tf_uuid7(s->id)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "there are no random numbers");
        return;
    }

    s->check.fields = json_incref(body);
    s->check.job = tf_json_slice_member(text, "job");
    s->send = ngx_http_taskforge_schedule_send_create;

    ngx_http_taskforge_schedule_verify(s);
}


/*
 * Checks and, when all is well, sends.  A type that is not known makes it
 * wait once for a fresh copy of the table of types.
 */

static void
ngx_http_taskforge_schedule_verify(ngx_http_taskforge_schedule_t *s)
{
    ngx_http_request_t              *r;
    ngx_http_taskforge_main_conf_t  *mcf;

    r = s->request;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    if (mcf->types == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "there is no database");
        return;
    }

    if (ngx_http_taskforge_schedule_check(r, &s->check) == NGX_OK) {
        s->send(r);
        return;
    }

    if (s->check.unknown && !s->waited) {
        s->waiting = 1;
        s->wait.handler = ngx_http_taskforge_schedule_types;
        s->wait.data = s;
        ngx_http_taskforge_types_wait(mcf->types, &s->wait);
        return;
    }

    ngx_http_taskforge_schedule_invalid(s);
}


/* The answer ends the request, and s with it. */

static void
ngx_http_taskforge_schedule_invalid(ngx_http_taskforge_schedule_t *s)
{
    tf_buf_t  errors;

    errors = s->check.errors;
    s->check.errors = (tf_buf_t) TF_BUF_INIT;

    (void) ngx_http_taskforge_fields_done(s->request, &errors);
}


static void
ngx_http_taskforge_schedule_types(void *data, ngx_uint_t ok)
{
    ngx_connection_t               *c;
    ngx_http_taskforge_schedule_t  *s = data;

    c = s->request->connection;

    s->waiting = 0;
    s->waited = 1;

    ngx_http_set_log_request(c->log, s->request);

    if (ok) {
        ngx_http_taskforge_schedule_verify(s);

    } else {
        ngx_http_taskforge_problem(s->request, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the database cannot be asked for the "
                                   "type right now");
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_taskforge_schedule_send_create(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_sql_args_t   args;
    ngx_http_taskforge_schedule_t  *s;

    ctx = ngx_http_taskforge_get_ctx(r);
    s = ctx->data;

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, s->id);
    ngx_http_taskforge_sql_bytes(&args, tf_buf_cstr(&s->check.settings),
                                 s->check.settings.len);
    ngx_http_taskforge_schedule_sql_time(&args, s->check.next);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                     &ngx_http_taskforge_sql_schedule_create,
                                     &args,
                                     ngx_http_taskforge_schedule_created, s);
}


static void
ngx_http_taskforge_schedule_created(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    u_char                         *p;
    ngx_str_t                       location;
    ngx_http_taskforge_loc_conf_t  *lcf;
    ngx_http_taskforge_schedule_t  *s = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (!ngx_http_taskforge_is(res, 0, "created")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT, "%s",
                                   ngx_http_taskforge_is(res, 0, "name")
                                   ? "there is a schedule of that name"
                                   : "there are 10,000 schedules already");
        return;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);

    location.len = lcf->base.len + sizeof("/schedules/") - 1
                   + TF_UUID_TEXT_LEN;

    location.data = ngx_pnalloc(r->pool, location.len);
    if (location.data == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    p = ngx_cpymem(location.data, lcf->base.data, lcf->base.len);
    p = ngx_cpymem(p, "/schedules/", sizeof("/schedules/") - 1);
    tf_uuid_format(s->id, (char *) p);

    if (ngx_http_taskforge_header_add(r, "Location", location.data,
                                      location.len)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_taskforge_schedule_reply(r, s->id, NGX_HTTP_CREATED);
}


void
ngx_http_taskforge_schedule_load(ngx_http_request_t *r,
    ngx_http_taskforge_pg_request_pt handler)
{
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_sql_args_t   args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);

    (void) ngx_http_taskforge_accounts_query(r,
                                       &ngx_http_taskforge_sql_schedule_load,
                                       &args, handler, ctx->data);
}


ngx_int_t
ngx_http_taskforge_schedule_loaded(ngx_http_request_t *r, PGresult *res)
{
    int64_t                         last;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_schedule_t  *s;

    ctx = ngx_http_taskforge_get_ctx(r);
    s = ctx->data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return NGX_ERROR;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_schedule_missing(r);
        return NGX_ERROR;
    }

    if (*PQgetvalue(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_BUILTIN)) {
        ngx_http_taskforge_schedule_builtin(r, "changed");
        return NGX_ERROR;
    }

    s->revision = tf_pg_get_int4(PQgetvalue(res, 0,
                                      NGX_HTTP_TASKFORGE_SCHEDULE_REVISION));
    s->paused = *PQgetvalue(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_PAUSED) != 0;

    /* no tick comes twice, though clocks may have been set back */

    if (!PQgetisnull(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_LAST)) {
        last = tf_pg_get_time(PQgetvalue(res, 0,
                                         NGX_HTTP_TASKFORGE_SCHEDULE_LAST))
               / 1000000;

        s->check.after = ngx_max(s->check.after, last);
    }

    return NGX_OK;
}


void
ngx_http_taskforge_schedules_change(ngx_http_request_t *r)
{
    json_t                         *body;
    tf_str_t                        text;
    ngx_http_taskforge_schedule_t  *s;

    body = ngx_http_taskforge_body_json(r, &text);
    if (body == NULL) {
        return;
    }

    s = ngx_http_taskforge_schedule_begin(r);
    if (s == NULL) {
        return;
    }

    if (!json_is_object(body) || json_object_size(body) == 0) {
        ngx_http_taskforge_error_add(&s->check.errors, "pointer", "#", 1,
                                     "must be an object with the fields to "
                                     "change");
        ngx_http_taskforge_schedule_invalid(s);
        return;
    }

    s->patch = body;
    s->text = text;
    s->send = ngx_http_taskforge_schedule_send_change;

    ngx_http_taskforge_schedule_load(r, ngx_http_taskforge_schedule_merge);
}


/* A field that is not given stays; the result is checked as a new one is. */

static void
ngx_http_taskforge_schedule_merge(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    u_char                         *copy;
    size_t                          len;
    json_t                         *job;
    ngx_http_taskforge_schedule_t  *s = data;

    if (ngx_http_taskforge_schedule_loaded(r, res) != NGX_OK) {
        return;
    }

    s->check.fields = ngx_http_taskforge_schedule_fields(res);

    if (json_object_get(s->patch, "job")) {
        s->check.job = tf_json_slice_member(s->text, "job");

    } else {
        len = PQgetlength(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_JOB);

        copy = ngx_pnalloc(r->pool, len);
        if (copy == NULL) {
            goto failed;
        }

        ngx_memcpy(copy, PQgetvalue(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_JOB),
                   len);

        s->check.job.data = (char *) copy;
        s->check.job.len = len;

        job = json_loadb((char *) copy, len, 0, NULL);

        if (json_object_set_new(s->check.fields, "job", job) != 0) {
            goto failed;
        }
    }

    if (json_object_update(s->check.fields, s->patch) != 0) {
        goto failed;
    }

    /* a tick that has come and was not dealt with yet is not forgotten */

    if (json_object_get(s->patch, "cron") == NULL
        && json_object_get(s->patch, "time_zone") == NULL
        && !PQgetisnull(res, 0, NGX_HTTP_TASKFORGE_SCHEDULE_NEXT))
    {
        s->keep = tf_pg_get_time(PQgetvalue(res, 0,
                                          NGX_HTTP_TASKFORGE_SCHEDULE_NEXT));
    }

    ngx_http_taskforge_schedule_verify(s);
    return;

failed:

    ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                               "out of memory");
}


/* The fields of POST, without the job; NULL: no memory. */

static json_t *
ngx_http_taskforge_schedule_fields(PGresult *res)
{
    json_t      *fields, *value;
    ngx_uint_t   i;

    static const struct {
        const char  *key;
        int          column;
        ngx_uint_t   number;
    } members[] = {
        { "name", NGX_HTTP_TASKFORGE_SCHEDULE_NAME, 0 },
        { "description", NGX_HTTP_TASKFORGE_SCHEDULE_DESCRIPTION, 0 },
        { "cron", NGX_HTTP_TASKFORGE_SCHEDULE_CRON, 0 },
        { "time_zone", NGX_HTTP_TASKFORGE_SCHEDULE_TIME_ZONE, 0 },
        { "jitter_seconds", NGX_HTTP_TASKFORGE_SCHEDULE_JITTER, 1 },
        { "overlap", NGX_HTTP_TASKFORGE_SCHEDULE_OVERLAP, 0 },
        { "catch_up_seconds", NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP, 1 }
    };

    fields = json_object();

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {

        if (PQgetisnull(res, 0, members[i].column)) {
            continue;
        }

        value = members[i].number
                ? json_integer(tf_pg_get_int4(PQgetvalue(res, 0,
                                                       members[i].column)))
                : json_stringn(PQgetvalue(res, 0, members[i].column),
                               PQgetlength(res, 0, members[i].column));

        (void) json_object_set_new(fields, members[i].key, value);
    }

    return fields;
}


static void
ngx_http_taskforge_schedule_send_change(ngx_http_request_t *r)
{
    int64_t                         next;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_sql_args_t   args;
    ngx_http_taskforge_schedule_t  *s;

    ctx = ngx_http_taskforge_get_ctx(r);
    s = ctx->data;

    next = (s->keep != TF_TIME_NONE) ? s->keep : s->check.next;

    if (s->paused) {
        next = TF_TIME_NONE;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, s->id);
    ngx_http_taskforge_sql_int4(&args, s->revision);
    ngx_http_taskforge_sql_bytes(&args, tf_buf_cstr(&s->check.settings),
                                 s->check.settings.len);
    ngx_http_taskforge_schedule_sql_time(&args, next);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                     &ngx_http_taskforge_sql_schedule_change,
                                     &args,
                                     ngx_http_taskforge_schedule_changed, s);
}


void
ngx_http_taskforge_schedule_changed(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_schedule_t  *s = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (!ngx_http_taskforge_is(res, 0, "changed")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT, "%s",
                                   ngx_http_taskforge_is(res, 0, "name")
                                   ? "there is a schedule of that name"
                                   : "somebody else changed it at the same "
                                     "time: read it and try again");
        return;
    }

    ngx_http_taskforge_schedule_reply(r, s->id, NGX_HTTP_OK);
}


void
ngx_http_taskforge_schedule_builtin(ngx_http_request_t *r, const char *what)
{
    ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                               "it is built in and cannot be %s", what);
}


void
ngx_http_taskforge_schedule_sql_time(ngx_http_taskforge_sql_args_t *args,
    int64_t us)
{
    uint8_t  *wire;

    if (us == TF_TIME_NONE) {
        ngx_http_taskforge_sql_bytes(args, NULL, 0);
        return;
    }

    wire = args->wire[args->nargs];

    tf_pg_put_time(wire, us);
    ngx_http_taskforge_sql_bytes(args, wire, 8);
}
