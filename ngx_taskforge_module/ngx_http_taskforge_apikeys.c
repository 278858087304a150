
#include "ngx_http_taskforge_apikeys.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_accounts_sql.h"
#include "ngx_http_taskforge_reply.h"
#include "submission.h"

#include <openssl/rand.h>


#define NGX_HTTP_TASKFORGE_KEY_NAME_MAX    64     /* bytes */
#define NGX_HTTP_TASKFORGE_KEY_PREFIX_LEN  8      /* "tfk_" and 4 more */
#define NGX_HTTP_TASKFORGE_KEY_DAYS_MAX    3660


/* A key on its way into the table; the text is shown once. */

typedef struct {
    uint8_t                       id[16];
    ngx_str_t                     name;
    ngx_uint_t                    scopes;
    u_char                        key[NGX_HTTP_TASKFORGE_KEY_LEN];
} ngx_http_taskforge_key_t;


static ngx_int_t ngx_http_taskforge_key_make(ngx_http_taskforge_key_t *k);
static ngx_uint_t ngx_http_taskforge_key_scopes(json_t *value,
    tf_buf_t *errors);
static void ngx_http_taskforge_key_insert(ngx_http_request_t *r,
    ngx_http_taskforge_key_t *k, int64_t seconds, ngx_uint_t replace);
