
/*
 * One slice of a file is in memory at a time: the next one is asked for when
 * the client has taken the last.  ETag, If-None-Match and Range are nginx's
 * filters; those parts of the file that the range filter would throw away
 * are not read, where that is easily seen.
 */

#include "ngx_http_taskforge_file_send.h"
#include "ngx_http_taskforge_pg.h"
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


static off_t ngx_http_taskforge_file_start(ngx_http_request_t *r, off_t size);
static void ngx_http_taskforge_file_next(ngx_http_taskforge_file_t *f);
static void ngx_http_taskforge_file_slice(void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_file_take(ngx_http_taskforge_file_t *f,
    PGresult *res);
static void ngx_http_taskforge_file_sent(ngx_http_taskforge_file_t *f,
    ngx_int_t rc);
static void ngx_http_taskforge_file_write(ngx_http_request_t *r);
static void ngx_http_taskforge_file_cleanup(void *data);


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


void
ngx_http_taskforge_file_send(ngx_http_request_t *r, const uint8_t id[8],
    off_t size)
{
    off_t                       start;
    ngx_int_t                   rc;
    ngx_pool_cleanup_t         *cln;
    ngx_http_taskforge_ctx_t   *ctx;
    ngx_http_taskforge_file_t  *f;

    ctx = ngx_http_taskforge_get_ctx(r);
    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_file_t));

    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    f = cln->data;
    ngx_memzero(f, sizeof(ngx_http_taskforge_file_t));

    cln->handler = ngx_http_taskforge_file_cleanup;

    f->request = r;
    f->size = size;
    ngx_memcpy(f->id, id, sizeof(f->id));
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
