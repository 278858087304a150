
/*
 * Access tokens: JSON Web Tokens (RFC 7519) signed as RFC 7515 has it.  The
 * one place that knows libjwt (1.10 and 1.17).  Knows nothing of nginx's
 * event loop, so it is tested and fuzzed alone.
 *
 * libjwt 1.x obeys the algorithm that the token names.  Here the key decides:
 * each key has one algorithm, and a token that names another one is refused
 * before its signature is looked at.
 */

#ifndef _NGX_HTTP_TASKFORGE_JWT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_JWT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define NGX_HTTP_TASKFORGE_JWT_KEYS      16     /* of a ring */
#define NGX_HTTP_TASKFORGE_JWT_KID_MAX   64     /* bytes */
#define NGX_HTTP_TASKFORGE_JWT_NAME_MAX  64     /* bytes */
#define NGX_HTTP_TASKFORGE_JWT_ROLE_MAX  16     /* bytes */


typedef struct ngx_http_taskforge_jwt_s  ngx_http_taskforge_jwt_t;


/* What is asked of every token; the texts are copied. */

typedef struct {
    const char      *issuer;      /* "iss" that must be there */
    const char      *audience;    /* "aud" that must be there or among it */
    int64_t          leeway;      /* seconds that clocks may differ */
    size_t           max_size;    /* bytes of a token */
} ngx_http_taskforge_jwt_conf_t;


typedef struct {
    uint8_t          user[16];
    uint8_t          family[16];  /* refresh family; zeros: none, the token
                                     is of an outside issuer */
    char             role[NGX_HTTP_TASKFORGE_JWT_ROLE_MAX + 1];
    char             name[NGX_HTTP_TASKFORGE_JWT_NAME_MAX + 1];
    int64_t          issued;      /* seconds since 1970 */
    int64_t          expires;
} ngx_http_taskforge_jwt_claims_t;


typedef enum {
    NGX_HTTP_TASKFORGE_JWT_OK = 0,
    NGX_HTTP_TASKFORGE_JWT_TOO_LONG,
    NGX_HTTP_TASKFORGE_JWT_MALFORMED,
    NGX_HTTP_TASKFORGE_JWT_UNKNOWN_KEY,
    NGX_HTTP_TASKFORGE_JWT_ALGORITHM,
    NGX_HTTP_TASKFORGE_JWT_SIGNATURE,
    NGX_HTTP_TASKFORGE_JWT_EXPIRED,
    NGX_HTTP_TASKFORGE_JWT_TOO_EARLY,
    NGX_HTTP_TASKFORGE_JWT_ISSUER,
    NGX_HTTP_TASKFORGE_JWT_AUDIENCE,
    NGX_HTTP_TASKFORGE_JWT_CLAIMS,       /* sub, fam, use, exp or iat */
    NGX_HTTP_TASKFORGE_JWT_MEMORY
} ngx_http_taskforge_jwt_error_e;


/* An empty ring.  NULL: no memory. */

ngx_http_taskforge_jwt_t *ngx_http_taskforge_jwt_create(
    const ngx_http_taskforge_jwt_conf_t *conf);


/* Overwrites the keys and frees them.  ring may be NULL. */

void ngx_http_taskforge_jwt_destroy(ngx_http_taskforge_jwt_t *ring);


/*
 * Adds a key, which is copied.  alg: HS256, HS384, HS512 (key: the secret
 * itself, at least as long as the hash), RS256, RS384, RS512, ES256, ES384,
 * ES512 (key: PEM; the public key when verify is set, otherwise the private
 * one).  The first key without verify signs; every key verifies.  issuer:
 * of the tokens of this key, an outside issuer (only with verify); NULL: our
 * own.  Returns NULL, or what is wrong with it, without any part of the key.
 */

const char *ngx_http_taskforge_jwt_add(ngx_http_taskforge_jwt_t *ring,
    const char *kid, const char *alg, const void *key, size_t len, int verify,
    const char *issuer);


/* True when the ring has a key that signs. */

int ngx_http_taskforge_jwt_signs(const ngx_http_taskforge_jwt_t *ring);


/*
 * Signs an access token: iss, aud, sub, fam, role, name, iat, nbf, exp, jti
 * and use "access".  The text is NUL-terminated and freed by the caller with
 * free().  NULL: no key that signs, or no memory.
 */

char *ngx_http_taskforge_jwt_sign(const ngx_http_taskforge_jwt_t *ring,
    const ngx_http_taskforge_jwt_claims_t *claims);


/*
 * Checks a token against the ring and the clock (now: seconds since 1970):
 * form, key, algorithm, signature, exp, nbf, iat, iss, aud, and of our own
 * tokens use and fam.  Fills claims only when it is good.
 */

ngx_http_taskforge_jwt_error_e ngx_http_taskforge_jwt_verify(
    const ngx_http_taskforge_jwt_t *ring, const char *token, size_t len,
    int64_t now, ngx_http_taskforge_jwt_claims_t *claims);


/* For people: "the token has expired".  Never NULL. */

const char *ngx_http_taskforge_jwt_strerror(
    ngx_http_taskforge_jwt_error_e error);


#endif /* _NGX_HTTP_TASKFORGE_JWT_H_INCLUDED_ */
