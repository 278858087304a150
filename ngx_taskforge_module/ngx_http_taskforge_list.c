
/*
 * GET /jobs: a page of jobs, newest first.  The cursor is the id of the last
 * job of the page before, so a page costs the same wherever it is, and jobs
 * that arrive meanwhile neither shift nor double anything.
 */

#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "submission.h"


#define NGX_HTTP_TASKFORGE_LIST_DEFAULT     50
#define NGX_HTTP_TASKFORGE_LIST_MAX         500
#define NGX_HTTP_TASKFORGE_LIST_PARAMS      10
#define NGX_HTTP_TASKFORGE_LIST_SEARCH_MAX  200
#define NGX_HTTP_TASKFORGE_CURSOR_VERSION   1
#define NGX_HTTP_TASKFORGE_CURSOR_LEN       17


/* A list request: its WHERE as text, and the parameters it names. */

typedef struct {
    ngx_http_request_t        *request;
    ngx_http_taskforge_ctx_t  *ctx;

    tf_buf_t                   errors;
    tf_buf_t                   where;     /* of jobs: " AND ..." */
    tf_buf_t                   counted;   /* of job_counts: the same */
    tf_buf_t                   total;     /* the statement that counts */
    tf_buf_t                   out;       /* the answer */
    ngx_int_t                  limit;

    const char                *values[NGX_HTTP_TASKFORGE_LIST_PARAMS];
    int                        lengths[NGX_HTTP_TASKFORGE_LIST_PARAMS];
    int                        nparams;
    int                        counted_params;

    unsigned                   count:1;
    unsigned                   uncounted:1;  /* filters job_counts lacks */
    unsigned                   failed:1;
} ngx_http_taskforge_list_t;


