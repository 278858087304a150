
/*
 * The keys of a ring, made fit for libjwt.
 */

#ifndef _NGX_HTTP_TASKFORGE_JWT_KEY_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_JWT_KEY_H_INCLUDED_


#include <stddef.h>
#include <jwt.h>


typedef enum {
    NGX_HTTP_TASKFORGE_JWT_HMAC = 0,
    NGX_HTTP_TASKFORGE_JWT_RSA,
    NGX_HTTP_TASKFORGE_JWT_EC
} ngx_http_taskforge_jwt_family_e;


typedef struct {
    const char                        *name;
    jwt_alg_t                          alg;
    ngx_http_taskforge_jwt_family_e    family;
    int                                bits;    /* of hash or of curve */
} ngx_http_taskforge_jwt_alg_t;


/* Bytes of a key; overwritten when freed. */

typedef struct {
    unsigned char                     *data;
    size_t                             len;
} ngx_http_taskforge_jwt_bytes_t;


typedef struct {
    char                              *kid;
    char                              *issuer;     /* NULL: our own */
    const ngx_http_taskforge_jwt_alg_t
                                      *alg;
    ngx_http_taskforge_jwt_bytes_t     sign;       /* empty: verifies only */
    ngx_http_taskforge_jwt_bytes_t     verify;
} ngx_http_taskforge_jwt_key_t;


/* NULL: no such algorithm, or one that proves nothing. */

const ngx_http_taskforge_jwt_alg_t *ngx_http_taskforge_jwt_alg(
    const char *name);


/*
 * Fills sign and verify from what a file or the environment holds (a secret,
 * or PEM), as key->alg wants it.  Returns NULL or what is wrong with it.
 */

const char *ngx_http_taskforge_jwt_key_load(ngx_http_taskforge_jwt_key_t *key,
    const void *data, size_t len, int verify);


/* Overwrites and frees what the key holds, not the key itself. */

void ngx_http_taskforge_jwt_key_free(ngx_http_taskforge_jwt_key_t *key);


#endif /* _NGX_HTTP_TASKFORGE_JWT_KEY_H_INCLUDED_ */
