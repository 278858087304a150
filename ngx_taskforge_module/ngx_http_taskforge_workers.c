
#include "ngx_http_taskforge_workers.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_page.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_sql.h"


static ngx_int_t ngx_http_taskforge_workers_status(ngx_str_t *status);
static void ngx_http_taskforge_workers_list_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_workers_get_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_workers_write(ngx_http_request_t *r,
    tf_buf_t *out, PGresult *res, int row);


/*
 * $1 id uuid, NULL: all; $2 only those after this id, NULL: from the start;
 * $3 status, NULL: any; $4 pool, NULL: any; $5 limit int4.  A worker that is
 * stuck is online, and is shown as stuck.  Jobs that run: jobs_running, by
 * incarnation.  What was measured holds for a worker that is there, and whose
 * last heartbeat had it.
 */

static const tf_sql_t  ngx_http_taskforge_sql_workers = {
    "tfr_workers",
    "SELECT w.id, w.hostname, w.pool, w.incarnation, s.status, w.pid, "
        "w.version, array_to_json(w.queues)::text, "
        "array_to_json(w.types)::text, w.labels, w.lowest_priority::int4, "
        "w.concurrency, "
        "w.desired_status, w.desired_concurrency, w.active, "
        "(SELECT coalesce(json_agg(json_build_object('id', j.id, "
            "'type', j.type, 'queue', j.queue, 'priority', j.priority, "
            "'attempt', j.attempt, 'progress', j.progress, 'started_at', "
            NGX_HTTP_TASKFORGE_SQL_TIME("j.started_at") ", "
            "'cancel_requested', j.cancel_requested)), '[]')::text "
            "FROM (SELECT * FROM jobs WHERE incarnation = w.incarnation "
                "AND status = " TF_SQL_RUNNING " LIMIT 100) j), "
        "w.processed, w.failed, w.started_at, w.heartbeat_at, "
        "round(greatest(0, extract(epoch FROM now() - w.heartbeat_at)), 3)"
            "::text, w.last_fetch_at, w.stuck_since, m.memory_bytes, "
        "round(m.cpu_percent::numeric, 2)::text, "
        "round(m.processed_per_second::numeric, 3)::text, "
        "round(m.failed_per_second::numeric, 3)::text "
    "FROM workers w CROSS JOIN LATERAL (SELECT CASE "
        "WHEN w.status = 'online' AND w.stuck_since IS NOT NULL THEN 'stuck' "
        "ELSE w.status END AS status) s "
    "LEFT JOIN LATERAL (SELECT w.memory_bytes, w.cpu_percent, "
        "w.processed_per_second, w.failed_per_second "
        "WHERE w.status NOT IN ('offline', 'lost') "
            "AND w.measured_at = w.heartbeat_at) m ON true "
    "WHERE w.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') "
        "AND ($1::uuid IS NULL OR w.id = $1) "
        "AND ($3::text IS NULL OR s.status = $3) "
        "AND ($4::text IS NULL OR w.pool = $4) "
    "ORDER BY w.id LIMIT $5::int4",
    5
};


const ngx_str_t  ngx_http_taskforge_workers_args[] = {
    ngx_string("status"),
    ngx_string("pool"),
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_null_string
};


void
ngx_http_taskforge_workers_list(ngx_http_request_t *r)
{
    uint8_t                        cursor[16];
    tf_buf_t                       errors;
    ngx_int_t                      limit;
    ngx_str_t                     *status, *pool, none;
    ngx_uint_t                     found;
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    errors = (tf_buf_t) TF_BUF_INIT;
    ngx_str_null(&none);

    status = ngx_http_taskforge_arg(ctx, "status");
    pool = ngx_http_taskforge_arg(ctx, "pool");

    if (status && ngx_http_taskforge_workers_status(status) != NGX_OK) {
        ngx_http_taskforge_error_add(&errors, "parameter", "status", 6,
                                     "must be online, stuck, quiet, stopping, "
                                     "offline or lost");
    }

    if (pool && !tf_queue_name_valid((char *) pool->data, pool->len)) {
        ngx_http_taskforge_error_add(&errors, "parameter", "pool", 4,
                                     "must be the name of a pool");
    }

    if (ngx_http_taskforge_page(r, &limit, cursor, sizeof(cursor), &found,
                                &errors)
        != NGX_OK)
    {
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, NULL);
    ngx_http_taskforge_sql_uuid(&args, found ? cursor : NULL);
    ngx_http_taskforge_sql_str(&args, status ? status : &none);
    ngx_http_taskforge_sql_str(&args, pool ? pool : &none);
    ngx_http_taskforge_sql_int4(&args, (int32_t) limit);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_workers,
                                         args.values, args.lengths,
                                         ngx_http_taskforge_workers_list_done,
                                         (void *) limit);
}


