
/*
 * The numbers of GET /stats: two statements, and what their rows add up to.
 */

#include <math.h>

#include "ngx_http_taskforge_stats.h"
#include "ngx_http_taskforge_sql.h"


#define NGX_HTTP_TASKFORGE_STATS_QUEUES  1000   /* shown */


static void ngx_http_taskforge_stats_depths(void *data, PGresult *res);
static void ngx_http_taskforge_stats_queue(ngx_http_taskforge_stats_t *s,
    PGresult *res, int row);
static void ngx_http_taskforge_stats_today(void *data, PGresult *res);
static void ngx_http_taskforge_stats_ended(ngx_http_taskforge_today_t *today,
    PGresult *res, int row, tf_status_t status, int64_t n);
static void ngx_http_taskforge_stats_write(tf_buf_t *out,
    ngx_http_taskforge_stats_t *s);
static void ngx_http_taskforge_stats_queued(tf_buf_t *out,
    ngx_http_taskforge_stats_t *s);
static ngx_uint_t ngx_http_taskforge_stats_failed(
    ngx_http_taskforge_stats_t *s, PGresult *res);


static const tf_sql_t  ngx_http_taskforge_sql_depths = {
    "tfr_depths", NGX_HTTP_TASKFORGE_SQL_DEPTHS " ORDER BY 1, 2", 0
};

static const tf_sql_t  ngx_http_taskforge_sql_today = {
    "tfr_today", NGX_HTTP_TASKFORGE_SQL_TODAY, 1
};


