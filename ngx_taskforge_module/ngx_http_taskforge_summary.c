
/*
 * GET /jobs/metrics/summary.  Everything comes from the counters that
 * writers keep (job_counts, job_throughput), never from the jobs themselves,
 * so it costs the same at ten rows and at ten million.
 */

#include <math.h>

#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_sql.h"
#include "ngx_http_taskforge_stats.h"


#define NGX_HTTP_TASKFORGE_MINUTES      60
#define NGX_HTTP_TASKFORGE_TYPES_SHOWN  1000


typedef struct {
    int64_t       submitted;
    int64_t       succeeded;
    int64_t       failed;
} ngx_http_taskforge_minute_t;


typedef struct {
    ngx_str_t     name;
    int64_t       n;
} ngx_http_taskforge_type_count_t;


typedef struct {
    int64_t       by_status[TF_STATUS_COUNT];
    int64_t       by_priority[TF_PRIORITY_MAX + 1];
    ngx_array_t   types;         /* ngx_http_taskforge_type_count_t */

    int64_t       buckets[NGX_HTTP_TASKFORGE_BUCKETS];
    int64_t       duration_us;
    int64_t       durations;

    ngx_http_taskforge_minute_t
                  minutes[NGX_HTTP_TASKFORGE_MINUTES];
} ngx_http_taskforge_summary_t;


static void ngx_http_taskforge_summary_counts(ngx_http_request_t *r,
    void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_summary_type(
    ngx_http_taskforge_summary_t *s, ngx_pool_t *pool, const char *name,
    size_t len, int64_t n);
static void ngx_http_taskforge_summary_throughput(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_summary_write(tf_buf_t *out,
    ngx_http_taskforge_summary_t *s);
static void ngx_http_taskforge_summary_write_counts(tf_buf_t *out,
    ngx_http_taskforge_summary_t *s);
static void ngx_http_taskforge_summary_write_minutes(tf_buf_t *out,
    ngx_http_taskforge_summary_t *s);


static const tf_sql_t  ngx_http_taskforge_sql_counts = {
    "tfr_counts", NGX_HTTP_TASKFORGE_SQL_COUNTS, 0
};

static const tf_sql_t  ngx_http_taskforge_sql_throughput = {
    "tfr_throughput", NGX_HTTP_TASKFORGE_SQL_THROUGHPUT, 0
};


void
ngx_http_taskforge_jobs_summary(ngx_http_request_t *r)
{
    ngx_http_taskforge_summary_t  *s;

    s = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_summary_t));

    if (s == NULL
        || ngx_array_init(&s->types, r->pool, 16,
                          sizeof(ngx_http_taskforge_type_count_t)) != NGX_OK)
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_counts, NULL,
                                         NULL,
                                         ngx_http_taskforge_summary_counts, s);
}


/* Columns: status, type, priority, n */

static void
ngx_http_taskforge_summary_counts(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int                            i, priority;
    int64_t                        n;
    tf_status_t                    status;
    ngx_http_taskforge_summary_t  *s = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    for (i = 0; i < PQntuples(res); i++) {
        n = tf_pg_get_int8(PQgetvalue(res, i, 3));
        priority = tf_pg_get_int2(PQgetvalue(res, i, 2));

        if (!tf_status_parse(PQgetvalue(res, i, 0), PQgetlength(res, i, 0),
                             &status)
            || priority < 0 || priority > TF_PRIORITY_MAX)
        {
            continue;
        }

        s->by_status[status] += n;
        s->by_priority[priority] += n;

        if (ngx_http_taskforge_summary_type(s, r->pool, PQgetvalue(res, i, 1),
                                            PQgetlength(res, i, 1), n)
            != NGX_OK)
        {
            ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                       "out of memory");
            return;
        }
    }

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_throughput,
                                         NULL, NULL,
                                         ngx_http_taskforge_summary_throughput,
                                         s);
}


