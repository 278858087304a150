
/*
 * From a credential to an identity.  A request that has to wait does so in
 * the access phase and runs its phases again.
 */

#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_identity_cache.h"
#include "ngx_http_taskforge_limit.h"
#include "ngx_http_taskforge_redis.h"


/* What waits for an answer; outlives the request where that goes first. */

typedef struct {
    ngx_http_taskforge_identities_t  *ids;
    ngx_http_taskforge_credential_t  *credential;   /* NULL: it is gone */
    ngx_uint_t                        generation;
    ngx_msec_t                        asked;
} ngx_http_taskforge_identity_wait_t;


static ngx_int_t ngx_http_taskforge_identity_token(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential);
static ngx_int_t ngx_http_taskforge_identity_key(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential);
static ngx_int_t ngx_http_taskforge_identity_ticket(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential);
static void ngx_http_taskforge_identity_ticket_done(void *data,
    redisReply *reply);
static ngx_int_t ngx_http_taskforge_identity_ticket_parse(
    ngx_http_taskforge_credential_t *credential, const char *text,
    size_t len);
static ngx_int_t ngx_http_taskforge_identity_ask_user(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential);
static ngx_int_t ngx_http_taskforge_identity_ask(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential, const tf_sql_t *sql,
    const char *const *values, const int *lengths);
static ngx_http_taskforge_identity_wait_t *ngx_http_taskforge_identity_wait(
    ngx_http_request_t *r, ngx_http_taskforge_credential_t *credential);
static void ngx_http_taskforge_identity_gone(void *data);
static void ngx_http_taskforge_identity_done(void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_identity_row(
    ngx_http_taskforge_credential_t *credential, PGresult *res);
static void ngx_http_taskforge_identity_resume(
    ngx_http_taskforge_credential_t *credential, ngx_int_t rc);


/*
 * Both: no row, no such user, or not any more.  Columns: user id, family or
 * key id, by key bool, username, role, scopes text, expires int8 (seconds,
 * NULL: never).  Indexes: primary keys, api_keys.hash.
 */

/* $1 user uuid, $2 family or key uuid (NULL: of an outside issuer). */

static const tf_sql_t  ngx_http_taskforge_identity_sql_user = {
    "tf_identity_user",
    "SELECT u.id, coalesce(f.id, k.id), k.id IS NOT NULL, u.username, "
        "u.role, array_to_string(k.scopes, ' '), "
        "extract(epoch FROM coalesce(f.expires_at, k.expires_at))::int8 "
    "FROM users u "
    "LEFT JOIN refresh_families f ON f.id = $2::uuid AND f.user_id = u.id "
        "AND f.revoked_at IS NULL AND f.expires_at > now() "
    "LEFT JOIN api_keys k ON k.id = $2::uuid AND k.user_id = u.id "
        "AND k.revoked_at IS NULL "
        "AND (k.expires_at IS NULL OR k.expires_at > now()) "
    "WHERE u.id = $1::uuid AND u.active "
        "AND ($2::uuid IS NULL OR f.id IS NOT NULL OR k.id IS NOT NULL)",
    2
};


/* $1 SHA-256 of the key, bytea. */

static const tf_sql_t  ngx_http_taskforge_identity_sql_key = {
    "tf_identity_key",
    "SELECT u.id, k.id, true, u.username, u.role, "
        "array_to_string(k.scopes, ' '), "
        "extract(epoch FROM k.expires_at)::int8 "
    "FROM api_keys k JOIN users u ON u.id = k.user_id "
    "WHERE k.hash = $1::bytea AND k.revoked_at IS NULL AND u.active "
        "AND (k.expires_at IS NULL OR k.expires_at > now())",
    1
};


ngx_int_t
ngx_http_taskforge_identity_resolve(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential)
{
    ngx_http_taskforge_identity_t          *identity;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);

    if (amcf->identities == NULL) {
        return NGX_ERROR;
    }

    credential->request = r;
    credential->rc = NGX_AGAIN;
    credential->generation = amcf->identities->generation;

    if (credential->type == NGX_HTTP_TASKFORGE_CREDENTIAL_TICKET) {
        return ngx_http_taskforge_identity_ticket(r, credential);
    }

    ngx_http_taskforge_credential_hash(credential->text.data,
                                       credential->text.len,
                                       credential->hash);

    identity = ngx_http_taskforge_identity_cache_find(amcf->identities,
                                                      credential->hash);
    if (identity) {
        credential->identity = *identity;
        return NGX_OK;
    }

    return (credential->type == NGX_HTTP_TASKFORGE_CREDENTIAL_KEY)
               ? ngx_http_taskforge_identity_key(r, credential)
               : ngx_http_taskforge_identity_token(r, credential);
}


