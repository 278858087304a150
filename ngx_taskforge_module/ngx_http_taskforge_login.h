
/*
 * POST /auth/login, and the pair of tokens that a session answers with.
 */

#ifndef _NGX_HTTP_TASKFORGE_LOGIN_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_LOGIN_H_INCLUDED_


#include "ngx_http_taskforge_accounts.h"


/* POST /auth/login */
void ngx_http_taskforge_login(ngx_http_request_t *r);


/*
 * An attempt with a password, counted for the name and for the caller's
 * address before anything is checked.  NGX_ERROR: one of them is locked and
 * the request has been answered (429).
 */

typedef struct {
    uint64_t                      name;
    uint64_t                      address;
} ngx_http_taskforge_attempt_t;

ngx_int_t ngx_http_taskforge_attempt(ngx_http_request_t *r,
    const ngx_str_t *name, ngx_http_taskforge_attempt_t *attempt);

/* It was not a wrong password: the server could not check it. */
void ngx_http_taskforge_attempt_void(ngx_http_request_t *r,
    const ngx_http_taskforge_attempt_t *attempt);

/* The password was right. */
void ngx_http_taskforge_attempt_good(ngx_http_request_t *r,
    const ngx_http_taskforge_attempt_t *attempt);

/* It was wrong: the account's own counter is told.  user NULL: nobody's. */
void ngx_http_taskforge_attempt_bad(ngx_http_request_t *r,
    const uint8_t *user_id);


/* 429 with Retry-After. */

void ngx_http_taskforge_locked(ngx_http_request_t *r, ngx_uint_t seconds);


/*
 * Signs an access token and answers 200 with it and the refresh token.
 * role and name: as PostgreSQL has them.
 */

void ngx_http_taskforge_session_reply(ngx_http_request_t *r,
    const uint8_t user_id[16], const uint8_t family_id[16],
    const ngx_str_t *role, const ngx_str_t *name, const u_char *refresh);


#endif /* _NGX_HTTP_TASKFORGE_LOGIN_H_INCLUDED_ */
