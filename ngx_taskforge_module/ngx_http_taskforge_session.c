
/*
 * Refresh tokens rotate: each is good once.  A token that comes again is a
 * copy, and its whole family dies; but not within the first seconds, where
 * it is more likely the same client twice (two tabs, an answer that was
 * lost).  The second one gets 409 then and no token.
 */

#include "ngx_http_taskforge_session.h"
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_accounts_sql.h"
#include "ngx_http_taskforge_login.h"
#include "ngx_http_taskforge_redis.h"
#include "ngx_http_taskforge_reply.h"


#define NGX_HTTP_TASKFORGE_REFRESH_GRACE  10    /* seconds */


/* A command to Redis on behalf of a request that may end first. */

typedef struct {
    ngx_http_request_t           *request;
    u_char                        ticket[NGX_HTTP_TASKFORGE_TICKET_LEN];
} ngx_http_taskforge_ticket_t;


static void ngx_http_taskforge_refresh_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_logout_done(ngx_http_request_t *r, void *data,
    PGresult *res);
static void ngx_http_taskforge_ticket_done(void *data, redisReply *reply);
static void ngx_http_taskforge_ticket_cleanup(void *data);


static const tf_sql_t  ngx_http_taskforge_sql_session_refresh = {
    "tf_session_refresh", NGX_HTTP_TASKFORGE_SQL_SESSION_REFRESH, 5
};

static const tf_sql_t  ngx_http_taskforge_sql_session_end = {
    "tf_session_end", NGX_HTTP_TASKFORGE_SQL_SESSION_END, 4
};


void
ngx_http_taskforge_refresh(ngx_http_request_t *r)
{
    u_char                                 *fresh;
    uint8_t                                 hashes[2][32];
    tf_buf_t                                errors;
    ngx_str_t                               old;
    ngx_http_taskforge_sql_args_t           args;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    ngx_http_taskforge_field_t  fields[] = {
        { "refresh_token", JSON_STRING, 1, NULL },
        { NULL, JSON_NULL, 0, NULL }
    };

    errors = (tf_buf_t) TF_BUF_INIT;

    if (ngx_http_taskforge_fields(r, fields, &errors, 1) != NGX_OK
        || ngx_http_taskforge_fields_done(r, &errors) != NGX_OK)
    {
        return;
    }

    old = ngx_http_taskforge_field_str(&fields[0]);

    if (old.len != NGX_HTTP_TASKFORGE_SECRET_LEN
        || ngx_strncmp(old.data, "tfr_", 4) != 0)
    {
        ngx_http_taskforge_unauthorized(r, "the refresh token is not valid");
        return;
    }

    fresh = ngx_pnalloc(r->pool, NGX_HTTP_TASKFORGE_SECRET_LEN);

    if (fresh == NULL
        || ngx_http_taskforge_secret("tfr_", fresh) != NGX_OK)
    {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "there are no random numbers");
        return;
    }

    ngx_http_taskforge_credential_hash(old.data, old.len, hashes[0]);
    ngx_http_taskforge_credential_hash(fresh, NGX_HTTP_TASKFORGE_SECRET_LEN,
                                       hashes[1]);

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);

    args.nargs = 0;
    ngx_http_taskforge_sql_bytes(&args, hashes[0], 32);
    ngx_http_taskforge_sql_bytes(&args, hashes[1], 32);
    ngx_http_taskforge_sql_int4(&args, (int32_t) amcf->refresh_ttl);
    ngx_http_taskforge_sql_int4(&args, NGX_HTTP_TASKFORGE_REFRESH_GRACE);
    ngx_http_taskforge_sql_str(&args, &r->connection->addr_text);

    (void) ngx_http_taskforge_accounts_query(r,
                                     &ngx_http_taskforge_sql_session_refresh,
                                     &args, ngx_http_taskforge_refresh_done,
                                     fresh);
}


static void
ngx_http_taskforge_refresh_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    u_char     *fresh = data;
    ngx_str_t   name, role;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "fresh")) {
        name.data = (u_char *) PQgetvalue(res, 0, 3);
        name.len = PQgetlength(res, 0, 3);
        role.data = (u_char *) PQgetvalue(res, 0, 4);
        role.len = PQgetlength(res, 0, 4);

        ngx_http_taskforge_session_reply(r,
                                         (uint8_t *) PQgetvalue(res, 0, 2),
                                         (uint8_t *) PQgetvalue(res, 0, 1),
                                         &role, &name, fresh);
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "raced")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "the refresh token was used a moment ago; "
                                   "go on with the tokens of that answer");
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "reuse")) {
        ngx_http_taskforge_identity_forget(r,
                                           (uint8_t *) PQgetvalue(res, 0, 2));
    }

    ngx_http_taskforge_unauthorized(r, "the refresh token is not valid");
}


