
#include "ngx_http_taskforge_queues.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_page.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"


#define NGX_HTTP_TASKFORGE_QUEUES_DEFAULT  100
#define NGX_HTTP_TASKFORGE_QUEUES_MAX      500


static void ngx_http_taskforge_queues_query(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *after, ngx_uint_t internal, ngx_int_t limit,
    ngx_http_taskforge_pg_request_pt handler);
static void ngx_http_taskforge_queues_list_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_queues_get_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_queues_write(ngx_http_request_t *r,
    tf_buf_t *out, PGresult *res, int row);


/*
 * Every queue that has jobs, settings or workers, by name.  $1 name, NULL:
 * all; $2 only those after this name; $3 internal ones too, bool; $4 limit
 * int4.
 *
 * Numbers come from the counters; the oldest of each level from jobs_queued.
 * Columns: name, state, max_length int4, note, updated_by uuid, updated_at,
 * workers int4, waiting int8, scheduled int8, retrying int8, running int8,
 * levels, oldest_age_seconds and retention_days as JSON.
 */

static const tf_sql_t  ngx_http_taskforge_sql_queues = {
    "tfr_queues",
    "WITH c AS (SELECT queue, priority, status, sum(n)::int8 AS n "
        "FROM job_counts WHERE $1::text IS NULL OR queue = $1 "
        "GROUP BY queue, priority, status HAVING sum(n) > 0), "
    "alive AS (SELECT queues FROM workers "
        "WHERE status IN ('online', 'quiet', 'stopping')), "
    "names AS (SELECT name FROM queues UNION SELECT queue FROM c "
        "UNION SELECT e FROM alive, unnest(queues) AS e "
        "WHERE right(e, 1) <> '*'), "
    "page AS (SELECT name FROM names WHERE ($1::text IS NULL OR name = $1) "
        "AND name COLLATE \"C\" > $2::text AND ($3 OR left(name, 1) <> '_') "
        "ORDER BY name COLLATE \"C\" LIMIT $4::int4) "
    "SELECT p.name, coalesce(q.state, 'active'), q.max_length, q.note, "
        "q.updated_by, q.updated_at, "
        "(SELECT count(*)::int4 FROM alive a WHERE EXISTS (SELECT "
            "FROM unnest(a.queues) AS e WHERE queue_matches(p.name, e))), "
        "s.waiting, s.scheduled, s.retrying, s.running, l.levels, l.oldest, "
        "q.retention_days "
    "FROM page p LEFT JOIN queues q ON q.name = p.name "
    "CROSS JOIN LATERAL (SELECT "
        "coalesce(sum(n) FILTER (WHERE status = " TF_SQL_QUEUED "), 0)::int8 "
            "AS waiting, "
        "coalesce(sum(n) FILTER (WHERE status = " TF_SQL_SCHEDULED "), 0)"
            "::int8 AS scheduled, "
        "coalesce(sum(n) FILTER (WHERE status = " TF_SQL_RETRYING "), 0)::int8 "
            "AS retrying, "
        "coalesce(sum(n) FILTER (WHERE status = " TF_SQL_RUNNING "), 0)::int8 "
            "AS running FROM c WHERE c.queue = p.name) s "
    "CROSS JOIN LATERAL (SELECT coalesce(json_agg(json_build_object("
        "'priority', c.priority, 'waiting', c.n, 'oldest_age_seconds', o.age) "
            "ORDER BY c.priority DESC), '[]')::text AS levels, "
        "max(o.age)::text AS oldest "
        "FROM c LEFT JOIN LATERAL (SELECT round(greatest(0, "
            "extract(epoch FROM now() - j.enqueued_at)), 3) AS age "
            "FROM jobs j WHERE j.queue = c.queue AND j.priority = c.priority "
            "AND j.status = " TF_SQL_QUEUED " "
            "ORDER BY j.enqueued_at LIMIT 1) o ON true "
        "WHERE c.queue = p.name AND c.status = " TF_SQL_QUEUED ") l "
    "ORDER BY p.name COLLATE \"C\"",
    4
};


const ngx_str_t  ngx_http_taskforge_queues_args[] = {
    ngx_string("internal"),
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_null_string
};


void
ngx_http_taskforge_queues_list(ngx_http_request_t *r)
{
    tf_buf_t                   errors;
    ngx_int_t                  limit, internal;
    ngx_str_t                 *cursor, start;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    errors = (tf_buf_t) TF_BUF_INIT;
    ngx_str_set(&start, "");

    internal = ngx_http_taskforge_arg_int(ctx, "internal", 0, 1, 0, &errors);
    limit = ngx_http_taskforge_arg_int(ctx, "limit", 1,
                                       NGX_HTTP_TASKFORGE_QUEUES_MAX,
                                       NGX_HTTP_TASKFORGE_QUEUES_DEFAULT,
                                       &errors);

    cursor = ngx_http_taskforge_arg(ctx, "cursor");

    if (cursor && !tf_queue_name_valid((char *) cursor->data, cursor->len)) {
        ngx_http_taskforge_error_add(&errors, "parameter", "cursor", 6,
                                     "is not a next_cursor of this list");
    }

    if (ngx_http_taskforge_args_check(r, &errors) != NGX_OK) {
        return;
    }

    ngx_http_taskforge_queues_query(r, NULL, cursor ? cursor : &start,
                                    internal, limit,
                                    ngx_http_taskforge_queues_list_done);
}


