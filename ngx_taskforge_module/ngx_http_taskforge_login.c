
/*
 * A login says one thing to whoever is not let in, and takes as long for a
 * name that nobody has: the attempt is counted, the same query is sent, the
 * same hash is computed, and the answer waits for nothing that is written.
 */

#include "ngx_http_taskforge_login.h"
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_accounts_sql.h"
#include "ngx_http_taskforge_password.h"
#include "ngx_http_taskforge_reply.h"
#include "account_rules.h"


#define NGX_HTTP_TASKFORGE_AGENT_MAX  256


typedef struct {
    ngx_str_t                     password;
    ngx_http_taskforge_attempt_t  attempt;
    uint8_t                       user_id[16];
    ngx_uint_t                    known;
    ngx_str_t                     encoded;     /* what is checked against */
    uint8_t                       family[16];
    u_char                        refresh[NGX_HTTP_TASKFORGE_SECRET_LEN];
} ngx_http_taskforge_login_t;


static void ngx_http_taskforge_login_found(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_login_checked(ngx_http_request_t *r,
    void *data, ngx_http_taskforge_password_result_t *result);
static void ngx_http_taskforge_login_start(ngx_http_request_t *r,
    ngx_http_taskforge_login_t *l, ngx_str_t *rehash);
static void ngx_http_taskforge_login_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_login_refused(ngx_http_request_t *r);
static void ngx_http_taskforge_attempt_written(void *data, PGresult *res);


static const tf_sql_t  ngx_http_taskforge_sql_login = {
    "tf_login", NGX_HTTP_TASKFORGE_SQL_LOGIN, 2
};

static const tf_sql_t  ngx_http_taskforge_sql_login_failed = {
    "tf_login_failed", NGX_HTTP_TASKFORGE_SQL_LOGIN_FAILED, 4
};

static const tf_sql_t  ngx_http_taskforge_sql_session_start = {
    "tf_session_start", NGX_HTTP_TASKFORGE_SQL_SESSION_START, 8
};


void
ngx_http_taskforge_login(ngx_http_request_t *r)
{
    tf_buf_t                         errors;
    ngx_str_t                        name, email;
    ngx_http_taskforge_login_t      *l;
    ngx_http_taskforge_sql_args_t    args;
    ngx_http_taskforge_main_conf_t  *mcf;

    ngx_http_taskforge_field_t  fields[] = {
        { "username", JSON_STRING, 0, NULL },
        { "email", JSON_STRING, 0, NULL },
        { "password", JSON_STRING, 1, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    errors = (tf_buf_t) TF_BUF_INIT;

    if (ngx_http_taskforge_fields(r, fields, &errors, 1) != NGX_OK) {
        return;
    }

    name = ngx_http_taskforge_field_str(&fields[0]);
    email = ngx_http_taskforge_field_str(&fields[1]);

    if (errors.len == 0 && (name.data == NULL) == (email.data == NULL)) {
        ngx_http_taskforge_field_error(&errors, "username",
                                       "is required, or else \"email\"");
    }

    if (ngx_http_taskforge_fields_done(r, &errors) != NGX_OK) {
        return;
    }

    l = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_login_t));
    if (l == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (name.data == NULL) {
        name = email;
    }

    l->password = ngx_http_taskforge_field_str(&fields[2]);

    /* what no account can have is refused like what none has */

    if (l->password.len == 0 || l->password.len > TF_PASSWORD_BYTES) {
        l->password.data = (u_char *) "-";
        l->password.len = 1;
    }

    if (name.len > TF_EMAIL_MAX
        || !tf_utf8_valid((char *) name.data, name.len))
    {
        ngx_str_set(&name, "-");
    }

    if (ngx_http_taskforge_attempt(r, &name, &l->attempt) != NGX_OK) {
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_str(&args, &name);
    ngx_http_taskforge_sql_bool(&args,
                                ngx_strlchr(name.data, name.data + name.len,
                                            '@')
                                != NULL);

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    if (!ngx_http_taskforge_pg_ready(mcf->pg, NGX_HTTP_TASKFORGE_PG_WRITE)) {
        ngx_http_taskforge_attempt_void(r, &l->attempt);
    }

    (void) ngx_http_taskforge_accounts_query(r, &ngx_http_taskforge_sql_login,
                                             &args,
                                             ngx_http_taskforge_login_found,
                                             l);
}


static void
ngx_http_taskforge_login_found(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_str_t                     encoded, fresh;
    ngx_uint_t                    seconds;
    ngx_http_taskforge_login_t   *l = data;

    if (ngx_http_taskforge_pg_verdict(r->connection->log, res) != NGX_OK) {
        ngx_http_taskforge_attempt_void(r, &l->attempt);
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the database is not available");
        return;
    }

    ngx_str_null(&encoded);
    ngx_str_null(&fresh);

    if (PQntuples(res) == 1) {
        ngx_memcpy(l->user_id, PQgetvalue(res, 0, 0), 16);
        l->known = 1;

        encoded.data = (u_char *) PQgetvalue(res, 0, 1);
        encoded.len = PQgetlength(res, 0, 1);

        seconds = PQgetisnull(res, 0, 2)
                      ? 0
                      : (ngx_uint_t) tf_pg_get_int4(PQgetvalue(res, 0, 2));

        if (seconds) {
            /* another host has locked it */
            ngx_http_taskforge_locked(r, seconds);
            return;
        }

        l->encoded.data = ngx_pstrdup(r->pool, &encoded);
        l->encoded.len = encoded.len;

        if (l->encoded.data == NULL) {
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }
    }

    if (ngx_http_taskforge_password_full(r)) {
        ngx_http_taskforge_attempt_void(r, &l->attempt);
    }

    (void) ngx_http_taskforge_password(r, &l->password, &l->encoded, &fresh,
                                       ngx_http_taskforge_login_checked, l);
}


static void
ngx_http_taskforge_login_checked(ngx_http_request_t *r, void *data,
    ngx_http_taskforge_password_result_t *result)
{
    ngx_http_taskforge_login_t  *l = data;

    if (!result->matches) {
        ngx_http_taskforge_attempt_bad(r, l->known ? l->user_id : NULL);
        ngx_http_taskforge_login_refused(r);
        return;
    }

    ngx_http_taskforge_login_start(r, l, &result->hash);
}


static void
ngx_http_taskforge_login_start(ngx_http_request_t *r,
    ngx_http_taskforge_login_t *l, ngx_str_t *rehash)
{
    uint8_t                                 hash[32];
    ngx_str_t                               agent;
    ngx_http_taskforge_sql_args_t           args;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);

    if (!tf_uuid7(l->family)
        || ngx_http_taskforge_secret("tfr_", l->refresh) != NGX_OK)
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "there are no random numbers");
        return;
    }

    ngx_http_taskforge_credential_hash(l->refresh, sizeof(l->refresh), hash);

    ngx_str_null(&agent);

    if (r->headers_in.user_agent) {
        agent = r->headers_in.user_agent->value;
        agent.len = ngx_min(agent.len, NGX_HTTP_TASKFORGE_AGENT_MAX);
        agent.len = tf_utf8_span((char *) agent.data, agent.len);
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, l->user_id);
    ngx_http_taskforge_sql_str(&args, &l->encoded);
    ngx_http_taskforge_sql_bytes(&args, rehash->len ? rehash->data : NULL,
                                 rehash->len);
    ngx_http_taskforge_sql_uuid(&args, l->family);
    ngx_http_taskforge_sql_bytes(&args, hash, sizeof(hash));
    ngx_http_taskforge_sql_int4(&args, (int32_t) amcf->refresh_ttl);
    ngx_http_taskforge_sql_str(&args, &r->connection->addr_text);
    ngx_http_taskforge_sql_str(&args, &agent);

    (void) ngx_http_taskforge_accounts_query(r,
                                       &ngx_http_taskforge_sql_session_start,
                                       &args, ngx_http_taskforge_login_done,
                                       l);
}


