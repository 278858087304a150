
/*
 * GET /jobs: a page of jobs, newest first.  The cursor is the id of the last
 * job of the page before, so a page costs the same wherever it is, and jobs
 * that arrive meanwhile neither shift nor double anything.
 */

#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_list.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"


#define NGX_HTTP_TASKFORGE_LIST_DEFAULT    50
#define NGX_HTTP_TASKFORGE_LIST_MAX        500
#define NGX_HTTP_TASKFORGE_CURSOR_VERSION  1
#define NGX_HTTP_TASKFORGE_CURSOR_LEN      17


static void ngx_http_taskforge_list_filter(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_count(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_cursor(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_total(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_list_page(ngx_http_taskforge_list_t *l,
    PGresult *res);
static void ngx_http_taskforge_list_counted(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_list_cleanup(void *data);


const ngx_str_t  ngx_http_taskforge_list_args[] = {
    ngx_string("status"),
    ngx_string("type"),
    ngx_string("priority"),
    ngx_string("queue"),
    ngx_string("created_after"),
    ngx_string("created_before"),
    ngx_string("q"),
    ngx_string("created_by"),
    ngx_string("internal"),
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_string("count"),
    ngx_null_string
};


void
ngx_http_taskforge_jobs_list(ngx_http_request_t *r)
{
    tf_buf_t                    text;
    ngx_pool_cleanup_t         *cln;
    ngx_http_taskforge_list_t  *l;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_list_t));
    if (cln == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    l = cln->data;
    ngx_memzero(l, sizeof(ngx_http_taskforge_list_t));
    cln->handler = ngx_http_taskforge_list_cleanup;

    l->request = r;
    l->ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_list_filter(l);
    ngx_http_taskforge_list_count(l);
    l->limit = ngx_http_taskforge_arg_int(l->ctx, "limit", 1,
                                          NGX_HTTP_TASKFORGE_LIST_MAX,
                                          NGX_HTTP_TASKFORGE_LIST_DEFAULT,
                                          &l->errors);

    tf_job_where(&l->where, &l->filter);

    /* the total is of the whole list: it knows no cursor */

    ngx_http_taskforge_list_total(l);
    ngx_http_taskforge_list_cursor(l);

    if (ngx_http_taskforge_args_check(r, &l->errors) != NGX_OK) {
        return;
    }

    if (ngx_http_taskforge_list_searches(l)) {
        ngx_http_taskforge_list_search(l);
        return;
    }

    text = (tf_buf_t) TF_BUF_INIT;

    /* one more than the page tells whether there is a next one */

    tf_buf_addf(&text, "SELECT " TF_JOB_COLUMNS_LIGHT("") " FROM jobs "
                "WHERE true%s ORDER BY id DESC LIMIT %d",
                tf_buf_cstr(&l->where.jobs), (int) l->limit + 1);

    ngx_http_taskforge_list_send(l, &text);
}


/* The conditions, each from the parameter of its name. */

static void
ngx_http_taskforge_list_filter(ngx_http_taskforge_list_t *l)
{
    ngx_str_t   *arg;
    ngx_uint_t   i;
    const char  *why;

    static const char  *const conditions[] = {
        "status", "type", "priority", "queue", "created_after",
        "created_before", "q", "created_by"
    };

    tf_job_filter_init(&l->filter);

    for (i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        arg = ngx_http_taskforge_arg(l->ctx, conditions[i]);

        if (arg == NULL) {
            continue;
        }

        why = tf_job_filter_set(&l->filter, conditions[i], (char *) arg->data,
                                arg->len,
                                l->ctx->has_user ? l->ctx->user_id : NULL);
        if (why) {
            ngx_http_taskforge_error_add(&l->errors, "parameter",
                                         conditions[i],
                                         ngx_strlen(conditions[i]), "%s", why);
        }
    }

    l->filter.internal = ngx_http_taskforge_arg_int(l->ctx, "internal", 0, 1,
                                                    0, &l->errors);
}


static void
ngx_http_taskforge_list_count(ngx_http_taskforge_list_t *l)
{
    ngx_str_t  *arg;

    arg = ngx_http_taskforge_arg(l->ctx, "count");
    if (arg == NULL) {
        return;
    }

    if (arg->len != 5 || ngx_memcmp(arg->data, "exact", 5) != 0) {
        ngx_http_taskforge_error_add(&l->errors, "parameter", "count", 5,
                                     "must be \"exact\"");
        return;
    }

    l->count = 1;
}


static void
ngx_http_taskforge_list_cursor(ngx_http_taskforge_list_t *l)
{
    int         n;
    u_char      raw[64];
    ngx_str_t  *arg, decoded;

    arg = ngx_http_taskforge_arg(l->ctx, "cursor");
    if (arg == NULL) {
        return;
    }

    decoded.data = raw;
    decoded.len = 0;

    if (arg->len > 24 || ngx_decode_base64url(&decoded, arg) != NGX_OK
        || decoded.len != NGX_HTTP_TASKFORGE_CURSOR_LEN
        || raw[0] != NGX_HTTP_TASKFORGE_CURSOR_VERSION)
    {
        ngx_http_taskforge_error_add(&l->errors, "parameter", "cursor", 6,
                                     "is not a next_cursor of a list");
        return;
    }

    ngx_memcpy(l->cursor, raw + 1, 16);
    l->has_cursor = 1;

    n = tf_job_where_param(&l->where, l->cursor, 16);
    tf_buf_addf(&l->where.jobs, " AND id < $%d::uuid", n);
}


/* Where the counters know all the filters, counting costs nothing. */

static void
ngx_http_taskforge_list_total(ngx_http_taskforge_list_t *l)
{
    if (!l->count) {
        return;
    }

    if (l->where.countable) {
        l->ntotal = l->where.ncounted;
        tf_buf_addf(&l->total, "SELECT coalesce(sum(n), 0)::int8 FROM "
                    "job_counts WHERE true%s", tf_buf_cstr(&l->where.counts));
        return;
    }

    l->ntotal = l->where.n;
    tf_buf_addf(&l->total, "SELECT count(*)::int8 FROM jobs WHERE true%s",
                tf_buf_cstr(&l->where.jobs));
}


ngx_uint_t
ngx_http_taskforge_list_failed(ngx_http_taskforge_list_t *l, tf_buf_t *text)
{
    if (!text->failed && !l->where.failed && !l->where.jobs.failed
        && !l->total.failed)
    {
        return 0;
    }

    ngx_http_taskforge_problem(l->request, NGX_HTTP_INTERNAL_SERVER_ERROR,
                               "out of memory");
    return 1;
}


void
ngx_http_taskforge_list_send(ngx_http_taskforge_list_t *l, tf_buf_t *text)
{
    tf_sql_t  sql;

    if (!ngx_http_taskforge_list_failed(l, text)) {
        sql.name = NULL;
        sql.text = tf_buf_cstr(text);
        sql.nparams = l->where.n;

        (void) ngx_http_taskforge_pg_request(l->request,
                                             NGX_HTTP_TASKFORGE_PG_READ, &sql,
                                             l->where.values,
                                             l->where.lengths,
                                             ngx_http_taskforge_list_done, l);
    }

    tf_buf_free(text);
}


static void
ngx_http_taskforge_list_done(ngx_http_request_t *r, void *data, PGresult *res)
{
    tf_sql_t                    sql;
    ngx_http_taskforge_list_t  *l = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    ngx_http_taskforge_list_page(l, res);

    if (!l->count) {
        tf_buf_addc(&l->out, '}');
        ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &l->out);
        return;
    }

    sql.name = NULL;
    sql.text = tf_buf_cstr(&l->total);
    sql.nparams = l->ntotal;

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ, &sql,
                                         l->where.values, l->where.lengths,
                                         ngx_http_taskforge_list_counted, l);
}


/* {"items":[...],"next_cursor":...  without the closing brace */

static void
ngx_http_taskforge_list_page(ngx_http_taskforge_list_t *l, PGresult *res)
{
    u_char                        raw[NGX_HTTP_TASKFORGE_CURSOR_LEN];
    u_char                        text[24 + 4];
    tf_buf_t                     *out;
    tf_job_t                      job;
    ngx_int_t                     n;
    ngx_str_t                     src, dst;
    const uint8_t                *last;
    ngx_http_taskforge_pg_row_t   row = { res, 0 };

    out = &l->out;
    n = ngx_min(PQntuples(res), (int) l->limit);

    tf_buf_adds(out, "{\"items\":[");

    for (row.row = 0; row.row < n; row.row++) {

        if (!tf_job_from_row(&job, &row, ngx_http_taskforge_pg_column, 0,
                             false))
        {
            ngx_log_error(NGX_LOG_ERR, l->request->connection->log, 0,
                          "taskforge: a row of jobs cannot be read");
            out->failed = true;
            return;
        }

        if (row.row) {
            tf_buf_addc(out, ',');
        }

        tf_job_write_json(out, &job, false, false);
    }

    tf_buf_addc(out, ']');

    last = l->has_rest ? l->rest : NULL;

    if (PQntuples(res) > (int) l->limit) {
        last = job.id;
    }

    if (last == NULL) {
        tf_json_kraw(out, "next_cursor", NULL, 0);
        return;
    }

    raw[0] = NGX_HTTP_TASKFORGE_CURSOR_VERSION;
    ngx_memcpy(raw + 1, last, 16);

    src.data = raw;
    src.len = sizeof(raw);
    dst.data = text;

    ngx_encode_base64url(&dst, &src);
    tf_json_kstr(out, "next_cursor", (char *) dst.data, dst.len);
}


static void
ngx_http_taskforge_list_counted(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_list_t  *l = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    tf_json_kint(&l->out, "total", tf_pg_get_int8(PQgetvalue(res, 0, 0)));
    tf_buf_addc(&l->out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &l->out);
}


static void
ngx_http_taskforge_list_cleanup(void *data)
{
    ngx_http_taskforge_list_t  *l = data;

    tf_buf_free(&l->errors);
    tf_job_where_free(&l->where);
    tf_job_filter_free(&l->filter);
    tf_buf_free(&l->total);
    tf_buf_free(&l->out);
}
