
/*
 * POST /auth/register and POST /auth/password: what makes a new password.
 */

#include "ngx_http_taskforge_users.h"
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_accounts_sql.h"
#include "ngx_http_taskforge_login.h"
#include "ngx_http_taskforge_password.h"
#include "ngx_http_taskforge_reply.h"
#include "account_rules.h"


typedef struct {
    uint8_t                       id[16];
    ngx_str_t                     username;
    ngx_str_t                     email;
} ngx_http_taskforge_register_t;


typedef struct {
    ngx_str_t                     current;
    ngx_str_t                     fresh;
    ngx_str_t                     encoded;     /* what is checked against */
    ngx_http_taskforge_attempt_t  attempt;
} ngx_http_taskforge_change_t;


static void ngx_http_taskforge_register_hashed(ngx_http_request_t *r,
    void *data, ngx_http_taskforge_password_result_t *result);
static void ngx_http_taskforge_register_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static const char *ngx_http_taskforge_change_check(
    ngx_http_taskforge_change_t *ch, const ngx_str_t *name,
    const ngx_str_t *email);
static void ngx_http_taskforge_change_found(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_change_hashed(ngx_http_request_t *r,
    void *data, ngx_http_taskforge_password_result_t *result);
static void ngx_http_taskforge_change_done(ngx_http_request_t *r, void *data,
    PGresult *res);


static const tf_sql_t  ngx_http_taskforge_sql_user_create = {
    "tf_user_create", NGX_HTTP_TASKFORGE_SQL_USER_CREATE, 8
};

static const tf_sql_t  ngx_http_taskforge_sql_password = {
    "tf_password", NGX_HTTP_TASKFORGE_SQL_PASSWORD, 1
};

static const tf_sql_t  ngx_http_taskforge_sql_password_change = {
    "tf_password_change", NGX_HTTP_TASKFORGE_SQL_PASSWORD_CHANGE, 6
};


void
ngx_http_taskforge_register(ngx_http_request_t *r)
{
    tf_buf_t                             errors;
    ngx_str_t                            none, password;
    ngx_http_taskforge_register_t       *reg;
    ngx_http_taskforge_accounts_conf_t  *acf;

    ngx_http_taskforge_field_t  fields[] = {
        { "username", JSON_STRING, 1, NULL },
        { "email", JSON_STRING, 1, NULL },
        { "password", JSON_STRING, 1, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    acf = ngx_http_taskforge_accounts_conf(r);

    if (!acf->registration) {
        ngx_http_taskforge_problem(r, NGX_HTTP_FORBIDDEN,
                                   "registration is closed; an admin makes "
                                   "accounts");
        return;
    }

    reg = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_register_t));
    if (reg == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    errors = (tf_buf_t) TF_BUF_INIT;

    if (ngx_http_taskforge_fields(r, fields, &errors, 1) != NGX_OK) {
        return;
    }

    reg->username = ngx_http_taskforge_field_str(&fields[0]);
    reg->email = ngx_http_taskforge_field_str(&fields[1]);
    password = ngx_http_taskforge_field_str(&fields[2]);

    if (reg->username.data) {
        ngx_http_taskforge_field_error(&errors, "username",
                               tf_username_check((char *) reg->username.data,
                                                 reg->username.len));
    }

    if (reg->email.data) {
        ngx_http_taskforge_field_error(&errors, "email",
                               tf_email_check((char *) reg->email.data,
                                              reg->email.len));
    }

    if (password.data) {
        ngx_http_taskforge_field_error(&errors, "password",
                               tf_password_check((char *) password.data,
                                                 password.len,
                                                 (char *) reg->username.data,
                                                 reg->username.len,
                                                 (char *) reg->email.data,
                                                 reg->email.len));
    }

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    ngx_str_null(&none);

    (void) ngx_http_taskforge_password(r, &none, &none, &password,
                                       ngx_http_taskforge_register_hashed,
                                       reg);
}


static void
ngx_http_taskforge_register_hashed(ngx_http_request_t *r, void *data,
    ngx_http_taskforge_password_result_t *result)
{
    ngx_http_taskforge_sql_args_t        args;
    ngx_http_taskforge_register_t       *reg = data;
    ngx_http_taskforge_accounts_conf_t  *acf;

    acf = ngx_http_taskforge_accounts_conf(r);

    if (!tf_uuid7(reg->id)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "there are no random numbers");
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, reg->id);
    ngx_http_taskforge_sql_str(&args, &reg->username);
    ngx_http_taskforge_sql_str(&args, &reg->email);
    ngx_http_taskforge_sql_str(&args, &result->hash);
    ngx_http_taskforge_sql_str(&args, ngx_http_taskforge_role_name(acf->role));

    /* who registers does it himself */

    ngx_http_taskforge_sql_uuid(&args, reg->id);
    ngx_http_taskforge_sql_str(&args, &reg->username);
    ngx_http_taskforge_sql_str(&args, &r->connection->addr_text);

    (void) ngx_http_taskforge_accounts_query(r,
                                         &ngx_http_taskforge_sql_user_create,
                                         &args,
                                         ngx_http_taskforge_register_done,
                                         reg);
}


static void
ngx_http_taskforge_register_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_register_t  *reg = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (!PQgetisnull(res, 0, 0)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "%s",
                                   ngx_http_taskforge_is(res, 0, "username")
                                   ? "the username is taken"
                                   : "the e-mail address is taken");
        return;
    }

    ngx_http_taskforge_user_reply(r, reg->id, NGX_HTTP_CREATED);
}


