
#include "ngx_http_taskforge_webhooks.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_sql.h"


static void ngx_http_taskforge_webhook_secret(ngx_http_request_t *r,
    const tf_sql_t *sql, ngx_http_taskforge_pg_request_pt handler);
static void ngx_http_taskforge_webhook_secret_got(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_webhook_secret_rotated(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_webhook_secret_deleted(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_webhook_secret_none(ngx_http_request_t *r);
static void ngx_http_taskforge_webhooks_listed(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_webhooks_replayed(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_webhook_time(tf_buf_t *out, const char *name,
    PGresult *res, int row, int column);


/*
 * $1 owner, and of those that change something the actor: $2 uuid, $3 name,
 * $4 address.  Columns: created_at, when the one before ceases to sign or
 * NULL, and of a new one the secret.
 */

static const tf_sql_t  ngx_http_taskforge_sql_secret_get = {
    "tf_webhook_secret_get",
    "SELECT created_at, CASE WHEN previous_expires_at > now() "
        "THEN previous_expires_at END "
    "FROM webhook_secrets WHERE owner = $1",
    1
};

static const tf_sql_t  ngx_http_taskforge_sql_secret_rotate = {
    "tf_webhook_secret_rotate",
    "SELECT created_at, previous_expires_at, secret "
    "FROM webhook_secret_rotate($1, $2, $3, $4)",
    4
};

/* One row: whether there was one. */

static const tf_sql_t  ngx_http_taskforge_sql_secret_delete = {
    "tf_webhook_secret_delete",
    "SELECT webhook_secret_delete($1, $2, $3, $4)",
    4
};


/*
 * $1 job.  The newest deliveries first; no row: no such job, a row of NULLs:
 * it has none.  What a failed attempt met stands in its error, in the words
 * of worker/handlers/webhook.c.  An URL's arguments may be secrets.
 * Indexes: the primary keys.
 */

static const tf_sql_t  ngx_http_taskforge_sql_deliveries = {
    "tfr_deliveries",
    "SELECT d.id, d.status::text, p.id, d.name, "
        "split_part(p.url, '?', 1) "
            "|| CASE WHEN p.url LIKE '%?%' THEN '?...' ELSE '' END, "
        "d.created_at, d.run_at, d.finished_at, "
        "(SELECT coalesce(json_agg(json_build_object('attempt', attempt, "
            "'at', " NGX_HTTP_TASKFORGE_SQL_TIME("at") ", "
            "'status_code', status_code, 'duration_ms', duration_ms, "
            "'error', error, 'response', response) "
            "ORDER BY epoch, attempt), '[]')::text FROM ("
            "SELECT epoch, attempt, at, "
            "substring(error FROM '^HTTP ([0-9]{3}) ')::int4 AS status_code, "
            "substring(error FROM ' after ([0-9]{1,9}) ms: ')::int4 "
                "AS duration_ms, "
            "coalesce(substring(error FROM '^HTTP [0-9]{3}'), error) AS error, "
            "substring(error FROM '^HTTP [0-9]{3} after [0-9]+ ms: (.*)$') "
                "AS response "
            "FROM job_errors WHERE job_id = d.id "
            "UNION ALL SELECT d.epoch, d.attempt, d.finished_at, "
            "(d.result->>'status_code')::int4, "
            "(d.result->>'duration_ms')::int4, NULL, d.result->>'response' "
            "WHERE d.status::text = 'SUCCESS') a) "
    "FROM jobs j LEFT JOIN LATERAL ("
        "SELECT d.* FROM webhook_deliveries w JOIN jobs d "
        "ON d.id = w.delivery_id WHERE w.job_id = $1 "
        "ORDER BY w.delivery_id DESC LIMIT 50) d ON true "
    "LEFT JOIN LATERAL json_to_record(d.payload) AS p(id text, url text) "
    "ON true "
    "WHERE j.id = $1 ORDER BY d.id DESC",
    1
};


/* $1 job, $2 delivery, $3 writer, then the actor. */

static const tf_sql_t  ngx_http_taskforge_sql_replay = {
    "tf_webhook_replay",
    "SELECT outcome, made FROM webhook_replay($1, $2, $3::int2, $4, $5, $6)",
    6
};


void
ngx_http_taskforge_webhook_secret_get(ngx_http_request_t *r)
{
    ngx_http_taskforge_webhook_secret(r, &ngx_http_taskforge_sql_secret_get,
                                      ngx_http_taskforge_webhook_secret_got);
}


void
ngx_http_taskforge_webhook_secret_rotate(ngx_http_request_t *r)
{
    ngx_http_taskforge_webhook_secret(r, &ngx_http_taskforge_sql_secret_rotate,
                                    ngx_http_taskforge_webhook_secret_rotated);
}


void
ngx_http_taskforge_webhook_secret_delete(ngx_http_request_t *r)
{
    ngx_http_taskforge_webhook_secret(r, &ngx_http_taskforge_sql_secret_delete,
                                    ngx_http_taskforge_webhook_secret_deleted);
}


/* The caller's secret; where nobody logs in, nobody's, as of such jobs. */

static void
ngx_http_taskforge_webhook_secret(ngx_http_request_t *r, const tf_sql_t *sql,
    ngx_http_taskforge_pg_request_pt handler)
{
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    static const uint8_t  nobody[16];

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->has_user ? ctx->user_id : nobody);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r, sql, &args, handler, NULL);
}


static void
ngx_http_taskforge_webhook_secret_got(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_buf_t  out;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_webhook_secret_none(r);
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    ngx_http_taskforge_webhook_time(&out, "created_at", res, 0, 0);
    ngx_http_taskforge_webhook_time(&out, "previous_expires_at", res, 0, 1);
    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_webhook_secret_rotated(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_buf_t  out;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK
        || ngx_http_taskforge_no_store(r) != NGX_OK)
    {
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    tf_json_kstr(&out, "secret", PQgetvalue(res, 0, 2),
                 PQgetlength(res, 0, 2));
    ngx_http_taskforge_webhook_time(&out, "created_at", res, 0, 0);
    ngx_http_taskforge_webhook_time(&out, "previous_expires_at", res, 0, 1);
    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_CREATED, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_webhook_secret_deleted(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (*PQgetvalue(res, 0, 0) == 0) {
        ngx_http_taskforge_webhook_secret_none(r);
        return;
    }

    ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
}


static void
ngx_http_taskforge_webhook_secret_none(ngx_http_request_t *r)
{
    ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                               "you have no webhook secret: POST makes one");
}


void
ngx_http_taskforge_webhooks_list(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_deliveries,
                                         args.values, args.lengths,
                                         ngx_http_taskforge_webhooks_listed,
                                         NULL);
}


static void
ngx_http_taskforge_webhooks_listed(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int       i, n, column;
    char      id[TF_UUID_TEXT_LEN];
    tf_buf_t  out;

    static const char  *texts[] = { "status", "webhook_id", "type", "url" };
    static const char  *times[] = {
        "created_at", "next_attempt_at", "finished_at"
    };

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    n = PQntuples(res);

    if (n == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such job");
        return;
    }

    if (PQgetisnull(res, 0, 0)) {
        n = 0;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_adds(&out, "{\"items\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        tf_uuid_format((uint8_t *) PQgetvalue(res, i, 0), id);

        tf_buf_addc(&out, '{');
        tf_json_kstr(&out, "id", id, sizeof(id));

        for (column = 1; column < 5; column++) {
            tf_json_kstr(&out, texts[column - 1], PQgetvalue(res, i, column),
                         PQgetlength(res, i, column));
        }

        for (column = 5; column < 8; column++) {
            ngx_http_taskforge_webhook_time(&out, times[column - 5], res, i,
                                            column);
        }

        tf_json_kraw(&out, "attempts", PQgetvalue(res, i, 8),
                     PQgetlength(res, i, 8));
        tf_buf_addc(&out, '}');
    }

    tf_buf_adds(&out, "]}");

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


void
ngx_http_taskforge_webhooks_replay(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_uuid(&args, ctx->second_id);
    ngx_http_taskforge_sql_writer(&args);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r, &ngx_http_taskforge_sql_replay,
                                        &args,
                                        ngx_http_taskforge_webhooks_replayed,
                                        NULL);
}


static void
ngx_http_taskforge_webhooks_replayed(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    char                       id[TF_UUID_TEXT_LEN];
    tf_buf_t                   out;
    ngx_http_taskforge_ctx_t  *ctx;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "missing")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "the job has no such delivery");
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "waiting")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "the delivery is still under way");
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);
    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    tf_uuid_format((uint8_t *) PQgetvalue(res, 0, 1), id);
    tf_json_kstr(&out, "id", id, sizeof(id));
    tf_uuid_format(ctx->second_id, id);
    tf_json_kstr(&out, "replay_of", id, sizeof(id));
    tf_uuid_format(ctx->id, id);
    tf_json_kstr(&out, "job_id", id, sizeof(id));
    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_ACCEPTED, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_webhook_time(tf_buf_t *out, const char *name,
    PGresult *res, int row, int column)
{
    tf_json_ktime(out, name,
                  PQgetisnull(res, row, column)
                      ? TF_TIME_NONE
                      : tf_pg_get_time(PQgetvalue(res, row, column)));
}