static ngx_int_t
ngx_http_taskforge_identity_token(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential)
{
    ngx_http_taskforge_jwt_error_e          error;
    ngx_http_taskforge_jwt_claims_t         claims;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);

    if (amcf->ring == NULL) {
        credential->error = "tokens are not taken here";
        return NGX_DECLINED;
    }

    error = ngx_http_taskforge_jwt_verify(amcf->ring,
                                          (char *) credential->text.data,
                                          credential->text.len, ngx_time(),
                                          &claims);

    if (error == NGX_HTTP_TASKFORGE_JWT_MEMORY) {
        return NGX_ERROR;
    }

    if (error != NGX_HTTP_TASKFORGE_JWT_OK) {
        credential->error = ngx_http_taskforge_jwt_strerror(error);
        return NGX_DECLINED;
    }

    ngx_memcpy(credential->user_id, claims.user, 16);
    ngx_memcpy(credential->source_id, claims.family, 16);
    credential->expires = claims.expires + amcf->leeway;

    return ngx_http_taskforge_identity_ask_user(r, credential);
}


static ngx_int_t
ngx_http_taskforge_identity_key(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential)
{
    int          len;
    u_char       sum[6];
    ngx_str_t   *key;
    const char  *value;

    key = &credential->text;

    if (key->len == NGX_HTTP_TASKFORGE_KEY_LEN) {
        ngx_http_taskforge_key_checksum(key->data, sum);
    }

    if (key->len != NGX_HTTP_TASKFORGE_KEY_LEN
        || ngx_strncmp(key->data, "tfk_", 4) != 0
        || ngx_memcmp(key->data + key->len - 6, sum, 6) != 0)
    {
        credential->error = "the API key is mistyped";
        return NGX_DECLINED;
    }

    credential->retry = ngx_http_taskforge_limit_failed(r, NULL, 0);

    if (credential->retry) {
        return NGX_BUSY;
    }

    credential->error = "the API key is not known, or no longer valid";
    credential->expires = 0;

    value = (const char *) credential->hash;
    len = 32;

    return ngx_http_taskforge_identity_ask(r, credential,
                                         &ngx_http_taskforge_identity_sql_key,
                                         &value, &len);
}