static void ngx_http_taskforge_list_status(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_priority(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_text(ngx_http_taskforge_list_t *l,
    const char *name);
static void ngx_http_taskforge_list_time(ngx_http_taskforge_list_t *l,
    const char *name, const char *condition);
static void ngx_http_taskforge_list_search(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_count(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_cursor(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_total(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_send(ngx_http_taskforge_list_t *l);
static void ngx_http_taskforge_list_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_list_page(tf_buf_t *out, PGresult *res,
    ngx_int_t limit, ngx_log_t *log);
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
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_string("count"),
    ngx_null_string
};


void
ngx_http_taskforge_jobs_list(ngx_http_request_t *r)
{
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

    /* first those that the counters know, then the others */

    ngx_http_taskforge_list_status(l);
    ngx_http_taskforge_list_priority(l);
    ngx_http_taskforge_list_text(l, "type");
    ngx_http_taskforge_list_text(l, "queue");
    l->counted_params = l->nparams;

    ngx_http_taskforge_list_time(l, "created_after", ">=");
    ngx_http_taskforge_list_time(l, "created_before", "<");
    ngx_http_taskforge_list_search(l);
    ngx_http_taskforge_list_count(l);
    l->limit = ngx_http_taskforge_arg_int(l->ctx, "limit", 1,
                                          NGX_HTTP_TASKFORGE_LIST_MAX,
                                          NGX_HTTP_TASKFORGE_LIST_DEFAULT,
                                          &l->errors);

    /* the total is of the whole list: it knows no cursor */

    ngx_http_taskforge_list_total(l);
    ngx_http_taskforge_list_cursor(l);

    if (l->errors.len) {
        ngx_http_taskforge_problem_errors(r, NGX_HTTP_BAD_REQUEST, &l->errors,
                                          "the query has errors");
        return;
    }

    ngx_http_taskforge_list_send(l);
}


/* Keeps a parameter; returns its number, $n.  The bytes are copied. */

static int
ngx_http_taskforge_list_param(ngx_http_taskforge_list_t *l, const void *data,
    size_t len)
{
    char  *p;

    p = ngx_pnalloc(l->request->pool, len ? len : 1);

    if (p == NULL || l->nparams == NGX_HTTP_TASKFORGE_LIST_PARAMS) {
        l->failed = 1;
        return 1;
    }

    ngx_memcpy(p, data, len);
    l->values[l->nparams] = p;
    l->lengths[l->nparams] = (int) len;

    return ++l->nparams;
}


/* status=FAILED,DEAD_LETTER: as constants, so that partial indexes serve */

static void
ngx_http_taskforge_list_status(ngx_http_taskforge_list_t *l)
{
    u_char       *p, *last, *comma;
    tf_buf_t      in = TF_BUF_INIT;
    ngx_str_t    *arg;
    tf_status_t   status;

    arg = ngx_http_taskforge_arg(l->ctx, "status");
    if (arg == NULL) {
        return;
    }

    p = arg->data;
    last = p + arg->len;

    do {
        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        if (!tf_status_parse((char *) p, comma - p, &status)) {
            ngx_http_taskforge_error_add(&l->errors, "parameter", "status", 6,
                                         "must be statuses separated by "
                                         "commas, e.g. FAILED,DEAD_LETTER");
            tf_buf_free(&in);
            return;
        }

        tf_buf_addf(&in, "%s'%s'", in.len ? "," : "", tf_status_name(status));
        p = comma + 1;

    } while (comma != last && in.len < 1024);

    tf_buf_addf(&l->where, " AND status IN (%s)", tf_buf_cstr(&in));
    tf_buf_addf(&l->counted, " AND status IN (%s)", tf_buf_cstr(&in));
    tf_buf_free(&in);
}


/* priority=high: the whole band; priority=7: that level */

static void
ngx_http_taskforge_list_priority(ngx_http_taskforge_list_t *l)
{
    int         level, low, high;
    ngx_int_t   n;
    ngx_str_t  *arg;

    arg = ngx_http_taskforge_arg(l->ctx, "priority");
    if (arg == NULL) {
        return;
    }

    n = ngx_atoi(arg->data, arg->len);

    if (n != NGX_ERROR && n <= TF_PRIORITY_MAX) {
        low = high = (int) n;

    } else {
        level = tf_priority_parse((char *) arg->data, arg->len);

        if (level < 0) {
            ngx_http_taskforge_error_add(&l->errors, "parameter", "priority",
                                         8, "must be low, normal, high, "
                                         "critical or a level from %d to %d",
                                         TF_PRIORITY_MIN, TF_PRIORITY_MAX);
            return;
        }

        for (low = level; low > TF_PRIORITY_MIN; low--) {
            if (tf_priority_name(low - 1) != tf_priority_name(level)) {
                break;
            }
        }

        for (high = level; high < TF_PRIORITY_MAX; high++) {
            if (tf_priority_name(high + 1) != tf_priority_name(level)) {
                break;
            }
        }
    }

    tf_buf_addf(&l->where, " AND priority BETWEEN %d AND %d", low, high);
    tf_buf_addf(&l->counted, " AND priority BETWEEN %d AND %d", low, high);
}


static void
ngx_http_taskforge_list_text(ngx_http_taskforge_list_t *l, const char *name)
{
    int         n;
    ngx_str_t  *arg;

    arg = ngx_http_taskforge_arg(l->ctx, name);
    if (arg == NULL) {
        return;
    }

    if (!tf_queue_name_valid((char *) arg->data, arg->len)) {
        ngx_http_taskforge_error_add(&l->errors, "parameter", name,
                                     ngx_strlen(name), "must be a name of "
                                     "letters, digits, '.', '_' or '-'");
        return;
    }

    n = ngx_http_taskforge_list_param(l, arg->data, arg->len);

    tf_buf_addf(&l->where, " AND %s = $%d::text", name, n);
    tf_buf_addf(&l->counted, " AND %s = $%d::text", name, n);
}


/*
 * Ids are UUIDv7, so a moment is a place in the primary key, to the
 * millisecond; created_at itself decides within it.
 */

static void
ngx_http_taskforge_list_time(ngx_http_taskforge_list_t *l, const char *name,
    const char *condition)
{
    int         n, m;
    int64_t     us;
    uint8_t     id[16], wire[8];
    ngx_str_t  *arg;

    arg = ngx_http_taskforge_arg(l->ctx, name);
    if (arg == NULL) {
        return;
    }

    if (!tf_time_parse((char *) arg->data, arg->len, &us)) {
        ngx_http_taskforge_error_add(&l->errors, "parameter", name,
                                     ngx_strlen(name), "must be a time like "
                                     "2026-11-22T13:00:00Z");
        return;
    }

    /* a second of slack: ids ascend even when the clock stepped back */

    tf_uuid_floor(us / 1000 + (condition[0] == '<' ? 1000 : -1000), id);
    tf_pg_put_time(wire, us);

    n = ngx_http_taskforge_list_param(l, id, sizeof(id));
    m = ngx_http_taskforge_list_param(l, wire, sizeof(wire));

    tf_buf_addf(&l->where, " AND id %s $%d::uuid "
                "AND created_at %s $%d::timestamptz",
                condition, n, condition, m);
    l->uncounted = 1;
}


/* q: a whole id, or a part of the name in any case */

static void
ngx_http_taskforge_list_search(ngx_http_taskforge_list_t *l)
{
    int         n;
    size_t      i;
    uint8_t     id[16];
    tf_buf_t    pattern = TF_BUF_INIT;
    ngx_str_t  *arg;

    arg = ngx_http_taskforge_arg(l->ctx, "q");
    if (arg == NULL) {
        return;
    }

    l->uncounted = 1;

    if (tf_uuid_parse((char *) arg->data, arg->len, id)) {
        n = ngx_http_taskforge_list_param(l, id, sizeof(id));
        tf_buf_addf(&l->where, " AND id = $%d::uuid", n);
        return;
    }

    if (arg->len == 0 || arg->len > NGX_HTTP_TASKFORGE_LIST_SEARCH_MAX
        || !tf_utf8_valid((char *) arg->data, arg->len))
    {
        ngx_http_taskforge_error_add(&l->errors, "parameter", "q", 1,
                                     "must be a text of 1 to %d bytes",
                                     NGX_HTTP_TASKFORGE_LIST_SEARCH_MAX);
        return;
    }

    tf_buf_addc(&pattern, '%');

    for (i = 0; i < arg->len; i++) {
        if (ngx_strchr("%_\\", arg->data[i]) != NULL) {
            tf_buf_addc(&pattern, '\\');
        }

        tf_buf_addc(&pattern, arg->data[i]);
    }

    tf_buf_addc(&pattern, '%');

    n = ngx_http_taskforge_list_param(l, pattern.data, pattern.len);
    tf_buf_addf(&l->where, " AND name ILIKE $%d::text", n);
    l->failed |= pattern.failed;
    tf_buf_free(&pattern);
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

    n = ngx_http_taskforge_list_param(l, raw + 1, 16);
    tf_buf_addf(&l->where, " AND id < $%d::uuid", n);
}


/* Where the counters know all the filters, counting costs nothing. */

static void
ngx_http_taskforge_list_total(ngx_http_taskforge_list_t *l)
{
    if (!l->count) {
        return;
    }

    if (l->uncounted) {
        l->counted_params = l->nparams;
        tf_buf_addf(&l->total, "SELECT count(*)::int8 FROM jobs WHERE true%s",
                    tf_buf_cstr(&l->where));
        return;
    }

    tf_buf_addf(&l->total, "SELECT coalesce(sum(n), 0)::int8 FROM job_counts "
                "WHERE true%s", tf_buf_cstr(&l->counted));
}


static void
ngx_http_taskforge_list_send(ngx_http_taskforge_list_t *l)
{
    tf_buf_t             text = TF_BUF_INIT;
    tf_sql_t             sql;
    ngx_http_request_t  *r;

    r = l->request;

    /* one more than the page tells whether there is a next one */

    tf_buf_addf(&text, "SELECT " TF_JOB_COLUMNS_LIGHT("") " FROM jobs "
                "WHERE true%s ORDER BY id DESC LIMIT %d",
                tf_buf_cstr(&l->where), (int) l->limit + 1);

    if (l->failed || text.failed || l->where.failed || l->total.failed) {
        tf_buf_free(&text);
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    sql.name = NULL;
    sql.text = tf_buf_cstr(&text);
    sql.nparams = l->nparams;

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ, &sql,
                                         l->values, l->lengths,
                                         ngx_http_taskforge_list_done, l);
    tf_buf_free(&text);
}


static void
ngx_http_taskforge_list_done(ngx_http_request_t *r, void *data, PGresult *res)
{
    tf_sql_t                    sql;
    ngx_http_taskforge_list_t  *l = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    ngx_http_taskforge_list_page(&l->out, res, l->limit, r->connection->log);

    if (!l->count) {
        tf_buf_addc(&l->out, '}');
        ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &l->out);
        return;
    }

    sql.name = NULL;
    sql.text = tf_buf_cstr(&l->total);
    sql.nparams = l->counted_params;

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ, &sql,
                                         l->values, l->lengths,
                                         ngx_http_taskforge_list_counted, l);
}


/* {"items":[...],"next_cursor":...  without the closing brace */

static void
ngx_http_taskforge_list_page(tf_buf_t *out, PGresult *res, ngx_int_t limit,
    ngx_log_t *log)
{
    u_char                        raw[NGX_HTTP_TASKFORGE_CURSOR_LEN];
    u_char                        text[24 + 4];
    tf_job_t                      job;
    ngx_int_t                     n;
    ngx_str_t                     src, dst;
    ngx_http_taskforge_pg_row_t   row = { res, 0 };

    n = ngx_min(PQntuples(res), (int) limit);

    tf_buf_adds(out, "{\"items\":[");

    for (row.row = 0; row.row < n; row.row++) {

        if (!tf_job_from_row(&job, &row, ngx_http_taskforge_pg_column, 0,
                             false))
        {
            ngx_log_error(NGX_LOG_ERR, log, 0,
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

    if (PQntuples(res) <= (int) limit) {
        tf_json_kraw(out, "next_cursor", NULL, 0);
        return;
    }

    raw[0] = NGX_HTTP_TASKFORGE_CURSOR_VERSION;
    ngx_memcpy(raw + 1, job.id, 16);

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
    tf_buf_free(&l->where);
    tf_buf_free(&l->counted);
    tf_buf_free(&l->total);
    tf_buf_free(&l->out);
}