void
ngx_http_taskforge_password_change(ngx_http_request_t *r)
{
    tf_buf_t                        errors;
    ngx_str_t                       name, none;
    ngx_http_taskforge_change_t    *ch;
    ngx_http_taskforge_identity_t  *identity;
    ngx_http_taskforge_sql_args_t   args;

    ngx_http_taskforge_field_t  fields[] = {
        { "current_password", JSON_STRING, 1, NULL },
        { "new_password", JSON_STRING, 1, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    identity = ngx_http_taskforge_caller(r);
    if (identity == NULL) {
        return;
    }

    ch = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_change_t));
    if (ch == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    errors = (tf_buf_t) TF_BUF_INIT;

    if (ngx_http_taskforge_fields(r, fields, &errors, 1) != NGX_OK) {
        return;
    }

    ch->current = ngx_http_taskforge_field_str(&fields[0]);
    ch->fresh = ngx_http_taskforge_field_str(&fields[1]);

    name.data = identity->name;
    name.len = identity->name_len;
    ngx_str_null(&none);

    /* all but the e-mail address, which is not known yet */

    if (ch->fresh.data) {
        ngx_http_taskforge_field_error(&errors, "new_password",
                            ngx_http_taskforge_change_check(ch, &name, &none));
    }

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    if (ch->current.len == 0 || ch->current.len > TF_PASSWORD_BYTES) {
        ngx_str_set(&ch->current, "-");
    }

    if (ngx_http_taskforge_attempt(r, &name, &ch->attempt) != NGX_OK) {
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, identity->user_id);

    (void) ngx_http_taskforge_accounts_query(r,
                                             &ngx_http_taskforge_sql_password,
                                             &args,
                                             ngx_http_taskforge_change_found,
                                             ch);
}


/* What is wrong with the new password; NULL: nothing. */

static const char *
ngx_http_taskforge_change_check(ngx_http_taskforge_change_t *ch,
    const ngx_str_t *name, const ngx_str_t *email)
{
    const char  *why;

    why = tf_password_check((char *) ch->fresh.data, ch->fresh.len,
                            (char *) name->data, name->len,
                            (char *) email->data, email->len);

    if (why == NULL && ch->fresh.len == ch->current.len
        && ngx_memcmp(ch->fresh.data, ch->current.data, ch->fresh.len) == 0)
    {
        why = "must not be the current password";
    }

    return why;
}


static void
ngx_http_taskforge_change_found(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_str_t                     encoded, name, email;
    const char                   *why;
    tf_buf_t                      errors;
    ngx_http_taskforge_change_t  *ch = data;

    if (ngx_http_taskforge_pg_verdict(r->connection->log, res) != NGX_OK
        || ngx_http_taskforge_password_full(r))
    {
        ngx_http_taskforge_attempt_void(r, &ch->attempt);
    }

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (PQntuples(res) == 0) {
        ngx_http_taskforge_unauthorized(r, "this account is gone");
        return;
    }

    name.data = (u_char *) PQgetvalue(res, 0, 1);
    name.len = PQgetlength(res, 0, 1);
    email.data = (u_char *) PQgetvalue(res, 0, 2);
    email.len = PQgetlength(res, 0, 2);

    why = ngx_http_taskforge_change_check(ch, &name, &email);

    if (why) {
        ngx_http_taskforge_attempt_void(r, &ch->attempt);

        errors = (tf_buf_t) TF_BUF_INIT;
        ngx_http_taskforge_field_error(&errors, "new_password", why);
        (void) ngx_http_taskforge_fields_done(r, &errors);
        return;
    }

    encoded.data = (u_char *) PQgetvalue(res, 0, 0);
    encoded.len = PQgetlength(res, 0, 0);

    ch->encoded.data = ngx_pstrdup(r->pool, &encoded);
    ch->encoded.len = encoded.len;

    if (ch->encoded.data == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    (void) ngx_http_taskforge_password(r, &ch->current, &ch->encoded,
                                       &ch->fresh,
                                       ngx_http_taskforge_change_hashed, ch);
}


static void
ngx_http_taskforge_change_hashed(ngx_http_request_t *r, void *data,
    ngx_http_taskforge_password_result_t *result)
{
    tf_buf_t                        errors;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_change_t    *ch = data;
    ngx_http_taskforge_sql_args_t   args;

    ctx = ngx_http_taskforge_get_ctx(r);

    if (!result->matches) {
        ngx_http_taskforge_attempt_bad(r, ctx->identity->user_id);

        /* 401 would send a client to refresh a token that is good */

        errors = (tf_buf_t) TF_BUF_INIT;
        ngx_http_taskforge_field_error(&errors, "current_password",
                                       "is wrong");
        (void) ngx_http_taskforge_fields_done(r, &errors);
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, ctx->identity->user_id);
    ngx_http_taskforge_sql_str(&args, &ch->encoded);
    ngx_http_taskforge_sql_str(&args, &result->hash);
    ngx_http_taskforge_sql_uuid(&args,
                                ctx->identity->by
                                == NGX_HTTP_TASKFORGE_BY_TOKEN
                                    ? ctx->identity->source_id : NULL);
    ngx_http_taskforge_sql_actor_name(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                     &ngx_http_taskforge_sql_password_change,
                                     &args, ngx_http_taskforge_change_done,
                                     ch);
}


static void
ngx_http_taskforge_change_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_ctx_t     *ctx;
    ngx_http_taskforge_change_t  *ch = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (*PQgetvalue(res, 0, 0) == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "the password was changed meanwhile");
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_identity_forget(r, ctx->identity->user_id);
    ngx_http_taskforge_attempt_good(r, &ch->attempt);
    ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
}
