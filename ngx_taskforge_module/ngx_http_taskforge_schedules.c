
/*
 * Schedules as they are read: the list, one of them, what became of its
 * ticks, and when an expression would fire.
 */

#include "ngx_http_taskforge_schedules.h"
#include "ngx_http_taskforge_page.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_schedules_sql.h"
#include "submission.h"


static void ngx_http_taskforge_schedule_reply_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_schedules_ticks_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_schedules_tick_write(ngx_http_request_t *r,
    tf_buf_t *out, PGresult *res, int row);
static void ngx_http_taskforge_schedule_write(ngx_http_request_t *r,
    tf_buf_t *out, PGresult *res, int row);
static void ngx_http_taskforge_schedule_write_runs(ngx_http_request_t *r,
    tf_buf_t *out, PGresult *res, int row);
static void ngx_http_taskforge_schedule_write_next(tf_buf_t *out,
    const tf_cron_t *cron, const tf_zone_t *zone, int64_t after,
    ngx_uint_t n);
static void ngx_http_taskforge_schedule_kuuid(tf_buf_t *out, const char *key,
    PGresult *res, int row, int column);


const ngx_str_t  ngx_http_taskforge_schedules_args[] = {
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_null_string
};


static const tf_sql_t  ngx_http_taskforge_sql_schedule_get = {
    "tf_schedule_get", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_GET, 1
};

static const tf_sql_t  ngx_http_taskforge_sql_schedule_list = {
    "tf_schedule_list", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_LIST, 2
};

static const tf_sql_t  ngx_http_taskforge_sql_schedule_ticks = {
    "tf_schedule_ticks", NGX_HTTP_TASKFORGE_SQL_SCHEDULE_TICKS, 3
};


void
ngx_http_taskforge_schedules_get(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_schedule_reply(r, ctx->id, NGX_HTTP_OK);
}


/* On a connection that writes: it sees what was changed a moment ago. */

void
ngx_http_taskforge_schedule_reply(ngx_http_request_t *r, const uint8_t id[16],
    ngx_uint_t status)
{
    ngx_http_taskforge_sql_args_t  args;

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, id);

    (void) ngx_http_taskforge_accounts_query(r,
                                       &ngx_http_taskforge_sql_schedule_get,
                                       &args,
                                       ngx_http_taskforge_schedule_reply_done,
                                       (void *) (uintptr_t) status);
}


static void
ngx_http_taskforge_schedule_reply_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    tf_buf_t  out;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_schedule_missing(r);
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    ngx_http_taskforge_schedule_write(r, &out, res, 0);
    ngx_http_taskforge_reply_json(r, (ngx_uint_t) (uintptr_t) data, &out);
    tf_buf_free(&out);
}


void
ngx_http_taskforge_schedule_missing(ngx_http_request_t *r)
{
    ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                               "there is no such schedule");
}


void
ngx_http_taskforge_schedules_list(ngx_http_request_t *r)
{
    ngx_http_taskforge_page_list(r, &ngx_http_taskforge_sql_schedule_list,
                                 ngx_http_taskforge_schedule_write);
}


/* A cursor of this list is a timestamptz as PostgreSQL sends it. */

void
ngx_http_taskforge_schedules_ticks(ngx_http_request_t *r)
{
    uint8_t                        cursor[8];
    ngx_int_t                      limit;
    ngx_uint_t                     found;
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    if (ngx_http_taskforge_page(r, &limit, cursor, sizeof(cursor), &found,
                                NULL)
        != NGX_OK)
    {
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_bytes(&args, found ? cursor : NULL,
                                 sizeof(cursor));
    ngx_http_taskforge_sql_int4(&args, (int32_t) limit);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                     &ngx_http_taskforge_sql_schedule_ticks,
                                     args.values, args.lengths,
                                     ngx_http_taskforge_schedules_ticks_done,
                                     (void *) limit);
}


static void
ngx_http_taskforge_schedules_ticks_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int        n;
    ngx_int_t  limit = (ngx_int_t) data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    n = PQntuples(res);

    if (n == 0) {
        ngx_http_taskforge_schedule_missing(r);
        return;
    }

    /* one row without a tick: there is none yet */

    if (PQgetisnull(res, 0, 0)) {
        n = 0;
    }

    ngx_http_taskforge_page_reply(r, res, n, limit, 0,
                                  ngx_http_taskforge_schedules_tick_write);
}


static void
ngx_http_taskforge_schedules_tick_write(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row)
{
    tf_buf_addc(out, '{');
    tf_json_ktime(out, "tick", tf_pg_get_time(PQgetvalue(res, row, 0)));
    tf_json_ktime(out, "fired_at", tf_pg_get_time(PQgetvalue(res, row, 1)));
    tf_json_kstr(out, "outcome", PQgetvalue(res, row, 2),
                 PQgetlength(res, row, 2));
    ngx_http_taskforge_schedule_kuuid(out, "job_id", res, row, 3);
    tf_json_kstr(out, "detail",
                 PQgetisnull(res, row, 4) ? NULL : PQgetvalue(res, row, 4),
                 PQgetlength(res, row, 4));
    tf_buf_addc(out, '}');
}


