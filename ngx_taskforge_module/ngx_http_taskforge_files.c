
#include "ngx_http_taskforge_files.h"
#include "ngx_http_taskforge_file_send.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_sql.h"

#include "job_file.h"


static void ngx_http_taskforge_files_list_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_files_get_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_file_headers(ngx_http_request_t *r,
    PGresult *res);
static ngx_str_t ngx_http_taskforge_file_type(const char *type, size_t len);


/* One row of NULLs only: the job has none; no row: no such job. */

static const tf_sql_t  ngx_http_taskforge_sql_files = {
    "tfr_files",
    "SELECT f.name, f.content_type, f.size, encode(f.sha256, 'hex'), "
        "f.created_at "
    "FROM jobs j LEFT JOIN job_files f ON f.job_id = j.id "
    "WHERE j.id = $1 ORDER BY f.name",
    1
};


static const tf_sql_t  ngx_http_taskforge_sql_file = {
    "tfr_file",
    "SELECT id, size, encode(sha256, 'hex'), content_type FROM job_files "
    "WHERE job_id = $1 AND name = $2",
    2
};


/* What a browser is told; anything else is application/octet-stream. */

static const ngx_str_t  ngx_http_taskforge_file_types[] = {
    ngx_string("application/json"),
    ngx_string("application/pdf"),
    ngx_string("application/vnd.openxmlformats-officedocument"
               ".spreadsheetml.sheet"),
    ngx_string("application/x-ndjson"),
    ngx_string("application/zip"),
    ngx_string("image/avif"),
    ngx_string("image/gif"),
    ngx_string("image/jpeg"),
    ngx_string("image/png"),
    ngx_string("image/svg+xml"),
    ngx_string("image/tiff"),
    ngx_string("image/webp"),
    ngx_string("text/csv"),
    ngx_string("text/html"),
    ngx_string("text/markdown"),
    ngx_string("text/plain"),
    ngx_string("text/tab-separated-values"),
    ngx_null_string
};


void
ngx_http_taskforge_files_list(ngx_http_request_t *r)
{
    int                        length;
    const char                *value;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    value = (const char *) ctx->id;
    length = sizeof(ctx->id);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_files, &value,
                                         &length,
                                         ngx_http_taskforge_files_list_done,
                                         NULL);
}


static void
ngx_http_taskforge_files_list_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int                             i, n;
    char                            id[TF_UUID_TEXT_LEN];
    tf_buf_t                        out = TF_BUF_INIT;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_loc_conf_t  *lcf;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    n = PQntuples(res);

    if (n == 0) {
        ngx_http_taskforge_jobs_not_found(r);
        return;
    }

    if (PQgetisnull(res, 0, 0)) {
        n = 0;
    }

    ctx = ngx_http_taskforge_get_ctx(r);
    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);

    tf_uuid_format(ctx->id, id);
    tf_buf_adds(&out, "{\"items\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        tf_buf_addc(&out, '{');
        tf_json_kstr(&out, "name", PQgetvalue(res, i, 0),
                     PQgetlength(res, i, 0));
        tf_json_kstr(&out, "content_type", PQgetvalue(res, i, 1),
                     PQgetlength(res, i, 1));
        tf_json_kint(&out, "size", tf_pg_get_int8(PQgetvalue(res, i, 2)));
        tf_json_kstr(&out, "sha256", PQgetvalue(res, i, 3),
                     PQgetlength(res, i, 3));
        tf_json_ktime(&out, "created_at",
                      tf_pg_get_time(PQgetvalue(res, i, 4)));
        tf_json_key(&out, "url");
        tf_buf_addf(&out, "\"%.*s/jobs/%.*s/files/%s\"}", (int) lcf->base.len,
                    lcf->base.data, (int) sizeof(id), id,
                    PQgetvalue(res, i, 0));
    }

    tf_buf_adds(&out, "]}");

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


void
ngx_http_taskforge_files_get(ngx_http_request_t *r)
{
    int                        lengths[2];
    const char                *values[2];
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    values[0] = (const char *) ctx->id;
    lengths[0] = sizeof(ctx->id);
    values[1] = (const char *) ctx->name.data;
    lengths[1] = (int) ctx->name.len;

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ,
                                         &ngx_http_taskforge_sql_file, values,
                                         lengths,
                                         ngx_http_taskforge_files_get_done,
                                         NULL);
}


static void
ngx_http_taskforge_files_get_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    uint8_t  id[8];

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such file");
        return;
    }

    if (ngx_http_taskforge_file_headers(r, res) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_memcpy(id, PQgetvalue(res, 0, 0), sizeof(id));

    ngx_http_taskforge_file_send(r, id,
                                 (off_t) tf_pg_get_int8(PQgetvalue(res, 0, 1)));
}


/*
 * Whatever a file is, it is not for this origin to show: it is saved.  That
 * browsers do not guess its type either is in conf/nginx.conf.
 */

static ngx_int_t
ngx_http_taskforge_file_headers(ngx_http_request_t *r, PGresult *res)
{
    u_char                    *p, *value;
    size_t                     len;
    ngx_str_t                  type;
    ngx_table_elt_t           *etag;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    len = sizeof("attachment; filename=\"\"") - 1 + ctx->name.len;
    value = ngx_pnalloc(r->pool, len);
    if (value == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(value, "attachment; filename=\"%V\"", &ctx->name);

    if (ngx_http_taskforge_header_add(r, "Content-Disposition", value, len)
        != NGX_OK
        || ngx_http_taskforge_header_add(r, "Cache-Control",
                                         (u_char *) "private, no-cache",
                                         sizeof("private, no-cache") - 1)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = PQgetlength(res, 0, 2);
    value = ngx_pnalloc(r->pool, len + 2);
    etag = ngx_list_push(&r->headers_out.headers);
    if (value == NULL || etag == NULL) {
        return NGX_ERROR;
    }

    p = value;
    *p++ = '"';
    p = ngx_cpymem(p, PQgetvalue(res, 0, 2), len);
    *p++ = '"';

    etag->hash = 1;
    ngx_str_set(&etag->key, "ETag");
    etag->value.data = value;
    etag->value.len = p - value;
    etag->lowcase_key = NULL;
#if (nginx_version >= 1023000)
    etag->next = NULL;
#endif

    r->headers_out.etag = etag;

    type = ngx_http_taskforge_file_type(PQgetvalue(res, 0, 3),
                                        PQgetlength(res, 0, 3));

    r->headers_out.content_type.data = ngx_pstrdup(r->pool, &type);
    if (r->headers_out.content_type.data == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.content_type.len = type.len;
    r->headers_out.content_type_len = type.len;
    r->headers_out.content_type_lowcase = NULL;

    return NGX_OK;
}


static ngx_str_t
ngx_http_taskforge_file_type(const char *type, size_t len)
{
    ngx_str_t         value = ngx_string("application/octet-stream");
    const ngx_str_t  *known;

    for (known = ngx_http_taskforge_file_types; known->len; known++) {

        if (len >= known->len
            && ngx_strncasecmp((u_char *) type, known->data, known->len) == 0
            && (len == known->len || type[known->len] == ';'))
        {
            value.data = (u_char *) type;
            value.len = len;
            break;
        }
    }

    return value;
}
