
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_accounts_sql.h"
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_reply.h"
#include "json_error.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>


static ngx_int_t ngx_http_taskforge_fields_cleanup(ngx_http_request_t *r,
    ngx_pool_cleanup_pt handler, void *data);
static void ngx_http_taskforge_wipe_strings(void *data);
static void ngx_http_taskforge_wipe_body(void *data);
static ngx_uint_t ngx_http_taskforge_field_type(json_type wanted,
    json_t *value);


void
ngx_http_taskforge_sql_bytes(ngx_http_taskforge_sql_args_t *args,
    const void *data, size_t len)
{
    args->values[args->nargs] = data;
    args->lengths[args->nargs] = (int) len;
    args->nargs++;
}


void
ngx_http_taskforge_sql_str(ngx_http_taskforge_sql_args_t *args,
    const ngx_str_t *text)
{
    ngx_http_taskforge_sql_bytes(args, text->data, text->len);
}


void
ngx_http_taskforge_sql_uuid(ngx_http_taskforge_sql_args_t *args,
    const uint8_t id[16])
{
    ngx_http_taskforge_sql_bytes(args, id, 16);
}


void
ngx_http_taskforge_sql_int4(ngx_http_taskforge_sql_args_t *args, int32_t n)
{
    uint8_t  *wire;

    wire = args->wire[args->nargs];

    tf_pg_put_int4(wire, n);
    ngx_http_taskforge_sql_bytes(args, wire, 4);
}


void
ngx_http_taskforge_sql_int8(ngx_http_taskforge_sql_args_t *args, int64_t n)
{
    uint8_t  *wire;

    wire = args->wire[args->nargs];

    tf_pg_put_int8(wire, n);
    ngx_http_taskforge_sql_bytes(args, wire, 8);
}


void
ngx_http_taskforge_sql_bool(ngx_http_taskforge_sql_args_t *args,
    ngx_uint_t flag)
{
    uint8_t  *wire;

    wire = args->wire[args->nargs];

    wire[0] = flag ? 1 : 0;
    ngx_http_taskforge_sql_bytes(args, wire, 1);
}


void
ngx_http_taskforge_sql_writer(ngx_http_taskforge_sql_args_t *args)
{
    uint8_t  *wire;

    wire = args->wire[args->nargs];

    tf_pg_put_int2(wire, TF_WRITER_NGINX(ngx_worker));
    ngx_http_taskforge_sql_bytes(args, wire, 2);
}


void
ngx_http_taskforge_sql_actor(ngx_http_taskforge_sql_args_t *args,
    ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_sql_uuid(args,
                                ctx->identity ? ctx->identity->user_id : NULL);
    ngx_http_taskforge_sql_actor_name(args, r);
}


void
ngx_http_taskforge_sql_actor_name(ngx_http_taskforge_sql_args_t *args,
    ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    if (ctx->identity) {
        ngx_http_taskforge_sql_bytes(args, ctx->identity->name,
                                     ctx->identity->name_len);
    } else {
        ngx_http_taskforge_sql_bytes(args, "-", 1);
    }

    ngx_http_taskforge_sql_str(args, &r->connection->addr_text);
}


ngx_int_t
ngx_http_taskforge_accounts_query(ngx_http_request_t *r, const tf_sql_t *sql,
    ngx_http_taskforge_sql_args_t *args,
    ngx_http_taskforge_pg_request_pt handler, void *data)
{
    return ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_WRITE, sql,
                                         args->values, args->lengths, handler,
                                         data);
}


void
ngx_http_taskforge_accounts_query_id(ngx_http_request_t *r,
    const tf_sql_t *sql, ngx_http_taskforge_pg_request_pt handler)
{
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_sql_args_t   args;

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r, sql, &args, handler, NULL);
}


ngx_http_taskforge_identity_t *
ngx_http_taskforge_caller(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    if (ctx->identity == NULL) {
        ngx_http_taskforge_unauthorized(r, "this needs somebody who is logged "
                                        "in");
    }

    return ctx->identity;
}


