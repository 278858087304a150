
/*
 * Passwords: argon2id (RFC 9106) in a thread pool, so that no event loop
 * waits for it.  How many hashes run or wait is bounded.
 */

#ifndef _NGX_HTTP_TASKFORGE_PASSWORD_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PASSWORD_H_INCLUDED_


#include "ngx_http_taskforge_accounts.h"


#define NGX_HTTP_TASKFORGE_HASH_MAX  256      /* encoded, with NUL */


typedef struct {
    /* password is the one of the encoded hash */
    ngx_uint_t                        matches;

    /*
     * A new hash, encoded: of fresh, or of password when it matches and its
     * hash is weaker than the settings ask for; empty: none.
     */
    ngx_str_t                         hash;
} ngx_http_taskforge_password_result_t;


/* result is valid during the call. */

typedef void (*ngx_http_taskforge_password_pt)(ngx_http_request_t *r,
    void *data, ngx_http_taskforge_password_result_t *result);


/* Configuration time: lets libsodium choose what this processor can. */

ngx_int_t ngx_http_taskforge_password_init(ngx_conf_t *cf);


/* True when ngx_http_taskforge_password() would answer 503 now. */

ngx_uint_t ngx_http_taskforge_password_full(ngx_http_request_t *r);


/*
 * Compares password with encoded, and hashes fresh if it matches.  encoded
 * empty: there is no such user, which takes as long.  password empty: fresh
 * is hashed alone.  All are copied, and the copies overwritten.  When
 * the request ends first, the handler is not called.
 *
 * NGX_ERROR: there is no room or no thread pool (503) or no memory, and the
 * request has been answered.
 */

ngx_int_t ngx_http_taskforge_password(ngx_http_request_t *r,
    const ngx_str_t *password, const ngx_str_t *encoded,
    const ngx_str_t *fresh, ngx_http_taskforge_password_pt handler,
    void *data);


#endif /* _NGX_HTTP_TASKFORGE_PASSWORD_H_INCLUDED_ */
