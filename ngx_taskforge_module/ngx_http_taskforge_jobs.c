
/*
 * One job: read it whole, read its log.
 */

#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_sql.h"
#include "ngx_http_taskforge_wait.h"


#define NGX_HTTP_TASKFORGE_LOGS_DEFAULT  500
#define NGX_HTTP_TASKFORGE_LOGS_MAX      5000


/* The position of a log line: what the cursor of a log page holds. */

typedef struct {
    int32_t      epoch;
    int32_t      attempt;
    int64_t      seq;
} ngx_http_taskforge_log_position_t;


static void ngx_http_taskforge_jobs_get_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_logs_cursor(ngx_str_t *arg,
    ngx_http_taskforge_log_position_t *position);
static void ngx_http_taskforge_jobs_logs_done(ngx_http_request_t *r,
    void *data, PGresult *res);


const ngx_str_t  ngx_http_taskforge_logs_args[] = {
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_null_string
};


const tf_sql_t  ngx_http_taskforge_jobs_sql = {
    "tfr_job", NGX_HTTP_TASKFORGE_SQL_JOB, 1
};

static const tf_sql_t  ngx_http_taskforge_sql_logs = {
    "tfr_logs", NGX_HTTP_TASKFORGE_SQL_LOGS, 5
};

void
ngx_http_taskforge_jobs_get(ngx_http_request_t *r)
{
    int                        length;
    const char                *value;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    if (ngx_http_taskforge_wait(r, ctx->id, 1, ngx_http_taskforge_jobs_reply,
                                ngx_http_taskforge_jobs_reply)
        != NGX_DECLINED)
    {
        return;
    }

    value = (const char *) ctx->id;
    length = sizeof(ctx->id);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_jobs_sql, &value,
                                         &length,
                                         ngx_http_taskforge_jobs_get_done,
                                         NULL);
}


static void
ngx_http_taskforge_jobs_get_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_jobs_reply(r, res);
}


void
ngx_http_taskforge_jobs_reply(ngx_http_request_t *r, PGresult *res)
{
    tf_buf_t                      out = TF_BUF_INIT;
    tf_job_t                      job;
    ngx_http_taskforge_pg_row_t   row = { res, 0 };

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_jobs_not_found(r);
        return;
    }

    if (!tf_job_from_row(&job, &row, ngx_http_taskforge_pg_column, 0, true)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "taskforge: a row of jobs cannot be read");
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the job cannot be read");
        return;
    }

    tf_job_write_json(&out, &job, true, true);
    tf_json_kraw(&out, "errors", PQgetvalue(res, 0, TF_JOB_NCOLUMNS),
                 PQgetlength(res, 0, TF_JOB_NCOLUMNS));
    tf_json_kraw(&out, "logs", PQgetvalue(res, 0, TF_JOB_NCOLUMNS + 1),
                 PQgetlength(res, 0, TF_JOB_NCOLUMNS + 1));
    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


void
ngx_http_taskforge_jobs_logs(ngx_http_request_t *r)
{
    int                                 lengths[5];
    uint8_t                             wire[4][8];
    tf_buf_t                            errors = TF_BUF_INIT;
    ngx_str_t                          *cursor;
    ngx_int_t                          *limit;
    const char                         *values[5];
    ngx_uint_t                          i;
    ngx_http_taskforge_ctx_t           *ctx;
    ngx_http_taskforge_log_position_t   position = { -1, -1, -1 };

    ctx = ngx_http_taskforge_get_ctx(r);

    limit = ngx_palloc(r->pool, sizeof(ngx_int_t));
    if (limit == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    *limit = ngx_http_taskforge_arg_int(ctx, "limit", 1,
                                        NGX_HTTP_TASKFORGE_LOGS_MAX,
                                        NGX_HTTP_TASKFORGE_LOGS_DEFAULT,
                                        &errors);

    cursor = ngx_http_taskforge_arg(ctx, "cursor");

    if (cursor != NULL
        && ngx_http_taskforge_logs_cursor(cursor, &position) != NGX_OK)
    {
        ngx_http_taskforge_error_add(&errors, "parameter", "cursor", 6,
                                     "is not a next_cursor of this log");
    }

    if (ngx_http_taskforge_args_check(r, &errors) != NGX_OK) {
        return;
    }

    values[0] = (const char *) ctx->id;
    lengths[0] = sizeof(ctx->id);

    tf_pg_put_int4(wire[0], position.epoch);
    tf_pg_put_int4(wire[1], position.attempt);
    tf_pg_put_int8(wire[2], position.seq);
    tf_pg_put_int4(wire[3], (int32_t) *limit);

    for (i = 0; i < 4; i++) {
        values[i + 1] = (const char *) wire[i];
        lengths[i + 1] = 4;
    }

    lengths[3] = 8;

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_logs, values,
                                         lengths,
                                         ngx_http_taskforge_jobs_logs_done,
                                         limit);
}