static ngx_int_t
ngx_http_taskforge_summary_type(ngx_http_taskforge_summary_t *s,
    ngx_pool_t *pool, const char *name, size_t len, int64_t n)
{
    ngx_uint_t                        i;
    ngx_http_taskforge_type_count_t  *type;

    type = s->types.elts;

    for (i = 0; i < s->types.nelts; i++) {
        if (type[i].name.len == len
            && ngx_memcmp(type[i].name.data, name, len) == 0)
        {
            type[i].n += n;
            return NGX_OK;
        }
    }

    if (s->types.nelts == NGX_HTTP_TASKFORGE_TYPES_SHOWN) {
        return NGX_OK;
    }

    type = ngx_array_push(&s->types);
    if (type == NULL) {
        return NGX_ERROR;
    }

    type->n = n;
    type->name.len = len;
    type->name.data = ngx_pnalloc(pool, len);
    if (type->name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(type->name.data, name, len);

    return NGX_OK;
}


/* Columns: minutes ago, status, bucket, n, duration_us */

static void
ngx_http_taskforge_summary_throughput(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int                            i, ago, bucket;
    int64_t                        n;
    tf_buf_t                       out = TF_BUF_INIT;
    tf_status_t                    status;
    ngx_http_taskforge_minute_t   *minute;
    ngx_http_taskforge_summary_t  *s = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    for (i = 0; i < PQntuples(res); i++) {
        ago = tf_pg_get_int4(PQgetvalue(res, i, 0));
        bucket = tf_pg_get_int2(PQgetvalue(res, i, 2));
        n = tf_pg_get_int8(PQgetvalue(res, i, 3));

        if (ago < 0 || ago >= NGX_HTTP_TASKFORGE_MINUTES
            || !tf_status_parse(PQgetvalue(res, i, 1), PQgetlength(res, i, 1),
                                &status))
        {
            continue;
        }

        minute = &s->minutes[ago];

        switch (status) {

        case TF_QUEUED:
            minute->submitted += n;
            break;

        case TF_SUCCESS:
            minute->succeeded += n;

            if (bucket >= 0 && bucket < NGX_HTTP_TASKFORGE_BUCKETS) {
                s->buckets[bucket] += n;
                s->durations += n;
                s->duration_us += tf_pg_get_int8(PQgetvalue(res, i, 4));
            }

            break;

        case TF_FAILED:
        case TF_DEAD_LETTER:
            minute->failed += n;
            break;

        default:
            break;
        }
    }

    ngx_http_taskforge_summary_write(&out, s);
    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_summary_write(tf_buf_t *out,
    ngx_http_taskforge_summary_t *s)
{
    double   ended;

    tf_buf_addc(out, '{');

    ngx_http_taskforge_summary_write_counts(out, s);

    ended = (double) (s->by_status[TF_SUCCESS] + s->by_status[TF_FAILED]
                      + s->by_status[TF_DEAD_LETTER]);

    tf_json_kdouble(out, "success_rate",
                    ended > 0 ? (double) s->by_status[TF_SUCCESS] / ended
                              : NAN);

    /* of what succeeded in the window */

    tf_json_kint(out, "window_seconds", NGX_HTTP_TASKFORGE_MINUTES * 60);
    tf_json_kdouble(out, "avg_duration_seconds",
                    s->durations ? (double) s->duration_us
                                   / (double) s->durations / 1e6
                                 : NAN);
    tf_json_kdouble(out, "p50_duration_seconds",
                    ngx_http_taskforge_percentile(s->buckets, 0.50));
    tf_json_kdouble(out, "p95_duration_seconds",
                    ngx_http_taskforge_percentile(s->buckets, 0.95));
    tf_json_kdouble(out, "p99_duration_seconds",
                    ngx_http_taskforge_percentile(s->buckets, 0.99));

    ngx_http_taskforge_summary_write_minutes(out, s);

    tf_buf_addc(out, '}');
}


static void
ngx_http_taskforge_summary_write_counts(tf_buf_t *out,
    ngx_http_taskforge_summary_t *s)
{
    int                               i;
    int64_t                           n, total;
    ngx_uint_t                        k;
    const char                       *name;
    ngx_http_taskforge_type_count_t  *type;

    total = 0;

    for (i = 0; i < TF_STATUS_COUNT; i++) {
        total += s->by_status[i];
    }

    tf_json_kint(out, "total", total);

    tf_json_key(out, "by_status");
    tf_buf_addc(out, '{');

    for (i = 0; i < TF_STATUS_COUNT; i++) {
        tf_json_kint(out, tf_status_name(i), s->by_status[i]);
    }

    tf_buf_addc(out, '}');

    tf_json_key(out, "by_type");
    tf_buf_addc(out, '{');

    type = s->types.elts;

    for (k = 0; k < s->types.nelts; k++) {
        if (k) {
            tf_buf_addc(out, ',');
        }

        tf_json_str(out, (char *) type[k].name.data, type[k].name.len);
        tf_buf_addc(out, ':');
        tf_buf_addi(out, type[k].n);
    }

    tf_buf_addc(out, '}');

    tf_json_key(out, "by_priority");
    tf_buf_addc(out, '{');

    for (i = 0; i <= TF_PRIORITY_MAX; /* void */ ) {
        name = tf_priority_name(i);

        for (n = 0; i <= TF_PRIORITY_MAX && tf_priority_name(i) == name; i++) {
            n += s->by_priority[i];
        }

        tf_json_kint(out, name, n);
    }

    tf_buf_addc(out, '}');
}


/* Oldest first; the last one is the minute that is still running. */

static void
ngx_http_taskforge_summary_write_minutes(tf_buf_t *out,
    ngx_http_taskforge_summary_t *s)
{
    int      ago;
    int64_t  now;

    now = (int64_t) ngx_time() / 60 * 60;

    tf_json_key(out, "throughput_per_minute");
    tf_buf_addc(out, '[');

    for (ago = NGX_HTTP_TASKFORGE_MINUTES - 1; ago >= 0; ago--) {
        tf_buf_addc(out, '{');
        tf_json_ktime(out, "minute", (now - ago * 60) * 1000000);
        tf_json_kint(out, "submitted", s->minutes[ago].submitted);
        tf_json_kint(out, "succeeded", s->minutes[ago].succeeded);
        tf_json_kint(out, "failed", s->minutes[ago].failed);
        tf_buf_addc(out, '}');

        if (ago) {
            tf_buf_addc(out, ',');
        }
    }

    tf_buf_addc(out, ']');
}
