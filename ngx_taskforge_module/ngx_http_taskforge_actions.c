
#include "ngx_http_taskforge_actions.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_change.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_publish.h"
#include "ngx_http_taskforge_reply.h"
#include "bulk.h"


/* a dry run counts no further */
#define NGX_HTTP_TASKFORGE_ACTIONS_COUNTED  100000
#define NGX_HTTP_TASKFORGE_ACTIONS_SAMPLE   10


typedef struct {
    tf_bulk_t        bulk;
    tf_job_where_t   where;
    char            *payload;     /* malloc */
} ngx_http_taskforge_actions_t;


static void ngx_http_taskforge_actions_cleanup(void *data);
static void ngx_http_taskforge_actions_count(ngx_http_request_t *r,
    ngx_http_taskforge_actions_t *a);
static void ngx_http_taskforge_actions_counted(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_actions_submit(ngx_http_request_t *r,
    ngx_http_taskforge_actions_t *a);
static void ngx_http_taskforge_actions_submitted(ngx_http_request_t *r,
    void *data, PGresult *res);


void
ngx_http_taskforge_actions(ngx_http_request_t *r)
{
    json_t                        *body;
    tf_buf_t                       errors;
    ngx_pool_cleanup_t            *cln;
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_actions_t  *a;

    body = ngx_http_taskforge_body_json(r, NULL);
    if (body == NULL) {
        return;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_actions_t));
    if (cln == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    a = cln->data;
    ngx_memzero(a, sizeof(ngx_http_taskforge_actions_t));

    errors = (tf_buf_t) TF_BUF_INIT;

    tf_bulk_parse(&a->bulk, body, ctx->has_user ? ctx->user_id : NULL,
                  &errors);

    cln->handler = ngx_http_taskforge_actions_cleanup;

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    if (a->bulk.dry_run) {
        ngx_http_taskforge_actions_count(r, a);
        return;
    }

    a->payload = json_dumps(body, JSON_COMPACT);

    if (a->payload == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    ngx_http_taskforge_actions_submit(r, a);
}


static void
ngx_http_taskforge_actions_cleanup(void *data)
{
    ngx_http_taskforge_actions_t  *a = data;

    tf_bulk_free(&a->bulk);
    tf_job_where_free(&a->where);
    free(a->payload);
}


/* How many, and the first of them. */

static void
ngx_http_taskforge_actions_count(ngx_http_request_t *r,
    ngx_http_taskforge_actions_t *a)
{
    tf_buf_t     text;
    tf_sql_t     sql;
    const char  *where;

    text = (tf_buf_t) TF_BUF_INIT;

    tf_job_where(&a->where, &a->bulk.filter);
    where = tf_buf_cstr(&a->where.jobs);

    tf_buf_addf(&text, "SELECT id, (SELECT count(*) FROM (SELECT FROM jobs "
                "WHERE true%s LIMIT %d) x)::int8 FROM jobs WHERE true%s "
                "ORDER BY id LIMIT %d",
                where, NGX_HTTP_TASKFORGE_ACTIONS_COUNTED + 1, where,
                NGX_HTTP_TASKFORGE_ACTIONS_SAMPLE);

    if (a->where.failed || text.failed) {
        tf_buf_free(&text);
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    sql.name = NULL;
    sql.text = tf_buf_cstr(&text);
    sql.nparams = a->where.n;

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ, &sql,
                                         a->where.values, a->where.lengths,
                                         ngx_http_taskforge_actions_counted,
                                         a);
    tf_buf_free(&text);
}


static void
ngx_http_taskforge_actions_counted(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int                            i, n;
    char                           id[TF_UUID_TEXT_LEN];
    int64_t                        count;
    tf_buf_t                       out;
    ngx_http_taskforge_actions_t  *a = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;
    n = PQntuples(res);
    count = n ? tf_pg_get_int8(PQgetvalue(res, 0, 1)) : 0;

    tf_buf_addc(&out, '{');
    tf_json_kcstr(&out, "action", tf_bulk_name(a->bulk.action));
    tf_json_kbool(&out, "dry_run", true);
    tf_json_kint(&out, "count",
                 ngx_min(count, NGX_HTTP_TASKFORGE_ACTIONS_COUNTED));
    tf_json_kbool(&out, "more", count > NGX_HTTP_TASKFORGE_ACTIONS_COUNTED);

    tf_json_key(&out, "sample");
    tf_buf_addc(&out, '[');

    for (i = 0; i < n; i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        tf_uuid_format((uint8_t *) PQgetvalue(res, i, 0), id);
        tf_json_str(&out, id, sizeof(id));
    }

    tf_buf_adds(&out, "]}");

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_actions_submit(ngx_http_request_t *r,
    ngx_http_taskforge_actions_t *a)
{
    uint8_t                        id[16];
    const char                    *action;
    ngx_http_taskforge_sql_args_t  args;

    if (!tf_uuid7(id)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "jobs cannot be taken at the moment");
        return;
    }

    action = tf_bulk_audit(a->bulk.action, false);

    args.nargs = 0;
    ngx_http_taskforge_sql_writer(&args);
    ngx_http_taskforge_sql_uuid(&args, id);
    ngx_http_taskforge_sql_actor(&args, r);
    ngx_http_taskforge_sql_bytes(&args, a->payload, ngx_strlen(a->payload));
    ngx_http_taskforge_sql_bytes(&args, action, ngx_strlen(action));

    (void) ngx_http_taskforge_accounts_query(r, &tf_sql_submit_bulk, &args,
                                         ngx_http_taskforge_actions_submitted,
                                         a);
}


static void
ngx_http_taskforge_actions_submitted(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_job_t                     job;
    ngx_http_taskforge_pg_row_t  row = { res, 0 };

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (!tf_job_from_row(&job, &row, ngx_http_taskforge_pg_column, 0, true)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the job is accepted, but cannot be read");
        return;
    }

    ngx_http_taskforge_publish_job(r, &job);

    if (ngx_http_taskforge_jobs_location(r, job.id) != NGX_OK) {
        return;
    }

    ngx_http_taskforge_change_reply(r, NGX_HTTP_ACCEPTED, &job);
}