/* "epoch.attempt.seq" */

static ngx_int_t
ngx_http_taskforge_logs_cursor(ngx_str_t *arg,
    ngx_http_taskforge_log_position_t *position)
{
    u_char      *p, *last, *dot;
    ngx_int_t    n, parts[3];
    ngx_uint_t   i;

    p = arg->data;
    last = p + arg->len;

    for (i = 0; i < 3; i++) {
        dot = (i < 2) ? ngx_strlchr(p, last, '.') : last;

        if (dot == NULL || dot == p || dot - p > (i < 2 ? 9 : 18)) {
            return NGX_ERROR;
        }

        n = ngx_atoi(p, dot - p);
        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        parts[i] = n;
        p = dot + 1;
    }

    position->epoch = (int32_t) parts[0];
    position->attempt = (int32_t) parts[1];
    position->seq = parts[2];

    return NGX_OK;
}


static void
ngx_http_taskforge_jobs_logs_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int         i, n;
    tf_buf_t    out = TF_BUF_INIT;
    ngx_int_t  *limit = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    n = PQntuples(res);

    if (n == 0) {
        ngx_http_taskforge_jobs_not_found(r);
        return;
    }

    if (PQgetisnull(res, 0, 0)) {
        n = 0;
    }

    tf_buf_adds(&out, "{\"items\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        tf_buf_addc(&out, '{');
        tf_json_ktime(&out, "timestamp",
                      tf_pg_get_time(PQgetvalue(res, i, 3)));
        tf_json_kint(&out, "attempt", tf_pg_get_int4(PQgetvalue(res, i, 1)));
        tf_json_kstr(&out, "level", PQgetvalue(res, i, 4),
                     PQgetlength(res, i, 4));
        tf_json_kstr(&out, "message", PQgetvalue(res, i, 5),
                     PQgetlength(res, i, 5));
        tf_buf_addc(&out, '}');
    }

    tf_buf_addc(&out, ']');
    tf_json_key(&out, "next_cursor");

    if (n == *limit) {
        tf_buf_addf(&out, "\"%d.%d.%lld\"",
                    (int) tf_pg_get_int4(PQgetvalue(res, n - 1, 0)),
                    (int) tf_pg_get_int4(PQgetvalue(res, n - 1, 1)),
                    (long long) tf_pg_get_int8(PQgetvalue(res, n - 1, 2)));
    } else {
        tf_buf_adds(&out, "null");
    }

    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


ngx_int_t
ngx_http_taskforge_jobs_location(ngx_http_request_t *r, const uint8_t id[16])
{
    u_char                         *p, *location;
    size_t                          len;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_loc_conf_t  *lcf;

    ctx = ngx_http_taskforge_get_ctx(r);
    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);

    len = lcf->base.len + sizeof("/jobs/") - 1 + TF_UUID_TEXT_LEN;
    location = ngx_pnalloc(r->pool, len);

    if (location == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    p = ngx_cpymem(location, lcf->base.data, lcf->base.len);
    p = ngx_cpymem(p, "/jobs/", sizeof("/jobs/") - 1);
    tf_uuid_format(id, (char *) p);

    ctx->job_id.data = p;
    ctx->job_id.len = TF_UUID_TEXT_LEN;

    if (ngx_http_taskforge_header_add(r, "Location", location, len)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_taskforge_jobs_not_found(ngx_http_request_t *r)
{
    ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND, "there is no such job");
}


ngx_int_t
ngx_http_taskforge_arg_int(ngx_http_taskforge_ctx_t *ctx, const char *name,
    ngx_int_t min, ngx_int_t max, ngx_int_t fallback, tf_buf_t *errors)
{
    ngx_int_t   n;
    ngx_str_t  *arg;

    arg = ngx_http_taskforge_arg(ctx, name);
    if (arg == NULL) {
        return fallback;
    }

    n = ngx_atoi(arg->data, arg->len);

    if (n == NGX_ERROR || n < min || n > max) {
        ngx_http_taskforge_error_add(errors, "parameter", name,
                                     ngx_strlen(name),
                                     "must be an integer from %ld to %ld",
                                     (long) min, (long) max);
        return fallback;
    }

    return n;
}
