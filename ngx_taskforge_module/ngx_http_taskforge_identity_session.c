
/*
 * Requests that outlive their check: WebSockets and event streams.  They end
 * with the identity they came in with.
 */

#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_identity_cache.h"


typedef struct {
    ngx_queue_t                     queue;
    ngx_connection_t               *connection;
    ngx_http_taskforge_identity_t   identity;
    unsigned                        closed:1;
} ngx_http_taskforge_session_t;


static void ngx_http_taskforge_session_end(void *data);
static void ngx_http_taskforge_sessions_ask(
    ngx_http_taskforge_identities_t *ids, ngx_queue_t *q);
static void ngx_http_taskforge_session_close(
    ngx_http_taskforge_session_t *session, const char *why);
static void ngx_http_taskforge_sessions_checked(void *data, PGresult *res);


/*
 * Which of these are no longer what they were.  Arrays: $1 user uuid, $2
 * family or key uuid (NULL: of an outside issuer), $3 by key bool, $4 role.
 * Columns: $1 and $2 of these.  Indexes: primary keys.
 */

static const tf_sql_t  ngx_http_taskforge_sessions_sql = {
    "tf_sessions",
    "SELECT s.user_id, s.source_id "
    "FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::text[]) "
        "s(user_id, source_id, by_key, role) "
    "WHERE NOT EXISTS (SELECT FROM users u "
            "WHERE u.id = s.user_id AND u.active AND u.role = s.role) "
        "OR (s.by_key AND NOT EXISTS (SELECT FROM api_keys k "
            "WHERE k.id = s.source_id AND k.revoked_at IS NULL)) "
        "OR (NOT s.by_key AND s.source_id IS NOT NULL "
            "AND NOT EXISTS (SELECT FROM refresh_families f "
            "WHERE f.id = s.source_id AND f.revoked_at IS NULL))",
    4
};


ngx_int_t
ngx_http_taskforge_identity_hold(ngx_http_request_t *r,
    const ngx_http_taskforge_credential_t *credential)
{
    ngx_pool_cleanup_t                     *cln;
    ngx_http_taskforge_session_t           *session;
    ngx_http_taskforge_identities_t        *ids;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);
    ids = amcf->identities;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_session_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    session = cln->data;
    session->connection = r->connection;
    session->identity = credential->identity;
    session->closed = 0;

    ngx_queue_insert_tail(&ids->sessions, &session->queue);

    cln->handler = ngx_http_taskforge_session_end;

    /*
     * It may have waited for PostgreSQL's answer and for its limit: who was
     * notified of meanwhile had no session yet.
     */

    if (credential->generation != ids->generation) {
        ngx_http_taskforge_sessions_ask(ids, &session->queue);
    }

    return NGX_OK;
}


static void
ngx_http_taskforge_session_end(void *data)
{
    ngx_http_taskforge_session_t  *session = data;

    ngx_queue_remove(&session->queue);
}


static void
ngx_http_taskforge_session_close(ngx_http_taskforge_session_t *session,
    const char *why)
{
    if (session->closed) {
        return;
    }

    session->closed = 1;

    ngx_log_error(NGX_LOG_INFO, session->connection->log, 0,
                  "taskforge: closing, %s", why);

    ngx_http_taskforge_hang_up(session->connection);
}


void
ngx_http_taskforge_identity_sessions_expire(
    ngx_http_taskforge_identities_t *ids)
{
    ngx_queue_t                   *q;
    ngx_http_taskforge_session_t  *session;

    for (q = ngx_queue_head(&ids->sessions);
         q != ngx_queue_sentinel(&ids->sessions);
         q = ngx_queue_next(q))
    {
        session = ngx_queue_data(q, ngx_http_taskforge_session_t, queue);

        if (session->identity.expires
            && session->identity.expires <= ngx_time())
        {
            ngx_http_taskforge_session_close(session,
                                             "its credential has expired");
        }
    }
}


