
#include "ngx_http_taskforge_job_types.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_sql.h"


static void ngx_http_taskforge_job_types_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_job_types_write(tf_buf_t *out, PGresult *res,
    int row);


/*
 * Without TaskForge's own types.  Columns: type, description, payload_schema
 * text, max_retries int4, timeout_seconds int4, retry_base_ms int4,
 * retry_max_ms int4, retry_jitter bool, updated_at timestamptz.
 */

static const tf_sql_t  ngx_http_taskforge_sql_job_types = {
    "tfr_job_types",
    "SELECT type, description, payload_schema::text, max_retries, "
        "timeout_seconds, retry_base_ms, retry_max_ms, retry_jitter, "
        "updated_at "
    "FROM job_types "
    "WHERE type NOT IN ('" TF_TYPE_BULK "', '" TF_TYPE_WEBHOOK "') "
    "ORDER BY type COLLATE \"C\" LIMIT 1000",
    0
};


void
ngx_http_taskforge_job_types(ngx_http_request_t *r)
{
    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_job_types,
                                         NULL, NULL,
                                         ngx_http_taskforge_job_types_done,
                                         NULL);
}


static void
ngx_http_taskforge_job_types_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int       i;
    tf_buf_t  out;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_adds(&out, "{\"items\":[");

    for (i = 0; i < PQntuples(res); i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        ngx_http_taskforge_job_types_write(&out, res, i);
    }

    tf_buf_adds(&out, "]}");

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_job_types_write(tf_buf_t *out, PGresult *res, int row)
{
    tf_buf_addc(out, '{');
    tf_json_kstr(out, "type", PQgetvalue(res, row, 0),
                 PQgetlength(res, row, 0));
    tf_json_kstr(out, "description", PQgetvalue(res, row, 1),
                 PQgetlength(res, row, 1));
    tf_json_kraw(out, "payload_schema", PQgetvalue(res, row, 2),
                 PQgetlength(res, row, 2));
    tf_json_kint(out, "max_retries", tf_pg_get_int4(PQgetvalue(res, row, 3)));
    tf_json_kint(out, "timeout_seconds",
                 tf_pg_get_int4(PQgetvalue(res, row, 4)));

    tf_json_key(out, "retry");
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "strategy", "exponential");
    tf_json_kdouble(out, "base_seconds",
                    tf_pg_get_int4(PQgetvalue(res, row, 5)) / 1000.0);
    tf_json_kdouble(out, "max_seconds",
                    tf_pg_get_int4(PQgetvalue(res, row, 6)) / 1000.0);
    tf_json_kbool(out, "jitter", *PQgetvalue(res, row, 7) != 0);
    tf_buf_addc(out, '}');

    tf_json_ktime(out, "updated_at", tf_pg_get_time(PQgetvalue(res, row, 8)));
    tf_buf_addc(out, '}');
}
