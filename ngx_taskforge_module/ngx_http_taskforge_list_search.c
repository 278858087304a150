
/*
 * What no index of jobs knows (a part of the name, a queue, a user, a
 * priority) is searched for in two steps: first where such jobs can be, which
 * job_ranges knows, then there.  Where the counters say that an index leads to
 * few enough ("few"), the first step finds nothing and the second reads those.
 */

#include "ngx_http_taskforge_list.h"
#include "ngx_http_taskforge_pg.h"


/* of one request: jobs that are looked at, bytes of job_ranges read for it */
#define NGX_HTTP_TASKFORGE_SEARCH_JOBS     10000
#define NGX_HTTP_TASKFORGE_SEARCH_BYTES    8000000
#define NGX_HTTP_TASKFORGE_SEARCH_PARAMS   6


static ngx_uint_t ngx_http_taskforge_list_indexed(tf_job_filter_t *f);
static void ngx_http_taskforge_list_few(tf_buf_t *text, tf_job_filter_t *f);
static void ngx_http_taskforge_list_ranges(ngx_http_request_t *r, void *data,
    PGresult *res);


/* Has jobs an index on the type or the statuses?  Nearly all are SUCCESS. */

static ngx_uint_t
ngx_http_taskforge_list_indexed(tf_job_filter_t *f)
{
    return f->type.data
           || (f->statuses && !(f->statuses & TF_STATUS_BIT(TF_SUCCESS)));
}


ngx_uint_t
ngx_http_taskforge_list_searches(ngx_http_taskforge_list_t *l)
{
    tf_job_filter_t  *f;

    f = &l->filter;

    if (f->has_id) {
        return 0;
    }

    if (f->search.data || f->has_created_by) {
        return 1;
    }

    return (f->queue.data || f->priority_low > TF_PRIORITY_MIN
            || f->priority_high < TF_PRIORITY_MAX)
           && !ngx_http_taskforge_list_indexed(f);
}


/* How many rows the index on the type or the statuses leads to: few? */

static void
ngx_http_taskforge_list_few(tf_buf_t *text, tf_job_filter_t *f)
{
    int          i;
    const char  *comma;

    tf_buf_addf(text, "(SELECT coalesce(sum(n), 0) <= %d FROM job_counts "
                "WHERE ", NGX_HTTP_TASKFORGE_SEARCH_JOBS);

    if (f->type.data) {
        tf_buf_adds(text, "type = $1::text)");
        return;
    }

    comma = "status IN (";

    for (i = 0; i < TF_STATUS_COUNT; i++) {
        if (f->statuses & TF_STATUS_BIT(i)) {
            tf_buf_addf(text, "%s'%s'", comma,
                        tf_status_name((tf_status_t) i));
            comma = ",";
        }
    }

    tf_buf_adds(text, "))");
}


void
ngx_http_taskforge_list_search(ngx_http_taskforge_list_t *l)
{
    int                  n, lengths[1 + NGX_HTTP_TASKFORGE_SEARCH_PARAMS];
    uint8_t              levels[4], since[16], below[16];
    tf_buf_t             text;
    tf_sql_t             sql;
    const char          *values[1 + NGX_HTTP_TASKFORGE_SEARCH_PARAMS];
    tf_job_filter_t     *f;
    ngx_http_request_t  *r;

    r = l->request;
    f = &l->filter;
    text = (tf_buf_t) TF_BUF_INIT;

    tf_pg_put_int4(levels, (2 << f->priority_high) - (1 << f->priority_low));
    tf_job_where_ids(f, l->has_cursor ? l->cursor : NULL, since, below);

    n = f->type.data ? 1 : 0;

    values[0] = f->type.data;
    lengths[0] = (int) f->type.len;

    values[n] = f->search.data;
    lengths[n] = (int) f->search.len;
    values[n + 1] = f->queue.data;
    lengths[n + 1] = (int) f->queue.len;
    values[n + 2] = f->has_created_by ? (char *) f->created_by : NULL;
    lengths[n + 2] = 16;
    values[n + 3] = (char *) levels;
    lengths[n + 3] = sizeof(levels);
    values[n + 4] = (char *) since;
    lengths[n + 4] = sizeof(since);
    values[n + 5] = (char *) below;
    lengths[n + 5] = sizeof(below);

    tf_buf_adds(&text, "SELECT c.few, s.lows, s.highs, s.rest FROM (SELECT ");

    if (ngx_http_taskforge_list_indexed(f)) {
        ngx_http_taskforge_list_few(&text, f);

    } else {
        tf_buf_adds(&text, "false");
    }

    tf_buf_addf(&text, " AS few) c, LATERAL search_job_ranges($%d::text, "
                "$%d::text, $%d::uuid, $%d::int4, $%d::uuid, "
                "CASE WHEN NOT c.few THEN $%d::uuid END, %d, %d) s",
                n + 1, n + 2, n + 3, n + 4, n + 5, n + 6,
                NGX_HTTP_TASKFORGE_SEARCH_JOBS,
                NGX_HTTP_TASKFORGE_SEARCH_BYTES);

    if (!ngx_http_taskforge_list_failed(l, &text)) {
        sql.name = NULL;
        sql.text = tf_buf_cstr(&text);
        sql.nparams = n + NGX_HTTP_TASKFORGE_SEARCH_PARAMS;

        (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                             &sql, values, lengths,
                                             ngx_http_taskforge_list_ranges,
                                             l);
    }

    tf_buf_free(&text);
}


/* Second step: the jobs there. */

static void
ngx_http_taskforge_list_ranges(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int                         limit, low, high;
    tf_buf_t                    text;
    ngx_http_taskforge_list_t  *l = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    text = (tf_buf_t) TF_BUF_INIT;
    limit = (int) l->limit + 1;

    if (PQgetvalue(res, 0, 0)[0]) {

        /*
         * OFFSET 0 keeps LIMIT out of the plan: else it may be to walk down
         * all jobs until a page is full, which it never is
         */

        tf_buf_addf(&text, "SELECT " TF_JOB_COLUMNS_LIGHT("j.") " FROM "
                    "(SELECT * FROM jobs WHERE true%s OFFSET 0) j "
                    "ORDER BY j.id DESC LIMIT %d",
                    tf_buf_cstr(&l->where.jobs), limit);

    } else {
        low = tf_job_where_param_at(&l->where, PQgetvalue(res, 0, 1),
                                    PQgetlength(res, 0, 1));
        high = tf_job_where_param_at(&l->where, PQgetvalue(res, 0, 2),
                                     PQgetlength(res, 0, 2));

        tf_buf_addf(&text, "SELECT " TF_JOB_COLUMNS_LIGHT("j.") " FROM "
                    "unnest($%d::uuid[], $%d::uuid[]) AS s(low, high) "
                    "CROSS JOIN LATERAL (SELECT * FROM jobs "
                    "WHERE id >= s.low AND id < s.high%s "
                    "ORDER BY id DESC LIMIT %d) j "
                    "ORDER BY j.id DESC LIMIT %d",
                    low, high, tf_buf_cstr(&l->where.jobs), limit, limit);

        if (!PQgetisnull(res, 0, 3)) {
            ngx_memcpy(l->rest, PQgetvalue(res, 0, 3), sizeof(l->rest));
            l->has_rest = 1;
        }
    }

    ngx_http_taskforge_list_send(l, &text);
}