static void
ngx_http_taskforge_login_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_str_t                    name, role;
    ngx_http_taskforge_login_t  *l = data;

    if (ngx_http_taskforge_pg_verdict(r->connection->log, res) != NGX_OK) {
        /* the password was right */
        ngx_http_taskforge_attempt_void(r, &l->attempt);
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the database is not available");
        return;
    }

    if (PQntuples(res) == 0) {
        /* not active, or changed while the hash was computed */
        ngx_http_taskforge_login_refused(r);
        return;
    }

    ngx_http_taskforge_attempt_good(r, &l->attempt);

    /* of too many sessions the oldest has given way */

    ngx_http_taskforge_identity_forget(r, l->user_id);

    name.data = (u_char *) PQgetvalue(res, 0, 1);
    name.len = PQgetlength(res, 0, 1);
    role.data = (u_char *) PQgetvalue(res, 0, 2);
    role.len = PQgetlength(res, 0, 2);

    ngx_http_taskforge_session_reply(r, l->user_id, l->family, &role, &name,
                                     l->refresh);
}


static void
ngx_http_taskforge_login_refused(ngx_http_request_t *r)
{
    ngx_http_taskforge_unauthorized(r, "the name or the password is wrong");
}


void
ngx_http_taskforge_session_reply(ngx_http_request_t *r,
    const uint8_t user_id[16], const uint8_t family_id[16],
    const ngx_str_t *role, const ngx_str_t *name, const u_char *refresh)
{
    time_t     expires_in;
    tf_buf_t   out;
    ngx_int_t  rc;
    ngx_str_t  token;

    rc = ngx_http_taskforge_identity_sign(r, user_id, family_id,
                                          ngx_http_taskforge_role(
                                              (char *) role->data, role->len),
                                          name, &token, &expires_in);

    if (rc != NGX_OK) {
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "this server has no key to sign tokens "
                                   "with");
        return;
    }

    if (ngx_http_taskforge_no_store(r) != NGX_OK) {
        return;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    tf_json_kstr(&out, "access_token", (char *) token.data, token.len);
    tf_json_kstr(&out, "refresh_token", (char *) refresh,
                 NGX_HTTP_TASKFORGE_SECRET_LEN);
    tf_json_kcstr(&out, "token_type", "bearer");
    tf_json_kint(&out, "expires_in", expires_in);
    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    tf_buf_free(&out);
}


