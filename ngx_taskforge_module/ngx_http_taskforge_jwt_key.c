
#include "ngx_http_taskforge_jwt_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>


static const char *ngx_http_taskforge_jwt_load_pem(
    ngx_http_taskforge_jwt_key_t *key, const void *data, size_t len,
    int verify);
static const char *ngx_http_taskforge_jwt_fits(
    const ngx_http_taskforge_jwt_alg_t *alg, EVP_PKEY *pkey);
static int ngx_http_taskforge_jwt_copy(ngx_http_taskforge_jwt_bytes_t *to,
    const void *data, size_t len);


static const ngx_http_taskforge_jwt_alg_t  ngx_http_taskforge_jwt_algs[] = {
    { "HS256", JWT_ALG_HS256, NGX_HTTP_TASKFORGE_JWT_HMAC, 256 },
    { "HS384", JWT_ALG_HS384, NGX_HTTP_TASKFORGE_JWT_HMAC, 384 },
    { "HS512", JWT_ALG_HS512, NGX_HTTP_TASKFORGE_JWT_HMAC, 512 },
    { "RS256", JWT_ALG_RS256, NGX_HTTP_TASKFORGE_JWT_RSA, 2048 },
    { "RS384", JWT_ALG_RS384, NGX_HTTP_TASKFORGE_JWT_RSA, 2048 },
    { "RS512", JWT_ALG_RS512, NGX_HTTP_TASKFORGE_JWT_RSA, 2048 },
    { "ES256", JWT_ALG_ES256, NGX_HTTP_TASKFORGE_JWT_EC, 256 },
    { "ES384", JWT_ALG_ES384, NGX_HTTP_TASKFORGE_JWT_EC, 384 },
    { "ES512", JWT_ALG_ES512, NGX_HTTP_TASKFORGE_JWT_EC, 521 },
    { NULL, JWT_ALG_NONE, NGX_HTTP_TASKFORGE_JWT_HMAC, 0 }
};


const ngx_http_taskforge_jwt_alg_t *
ngx_http_taskforge_jwt_alg(const char *name)
{
    const ngx_http_taskforge_jwt_alg_t  *alg;

    for (alg = ngx_http_taskforge_jwt_algs; alg->name; alg++) {
        if (strcmp(alg->name, name) == 0) {
            return alg;
        }
    }

    return NULL;
}


const char *
ngx_http_taskforge_jwt_key_load(ngx_http_taskforge_jwt_key_t *key,
    const void *data, size_t len, int verify)
{
    static const char  pem[] = "-----BEGIN";

    if (len == 0) {
        return "is empty";
    }

    if (key->alg->family != NGX_HTTP_TASKFORGE_JWT_HMAC) {
        return ngx_http_taskforge_jwt_load_pem(key, data, len, verify);
    }

    /* everybody may know a public key, and then sign with it */

    if (memmem(data, len, pem, sizeof(pem) - 1)) {
        return "is a PEM file, which cannot be the secret of an HMAC";
    }

    /* RFC 7518, section 3.2 */

    if (len * 8 < (size_t) key->alg->bits) {
        return "is too short: an HMAC needs a secret as long as its hash "
               "(32 bytes for HS256)";
    }

    if (!ngx_http_taskforge_jwt_copy(&key->verify, data, len)
        || (!verify && !ngx_http_taskforge_jwt_copy(&key->sign, data, len)))
    {
        return "does not fit into memory";
    }

    return NULL;
}


/* libjwt verifies with the public key in PEM, and signs with the private. */

static const char *
ngx_http_taskforge_jwt_load_pem(ngx_http_taskforge_jwt_key_t *key,
    const void *data, size_t len, int verify)
{
    BIO         *in, *out;
    long         n;
    char        *text;
    EVP_PKEY    *pkey;
    const char  *error;

    static char  no_passphrase[] = "";

    in = BIO_new_mem_buf(data, (int) len);
    out = BIO_new(BIO_s_mem());
    pkey = NULL;

    if (in && out) {
        pkey = verify ? PEM_read_bio_PUBKEY(in, NULL, NULL, NULL)
                      : PEM_read_bio_PrivateKey(in, NULL, NULL, no_passphrase);
    }

    if (pkey == NULL) {
        error = verify ? "is no public key in PEM"
                       : "is no private key in PEM without a passphrase; to "
                         "verify only, add \"verify\"";
        goto done;
    }

    error = ngx_http_taskforge_jwt_fits(key->alg, pkey);
    if (error) {
        goto done;
    }

    error = "does not fit into memory";

    if (PEM_write_bio_PUBKEY(out, pkey) != 1) {
        goto done;
    }

    n = BIO_get_mem_data(out, &text);

    if (n > 0 && ngx_http_taskforge_jwt_copy(&key->verify, text, n)
        && (verify || ngx_http_taskforge_jwt_copy(&key->sign, data, len)))
    {
        error = NULL;
    }

done:

    EVP_PKEY_free(pkey);
    BIO_free(in);
    BIO_free(out);

    return error;
}


static const char *
ngx_http_taskforge_jwt_fits(const ngx_http_taskforge_jwt_alg_t *alg,
    EVP_PKEY *pkey)
{
    if (alg->family == NGX_HTTP_TASKFORGE_JWT_RSA) {

        if (EVP_PKEY_base_id(pkey) != EVP_PKEY_RSA) {
            return "is no RSA key";
        }

        return EVP_PKEY_bits(pkey) < alg->bits
                   ? "is too short: an RSA key needs 2048 bits" : NULL;
    }

    if (EVP_PKEY_base_id(pkey) != EVP_PKEY_EC) {
        return "is no EC key";
    }

    return EVP_PKEY_bits(pkey) != alg->bits
               ? "is of another curve than its algorithm" : NULL;
}


/* With a NUL behind it. */

static int
ngx_http_taskforge_jwt_copy(ngx_http_taskforge_jwt_bytes_t *to,
    const void *data, size_t len)
{
    to->data = malloc(len + 1);
    if (to->data == NULL) {
        return 0;
    }

    memcpy(to->data, data, len);
    to->data[len] = '\0';
    to->len = len;

    return 1;
}


void
ngx_http_taskforge_jwt_key_free(ngx_http_taskforge_jwt_key_t *key)
{
    if (key->sign.data) {
        OPENSSL_cleanse(key->sign.data, key->sign.len);
    }

    if (key->verify.data) {
        OPENSSL_cleanse(key->verify.data, key->verify.len);
    }

    free(key->sign.data);
    free(key->verify.data);
    free(key->kid);
    free(key->issuer);
}
