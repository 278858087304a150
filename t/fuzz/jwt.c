/* Tokens from anywhere: never a crash, and never one that is taken without the secret. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ngx_taskforge_module/ngx_http_taskforge_jwt.h"

static const char secret[] = "a secret that no fuzzer will guess, made of 48 b";

static ngx_http_taskforge_jwt_t *ring;

static void start(void)
{
    ngx_http_taskforge_jwt_conf_t conf = {"taskforge", "taskforge", 5, 4096};

    ring = ngx_http_taskforge_jwt_create(&conf);
    if (ring == NULL || ngx_http_taskforge_jwt_add(ring, "k", "HS256", secret, sizeof(secret) - 1, 0, NULL)) {
        abort();
    }
}

static size_t base64url(const uint8_t *in, size_t len, char *out)
{
    size_t i, n = (size_t)EVP_EncodeBlock((unsigned char *)out, in, (int)len);

    for (i = 0; i < n && out[i] != '='; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
    return i;
}

/* The input as claims of a token with a good signature: the claims are read behind it. */
static void try_signed(const uint8_t *data, size_t size)
{
    static const char header[] = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ."; /* {"alg":"HS256","kid":"k"} */
    ngx_http_taskforge_jwt_claims_t claims;
    unsigned char mac[32];
    char token[4096];
    size_t n;

    if (size > 2000) {
        return;
    }
    memcpy(token, header, sizeof(header) - 1);
    n = sizeof(header) - 1;
    n += base64url(data, size, token + n);
    HMAC(EVP_sha256(), secret, sizeof(secret) - 1, (unsigned char *)token, n, mac, NULL);
    token[n++] = '.';
    n += base64url(mac, sizeof(mac), token + n);
    if (ngx_http_taskforge_jwt_verify(ring, token, n, 1000, &claims) == NGX_HTTP_TASKFORGE_JWT_OK &&
        claims.expires <= 1000 - 5) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_http_taskforge_jwt_claims_t claims;

    if (ring == NULL) {
        start();
    }
    if (ngx_http_taskforge_jwt_verify(ring, (const char *)data, size, 1000, &claims) ==
        NGX_HTTP_TASKFORGE_JWT_OK) {
        abort();
    }
    try_signed(data, size);
    return 0;
}