static ngx_int_t
ngx_http_taskforge_identity_ticket(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential)
{
    u_char                               key[NGX_HTTP_TASKFORGE_TICKET_REDIS];
    size_t                               argvlen[2];
    const char                          *argv[2];
    ngx_http_taskforge_main_conf_t      *mcf;
    ngx_http_taskforge_identity_wait_t  *wait;

    if (credential->text.len != NGX_HTTP_TASKFORGE_TICKET_LEN
        || ngx_strncmp(credential->text.data, "tft_", 4) != 0)
    {
        credential->error = "the ticket is mistyped";
        return NGX_DECLINED;
    }

    credential->retry = ngx_http_taskforge_limit_failed(r, NULL, 0);

    if (credential->retry) {
        return NGX_BUSY;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    wait = ngx_http_taskforge_identity_wait(r, credential);
    if (wait == NULL) {
        return NGX_ERROR;
    }

    ngx_http_taskforge_ticket_key(&credential->text, key);

    argv[0] = "GETDEL";
    argvlen[0] = 6;
    argv[1] = (char *) key;
    argvlen[1] = sizeof(key);

    if (ngx_http_taskforge_redis_command(mcf->redis_conn,
                                      ngx_http_taskforge_identity_ticket_done,
                                      wait, 2, argv, argvlen)
        != NGX_OK)
    {
        credential->wait = NULL;
        ngx_free(wait);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static void
ngx_http_taskforge_identity_ticket_done(void *data, redisReply *reply)
{
    ngx_int_t                            rc;
    ngx_http_taskforge_credential_t     *credential;
    ngx_http_taskforge_identity_wait_t  *wait = data;

    credential = wait->credential;
    ngx_free(wait);

    if (credential == NULL) {
        return;
    }

    credential->wait = NULL;

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        rc = NGX_ERROR;

    } else if (reply->type != REDIS_REPLY_STRING
               || ngx_http_taskforge_identity_ticket_parse(credential,
                                                     reply->str, reply->len)
                  != NGX_OK)
    {
        credential->error = "the ticket is not known, used or too old";
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_taskforge_identity_ask_user(credential->request,
                                                  credential);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_taskforge_identity_resume(credential, rc);
    }
}


/* "<user uuid>:<family or key uuid>:<expires>" */

static ngx_int_t
ngx_http_taskforge_identity_ticket_parse(
    ngx_http_taskforge_credential_t *credential, const char *text, size_t len)
{
    time_t  expires;

    if (len < 2 * TF_UUID_TEXT_LEN + 3
        || !tf_uuid_parse(text, TF_UUID_TEXT_LEN, credential->user_id)
        || text[TF_UUID_TEXT_LEN] != ':'
        || !tf_uuid_parse(text + TF_UUID_TEXT_LEN + 1, TF_UUID_TEXT_LEN,
                          credential->source_id)
        || text[2 * TF_UUID_TEXT_LEN + 1] != ':')
    {
        return NGX_ERROR;
    }

    expires = ngx_atotm((u_char *) text + 2 * TF_UUID_TEXT_LEN + 2,
                        len - 2 * TF_UUID_TEXT_LEN - 2);

    if (expires == NGX_ERROR || (expires && expires <= ngx_time())) {
        return NGX_ERROR;
    }

    credential->expires = expires;

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_identity_ask_user(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential)
{
    int          lengths[2];
    const char  *values[2];

    static const uint8_t  none[16];

    /*
     * Nobody else can have made it, so it is counted for its user: whoever
     * sends rubbish from the same address does not keep a good token out.
     */

    credential->issued = 1;
    credential->retry = ngx_http_taskforge_limit_failed(r, credential->user_id,
                                                        0);
    if (credential->retry) {
        return NGX_BUSY;
    }

    credential->error = "the user or the login is no longer valid";

    values[0] = (const char *) credential->user_id;
    lengths[0] = 16;
    values[1] = (const char *) credential->source_id;
    lengths[1] = 16;

    if (ngx_memcmp(credential->source_id, none, 16) == 0) {
        values[1] = NULL;
        lengths[1] = 0;
    }

    return ngx_http_taskforge_identity_ask(r, credential,
                                         &ngx_http_taskforge_identity_sql_user,
                                         values, lengths);
}


static ngx_int_t
ngx_http_taskforge_identity_ask(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential, const tf_sql_t *sql,
    const char *const *values, const int *lengths)
{
    ngx_http_taskforge_main_conf_t      *mcf;
    ngx_http_taskforge_identity_wait_t  *wait;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    wait = ngx_http_taskforge_identity_wait(r, credential);
    if (wait == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_taskforge_pg_query(mcf->pg, NGX_HTTP_TASKFORGE_PG_READ, sql,
                                    values, lengths,
                                    ngx_http_taskforge_identity_done, wait)
        == NULL)
    {
        credential->wait = NULL;
        ngx_free(wait);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static ngx_http_taskforge_identity_wait_t *
ngx_http_taskforge_identity_wait(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential)
{
    ngx_pool_cleanup_t                     *cln;
    ngx_http_taskforge_identity_wait_t     *wait;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);

    if (!credential->cleanup) {
        cln = ngx_pool_cleanup_add(r->pool, 0);
        if (cln == NULL) {
            return NULL;
        }

        cln->handler = ngx_http_taskforge_identity_gone;
        cln->data = credential;
        credential->cleanup = 1;
    }

    wait = ngx_alloc(sizeof(ngx_http_taskforge_identity_wait_t),
                     r->connection->log);
    if (wait == NULL) {
        return NULL;
    }

    wait->ids = amcf->identities;
    wait->credential = credential;
    wait->generation = amcf->identities->generation;
    wait->asked = ngx_current_msec;

    credential->wait = wait;

    return wait;
}


static void
ngx_http_taskforge_identity_gone(void *data)
{
    ngx_http_taskforge_credential_t     *credential = data;
    ngx_http_taskforge_identity_wait_t  *wait;

    wait = credential->wait;

    if (wait) {
        wait->credential = NULL;
    }
}


static void
ngx_http_taskforge_identity_done(void *data, PGresult *res)
{
    ngx_int_t                            rc;
    ngx_http_taskforge_credential_t     *credential;
    ngx_http_taskforge_identity_wait_t   wait;

    wait = *(ngx_http_taskforge_identity_wait_t *) data;
    ngx_free(data);

    credential = wait.credential;

    if (credential == NULL) {
        return;
    }

    credential->wait = NULL;

    if (ngx_http_taskforge_pg_verdict(wait.ids->log, res) != NGX_OK) {
        rc = NGX_ERROR;

    } else {
        rc = ngx_http_taskforge_identity_row(credential, res);
    }

    /*
     * What was changed since may be missing in the answer: good enough for
     * a request that came before the change, but not to be kept.  A ticket is
     * good for once.
     */

    if (rc == NGX_OK && wait.generation == wait.ids->generation
        && credential->type != NGX_HTTP_TASKFORGE_CREDENTIAL_TICKET)
    {
        ngx_http_taskforge_identity_cache_add(wait.ids, credential->hash,
                                              &credential->identity,
                                              wait.asked);
    }

    ngx_http_taskforge_identity_resume(credential, rc);
}


static ngx_int_t
ngx_http_taskforge_identity_row(ngx_http_taskforge_credential_t *credential,
    PGresult *res)
{
    char                           *text;
    size_t                          len;
    time_t                          expires;
    ngx_http_taskforge_identity_t  *identity;

    if (PQntuples(res) != 1) {
        return NGX_DECLINED;
    }

    identity = &credential->identity;
    ngx_memzero(identity, sizeof(ngx_http_taskforge_identity_t));

    ngx_memcpy(identity->user_id, PQgetvalue(res, 0, 0), 16);

    if (!PQgetisnull(res, 0, 1)) {
        ngx_memcpy(identity->source_id, PQgetvalue(res, 0, 1), 16);
    }

    identity->scopes = NGX_HTTP_TASKFORGE_SCOPE_ALL;

    if (PQgetvalue(res, 0, 2)[0]) {
        identity->by = NGX_HTTP_TASKFORGE_BY_KEY;

        text = PQgetvalue(res, 0, 5);
        identity->scopes =
            (ngx_strstr(text, "read") ? NGX_HTTP_TASKFORGE_SCOPE_READ : 0)
            | (ngx_strstr(text, "submit") ? NGX_HTTP_TASKFORGE_SCOPE_SUBMIT
                                          : 0)
            | (ngx_strstr(text, "manage") ? NGX_HTTP_TASKFORGE_SCOPE_MANAGE
                                          : 0);
    }

    len = ngx_min(PQgetlength(res, 0, 3), NGX_HTTP_TASKFORGE_NAME_MAX);
    ngx_memcpy(identity->name, PQgetvalue(res, 0, 3), len);
    identity->name_len = len;

    identity->role = ngx_http_taskforge_role(PQgetvalue(res, 0, 4),
                                             PQgetlength(res, 0, 4));

    expires = PQgetisnull(res, 0, 6) ? 0
                                     : tf_pg_get_int8(PQgetvalue(res, 0, 6));

    if (expires == 0 || (credential->expires && credential->expires < expires))
    {
        expires = credential->expires;
    }

    identity->expires = expires;

    return NGX_OK;
}


static void
ngx_http_taskforge_identity_resume(
    ngx_http_taskforge_credential_t *credential, ngx_int_t rc)
{
    credential->rc = rc;

    ngx_http_taskforge_resume(credential->request);
}
