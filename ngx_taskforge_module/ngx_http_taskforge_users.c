
#include "ngx_http_taskforge_users.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_accounts_sql.h"
#include "ngx_http_taskforge_page.h"
#include "ngx_http_taskforge_reply.h"


static void ngx_http_taskforge_user_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_users_change_done(ngx_http_request_t *r,
    void *data, PGresult *res);


static const tf_sql_t  ngx_http_taskforge_sql_user_get = {
    "tf_user_get", NGX_HTTP_TASKFORGE_SQL_USER_GET, 1
};

static const tf_sql_t  ngx_http_taskforge_sql_user_list = {
    "tf_user_list", NGX_HTTP_TASKFORGE_SQL_USER_LIST, 2
};

static const tf_sql_t  ngx_http_taskforge_sql_user_change = {
    "tf_user_change", NGX_HTTP_TASKFORGE_SQL_USER_CHANGE, 6
};


const ngx_str_t  ngx_http_taskforge_users_args[] = {
    ngx_string("limit"),
    ngx_string("cursor"),
    ngx_null_string
};


void
ngx_http_taskforge_me(ngx_http_request_t *r)
{
    ngx_http_taskforge_identity_t  *identity;

    identity = ngx_http_taskforge_caller(r);

    if (identity) {
        ngx_http_taskforge_user_reply(r, identity->user_id, NGX_HTTP_OK);
    }
}


void
ngx_http_taskforge_user_reply(ngx_http_request_t *r, const uint8_t id[16],
    ngx_uint_t status)
{
    ngx_http_taskforge_sql_args_t  args;

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, id);

    (void) ngx_http_taskforge_accounts_query(r,
                                             &ngx_http_taskforge_sql_user_get,
                                             &args,
                                             ngx_http_taskforge_user_done,
                                             (void *) (uintptr_t) status);
}


static void
ngx_http_taskforge_user_done(ngx_http_request_t *r, void *data, PGresult *res)
{
    tf_buf_t  out;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such user");
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    ngx_http_taskforge_user_write(r, &out, res, 0);
    ngx_http_taskforge_reply_json(r, (ngx_uint_t) (uintptr_t) data, &out);
    tf_buf_free(&out);
}


void
ngx_http_taskforge_users_list(ngx_http_request_t *r)
{
    ngx_http_taskforge_page_list(r, &ngx_http_taskforge_sql_user_list,
                                 ngx_http_taskforge_user_write);
}


void
ngx_http_taskforge_users_change(ngx_http_request_t *r)
{
    tf_buf_t                       errors;
    ngx_str_t                      role;
    ngx_http_taskforge_ctx_t      *ctx;
    ngx_http_taskforge_sql_args_t  args;

    ngx_http_taskforge_field_t  fields[] = {
        { "role", JSON_STRING, 0, NULL },
        { "active", JSON_TRUE, 0, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    errors = (tf_buf_t) TF_BUF_INIT;

    if (ngx_http_taskforge_fields(r, fields, &errors, 0) != NGX_OK) {
        return;
    }

    role = ngx_http_taskforge_field_str(&fields[0]);

    if (role.data
        && ngx_http_taskforge_role((char *) role.data, role.len)
           == NGX_HTTP_TASKFORGE_ROLE_NONE)
    {
        ngx_http_taskforge_field_error(&errors, "role",
                                       "must be viewer, operator or admin");
    }

    if (errors.len == 0 && role.data == NULL && fields[1].value == NULL) {
        ngx_http_taskforge_error_add(&errors, "pointer", "#", 1,
                                     "must have \"role\" or \"active\"");
    }

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->id);
    ngx_http_taskforge_sql_str(&args, &role);

    if (fields[1].value) {
        ngx_http_taskforge_sql_bool(&args, json_is_true(fields[1].value));
    } else {
        ngx_http_taskforge_sql_bytes(&args, NULL, 0);
    }

    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                         &ngx_http_taskforge_sql_user_change,
                                         &args,
                                         ngx_http_taskforge_users_change_done,
                                         NULL);
}


static void
ngx_http_taskforge_users_change_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_ctx_t  *ctx;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "last_admin")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "this is the last active admin: make "
                                   "another one first");
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_identity_forget(r, ctx->id);
    ngx_http_taskforge_user_reply(r, ctx->id, NGX_HTTP_OK);
}
