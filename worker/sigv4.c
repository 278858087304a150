#include "sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SIGNED "host;x-amz-content-sha256;x-amz-date"
#define HEX_LEN (2 * SHA256_DIGEST_LENGTH)

static void to_hex(const uint8_t digest[SHA256_DIGEST_LENGTH], char out[HEX_LEN + 1])
{
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

static bool hash(const char *data, size_t len, char out[HEX_LEN + 1])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    if (!EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL)) {
        return false;
    }
    to_hex(digest, out);
    return true;
}

/* key: of key_len bytes; out may be key. */
static bool hmac(const uint8_t *key, size_t key_len, const char *text, uint8_t out[SHA256_DIGEST_LENGTH])
{
    return HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out, NULL) != NULL;
}

/* The key for one day, region and service. */
static bool derive(const tfw_sigv4_t *r, const char *day, uint8_t key[SHA256_DIGEST_LENGTH])
{
    char secret[256];
    int n = snprintf(secret, sizeof(secret), "AWS4%s", r->secret_key);
    bool ok = n > 0 && (size_t)n < sizeof(secret) && hmac((uint8_t *)secret, (size_t)n, day, key) &&
              hmac(key, SHA256_DIGEST_LENGTH, r->region, key) && hmac(key, SHA256_DIGEST_LENGTH, "s3", key) &&
              hmac(key, SHA256_DIGEST_LENGTH, "aws4_request", key);

    OPENSSL_cleanse(secret, sizeof(secret));
    return ok;
}

bool tfw_sigv4_sign(const tfw_sigv4_t *r, tfw_sigv4_headers_t *headers)
{
    char time_text[32], day[16], body[HEX_LEN + 1], canonical[HEX_LEN + 1], signature[HEX_LEN + 1],
        scope[160];
    uint8_t key[SHA256_DIGEST_LENGTH];
    tf_buf_t text = TF_BUF_INIT;
    time_t at = (time_t)r->at_seconds;
    struct tm tm;
    bool ok;
    int n;

    gmtime_r(&at, &tm);
    strftime(time_text, sizeof(time_text), "%Y%m%dT%H%M%SZ", &tm);
    strftime(day, sizeof(day), "%Y%m%d", &tm);
    n = snprintf(scope, sizeof(scope), "%s/%s/s3/aws4_request", day, r->region);
    ok = (size_t)n < sizeof(scope) && hash(r->body ? r->body : "", r->body_len, body);
    tf_buf_addf(&text, "%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s", r->method,
                r->path, r->query, r->host, body, time_text, SIGNED, body);
    ok = ok && !text.failed && hash(text.data, text.len, canonical);
    tf_buf_reset(&text);
    tf_buf_addf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", time_text, scope, canonical);
    tf_buf_cstr(&text);
    ok = ok && !text.failed && derive(r, day, key) && hmac(key, sizeof(key), text.data, key);
    tf_buf_free(&text);
    if (!ok) {
        return false;
    }
    to_hex(key, signature);
    snprintf(headers->date, sizeof(headers->date), "x-amz-date: %s", time_text);
    snprintf(headers->content, sizeof(headers->content), "x-amz-content-sha256: %s", body);
    n = snprintf(headers->authorization, sizeof(headers->authorization),
                 "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s",
                 r->access_key, scope, SIGNED, signature);
    return (size_t)n < sizeof(headers->authorization);
}

void tfw_sigv4_encode(tf_buf_t *out, const char *text, bool slash)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) ||
            (slash && c == '/')) {
            tf_buf_addc(out, (char)c);
        } else {
            tf_buf_addf(out, "%%%02X", c);
        }
    }
}
