
#include "ngx_http_taskforge_audit.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_accounts_sql.h"
#include "ngx_http_taskforge_page.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"


static void ngx_http_taskforge_audit_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_audit_write(ngx_http_request_t *r,
    tf_buf_t *out, PGresult *res, int row);


/*
 * One statement for each pair of filters, so that each has its index:
 * audit_log_pkey, audit_log_object, audit_log_actor.
 */

static const tf_sql_t  ngx_http_taskforge_sql_audit[] = {

    { "tf_audit", NGX_HTTP_TASKFORGE_SQL_AUDIT
      NGX_HTTP_TASKFORGE_SQL_AUDIT_END "$2::int4", 2 },

    { "tf_audit_object", NGX_HTTP_TASKFORGE_SQL_AUDIT
      "AND object = $2" NGX_HTTP_TASKFORGE_SQL_AUDIT_END "$3::int4", 3 },

    { "tf_audit_actor", NGX_HTTP_TASKFORGE_SQL_AUDIT
      "AND actor = $2" NGX_HTTP_TASKFORGE_SQL_AUDIT_END "$3::int4", 3 },

    { "tf_audit_both", NGX_HTTP_TASKFORGE_SQL_AUDIT
      "AND object = $2 AND actor = $3" NGX_HTTP_TASKFORGE_SQL_AUDIT_END
      "$4::int4", 4 }
};


const ngx_str_t  ngx_http_taskforge_audit_args[] = {
    ngx_string("object"),
    ngx_string("actor"),
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_null_string
};


void
ngx_http_taskforge_audit_list(ngx_http_request_t *r)
{
    int64_t                        below;
    uint8_t                        cursor[8], actor_id[16];
    tf_buf_t                       errors;
    ngx_int_t                      limit;
    ngx_str_t                     *object, *actor;
    ngx_uint_t                     found;
    const tf_sql_t                *sql;
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ctx = ngx_http_taskforge_get_ctx(r);

    object = ngx_http_taskforge_arg(ctx, "object");
    actor = ngx_http_taskforge_arg(ctx, "actor");

    errors = (tf_buf_t) TF_BUF_INIT;

    if (object
        && (object->len > 200
            || !tf_utf8_valid((char *) object->data, object->len)))
    {
        ngx_http_taskforge_error_add(&errors, "parameter", "object", 6,
                                     "must be the id of something");
    }

    if (actor && !tf_uuid_parse((char *) actor->data, actor->len, actor_id)) {
        ngx_http_taskforge_error_add(&errors, "parameter", "actor", 5,
                                     "must be the id of a user");
    }

    if (ngx_http_taskforge_page(r, &limit, cursor, sizeof(cursor), &found,
                                &errors)
        != NGX_OK)
    {
        return;
    }

    below = found ? tf_pg_get_int8(cursor) : INT64_MAX;

    args.nargs = 0;
    ngx_http_taskforge_sql_int8(&args, below);

    if (object) {
        ngx_http_taskforge_sql_str(&args, object);
    }

    if (actor) {
        ngx_http_taskforge_sql_uuid(&args, actor_id);
    }

    ngx_http_taskforge_sql_int4(&args, (int32_t) limit);

    sql = &ngx_http_taskforge_sql_audit[(object ? 1 : 0) + (actor ? 2 : 0)];

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ, sql,
                                         args.values, args.lengths,
                                         ngx_http_taskforge_audit_done,
                                         (void *) limit);
}


static void
ngx_http_taskforge_audit_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_int_t  limit = (ngx_int_t) data;

    if (ngx_http_taskforge_pg_check(r, res) == NGX_OK) {
        ngx_http_taskforge_page_reply(r, res, PQntuples(res), limit, 0,
                                      ngx_http_taskforge_audit_write);
    }
}


static void
ngx_http_taskforge_audit_write(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row)
{
    int   i;
    char  id[TF_UUID_TEXT_LEN];

    static const char  *texts[] = {
        "actor_name", "address", "action", "object"
    };

    tf_buf_addc(out, '{');
    tf_json_kint(out, "id", tf_pg_get_int8(PQgetvalue(res, row, 0)));
    tf_json_ktime(out, "at", tf_pg_get_time(PQgetvalue(res, row, 1)));

    if (PQgetisnull(res, row, 2)) {
        tf_json_kstr(out, "actor", NULL, 0);

    } else {
        tf_uuid_format((uint8_t *) PQgetvalue(res, row, 2), id);
        tf_json_kstr(out, "actor", id, sizeof(id));
    }

    for (i = 0; i < 4; i++) {
        tf_json_kstr(out, texts[i],
                     PQgetisnull(res, row, 3 + i)
                         ? NULL : PQgetvalue(res, row, 3 + i),
                     PQgetlength(res, row, 3 + i));
    }

    tf_json_kraw(out, "detail",
                 PQgetisnull(res, row, 7) ? NULL : PQgetvalue(res, row, 7),
                 PQgetlength(res, row, 7));
    tf_json_kstr(out, "hash", PQgetvalue(res, row, 8),
                 PQgetlength(res, row, 8));
    tf_buf_addc(out, '}');
}