void
ngx_http_taskforge_identity_sessions_drop(
    ngx_http_taskforge_identities_t *ids, u_char kind, const uint8_t id[16])
{
    ngx_queue_t                   *q;
    ngx_http_taskforge_session_t  *session;

    for (q = ngx_queue_head(&ids->sessions);
         q != ngx_queue_sentinel(&ids->sessions);
         q = ngx_queue_next(q))
    {
        session = ngx_queue_data(q, ngx_http_taskforge_session_t, queue);

        if (ngx_http_taskforge_identity_concerns(&session->identity, kind, id))
        {
            ngx_http_taskforge_session_close(session,
                                             "its user, login or API key was "
                                             "changed");
        }
    }
}


/* Notifications may have been missed: PostgreSQL is asked about all. */

void
ngx_http_taskforge_identity_sessions_check(
    ngx_http_taskforge_identities_t *ids)
{
    if (!ngx_queue_empty(&ids->sessions)) {
        ngx_http_taskforge_sessions_ask(ids, ngx_queue_head(&ids->sessions));
    }
}


/* About q and those behind it. */

static void
ngx_http_taskforge_sessions_ask(ngx_http_taskforge_identities_t *ids,
    ngx_queue_t *q)
{
    int                            lengths[4];
    ngx_uint_t                     i, ok;
    const char                    *values[4];
    tf_pgarray_t                   a[4];
    const ngx_str_t               *role;
    ngx_http_taskforge_session_t  *session;

    static const uint32_t  types[4] = { TF_PG_UUID, TF_PG_UUID, TF_PG_BOOL,
                                        TF_PG_TEXT };
    static const uint8_t   none[16];

    ngx_memzero(a, sizeof(a));

    for (i = 0; i < 4; i++) {
        tf_pgarray_begin(&a[i], types[i]);
    }

    for ( /* void */ ;
         q != ngx_queue_sentinel(&ids->sessions);
         q = ngx_queue_next(q))
    {
        session = ngx_queue_data(q, ngx_http_taskforge_session_t, queue);
        role = ngx_http_taskforge_role_name(session->identity.role);

        tf_pgarray_bytes(&a[0], session->identity.user_id, 16);
        tf_pgarray_bytes(&a[1],
            ngx_memcmp(session->identity.source_id, none, 16) == 0
                ? NULL : session->identity.source_id, 16);
        tf_pgarray_bool(&a[2], session->identity.by
                               == NGX_HTTP_TASKFORGE_BY_KEY);
        tf_pgarray_bytes(&a[3], role->data, role->len);
    }

    for (ok = 1, i = 0; i < 4; i++) {
        ok = tf_pgarray_end(&a[i]) && ok;
        values[i] = a[i].buf.data;
        lengths[i] = (int) a[i].buf.len;
    }

    if (ok) {
        /* without a connection there is another check with the next one */
        (void) ngx_http_taskforge_pg_query(ids->mcf->pg,
                                           NGX_HTTP_TASKFORGE_PG_READ,
                                           &ngx_http_taskforge_sessions_sql,
                                           values, lengths,
                                           ngx_http_taskforge_sessions_checked,
                                           ids);
    }

    for (i = 0; i < 4; i++) {
        tf_pgarray_free(&a[i]);
    }
}


static void
ngx_http_taskforge_sessions_checked(void *data, PGresult *res)
{
    int                               i;
    const uint8_t                    *id;
    ngx_http_taskforge_identities_t  *ids = data;

    if (ngx_http_taskforge_pg_verdict(ids->log, res) != NGX_OK) {
        return;
    }

    for (i = 0; i < PQntuples(res); i++) {

        if (PQgetisnull(res, i, 1)) {
            id = (const uint8_t *) PQgetvalue(res, i, 0);
            ngx_http_taskforge_identity_sessions_drop(ids, 'u', id);
            continue;
        }

        id = (const uint8_t *) PQgetvalue(res, i, 1);
        ngx_http_taskforge_identity_sessions_drop(ids, 'f', id);
        ngx_http_taskforge_identity_sessions_drop(ids, 'k', id);
    }
}