static void ngx_http_taskforge_key_inserted(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_key_drop(ngx_http_request_t *r,
    const uint8_t *id, const char *name);
static void ngx_http_taskforge_key_dropped(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_key_forget(ngx_http_request_t *r);
static void ngx_http_taskforge_keys_list_done(ngx_http_request_t *r,
    void *data, PGresult *res);


static const struct {
    ngx_uint_t   scope;
    const char  *name;
} ngx_http_taskforge_scopes[] = {
    { NGX_HTTP_TASKFORGE_SCOPE_READ, "read" },
    { NGX_HTTP_TASKFORGE_SCOPE_SUBMIT, "submit" },
    { NGX_HTTP_TASKFORGE_SCOPE_MANAGE, "manage" },
    { 0, NULL }
};


static const tf_sql_t  ngx_http_taskforge_sql_key_list = {
    "tf_key_list", NGX_HTTP_TASKFORGE_SQL_KEY_LIST, 1
};

static const tf_sql_t  ngx_http_taskforge_sql_key_create = {
    "tf_key_create", NGX_HTTP_TASKFORGE_SQL_KEY_CREATE, 10
};

static const tf_sql_t  ngx_http_taskforge_sql_key_revoke = {
    "tf_key_revoke", NGX_HTTP_TASKFORGE_SQL_KEY_REVOKE, 5
};


void
ngx_http_taskforge_key_replace(ngx_http_request_t *r)
{
    ngx_http_taskforge_key_t  *k;

    k = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_key_t));
    if (k == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_str_set(&k->name, "default");
    k->scopes = NGX_HTTP_TASKFORGE_SCOPE_ALL;

    ngx_http_taskforge_key_insert(r, k, 0, 1);
}


void
ngx_http_taskforge_keys_create(ngx_http_request_t *r)
{
    int64_t                    days;
    tf_buf_t                   errors;
    ngx_http_taskforge_key_t  *k;

    ngx_http_taskforge_field_t  fields[] = {
        { "name", JSON_STRING, 1, NULL },
        { "scopes", JSON_ARRAY, 0, NULL },
        { "expires_in_days", JSON_INTEGER, 0, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    k = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_key_t));
    if (k == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    errors = (tf_buf_t) TF_BUF_INIT;

    if (ngx_http_taskforge_fields(r, fields, &errors, 0) != NGX_OK) {
        return;
    }

    k->name = ngx_http_taskforge_field_str(&fields[0]);

    if (k->name.data
        && (k->name.len == 0 || k->name.len > NGX_HTTP_TASKFORGE_KEY_NAME_MAX))
    {
        ngx_http_taskforge_field_error(&errors, "name",
                                       "must have 1 to 64 bytes");
    }

    k->scopes = ngx_http_taskforge_key_scopes(fields[1].value, &errors);

    days = fields[2].value ? json_integer_value(fields[2].value) : 0;

    if (fields[2].value
        && (days < 1 || days > NGX_HTTP_TASKFORGE_KEY_DAYS_MAX))
    {
        ngx_http_taskforge_field_error(&errors, "expires_in_days",
                                       "must be from 1 to 3660");
    }

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    ngx_http_taskforge_key_insert(r, k, days * 86400, 0);
}


/* Not given: all of them. */

static ngx_uint_t
ngx_http_taskforge_key_scopes(json_t *value, tf_buf_t *errors)
{
    size_t       index;
    json_t      *item;
    ngx_uint_t   i, scopes;

    if (value == NULL) {
        return NGX_HTTP_TASKFORGE_SCOPE_ALL;
    }

    scopes = 0;

    json_array_foreach(value, index, item) {

        for (i = 0; ngx_http_taskforge_scopes[i].name; i++) {
            if (json_is_string(item)
                && ngx_strcmp(json_string_value(item),
                              ngx_http_taskforge_scopes[i].name)
                   == 0)
            {
                break;
            }
        }

        if (ngx_http_taskforge_scopes[i].name == NULL) {
            scopes = 0;
            break;
        }

        scopes |= ngx_http_taskforge_scopes[i].scope;
    }

    if (scopes == 0) {
        ngx_http_taskforge_field_error(errors, "scopes",
                                       "must be some of read, submit, manage");
    }

    return scopes;
}


/* "tfk_", 38 random characters of base62, 6 of the checksum. */

static ngx_int_t
ngx_http_taskforge_key_make(ngx_http_taskforge_key_t *k)
{
    u_char      byte;
    ngx_uint_t  n;

    static const u_char  base62[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    if (!tf_uuid7(k->id)) {
        return NGX_ERROR;
    }

    n = ngx_cpymem(k->key, "tfk_", 4) - k->key;

    while (n < NGX_HTTP_TASKFORGE_KEY_LEN - 6) {

        if (RAND_bytes(&byte, 1) != 1) {
            return NGX_ERROR;
        }

        /* 248 = 4 * 62: all characters are as likely */

        if (byte < 248) {
            k->key[n++] = base62[byte % 62];
        }
    }

    ngx_http_taskforge_key_checksum(k->key, k->key + n);

    return NGX_OK;
}


/* seconds: 0, or when it expires from now. */

static void
ngx_http_taskforge_key_insert(ngx_http_request_t *r,
    ngx_http_taskforge_key_t *k, int64_t seconds, ngx_uint_t replace)
{
    uint8_t                         hash[32];
    ngx_http_taskforge_identity_t  *identity;
    ngx_http_taskforge_sql_args_t   args;

    identity = ngx_http_taskforge_caller(r);
    if (identity == NULL) {
        return;
    }

    if (ngx_http_taskforge_key_make(k) != NGX_OK) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "there are no random numbers");
        return;
    }

    ngx_http_taskforge_credential_hash(k->key, sizeof(k->key), hash);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, k->id);
    ngx_http_taskforge_sql_uuid(&args, identity->user_id);
    ngx_http_taskforge_sql_str(&args, &k->name);
    ngx_http_taskforge_sql_bytes(&args, k->key,
                                 NGX_HTTP_TASKFORGE_KEY_PREFIX_LEN);
    ngx_http_taskforge_sql_bytes(&args, hash, sizeof(hash));
    ngx_http_taskforge_sql_int4(&args, (int32_t) k->scopes);

    if (seconds) {
        ngx_http_taskforge_sql_int8(&args, seconds);
    } else {
        ngx_http_taskforge_sql_bytes(&args, NULL, 0);
    }

    ngx_http_taskforge_sql_bool(&args, replace);
    ngx_http_taskforge_sql_actor_name(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                          &ngx_http_taskforge_sql_key_create,
                                          &args,
                                          ngx_http_taskforge_key_inserted, k);
}


