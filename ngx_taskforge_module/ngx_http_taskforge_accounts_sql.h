
/*
 * The statements of accounts.  What changes something is a function of
 * sql/0002_accounts.up.sql: one transaction with its NOTIFY and its row in
 * the audit.
 */

#ifndef _NGX_HTTP_TASKFORGE_ACCOUNTS_SQL_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_ACCOUNTS_SQL_H_INCLUDED_


#include "sql.h"


/* What ngx_http_taskforge_user_write() expects. */

#define NGX_HTTP_TASKFORGE_SQL_USER                                           \
    "u.id, u.username, u.email, u.role, u.active, u.created_at, "             \
    "u.updated_at, u.last_login_at"

#define NGX_HTTP_TASKFORGE_SQL_NUSER  8


/* $1 id uuid. */

#define NGX_HTTP_TASKFORGE_SQL_USER_GET                                       \
    "SELECT " NGX_HTTP_TASKFORGE_SQL_USER " FROM users u WHERE u.id = $1"


/* Newest first.  $1 below this id, NULL: from the start; $2 limit int4. */

#define NGX_HTTP_TASKFORGE_SQL_USER_LIST                                      \
    "SELECT " NGX_HTTP_TASKFORGE_SQL_USER " FROM users u "                    \
    "WHERE u.id < coalesce($1::uuid, "                                        \
        "'ffffffff-ffff-ffff-ffff-ffffffffffff') "                            \
    "ORDER BY u.id DESC LIMIT $2::int4"


/*
 * $1 username or e-mail address, $2 true: it is an address.  Columns: id,
 * password_hash, seconds it is locked for, int4.
 * Indexes: users_username, users_email.
 */

#define NGX_HTTP_TASKFORGE_SQL_LOGIN                                          \
    "SELECT id, password_hash, "                                              \
    "greatest(0, ceil(extract(epoch FROM locked_until - now())))::int4 "      \
    "FROM users WHERE lower(username) = lower($1::text) AND NOT $2::bool "    \
    "UNION ALL SELECT id, password_hash, "                                    \
    "greatest(0, ceil(extract(epoch FROM locked_until - now())))::int4 "      \
    "FROM users WHERE lower(email) = lower($1::text) AND $2::bool"


/* $1 id uuid.  Columns: password_hash, username, email. */

#define NGX_HTTP_TASKFORGE_SQL_PASSWORD                                       \
    "SELECT password_hash, username, email FROM users WHERE id = $1"


/* $1 user, $2 allowed int4, $3 seconds int4, $4 address. */

#define NGX_HTTP_TASKFORGE_SQL_LOGIN_FAILED                                   \
    "SELECT login_failed($1, $2::int4, $3::int4, $4::text)"


/*
 * $1 user, $2 hash that was checked, $3 new hash, $4 family, $5 SHA-256 of
 * the refresh token, $6 seconds int4, $7 address, $8 user agent.  Columns: id,
 * username, role; no row: the account changed meanwhile.
 */

#define NGX_HTTP_TASKFORGE_SQL_SESSION_START                                  \
    "SELECT id, username, role FROM session_start($1, $2, $3, $4, $5, "       \
        "$6::int4, $7, $8)"


/* $1 old token's hash, $2 new one's, $3 seconds, $4 grace, $5 address. */

#define NGX_HTTP_TASKFORGE_SQL_SESSION_REFRESH                                \
    "SELECT outcome, family, user_id, username, role "                        \
    "FROM session_refresh($1, $2, $3::int4, $4::int4, $5)"


/* $1 family, then the actor. */

#define NGX_HTTP_TASKFORGE_SQL_SESSION_END                                    \
    "SELECT session_end($1, $2, $3, $4)"


/* $1 user, $2 hash that was checked, $3 new hash, $4 family that stays,
 * $5 actor's name, $6 address. */

#define NGX_HTTP_TASKFORGE_SQL_PASSWORD_CHANGE                                \
    "SELECT password_change($1, $2, $3, $4, $5, $6)"


/* $1 id, $2 username, $3 email, $4 hash, $5 role, then the actor. */

#define NGX_HTTP_TASKFORGE_SQL_USER_CREATE                                    \
    "SELECT user_create($1, $2, $3, $4, $5, $6, $7, $8)"


/* $1 id, $2 role or NULL, $3 active or NULL, then the actor. */

#define NGX_HTTP_TASKFORGE_SQL_USER_CHANGE                                    \
    "SELECT user_change($1, $2, $3::bool, $4, $5, $6)"


/* What ngx_http_taskforge_key_write() expects. */

#define NGX_HTTP_TASKFORGE_SQL_KEY                                            \
    "id, name, prefix, array_to_json(scopes)::text, created_at, "             \
    "expires_at, last_used_at"


/* $1 owner.  At most 20.  Index: api_keys_user. */

#define NGX_HTTP_TASKFORGE_SQL_KEY_LIST                                       \
    "SELECT " NGX_HTTP_TASKFORGE_SQL_KEY " FROM api_keys "                    \
    "WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id DESC"


/* $1 id, $2 owner, $3 name, $4 prefix, $5 hash, $6 scopes int4 as bits 1 read,
 * 2 submit, 4 manage, $7 expires in seconds int8 or NULL, $8 replace bool,
 * $9 actor's name, $10 address.  Columns: outcome, expires_at. */

#define NGX_HTTP_TASKFORGE_SQL_KEY_CREATE                                     \
    "SELECT key_create($1, $2, $3, $4, $5, array_remove(ARRAY["               \
        "CASE WHEN $6::int4 & 1 <> 0 THEN 'read' END, "                       \
        "CASE WHEN $6::int4 & 2 <> 0 THEN 'submit' END, "                     \
        "CASE WHEN $6::int4 & 4 <> 0 THEN 'manage' END], NULL), "             \
        "x.at, $8, $9, $10), x.at, now() "                                    \
    "FROM (SELECT now() + $7::int8 * interval '1 second' AS at) x"


/* $1 owner, $2 id or NULL, $3 name, $4 actor's name, $5 address. */

#define NGX_HTTP_TASKFORGE_SQL_KEY_REVOKE                                     \
    "SELECT key_revoke($1, $2, $3, $4, $5)"


/*
 * Newest first.  $1 below this id int8, $2 object or NULL, $3 actor uuid or
 * NULL, $4 limit int4.  Indexes: the primary key, audit_log_object,
 * audit_log_actor: one text for each.
 */

#define NGX_HTTP_TASKFORGE_SQL_AUDIT                                          \
    "SELECT id, at, actor, actor_name, address, action, object, "             \
    "detail::text, encode(hash, 'hex') FROM audit_log WHERE id < $1::int8 "

#define NGX_HTTP_TASKFORGE_SQL_AUDIT_END  " ORDER BY id DESC LIMIT "


#endif /* _NGX_HTTP_TASKFORGE_ACCOUNTS_SQL_H_INCLUDED_ */