static ngx_int_t
ngx_http_taskforge_workers_status(ngx_str_t *status)
{
    ngx_uint_t  i;

    static const ngx_str_t  known[] = {
        ngx_string("online"), ngx_string("stuck"), ngx_string("quiet"),
        ngx_string("stopping"), ngx_string("offline"), ngx_string("lost")
    };

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (status->len == known[i].len
            && ngx_memcmp(status->data, known[i].data, known[i].len) == 0)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static void
ngx_http_taskforge_workers_list_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_int_t  limit = (ngx_int_t) data;

    if (ngx_http_taskforge_pg_check(r, res) == NGX_OK) {
        ngx_http_taskforge_page_reply(r, res, PQntuples(res), limit, 0,
                                      ngx_http_taskforge_workers_write);
    }
}


void
ngx_http_taskforge_workers_get(ngx_http_request_t *r)
{
    ngx_http_taskforge_workers_reply(r, NGX_HTTP_OK);
}


void
ngx_http_taskforge_workers_reply(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_uuid(&args, NULL);
    ngx_http_taskforge_sql_bytes(&args, NULL, 0);
    ngx_http_taskforge_sql_bytes(&args, NULL, 0);
    ngx_http_taskforge_sql_int4(&args, 1);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_workers,
                                         args.values, args.lengths,
                                         ngx_http_taskforge_workers_get_done,
                                         (void *) (uintptr_t) status);
}


static void
ngx_http_taskforge_workers_get_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_buf_t  out;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such worker");
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    ngx_http_taskforge_workers_write(r, &out, res, 0);
    ngx_http_taskforge_reply_json(r, (ngx_uint_t) (uintptr_t) data, &out);
    tf_buf_free(&out);
}


/* How each column of the statement is written, in its order. */

static const struct {
    const char  *key;
    enum { TEXT, JSON, INT4, INT8, TIME, UUID } type;
} ngx_http_taskforge_workers_columns[] = {
    { "id", UUID },
    { "hostname", TEXT },
    { "pool", TEXT },
    { "incarnation", INT8 },
    { "status", TEXT },
    { "pid", INT4 },
    { "version", TEXT },
    { "queues", JSON },
    { "types", JSON },
    { "labels", JSON },
    { "lowest_priority", INT4 },
    { "concurrency", INT4 },
    { "desired_status", TEXT },
    { "desired_concurrency", INT4 },
    { "active", INT4 },
    { "active_jobs", JSON },
    { "processed", INT8 },
    { "failed", INT8 },
    { "started_at", TIME },
    { "heartbeat_at", TIME },
    { "heartbeat_age_seconds", JSON },
    { "last_fetch_at", TIME },
    { "stuck_since", TIME },
    { "memory_bytes", INT8 },
    { "cpu_percent", JSON },
    { "processed_per_second", JSON },
    { "failed_per_second", JSON },
    { NULL, TEXT }
};


static void
ngx_http_taskforge_workers_write(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row)
{
    int          i, len;
    char         id[TF_UUID_TEXT_LEN];
    const char  *key, *value;

    tf_buf_addc(out, '{');

    for (i = 0; ngx_http_taskforge_workers_columns[i].key; i++) {
        key = ngx_http_taskforge_workers_columns[i].key;

        if (PQgetisnull(res, row, i)) {
            tf_json_kraw(out, key, NULL, 0);
            continue;
        }

        value = PQgetvalue(res, row, i);
        len = PQgetlength(res, row, i);

        switch (ngx_http_taskforge_workers_columns[i].type) {

        case TEXT:
            tf_json_kstr(out, key, value, len);
            break;

        case JSON:
            tf_json_kraw(out, key, value, len);
            break;

        case INT4:
            tf_json_kint(out, key, tf_pg_get_int4(value));
            break;

        case INT8:
            tf_json_kint(out, key, tf_pg_get_int8(value));
            break;

        case TIME:
            tf_json_ktime(out, key, tf_pg_get_time(value));
            break;

        case UUID:
            tf_uuid_format((uint8_t *) value, id);
            tf_json_kstr(out, key, id, sizeof(id));
            break;
        }
    }

    tf_buf_addc(out, '}');
}
