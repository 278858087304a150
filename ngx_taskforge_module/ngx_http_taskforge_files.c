
/*
 * One slice of a file is in memory at a time: the next one is asked for when
 * the client has taken the last.  ETag, If-None-Match and Range are nginx's
 * filters; those parts of the file that the range filter would throw away
 * are not read, where that is easily seen.
 */

#include "ngx_http_taskforge_files.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_sql.h"

#include "job_file.h"


/* divides TF_FILE_CHUNK */
#define NGX_HTTP_TASKFORGE_FILE_SLICE  65536


/* A download.  It lives in the request's pool. */

typedef struct {
    ngx_http_request_t           *request;
    ngx_http_taskforge_pg_op_t   *op;        /* NULL: no slice is asked for */
    u_char                       *slice;
    ngx_buf_t                     buf;       /* of it, on its way out */
    uint8_t                       id[8];     /* as PostgreSQL sends it */
    off_t                         size;
    off_t                         pos;       /* of the next slice */
} ngx_http_taskforge_file_t;


static void ngx_http_taskforge_files_list_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_files_get_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_file_headers(ngx_http_request_t *r,
    PGresult *res);
static ngx_str_t ngx_http_taskforge_file_type(const char *type, size_t len);
static off_t ngx_http_taskforge_file_start(ngx_http_request_t *r, off_t size);
static void ngx_http_taskforge_file_next(ngx_http_taskforge_file_t *f);
static void ngx_http_taskforge_file_slice(void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_file_take(ngx_http_taskforge_file_t *f,
    PGresult *res);
static void ngx_http_taskforge_file_sent(ngx_http_taskforge_file_t *f,
    ngx_int_t rc);
static void ngx_http_taskforge_file_write(ngx_http_request_t *r);
static void ngx_http_taskforge_file_cleanup(void *data);


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


/*
 * $1 job, $2 file, $3 chunk int4, then a part of it: $4 from, counted from
 * 1, int4, $5 length int4.  As the chunks are not compressed, only that part
 * is read.
 */

static const tf_sql_t  ngx_http_taskforge_sql_slice = {
    "tfr_file_slice",
    "SELECT substr(data, $4::int4, $5::int4) FROM job_file_chunks "
    "WHERE job_id = $1 AND file = $2 AND seq = $3",
    5
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
    off_t                       start;
    ngx_int_t                   rc;
    ngx_pool_cleanup_t         *cln;
    ngx_http_taskforge_ctx_t   *ctx;
    ngx_http_taskforge_file_t  *f;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such file");
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);
    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_file_t));

    if (cln == NULL || ngx_http_taskforge_file_headers(r, res) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    f = cln->data;
    ngx_memzero(f, sizeof(ngx_http_taskforge_file_t));

    cln->handler = ngx_http_taskforge_file_cleanup;

    f->request = r;
    f->size = (off_t) tf_pg_get_int8(PQgetvalue(res, 0, 1));
    ngx_memcpy(f->id, PQgetvalue(res, 0, 0), sizeof(f->id));
    ctx->data = f;

    start = ngx_http_taskforge_file_start(r, f->size);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = f->size;
    r->headers_out.content_offset = start;
    r->allow_ranges = 1;
    r->single_range = 1;

    if (f->size == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    ctx->replied = 1;

    if (r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT) {
        f->pos = start;
    }

    f->slice = ngx_pnalloc(r->pool, NGX_HTTP_TASKFORGE_FILE_SLICE);

    if (f->slice == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_test_reading;

    ngx_http_taskforge_file_next(f);
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


/*
 * Where a range may begin, if the request asks for one that is valid: what
 * the range filter need not be shown.  It decides whether it is.
 */

static off_t
ngx_http_taskforge_file_start(ngx_http_request_t *r, off_t size)
{
    off_t       n;
    u_char     *p, *end, *digits;
    ngx_str_t  *value;

    if (r->headers_in.range == NULL) {
        return 0;
    }

    value = &r->headers_in.range->value;
    p = value->data + sizeof("bytes=") - 1;
    end = value->data + value->len;

    if (value->len <= sizeof("bytes=") - 1) {
        return 0;
    }

    if (*p == '-') {
        n = ngx_atoof(p + 1, end - p - 1);
        return (n == NGX_ERROR || n > size) ? 0 : size - n;
    }

    digits = p;

    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }

    n = ngx_atoof(digits, p - digits);

    return (n == NGX_ERROR || n >= size) ? 0 : n;
}


/* Asks for the next slice. */

static void
ngx_http_taskforge_file_next(ngx_http_taskforge_file_t *f)
{
    int                              lengths[5];
    off_t                            from, n;
    uint8_t                          wire[3][4];
    const char                      *values[5];
    ngx_http_request_t              *r;
    ngx_http_taskforge_ctx_t        *ctx;
    ngx_http_taskforge_main_conf_t  *mcf;

    r = f->request;

    ctx = ngx_http_taskforge_get_ctx(r);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    from = f->pos % TF_FILE_CHUNK;
    n = ngx_min(TF_FILE_CHUNK - from, NGX_HTTP_TASKFORGE_FILE_SLICE);
    n = ngx_min(n, f->size - f->pos);

    tf_pg_put_int4(wire[0], (int32_t) (f->pos / TF_FILE_CHUNK));
    tf_pg_put_int4(wire[1], (int32_t) from + 1);
    tf_pg_put_int4(wire[2], (int32_t) n);

    values[0] = (const char *) ctx->id;
    lengths[0] = sizeof(ctx->id);
    values[1] = (const char *) f->id;
    lengths[1] = sizeof(f->id);
    values[2] = (const char *) wire[0];
    lengths[2] = 4;
    values[3] = (const char *) wire[1];
    lengths[3] = 4;
    values[4] = (const char *) wire[2];
    lengths[4] = 4;

    /* what the slice must have, see ngx_http_taskforge_file_take() */

    f->buf.pos = f->slice;
    f->buf.last = f->slice + n;

    r->write_event_handler = ngx_http_request_empty_handler;

    f->op = ngx_http_taskforge_pg_query(mcf->pg, NGX_HTTP_TASKFORGE_PG_READ,
                                        &ngx_http_taskforge_sql_slice, values,
                                        lengths,
                                        ngx_http_taskforge_file_slice, f);

    if (f->op == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "taskforge: the database is not available, a file ends "
                      "early");
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_http_taskforge_file_slice(void *data, PGresult *res)
{
    ngx_chain_t                 out;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_taskforge_file_t  *f;

    f = data;
    r = f->request;
    c = r->connection;

    f->op = NULL;

    ngx_http_set_log_request(c->log, r);

    if (ngx_http_taskforge_file_take(f, res) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);

    } else {
        out.buf = &f->buf;
        out.next = NULL;

        ngx_http_taskforge_file_sent(f, ngx_http_output_filter(r, &out));
    }

    ngx_http_run_posted_requests(c);
}


/*
 * The slice goes into the buffer.  Its connection is lost, or the file was
 * replaced or deleted meanwhile: the answer ends early, and the client sees
 * that from its length.
 */

static ngx_int_t
ngx_http_taskforge_file_take(ngx_http_taskforge_file_t *f, PGresult *res)
{
    size_t      n;
    ngx_log_t  *log;

    log = f->request->connection->log;
    n = f->buf.last - f->buf.pos;

    if (ngx_http_taskforge_pg_verdict(log, res) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "taskforge: a file ends early at %O of %O bytes",
                      f->pos, f->size);
        return NGX_ERROR;
    }

    if (PQntuples(res) != 1 || (size_t) PQgetlength(res, 0, 0) != n) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "taskforge: a file has gone while it was sent");
        return NGX_ERROR;
    }

    ngx_memcpy(f->slice, PQgetvalue(res, 0, 0), n);

    f->pos += n;

    ngx_memzero(&f->buf, sizeof(ngx_buf_t));

    f->buf.pos = f->slice;
    f->buf.last = f->slice + n;
    f->buf.memory = 1;
    f->buf.last_buf = (f->pos == f->size);
    f->buf.last_in_chain = f->buf.last_buf;
    f->buf.flush = !f->buf.last_buf;

    return NGX_OK;
}


/*
 * The client has taken the slice, or some of it.  The range filter may have
 * made it the last one.
 */

static void
ngx_http_taskforge_file_sent(ngx_http_taskforge_file_t *f, ngx_int_t rc)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = f->request;
    wev = r->connection->write;

    if (rc == NGX_ERROR || f->buf.last_buf) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (f->buf.pos == f->buf.last) {
        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        ngx_http_taskforge_file_next(f);
        return;
    }

    r->write_event_handler = ngx_http_taskforge_file_write;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_http_taskforge_file_write(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_taskforge_ctx_t  *ctx;

    c = r->connection;
    wev = c->write;
    ctx = ngx_http_taskforge_get_ctx(r);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ngx_http_taskforge_file_sent(ctx->data, wev->delayed ? NGX_AGAIN
                                            : ngx_http_output_filter(r, NULL));
}


static void
ngx_http_taskforge_file_cleanup(void *data)
{
    ngx_http_taskforge_file_t  *f = data;

    if (f->op) {
        ngx_http_taskforge_pg_forget(f->op);
    }
}