void
ngx_http_taskforge_queues_get(ngx_http_request_t *r)
{
    ngx_http_taskforge_queues_reply(r);
}


void
ngx_http_taskforge_queues_reply(ngx_http_request_t *r)
{
    ngx_str_t                  start;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_str_set(&start, "");

    ngx_http_taskforge_queues_query(r, &ctx->name, &start, 1, 1,
                                    ngx_http_taskforge_queues_get_done);
}


static void
ngx_http_taskforge_queues_query(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *after, ngx_uint_t internal, ngx_int_t limit,
    ngx_http_taskforge_pg_request_pt handler)
{
    ngx_http_taskforge_sql_args_t  args;

    args.nargs = 0;

    if (name) {
        ngx_http_taskforge_sql_str(&args, name);

    } else {
        ngx_http_taskforge_sql_bytes(&args, NULL, 0);
    }

    ngx_http_taskforge_sql_str(&args, after);
    ngx_http_taskforge_sql_bool(&args, internal);
    ngx_http_taskforge_sql_int4(&args, (int32_t) limit);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_queues,
                                         args.values, args.lengths, handler,
                                         (void *) limit);
}


static void
ngx_http_taskforge_queues_list_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_int_t  limit = (ngx_int_t) data;

    if (ngx_http_taskforge_pg_check(r, res) == NGX_OK) {
        ngx_http_taskforge_page_reply(r, res, PQntuples(res), limit, 1,
                                      ngx_http_taskforge_queues_write);
    }
}


static void
ngx_http_taskforge_queues_get_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_buf_t  out;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "no job, worker or setting knows a queue "
                                   "of this name");
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    ngx_http_taskforge_queues_write(r, &out, res, 0);
    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_queues_write(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row)
{
    int      i;
    char     id[TF_UUID_TEXT_LEN];
    int64_t  n, length;

    static const char  *counts[] = {
        "waiting", "scheduled", "retrying", "running"
    };

    tf_buf_addc(out, '{');
    tf_json_kstr(out, "name", PQgetvalue(res, row, 0),
                 PQgetlength(res, row, 0));
    tf_json_kstr(out, "state", PQgetvalue(res, row, 1),
                 PQgetlength(res, row, 1));
    tf_json_kbool(out, "paused",
                  ngx_strcmp(PQgetvalue(res, row, 1), "paused") == 0);

    length = 0;

    for (i = 0; i < 4; i++) {
        n = tf_pg_get_int8(PQgetvalue(res, row, 7 + i));
        tf_json_kint(out, counts[i], n);

        if (i < 3) {
            length += n;
        }
    }

    tf_json_kint(out, "length", length);

    if (PQgetisnull(res, row, 2)) {
        tf_json_kraw(out, "max_length", NULL, 0);

    } else {
        tf_json_kint(out, "max_length",
                     tf_pg_get_int4(PQgetvalue(res, row, 2)));
    }

    tf_json_kraw(out, "oldest_age_seconds",
                 PQgetisnull(res, row, 12) ? NULL : PQgetvalue(res, row, 12),
                 PQgetlength(res, row, 12));
    tf_json_kraw(out, "levels", PQgetvalue(res, row, 11),
                 PQgetlength(res, row, 11));
    tf_json_kint(out, "workers", tf_pg_get_int4(PQgetvalue(res, row, 6)));
    tf_json_kstr(out, "note",
                 PQgetisnull(res, row, 3) ? NULL : PQgetvalue(res, row, 3),
                 PQgetlength(res, row, 3));

    tf_json_kraw(out, "retention_days",
                 PQgetisnull(res, row, 13) ? NULL : PQgetvalue(res, row, 13),
                 PQgetlength(res, row, 13));

    if (PQgetisnull(res, row, 4)) {
        tf_json_kstr(out, "updated_by", NULL, 0);

    } else {
        tf_uuid_format((uint8_t *) PQgetvalue(res, row, 4), id);
        tf_json_kstr(out, "updated_by", id, sizeof(id));
    }

    tf_json_ktime(out, "updated_at",
                  PQgetisnull(res, row, 5)
                      ? TF_TIME_NONE
                      : tf_pg_get_time(PQgetvalue(res, row, 5)));
    tf_buf_addc(out, '}');
}
