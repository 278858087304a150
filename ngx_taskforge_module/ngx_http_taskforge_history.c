
/*
 * GET /stats/history: throughput and durations over time, from the counters of
 * each minute (job_throughput), which are kept for two days.
 */

#include <math.h>

#include "ngx_http_taskforge_stats.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_sql.h"


#define NGX_HTTP_TASKFORGE_STEPS_MAX  96


typedef struct {
    ngx_str_t                         name;
    ngx_int_t                         step;     /* seconds */
    ngx_int_t                         nsteps;
} ngx_http_taskforge_window_t;


typedef struct {
    int64_t                           submitted;
    int64_t                           succeeded;
    int64_t                           failed;
    int64_t                           buckets[NGX_HTTP_TASKFORGE_BUCKETS];
} ngx_http_taskforge_step_t;


typedef struct {
    const ngx_http_taskforge_window_t  *window;
    ngx_http_taskforge_step_t           steps[NGX_HTTP_TASKFORGE_STEPS_MAX];
} ngx_http_taskforge_history_t;


static void ngx_http_taskforge_history_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_history_add(ngx_http_taskforge_step_t *step,
    tf_status_t status, int bucket, int64_t n);
static void ngx_http_taskforge_history_write(tf_buf_t *out,
    ngx_http_taskforge_history_t *h);


const ngx_str_t  ngx_http_taskforge_history_args[] = {
    ngx_string("window"),
    ngx_null_string
};


static const ngx_http_taskforge_window_t  ngx_http_taskforge_windows[] = {
    { ngx_string("hour"), 60, 60 },
    { ngx_string("day"), 900, 96 },
    { ngx_null_string, 0, 0 }
};


/*
 * $1 seconds of a step int4, $2 steps int4.  Columns: steps ago int4, status
 * text, bucket int2, n int8.  Index: job_throughput_pkey, a range.
 */

static const tf_sql_t  ngx_http_taskforge_sql_history = {
    "tfr_history",
    "SELECT (s.this - floor(extract(epoch FROM t.minute) / $1::int4))::int4, "
        "t.status::text, t.bucket, sum(t.n)::int8 "
    "FROM (SELECT floor(extract(epoch FROM now()) / $1::int4) AS this) s "
    "JOIN job_throughput t "
        "ON t.minute >= to_timestamp(((s.this - $2::int4 + 1) * $1::int4)"
            "::float8) "
    "GROUP BY 1, 2, 3",
    2
};


void
ngx_http_taskforge_history(ngx_http_request_t *r)
{
    ngx_str_t                          *arg;
    tf_buf_t                            errors;
    ngx_http_taskforge_history_t       *h;
    ngx_http_taskforge_sql_args_t       args;
    const ngx_http_taskforge_window_t  *window;

    arg = ngx_http_taskforge_arg(ngx_http_taskforge_get_ctx(r), "window");

    window = ngx_http_taskforge_windows;

    while (arg && window->step
           && (arg->len != window->name.len
               || ngx_memcmp(arg->data, window->name.data, arg->len) != 0))
    {
        window++;
    }

    errors = (tf_buf_t) TF_BUF_INIT;

    if (window->step == 0) {
        ngx_http_taskforge_error_add(&errors, "parameter", "window", 6,
                                     "must be hour or day");
    }

    if (ngx_http_taskforge_args_check(r, &errors) != NGX_OK) {
        return;
    }

    h = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_history_t));

    if (h == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    h->window = window;

    args.nargs = 0;
    ngx_http_taskforge_sql_int4(&args, (int32_t) window->step);
    ngx_http_taskforge_sql_int4(&args, (int32_t) window->nsteps);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_history,
                                         args.values, args.lengths,
                                         ngx_http_taskforge_history_done, h);
}


/* Columns: steps ago, status, bucket, n */

static void
ngx_http_taskforge_history_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int                            i, ago;
    tf_buf_t                       out;
    tf_status_t                    status;
    ngx_http_taskforge_history_t  *h = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    for (i = 0; i < PQntuples(res); i++) {
        ago = tf_pg_get_int4(PQgetvalue(res, i, 0));

        if (ago < 0 || ago >= h->window->nsteps
            || !tf_status_parse(PQgetvalue(res, i, 1), PQgetlength(res, i, 1),
                                &status))
        {
            continue;
        }

        ngx_http_taskforge_history_add(&h->steps[ago], status,
                                       tf_pg_get_int2(PQgetvalue(res, i, 2)),
                                       tf_pg_get_int8(PQgetvalue(res, i, 3)));
    }

    out = (tf_buf_t) TF_BUF_INIT;

    ngx_http_taskforge_history_write(&out, h);
    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_history_add(ngx_http_taskforge_step_t *step,
    tf_status_t status, int bucket, int64_t n)
{
    switch (status) {

    case TF_QUEUED:
        step->submitted += n;
        break;

    case TF_SUCCESS:
        step->succeeded += n;

        if (bucket >= 0 && bucket < NGX_HTTP_TASKFORGE_BUCKETS) {
            step->buckets[bucket] += n;
        }

        break;

    case TF_FAILED:
    case TF_DEAD_LETTER:
        step->failed += n;
        break;

    default:
        break;
    }
}


/* Oldest first; the last one is the step that is still running. */

static void
ngx_http_taskforge_history_write(tf_buf_t *out,
    ngx_http_taskforge_history_t *h)
{
    int64_t                     now;
    ngx_int_t                   ago;
    ngx_http_taskforge_step_t  *step;

    now = (int64_t) ngx_time() / h->window->step * h->window->step;

    tf_buf_addc(out, '{');
    tf_json_kstr(out, "window", (char *) h->window->name.data,
                 h->window->name.len);
    tf_json_kint(out, "step_seconds", h->window->step);
    tf_json_key(out, "items");
    tf_buf_addc(out, '[');

    for (ago = h->window->nsteps - 1; ago >= 0; ago--) {
        step = &h->steps[ago];

        tf_buf_addc(out, '{');
        tf_json_ktime(out, "at", (now - ago * h->window->step) * 1000000);
        tf_json_kint(out, "submitted", step->submitted);
        tf_json_kint(out, "succeeded", step->succeeded);
        tf_json_kint(out, "failed", step->failed);
        tf_json_kdouble(out, "p50_duration_seconds",
                        ngx_http_taskforge_percentile(step->buckets, 0.50));
        tf_json_kdouble(out, "p95_duration_seconds",
                        ngx_http_taskforge_percentile(step->buckets, 0.95));
        tf_json_kdouble(out, "p99_duration_seconds",
                        ngx_http_taskforge_percentile(step->buckets, 0.99));
        tf_buf_addc(out, '}');

        if (ago) {
            tf_buf_addc(out, ',');
        }
    }

    tf_buf_adds(out, "]}");
}