ngx_int_t
ngx_http_taskforge_attempt(ngx_http_request_t *r, const ngx_str_t *name,
    ngx_http_taskforge_attempt_t *attempt)
{
    ngx_str_t                           *address;
    ngx_uint_t                           seconds;
    ngx_http_taskforge_accounts_conf_t  *acf;

    acf = ngx_http_taskforge_accounts_conf(r);
    address = &r->connection->addr_text;

    attempt->address = tf_lockout_key('a', (char *) address->data,
                                      address->len);
    attempt->name = tf_lockout_key('n', (char *) name->data, name->len);

    seconds = ngx_http_taskforge_lockout_take(r, attempt->address,
                                              acf->lockout_address);
    if (seconds) {
        ngx_http_taskforge_locked(r, seconds);
        return NGX_ERROR;
    }

    seconds = ngx_http_taskforge_lockout_take(r, attempt->name, acf->lockout);

    if (seconds) {
        ngx_http_taskforge_lockout_give_back(r, attempt->address);
        ngx_http_taskforge_locked(r, seconds);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_taskforge_attempt_void(ngx_http_request_t *r,
    const ngx_http_taskforge_attempt_t *attempt)
{
    ngx_http_taskforge_lockout_give_back(r, attempt->address);
    ngx_http_taskforge_lockout_give_back(r, attempt->name);
}


/*
 * The address keeps what it has: whoever owns one account must not guess at
 * others without end by logging in now and then.
 */

void
ngx_http_taskforge_attempt_good(ngx_http_request_t *r,
    const ngx_http_taskforge_attempt_t *attempt)
{
    ngx_http_taskforge_lockout_give_back(r, attempt->address);
    ngx_http_taskforge_lockout_clear(r, attempt->name);
}


static void
ngx_http_taskforge_attempt_written(void *data, PGresult *res)
{
    (void) ngx_http_taskforge_pg_verdict(ngx_cycle->log, res);
}


/* Nobody waits for it: the time until the answer must not tell who exists. */

void
ngx_http_taskforge_attempt_bad(ngx_http_request_t *r, const uint8_t *user_id)
{
    ngx_http_taskforge_sql_args_t        args;
    ngx_http_taskforge_main_conf_t      *mcf;
    ngx_http_taskforge_accounts_conf_t  *acf;

    if (user_id == NULL) {
        return;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);
    acf = ngx_http_taskforge_accounts_conf(r);

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, user_id);
    ngx_http_taskforge_sql_int4(&args, (int32_t) acf->lockout);
    ngx_http_taskforge_sql_int4(&args, (int32_t) acf->lockout_time);
    ngx_http_taskforge_sql_str(&args, &r->connection->addr_text);

    if (ngx_http_taskforge_pg_query(mcf->pg, NGX_HTTP_TASKFORGE_PG_WRITE,
                                    &ngx_http_taskforge_sql_login_failed,
                                    args.values, args.lengths,
                                    ngx_http_taskforge_attempt_written, NULL)
        == NULL)
    {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "taskforge: a wrong password is counted on this host "
                      "only");
    }
}


void
ngx_http_taskforge_locked(ngx_http_request_t *r, ngx_uint_t seconds)
{
    ngx_http_taskforge_retry_after(r, NGX_HTTP_TOO_MANY_REQUESTS, seconds,
                                   "too many wrong passwords");
}
