
#include "ngx_http_taskforge_page.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_accounts.h"


#define NGX_HTTP_TASKFORGE_PAGE_DEFAULT  50
#define NGX_HTTP_TASKFORGE_PAGE_MAX      500


typedef struct {
    ngx_int_t                         limit;
    ngx_http_taskforge_page_write_pt  write;
} ngx_http_taskforge_page_list_t;


static void ngx_http_taskforge_page_end(tf_buf_t *out, const char *id,
    size_t len, ngx_uint_t text);
static void ngx_http_taskforge_page_list_done(ngx_http_request_t *r,
    void *data, PGresult *res);


ngx_int_t
ngx_http_taskforge_page(ngx_http_request_t *r, ngx_int_t *limit,
    uint8_t *cursor, size_t id_len, ngx_uint_t *found, tf_buf_t *errors)
{
    u_char                     raw[64];
    tf_buf_t                   own;
    ngx_str_t                 *arg, decoded;
    ngx_http_taskforge_ctx_t  *ctx;

    own = (tf_buf_t) TF_BUF_INIT;
    *found = 0;

    if (errors == NULL) {
        errors = &own;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    *limit = ngx_http_taskforge_arg_int(ctx, "limit", 1,
                                        NGX_HTTP_TASKFORGE_PAGE_MAX,
                                        NGX_HTTP_TASKFORGE_PAGE_DEFAULT,
                                        errors);

    arg = ngx_http_taskforge_arg(ctx, "cursor");

    if (arg) {
        decoded.data = raw;
        decoded.len = 0;

        if (arg->len > 24 || ngx_decode_base64url(&decoded, arg) != NGX_OK
            || decoded.len != id_len)
        {
            ngx_http_taskforge_error_add(errors, "parameter", "cursor", 6,
                                         "is not a next_cursor of this list");
        } else {
            ngx_memcpy(cursor, raw, id_len);
            *found = 1;
        }
    }

    return ngx_http_taskforge_args_check(r, errors);
}


void
ngx_http_taskforge_page_reply(ngx_http_request_t *r, PGresult *res, int n,
    ngx_int_t limit, ngx_uint_t text, ngx_http_taskforge_page_write_pt write)
{
    int       i;
    tf_buf_t  out;

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_adds(&out, "{\"items\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        write(r, &out, res, i);
    }

    tf_buf_addc(&out, ']');

    if (n == limit) {
        ngx_http_taskforge_page_end(&out, PQgetvalue(res, n - 1, 0),
                                    PQgetlength(res, n - 1, 0), text);

    } else {
        tf_json_kraw(&out, "next_cursor", NULL, 0);
    }

    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


static void
ngx_http_taskforge_page_end(tf_buf_t *out, const char *id, size_t len,
    ngx_uint_t text)
{
    u_char     encoded[ngx_base64_encoded_length(NGX_HTTP_TASKFORGE_PAGE_ID)];
    ngx_str_t  from, to;

    if (text) {
        tf_json_kstr(out, "next_cursor", id, len);
        return;
    }

    from.data = (u_char *) id;
    from.len = ngx_min(len, NGX_HTTP_TASKFORGE_PAGE_ID);
    to.data = encoded;

    ngx_encode_base64url(&to, &from);
    tf_json_kstr(out, "next_cursor", (char *) to.data, to.len);
}


void
ngx_http_taskforge_page_list(ngx_http_request_t *r, const tf_sql_t *sql,
    ngx_http_taskforge_page_write_pt write)
{
    uint8_t                          cursor[16];
    ngx_uint_t                       found;
    ngx_http_taskforge_sql_args_t    args;
    ngx_http_taskforge_page_list_t  *list;

    list = ngx_palloc(r->pool, sizeof(ngx_http_taskforge_page_list_t));
    if (list == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    list->write = write;

    if (ngx_http_taskforge_page(r, &list->limit, cursor, sizeof(cursor),
                                &found, NULL)
        != NGX_OK)
    {
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, found ? cursor : NULL);
    ngx_http_taskforge_sql_int4(&args, (int32_t) list->limit);

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_READ, sql,
                                         args.values, args.lengths,
                                         ngx_http_taskforge_page_list_done,
                                         list);
}


static void
ngx_http_taskforge_page_list_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_page_list_t  *list = data;

    if (ngx_http_taskforge_pg_check(r, res) == NGX_OK) {
        ngx_http_taskforge_page_reply(r, res, PQntuples(res), list->limit, 0,
                                      list->write);
    }
}
