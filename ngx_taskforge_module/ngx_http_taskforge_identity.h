
/*
 * Who calls.  A credential (access token, API key, WebSocket ticket) becomes
 * an identity: once per credential and worker process through PostgreSQL,
 * then from a bounded cache whose keys are SHA-256 of the credentials.
 *
 * Whoever changes a user, a refresh family or an API key says so with
 * pg_notify('tf_auth', '<user|family|key>:<uuid>') in the same transaction:
 * what hangs on it is forgotten at once by every worker process of every
 * host, and WebSockets that came in with it are closed.  The process that
 * made the change forgets before it answers (identity_forget): the client's
 * next request may be faster than the notification.
 */

#ifndef _NGX_HTTP_TASKFORGE_IDENTITY_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_IDENTITY_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* What an API key may do; the role of its owner limits it further. */

#define NGX_HTTP_TASKFORGE_SCOPE_READ    1
#define NGX_HTTP_TASKFORGE_SCOPE_SUBMIT  2
#define NGX_HTTP_TASKFORGE_SCOPE_MANAGE  4

#define NGX_HTTP_TASKFORGE_SCOPE_ALL                                          \
    (NGX_HTTP_TASKFORGE_SCOPE_READ|NGX_HTTP_TASKFORGE_SCOPE_SUBMIT            \
     |NGX_HTTP_TASKFORGE_SCOPE_MANAGE)


#define NGX_HTTP_TASKFORGE_NAME_MAX      64       /* bytes of a username */

/* "tfk_", 38 random characters, 6 of the checksum; base62 */
#define NGX_HTTP_TASKFORGE_KEY_LEN       48

/* "tft_" and 32 random bytes in base64url */
#define NGX_HTTP_TASKFORGE_TICKET_LEN    47
#define NGX_HTTP_TASKFORGE_TICKET_TTL    30       /* seconds */

/* "tf:ticket:" and SHA-256 of the ticket in hex, no NUL */
#define NGX_HTTP_TASKFORGE_TICKET_REDIS  (10 + 64)


typedef enum {
    NGX_HTTP_TASKFORGE_BY_TOKEN = 0,
    NGX_HTTP_TASKFORGE_BY_KEY
} ngx_http_taskforge_by_e;


struct ngx_http_taskforge_identity_s {
    uint8_t                       user_id[16];
    uint8_t                       source_id[16];  /* refresh family or API
                                                     key; zeros: none */
    ngx_http_taskforge_by_e       by;             /* what source_id is */
    ngx_http_taskforge_role_e     role;
    ngx_uint_t                    scopes;         /* all with a token */
    time_t                        expires;        /* 0: never */
    size_t                        name_len;
    u_char                        name[NGX_HTTP_TASKFORGE_NAME_MAX];
};


typedef enum {
    NGX_HTTP_TASKFORGE_CREDENTIAL_NONE = 0,
    NGX_HTTP_TASKFORGE_CREDENTIAL_TOKEN,
    NGX_HTTP_TASKFORGE_CREDENTIAL_KEY,
    NGX_HTTP_TASKFORGE_CREDENTIAL_TICKET
} ngx_http_taskforge_credential_e;


/*
 * A credential on its way to an identity.  Lives in the request's pool,
 * because it may have to wait; resolve fills what follows text.
 */

typedef struct {
    ngx_http_taskforge_credential_e   type;
    ngx_str_t                         text;

    ngx_http_taskforge_identity_t     identity;   /* NGX_OK */
    const char                       *error;      /* NGX_DECLINED: why, for
                                                     people */
    ngx_uint_t                        retry;      /* NGX_BUSY: seconds */

    ngx_int_t                         rc;         /* NGX_AGAIN: waiting */
    ngx_uint_t                        generation; /* when it was asked for */
    uint8_t                           hash[32];
    uint8_t                           user_id[16];
    uint8_t                           source_id[16];
    time_t                            expires;
    ngx_uint_t                        issued;     /* by us: user_id is so */
    ngx_http_request_t               *request;
    void                             *wait;       /* NULL: nothing under way */
    ngx_uint_t                        cleanup;    /* of wait is set */
} ngx_http_taskforge_credential_t;


/*
 * NGX_OK: identity is filled.  NGX_DECLINED: nobody's; error says why.
 * NGX_BUSY: too many were refused (ngx_http_taskforge_limit_failed), so it is
 * not looked up; retry says when it will be.
 * NGX_AGAIN: PostgreSQL or Redis is asked; when the answer is there rc is
 * one of the others and the phases of the request run again.  NGX_ERROR:
 * cannot be known now (503).
 */

ngx_int_t ngx_http_taskforge_identity_resolve(ngx_http_request_t *r,
    ngx_http_taskforge_credential_t *credential);


/*
 * Ends the request's connection when the credential's identity expires, or is
 * told to be gone by a notification, also one that came since it was resolved:
 * for requests that last (WebSocket, SSE).  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_taskforge_identity_hold(ngx_http_request_t *r,
    const ngx_http_taskforge_credential_t *credential);


/*
 * Forgets all that this process remembers of a user, because something of
 * the user was just changed.
 */

void ngx_http_taskforge_identity_forget(ngx_http_request_t *r,
    const uint8_t user_id[16]);


/*
 * Signs an access token for a user of a refresh family.  token: in r->pool;
 * expires_in: seconds, may be NULL.  NGX_DECLINED: there is no
 * taskforge_jwt_key that signs; NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_taskforge_identity_sign(ngx_http_request_t *r,
    const uint8_t user_id[16], const uint8_t family_id[16],
    ngx_http_taskforge_role_e role, const ngx_str_t *name, ngx_str_t *token,
    time_t *expires_in);


/*
 * Where Redis keeps a ticket (SET key value EX 30), and what: the identity
 * as "<user uuid>:<source uuid>:<expires>", NUL-terminated.
 */

#define NGX_HTTP_TASKFORGE_TICKET_VALUE  (36 + 1 + 36 + 1 + 20 + 1)

void ngx_http_taskforge_ticket_key(const ngx_str_t *ticket,
    u_char key[NGX_HTTP_TASKFORGE_TICKET_REDIS]);

size_t ngx_http_taskforge_ticket_value(
    const ngx_http_taskforge_identity_t *identity,
    u_char value[NGX_HTTP_TASKFORGE_TICKET_VALUE]);


/*
 * The last 6 characters of an API key: CRC32 of what precedes them, base62
 * (0-9, A-Z, a-z), the most significant digit first.  key has the first 42
 * characters.
 */

void ngx_http_taskforge_key_checksum(const u_char *key, u_char sum[6]);


/* SHA-256, as it is at rest for keys and refresh tokens. */

void ngx_http_taskforge_credential_hash(const u_char *text, size_t len,
    uint8_t hash[32]);


/* "viewer", "operator", "admin" as a role; NONE: another text. */

ngx_http_taskforge_role_e ngx_http_taskforge_role(const char *name,
    size_t len);


/*
 * Of a worker process; made by the access module's init_process after the
 * connections to PostgreSQL and Redis.  capacity: entries of the cache.
 */

ngx_http_taskforge_identities_t *ngx_http_taskforge_identities_create(
    ngx_cycle_t *cycle, ngx_uint_t capacity);

void ngx_http_taskforge_identities_destroy(
    ngx_http_taskforge_identities_t *ids);


#endif /* _NGX_HTTP_TASKFORGE_IDENTITY_H_INCLUDED_ */