void
ngx_http_taskforge_schedules_preview(ngx_http_request_t *r)
{
    int64_t           after;
    tf_buf_t          errors, out;
    ngx_str_t         text, name, time;
    tf_cron_t         cron;
    const tf_zone_t  *zone;

    ngx_http_taskforge_field_t  fields[] = {
        { "cron", JSON_STRING, 1, NULL },
        { "time_zone", JSON_STRING, 0, NULL },
        { "after", JSON_STRING, 0, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    errors = (tf_buf_t) TF_BUF_INIT;
    zone = NULL;

    if (ngx_http_taskforge_fields(r, fields, &errors, 0) != NGX_OK) {
        return;
    }

    text = ngx_http_taskforge_field_str(&fields[0]);
    name = ngx_http_taskforge_field_str(&fields[1]);
    time = ngx_http_taskforge_field_str(&fields[2]);

    if (name.data == NULL) {
        ngx_str_set(&name, "UTC");
    }

    if (text.data) {
        (void) ngx_http_taskforge_schedule_cron(r, &text, &name, &cron, &zone,
                                                &errors);
    }

    after = ngx_http_taskforge_now_us();

    if (time.data
        && !tf_time_parse((char *) time.data, time.len, &after))
    {
        ngx_http_taskforge_field_error(&errors, "after", "must be a time like "
                             "2026-11-22T13:00:00Z (RFC 3339, with a zone)");
    }

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    tf_json_kstr(&out, "cron", (char *) text.data, text.len);
    tf_json_kstr(&out, "time_zone", (char *) name.data, name.len);
    tf_json_key(&out, "next_runs");
    tf_buf_addc(&out, '[');
    ngx_http_taskforge_schedule_write_next(&out, &cron, zone,
                           after / 1000000 - (after % 1000000 < 0),
                           NGX_HTTP_TASKFORGE_SCHEDULE_RUNS);
    tf_buf_adds(&out, "]}");

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


ngx_int_t
ngx_http_taskforge_schedule_cron(ngx_http_request_t *r, const ngx_str_t *text,
    const ngx_str_t *time_zone, tf_cron_t *cron, const tf_zone_t **zone,
    tf_buf_t *errors)
{
    char                             error[256];
    ngx_int_t                        rc;
    ngx_http_taskforge_main_conf_t  *mcf;

    rc = NGX_OK;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    if (!tf_cron_parse(cron, (char *) text->data, text->len, error,
                       sizeof(error)))
    {
        ngx_http_taskforge_field_error(errors, "cron", error);
        rc = NGX_DECLINED;
    }

    *zone = tf_zones_find(mcf->zones, (char *) time_zone->data,
                          time_zone->len);

    if (*zone == NULL) {
        ngx_http_taskforge_field_error(errors, "time_zone", "there is no such "
                                       "time zone; they have names like UTC "
                                       "or Europe/Berlin");
        rc = NGX_DECLINED;
    }

    return rc;
}


static void
ngx_http_taskforge_schedule_write(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row)
{
    int  i, column;

    static const struct {
        const char  *key;
        char         kind;    /* uuid, text, int, json, bool, time, 9: runs */
        int          column;
    } members[] = {
        { "id", 'u', NGX_HTTP_TASKFORGE_SCHEDULE_ID },
        { "name", 's', NGX_HTTP_TASKFORGE_SCHEDULE_NAME },
        { "description", 's', NGX_HTTP_TASKFORGE_SCHEDULE_DESCRIPTION },
        { "cron", 's', NGX_HTTP_TASKFORGE_SCHEDULE_CRON },
        { "time_zone", 's', NGX_HTTP_TASKFORGE_SCHEDULE_TIME_ZONE },
        { "jitter_seconds", 'i', NGX_HTTP_TASKFORGE_SCHEDULE_JITTER },
        { "overlap", 's', NGX_HTTP_TASKFORGE_SCHEDULE_OVERLAP },
        { "catch_up_seconds", 'i', NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP },
        { "job", 'j', NGX_HTTP_TASKFORGE_SCHEDULE_JOB },
        { "paused", 'b', NGX_HTTP_TASKFORGE_SCHEDULE_PAUSED },
        { "pause_note", 's', NGX_HTTP_TASKFORGE_SCHEDULE_PAUSE_NOTE },
        { "builtin", 'b', NGX_HTTP_TASKFORGE_SCHEDULE_BUILTIN },
        { "next_run_at", 't', NGX_HTTP_TASKFORGE_SCHEDULE_NEXT },
        { "last_tick", 't', NGX_HTTP_TASKFORGE_SCHEDULE_LAST },
        { "last_outcome", 's', NGX_HTTP_TASKFORGE_SCHEDULE_LAST_OUTCOME },
        { "last_job_id", 'u', NGX_HTTP_TASKFORGE_SCHEDULE_LAST_JOB },
        { "created_by", 'u', NGX_HTTP_TASKFORGE_SCHEDULE_CREATED_BY },
        { "created_at", 't', NGX_HTTP_TASKFORGE_SCHEDULE_CREATED_AT },
        { "updated_at", 't', NGX_HTTP_TASKFORGE_SCHEDULE_UPDATED_AT },
    };

    tf_buf_addc(out, '{');

    for (i = 0; i < (int) (sizeof(members) / sizeof(members[0])); i++) {
        column = members[i].column;

        if (members[i].kind == 'u') {
            ngx_http_taskforge_schedule_kuuid(out, members[i].key, res, row,
                                              column);

        } else if (PQgetisnull(res, row, column)) {
            tf_json_kraw(out, members[i].key, NULL, 0);

        } else if (members[i].kind == 's') {
            tf_json_kstr(out, members[i].key, PQgetvalue(res, row, column),
                         PQgetlength(res, row, column));

        } else if (members[i].kind == 'j') {
            tf_json_kraw(out, members[i].key, PQgetvalue(res, row, column),
                         PQgetlength(res, row, column));

        } else if (members[i].kind == 'i') {
            tf_json_kint(out, members[i].key,
                         tf_pg_get_int4(PQgetvalue(res, row, column)));

        } else if (members[i].kind == 'b') {
            tf_json_kbool(out, members[i].key,
                          *PQgetvalue(res, row, column) != 0);

        } else {
            tf_json_ktime(out, members[i].key,
                          tf_pg_get_time(PQgetvalue(res, row, column)));
        }
    }

    ngx_http_taskforge_schedule_write_runs(r, out, res, row);

    tf_buf_addc(out, '}');
}


/* The next tick is in the row, what follows is computed. */

static void
ngx_http_taskforge_schedule_write_runs(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row)
{
    char                             error[256];
    int64_t                          next;
    tf_cron_t                        cron;
    const tf_zone_t                 *zone;
    ngx_http_taskforge_main_conf_t  *mcf;

    tf_json_key(out, "next_runs");
    tf_buf_addc(out, '[');

    if (!PQgetisnull(res, row, NGX_HTTP_TASKFORGE_SCHEDULE_NEXT)) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

        next = tf_pg_get_time(PQgetvalue(res, row,
                                         NGX_HTTP_TASKFORGE_SCHEDULE_NEXT));

        tf_json_time(out, next);

        zone = tf_zones_find(mcf->zones,
                  PQgetvalue(res, row, NGX_HTTP_TASKFORGE_SCHEDULE_TIME_ZONE),
                  PQgetlength(res, row,
                              NGX_HTTP_TASKFORGE_SCHEDULE_TIME_ZONE));

        if (zone
            && *PQgetvalue(res, row, NGX_HTTP_TASKFORGE_SCHEDULE_BUILTIN) == 0
            && tf_cron_parse(&cron,
                       PQgetvalue(res, row, NGX_HTTP_TASKFORGE_SCHEDULE_CRON),
                       PQgetlength(res, row,
                                   NGX_HTTP_TASKFORGE_SCHEDULE_CRON),
                       error, sizeof(error)))
        {
            ngx_http_taskforge_schedule_write_next(out, &cron, zone,
                                     next / 1000000 - (next % 1000000 < 0),
                                     NGX_HTTP_TASKFORGE_SCHEDULE_RUNS - 1);
        }
    }

    tf_buf_addc(out, ']');
}


/* Elements of an array that may have some already. */

static void
ngx_http_taskforge_schedule_write_next(tf_buf_t *out, const tf_cron_t *cron,
    const tf_zone_t *zone, int64_t after, ngx_uint_t n)
{
    while (n-- && tf_cron_next(cron, zone, after, &after)) {

        if (out->len && out->data[out->len - 1] != '[') {
            tf_buf_addc(out, ',');
        }

        tf_json_time(out, after * 1000000);
    }
}


static void
ngx_http_taskforge_schedule_kuuid(tf_buf_t *out, const char *key,
    PGresult *res, int row, int column)
{
    char  text[TF_UUID_TEXT_LEN];

    if (PQgetisnull(res, row, column)) {
        tf_json_kraw(out, key, NULL, 0);
        return;
    }

    tf_uuid_format((uint8_t *) PQgetvalue(res, row, column), text);
    tf_json_kstr(out, key, text, sizeof(text));
}