void
ngx_http_taskforge_unauthorized(ngx_http_request_t *r, const char *detail)
{
    static ngx_str_t  value = ngx_string("Bearer realm=\"taskforge\"");

    if (ngx_http_taskforge_header_add(r, "WWW-Authenticate", value.data,
                                      value.len)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_taskforge_problem(r, NGX_HTTP_UNAUTHORIZED, "%s", detail);
}


void
ngx_http_taskforge_retry_after(ngx_http_request_t *r, ngx_uint_t status,
    ngx_uint_t seconds, const char *detail)
{
    u_char  *value;

    value = ngx_pnalloc(r->pool, NGX_INT_T_LEN);

    if (value == NULL
        || ngx_http_taskforge_header_add(r, "Retry-After", value,
                                         ngx_sprintf(value, "%ui", seconds)
                                         - value)
           != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_taskforge_problem(r, status, "%s", detail);
}


ngx_int_t
ngx_http_taskforge_no_store(ngx_http_request_t *r)
{
    static ngx_str_t  value = ngx_string("no-store");

    if (ngx_http_taskforge_header_add(r, "Cache-Control", value.data,
                                      value.len)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_taskforge_fields(ngx_http_request_t *r,
    ngx_http_taskforge_field_t *fields, tf_buf_t *errors, ngx_uint_t wipe)
{
    json_t                      *body, *value;
    const char                  *key;
    ngx_http_taskforge_field_t  *f;

    /*
     * Cleanups run in reverse: the strings of the JSON, the JSON itself, the
     * buffers of the body.
     */

    if (wipe
        && ngx_http_taskforge_fields_cleanup(r,
                                             ngx_http_taskforge_wipe_body, r)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    body = ngx_http_taskforge_body_json(r, NULL);
    if (body == NULL) {
        return NGX_ERROR;
    }

    if (wipe
        && ngx_http_taskforge_fields_cleanup(r,
                                             ngx_http_taskforge_wipe_strings,
                                             body)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!json_is_object(body)) {
        ngx_http_taskforge_error_add(errors, "pointer", "#", 1,
                                     "must be an object");
        return ngx_http_taskforge_fields_done(r, errors);
    }

    json_object_foreach(body, key, value) {

        for (f = fields; f->name; f++) {
            if (ngx_strcmp(f->name, key) == 0) {
                break;
            }
        }

        if (f->name == NULL) {
            ngx_http_taskforge_field_error(errors, key, "is not known");

        } else if (json_is_null(value) && !f->required) {
            continue;

        } else if (!ngx_http_taskforge_field_type(f->type, value)) {
            ngx_http_taskforge_field_error(errors, key,
                              f->type == JSON_STRING ? "must be a string"
                              : f->type == JSON_TRUE ? "must be true or false"
                              : f->type == JSON_INTEGER ? "must be an integer"
                              : "must be an array");
            f->required = 0;

        } else {
            f->value = value;
        }
    }

    for (f = fields; f->name; f++) {
        if (f->required && f->value == NULL) {
            ngx_http_taskforge_field_error(errors, f->name, "is required");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_fields_cleanup(ngx_http_request_t *r,
    ngx_pool_cleanup_pt handler, void *data)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    cln->handler = handler;
    cln->data = data;

    return NGX_OK;
}


static void
ngx_http_taskforge_wipe_strings(void *data)
{
    json_t      *value;
    const char  *key;

    if (!json_is_object((json_t *) data)) {
        return;
    }

    json_object_foreach((json_t *) data, key, value) {
        if (json_is_string(value)) {
            OPENSSL_cleanse((void *) json_string_value(value),
                            json_string_length(value));
        }
    }
}


static void
ngx_http_taskforge_wipe_body(void *data)
{
    ngx_chain_t         *cl;
    ngx_http_request_t  *r = data;

    if (r->request_body == NULL) {
        return;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        if (!cl->buf->in_file && cl->buf->start) {
            OPENSSL_cleanse(cl->buf->pos, cl->buf->last - cl->buf->pos);
        }
    }
}


static ngx_uint_t
ngx_http_taskforge_field_type(json_type wanted, json_t *value)
{
    if (wanted == JSON_TRUE) {
        return json_is_boolean(value);
    }

    return json_typeof(value) == wanted;
}


ngx_str_t
ngx_http_taskforge_field_str(const ngx_http_taskforge_field_t *field)
{
    ngx_str_t  text;

    ngx_str_null(&text);

    if (field->value) {
        text.data = (u_char *) json_string_value(field->value);
        text.len = json_string_length(field->value);
    }

    return text;
}


void
ngx_http_taskforge_field_error(tf_buf_t *errors, const char *name,
    const char *why)
{
    char  pointer[TF_JSON_POINTER_SIZE];

    if (why) {
        tf_json_error(errors, tf_json_pointer(pointer, "#", name), "%s", why);
    }
}


ngx_int_t
ngx_http_taskforge_fields_done(ngx_http_request_t *r, tf_buf_t *errors)
{
    if (errors->len == 0 && !errors->failed) {
        return NGX_OK;
    }

    ngx_http_taskforge_problem_errors(r, NGX_HTTP_TASKFORGE_INVALID, errors,
                                      "the request is not valid");
    tf_buf_free(errors);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_taskforge_secret(const char *prefix,
    u_char secret[NGX_HTTP_TASKFORGE_SECRET_LEN])
{
    u_char     random[32];
    ngx_str_t  from, to;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    ngx_memcpy(secret, prefix, 4);

    from.data = random;
    from.len = sizeof(random);
    to.data = secret + 4;

    ngx_encode_base64url(&to, &from);
    OPENSSL_cleanse(random, sizeof(random));

    return NGX_OK;
}


ngx_uint_t
ngx_http_taskforge_is(PGresult *res, int column, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return PQntuples(res) > 0
           && (size_t) PQgetlength(res, 0, column) == len
           && ngx_memcmp(PQgetvalue(res, 0, column), text, len) == 0;
}


void
ngx_http_taskforge_user_write(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row)
{
    char  id[TF_UUID_TEXT_LEN];
    int   i;

    static const char  *times[] = {
        "created_at", "updated_at", "last_login_at"
    };

    tf_uuid_format((uint8_t *) PQgetvalue(res, row, 0), id);

    tf_buf_addc(out, '{');
    tf_json_kstr(out, "id", id, sizeof(id));
    tf_json_kstr(out, "username", PQgetvalue(res, row, 1),
                 PQgetlength(res, row, 1));
    tf_json_kstr(out, "email", PQgetvalue(res, row, 2),
                 PQgetlength(res, row, 2));
    tf_json_kstr(out, "role", PQgetvalue(res, row, 3),
                 PQgetlength(res, row, 3));
    tf_json_kbool(out, "active", *PQgetvalue(res, row, 4) != 0);

    for (i = 0; i < 3; i++) {
        tf_json_ktime(out, times[i],
                      PQgetisnull(res, row, 5 + i)
                          ? TF_TIME_NONE
                          : tf_pg_get_time(PQgetvalue(res, row, 5 + i)));
    }

    tf_buf_addc(out, '}');
}