static void
ngx_http_taskforge_key_inserted(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    char                       id[TF_UUID_TEXT_LEN];
    tf_buf_t                   out;
    ngx_uint_t                 i;
    ngx_http_taskforge_key_t  *k = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (!ngx_http_taskforge_is(res, 0, "created")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT, "%s",
                                   ngx_http_taskforge_is(res, 0, "name")
                                   ? "there is a key of that name"
                                   : "there are 20 keys already: revoke one");
        return;
    }

    /* it may have taken the place of another one */

    ngx_http_taskforge_key_forget(r);

    if (ngx_http_taskforge_no_store(r) != NGX_OK) {
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;
    tf_uuid_format(k->id, id);

    tf_buf_addc(&out, '{');
    tf_json_kstr(&out, "id", id, sizeof(id));
    tf_json_kstr(&out, "name", (char *) k->name.data, k->name.len);
    tf_json_kstr(&out, "api_key", (char *) k->key, sizeof(k->key));
    tf_json_kstr(&out, "prefix", (char *) k->key,
                 NGX_HTTP_TASKFORGE_KEY_PREFIX_LEN);
    tf_json_key(&out, "scopes");
    tf_buf_addc(&out, '[');

    for (i = 0; ngx_http_taskforge_scopes[i].name; i++) {
        if (k->scopes & ngx_http_taskforge_scopes[i].scope) {
            if (out.data[out.len - 1] != '[') {
                tf_buf_addc(&out, ',');
            }

            tf_json_str(&out, ngx_http_taskforge_scopes[i].name,
                        ngx_strlen(ngx_http_taskforge_scopes[i].name));
        }
    }

    tf_buf_addc(&out, ']');
    tf_json_ktime(&out, "created_at", tf_pg_get_time(PQgetvalue(res, 0, 2)));
    tf_json_ktime(&out, "expires_at",
                  PQgetisnull(res, 0, 1)
                      ? TF_TIME_NONE : tf_pg_get_time(PQgetvalue(res, 0, 1)));
    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_CREATED, &out);
    tf_buf_free(&out);
}


void
ngx_http_taskforge_keys_revoke(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_key_drop(r, ctx->id, NULL);
}


void
ngx_http_taskforge_key_revoke(ngx_http_request_t *r)
{
    ngx_http_taskforge_key_drop(r, NULL, "default");
}


static void
ngx_http_taskforge_key_drop(ngx_http_request_t *r, const uint8_t *id,
    const char *name)
{
    ngx_http_taskforge_identity_t  *identity;
    ngx_http_taskforge_sql_args_t   args;

    identity = ngx_http_taskforge_caller(r);
    if (identity == NULL) {
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, identity->user_id);
    ngx_http_taskforge_sql_uuid(&args, id);
    ngx_http_taskforge_sql_bytes(&args, name, name ? ngx_strlen(name) : 0);
    ngx_http_taskforge_sql_actor_name(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                          &ngx_http_taskforge_sql_key_revoke,
                                          &args,
                                          ngx_http_taskforge_key_dropped,
                                          NULL);
}


static void
ngx_http_taskforge_key_dropped(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (*PQgetvalue(res, 0, 0) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "you have no such API key");
        return;
    }

    ngx_http_taskforge_key_forget(r);

    ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
}


static void
ngx_http_taskforge_key_forget(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_identity_forget(r, ctx->identity->user_id);
}


void
ngx_http_taskforge_keys_list(ngx_http_request_t *r)
{
    ngx_http_taskforge_identity_t  *identity;
    ngx_http_taskforge_sql_args_t   args;

    identity = ngx_http_taskforge_caller(r);
    if (identity == NULL) {
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, identity->user_id);

    (void) ngx_http_taskforge_accounts_query(r,
                                            &ngx_http_taskforge_sql_key_list,
                                            &args,
                                            ngx_http_taskforge_keys_list_done,
                                            NULL);
}


static void
ngx_http_taskforge_keys_list_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int       i, n, column;
    char      id[TF_UUID_TEXT_LEN];
    tf_buf_t  out;

    static const char  *times[] = {
        "created_at", "expires_at", "last_used_at"
    };

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;
    n = PQntuples(res);

    tf_buf_adds(&out, "{\"items\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            tf_buf_addc(&out, ',');
        }

        tf_uuid_format((uint8_t *) PQgetvalue(res, i, 0), id);

        tf_buf_addc(&out, '{');
        tf_json_kstr(&out, "id", id, sizeof(id));
        tf_json_kstr(&out, "name", PQgetvalue(res, i, 1),
                     PQgetlength(res, i, 1));
        tf_json_kstr(&out, "prefix", PQgetvalue(res, i, 2),
                     PQgetlength(res, i, 2));
        tf_json_kraw(&out, "scopes", PQgetvalue(res, i, 3),
                     PQgetlength(res, i, 3));

        for (column = 4; column < 7; column++) {
            tf_json_ktime(&out, times[column - 4],
                          PQgetisnull(res, i, column)
                              ? TF_TIME_NONE
                              : tf_pg_get_time(PQgetvalue(res, i, column)));
        }

        tf_buf_addc(&out, '}');
    }

    tf_buf_adds(&out, "]}");

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}