ngx_int_t
ngx_http_taskforge_stats_read(ngx_http_taskforge_stats_t *s,
    ngx_http_taskforge_main_conf_t *mcf, ngx_http_taskforge_stats_pt handler,
    void *data)
{
    /* kept by the process, so that each reading is of the last minutes only */

    if (mcf->today == NULL) {
        mcf->today = ngx_pcalloc(ngx_cycle->pool,
                                 sizeof(ngx_http_taskforge_today_t));
        if (mcf->today == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memzero(s, sizeof(ngx_http_taskforge_stats_t));

    s->pg = mcf->pg;
    s->known = mcf->today;
    s->handler = handler;
    s->data = data;
    s->op = ngx_http_taskforge_pg_query(s->pg, NGX_HTTP_TASKFORGE_PG_READ,
                                        &ngx_http_taskforge_sql_depths, NULL,
                                        NULL, ngx_http_taskforge_stats_depths,
                                        s);

    return s->op ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_taskforge_stats_forget(ngx_http_taskforge_stats_t *s)
{
    if (s->op) {
        ngx_http_taskforge_pg_forget(s->op);
        s->op = NULL;
    }

    tf_buf_free(&s->queues);
}


static ngx_uint_t
ngx_http_taskforge_stats_failed(ngx_http_taskforge_stats_t *s, PGresult *res)
{
    s->op = NULL;

    if (res && PQresultStatus(res) == PGRES_TUPLES_OK) {
        return 0;
    }

    tf_buf_free(&s->queues);

    s->handler(s->data, res, NULL);

    return 1;
}


/* Columns: queue, priority, status, n; ordered by queue. */

static void
ngx_http_taskforge_stats_depths(void *data, PGresult *res)
{
    int                          i, length, priority;
    int64_t                      n;
    uint8_t                      wire[8];
    const char                  *value;
    tf_status_t                  status;
    ngx_http_taskforge_stats_t  *s = data;

    if (ngx_http_taskforge_stats_failed(s, res)) {
        return;
    }

    for (i = 0; i < PQntuples(res); i++) {
        n = tf_pg_get_int8(PQgetvalue(res, i, 3));
        priority = tf_pg_get_int2(PQgetvalue(res, i, 1));

        if (!tf_status_parse(PQgetvalue(res, i, 2), PQgetlength(res, i, 2),
                             &status))
        {
            s->workers = n;
            continue;
        }

        s->by_status[status] += n;

        if (status == TF_QUEUED && priority >= 0
            && priority <= TF_PRIORITY_MAX)
        {
            s->by_level[priority] += n;
        }

        if (i + 1 == PQntuples(res)
            || ngx_strcmp(PQgetvalue(res, i, 0), PQgetvalue(res, i + 1, 0))
               != 0)
        {
            ngx_http_taskforge_stats_queue(s, res, i);
        }
    }

    s->today = *s->known;

    tf_pg_put_time(wire, s->today.until);
    value = (const char *) wire;
    length = sizeof(wire);

    s->op = ngx_http_taskforge_pg_query(s->pg, NGX_HTTP_TASKFORGE_PG_READ,
                                        &ngx_http_taskforge_sql_today, &value,
                                        &length,
                                        ngx_http_taskforge_stats_today, s);
    if (s->op == NULL) {
        (void) ngx_http_taskforge_stats_failed(s, NULL);
    }
}


/* A queue whose last row is this one: how many jobs wait in it. */

static void
ngx_http_taskforge_stats_queue(ngx_http_taskforge_stats_t *s, PGresult *res,
    int row)
{
    int          i;
    int64_t      n;
    tf_status_t  status;

    n = 0;

    for (i = row;
         i >= 0
         && ngx_strcmp(PQgetvalue(res, i, 0), PQgetvalue(res, row, 0)) == 0;
         i--)
    {
        if (tf_status_parse(PQgetvalue(res, i, 2), PQgetlength(res, i, 2),
                            &status)
            && status == TF_QUEUED)
        {
            n += tf_pg_get_int8(PQgetvalue(res, i, 3));
        }
    }

    if (s->nqueues++ >= NGX_HTTP_TASKFORGE_STATS_QUEUES) {
        return;
    }

    if (s->queues.len) {
        tf_buf_addc(&s->queues, ',');
    }

    tf_json_str(&s->queues, PQgetvalue(res, row, 0),
                PQgetlength(res, row, 0));
    tf_buf_addc(&s->queues, ':');
    tf_buf_addi(&s->queues, n);
}


/* Columns: day, border, seconds, closed, recent, status, bucket, n */

static void
ngx_http_taskforge_stats_today(void *data, PGresult *res)
{
    int                          i;
    int64_t                      n, day, border;
    tf_buf_t                     out;
    tf_status_t                  status;
    ngx_http_taskforge_today_t  *known;
    ngx_http_taskforge_stats_t  *s = data;

    if (ngx_http_taskforge_stats_failed(s, res)) {
        return;
    }

    known = s->known;
    day = tf_pg_get_time(PQgetvalue(res, 0, 0));
    border = tf_pg_get_time(PQgetvalue(res, 0, 1));
    s->seconds = tf_pg_get_float8(PQgetvalue(res, 0, 2));

    /* another reading may have got there first: then this one adds nothing */

    if (known->until != s->today.until) {
        known = NULL;
    }

    if (s->today.day != day) {
        ngx_memzero(&s->today, sizeof(ngx_http_taskforge_today_t));

        if (known) {
            ngx_memzero(known, sizeof(ngx_http_taskforge_today_t));
        }
    }

    for (i = 0; i < PQntuples(res); i++) {

        if (PQgetisnull(res, i, 5)
            || !tf_status_parse(PQgetvalue(res, i, 5), PQgetlength(res, i, 5),
                                &status))
        {
            continue;
        }

        n = tf_pg_get_int8(PQgetvalue(res, i, 7));

        ngx_http_taskforge_stats_ended(&s->today, res, i, status, n);

        if (known && *PQgetvalue(res, i, 3)) {
            ngx_http_taskforge_stats_ended(known, res, i, status, n);
        }

        if (*PQgetvalue(res, i, 4)
            && (status == TF_SUCCESS || status == TF_FAILED
                || status == TF_DEAD_LETTER))
        {
            s->recent += n;
        }
    }

    if (known) {
        known->day = day;
        known->until = ngx_max(known->until, ngx_max(border, day));
    }

    out = (tf_buf_t) TF_BUF_INIT;

    ngx_http_taskforge_stats_write(&out, s);
    tf_buf_free(&s->queues);

    s->handler(s->data, res, &out);

    tf_buf_free(&out);
}


static void
ngx_http_taskforge_stats_ended(ngx_http_taskforge_today_t *today,
    PGresult *res, int row, tf_status_t status, int64_t n)
{
    int  bucket;

    if (status == TF_FAILED || status == TF_DEAD_LETTER) {
        today->failed += n;
        return;
    }

    if (status != TF_SUCCESS) {
        return;
    }

    today->completed += n;
    bucket = tf_pg_get_int2(PQgetvalue(res, row, 6));

    if (bucket >= 0 && bucket < NGX_HTTP_TASKFORGE_BUCKETS) {
        today->buckets[bucket] += n;
    }
}


static void
ngx_http_taskforge_stats_write(tf_buf_t *out, ngx_http_taskforge_stats_t *s)
{
    int64_t  *n;

    n = s->by_status;

    tf_buf_addc(out, '{');

    ngx_http_taskforge_stats_queued(out, s);

    tf_json_kint(out, "scheduled", n[TF_SCHEDULED]);
    tf_json_kint(out, "retrying", n[TF_RETRYING]);
    tf_json_kint(out, "active", n[TF_RUNNING]);
    tf_json_kint(out, "succeeded", n[TF_SUCCESS]);
    tf_json_kint(out, "failed", n[TF_FAILED]);
    tf_json_kint(out, "dead_letter", n[TF_DEAD_LETTER]);
    tf_json_kint(out, "cancelled", n[TF_CANCELLED]);
    tf_json_kint(out, "workers_online", s->workers);

    tf_json_kint(out, "completed_today", s->today.completed);
    tf_json_kint(out, "failed_today", s->today.failed);
    tf_json_kdouble(out, "p99_latency_ms",
                    round(ngx_http_taskforge_percentile(s->today.buckets, 0.99)
                          * 100000)
                    / 100);
    tf_json_kdouble(out, "throughput_per_sec",
                    round((double) s->recent / s->seconds * 100) / 100);

    tf_buf_addc(out, '}');
}


static void
ngx_http_taskforge_stats_queued(tf_buf_t *out, ngx_http_taskforge_stats_t *s)
{
    int          i;
    int64_t      n;
    const char  *name;

    tf_json_kint(out, "queued", s->by_status[TF_QUEUED]);

    tf_json_key(out, "queued_by_priority");
    tf_buf_addc(out, '{');

    for (i = 0; i <= TF_PRIORITY_MAX; /* void */ ) {
        name = tf_priority_name(i);

        for (n = 0; i <= TF_PRIORITY_MAX && tf_priority_name(i) == name; i++) {
            n += s->by_level[i];
        }

        tf_json_kint(out, name, n);
    }

    tf_buf_addc(out, '}');

    tf_json_key(out, "queued_by_level");
    tf_buf_addc(out, '[');

    for (i = 0; i <= TF_PRIORITY_MAX; i++) {
        if (i) {
            tf_buf_addc(out, ',');
        }

        tf_buf_addi(out, s->by_level[i]);
    }

    tf_buf_addc(out, ']');

    tf_json_key(out, "queued_by_queue");
    tf_buf_addc(out, '{');
    tf_buf_add(out, s->queues.data, s->queues.len);
    tf_buf_addc(out, '}');
}


/*
 * Bucket b holds durations from 2^(b/4) to 2^((b+1)/4) microseconds; within
 * it the rank is interpolated, so the error is at most 19 %.
 */

double
ngx_http_taskforge_percentile(const int64_t *buckets, double p)
{
    int      b;
    double   rank, before, all;

    all = 0;
    before = 0;

    for (b = 0; b < NGX_HTTP_TASKFORGE_BUCKETS; b++) {
        all += (double) buckets[b];
    }

    rank = p * all;

    for (b = 0; b < NGX_HTTP_TASKFORGE_BUCKETS; b++) {
        if (buckets[b] == 0) {
            continue;
        }

        if (before + (double) buckets[b] >= rank) {
            return exp2((b + (rank - before) / (double) buckets[b]) / 4) / 1e6;
        }

        before += (double) buckets[b];
    }

    return NAN;
}