void
ngx_http_taskforge_logout(ngx_http_request_t *r)
{
    ngx_http_taskforge_identity_t  *identity;
    ngx_http_taskforge_sql_args_t   args;

    identity = ngx_http_taskforge_caller(r);
    if (identity == NULL) {
        return;
    }

    if (identity->by == NGX_HTTP_TASKFORGE_BY_KEY) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "an API key has no session; DELETE "
                                   "/auth/api-keys/{id} revokes it");
        return;
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_uuid(&args, identity->source_id);
    ngx_http_taskforge_sql_actor(&args, r);

    (void) ngx_http_taskforge_accounts_query(r,
                                         &ngx_http_taskforge_sql_session_end,
                                         &args,
                                         ngx_http_taskforge_logout_done, NULL);
}


static void
ngx_http_taskforge_logout_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_ctx_t  *ctx;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    ctx = ngx_http_taskforge_get_ctx(r);

    ngx_http_taskforge_identity_forget(r, ctx->identity->user_id);
    ngx_http_taskforge_reply_empty(r, NGX_HTTP_NO_CONTENT);
}


void
ngx_http_taskforge_ticket(ngx_http_request_t *r)
{
    size_t                           lengths[5];
    u_char                           key[NGX_HTTP_TASKFORGE_TICKET_REDIS];
    u_char                           value[NGX_HTTP_TASKFORGE_TICKET_VALUE];
    u_char                           ttl[NGX_INT_T_LEN];
    ngx_str_t                        text;
    const char                      *argv[5];
    ngx_pool_cleanup_t              *cln;
    ngx_http_taskforge_ticket_t     *t;
    ngx_http_taskforge_identity_t   *identity;
    ngx_http_taskforge_main_conf_t  *mcf;

    identity = ngx_http_taskforge_caller(r);
    if (identity == NULL) {
        return;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    t = ngx_calloc(sizeof(ngx_http_taskforge_ticket_t), r->connection->log);

    if (cln == NULL || t == NULL
        || ngx_http_taskforge_secret("tft_", t->ticket) != NGX_OK)
    {
        if (t) {
            ngx_free(t);
        }

        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    text.data = t->ticket;
    text.len = sizeof(t->ticket);

    ngx_http_taskforge_ticket_key(&text, key);

    argv[0] = "SET";
    lengths[0] = 3;
    argv[1] = (const char *) key;
    lengths[1] = sizeof(key);
    argv[2] = (const char *) value;
    lengths[2] = ngx_http_taskforge_ticket_value(identity, value);
    argv[3] = "EX";
    lengths[3] = 2;
    argv[4] = (const char *) ttl;
    lengths[4] = ngx_sprintf(ttl, "%d", NGX_HTTP_TASKFORGE_TICKET_TTL) - ttl;

    t->request = r;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    if (ngx_http_taskforge_redis_command(mcf->redis_conn,
                                         ngx_http_taskforge_ticket_done, t, 5,
                                         argv, lengths)
        != NGX_OK)
    {
        ngx_free(t);
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "there are no tickets while Redis is away");
        return;
    }

    cln->handler = ngx_http_taskforge_ticket_cleanup;
    cln->data = t;
}


static void
ngx_http_taskforge_ticket_done(void *data, redisReply *reply)
{
    tf_buf_t                      out;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_taskforge_ticket_t  *t = data;

    r = t->request;

    if (r == NULL) {
        ngx_free(t);
        return;
    }

    /* from here on the cleanup frees it */

    t->request = NULL;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (reply == NULL || reply->type != REDIS_REPLY_STATUS) {
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "there are no tickets while Redis is away");

    } else if (ngx_http_taskforge_no_store(r) == NGX_OK) {
        out = (tf_buf_t) TF_BUF_INIT;

        tf_buf_addc(&out, '{');
        tf_json_kstr(&out, "ticket", (char *) t->ticket, sizeof(t->ticket));
        tf_json_kint(&out, "expires_in", NGX_HTTP_TASKFORGE_TICKET_TTL);
        tf_buf_addc(&out, '}');

        ngx_http_taskforge_reply_json(r, NGX_HTTP_CREATED, &out);
        tf_buf_free(&out);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_taskforge_ticket_cleanup(void *data)
{
    ngx_http_taskforge_ticket_t  *t = data;

    if (t->request == NULL) {
        ngx_free(t);
        return;
    }

    t->request = NULL;
}
