#include "signed_post.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HEADERS_MAX 7   /* the last one is NULL */
#define HEADER_SIZE 512 /* bytes */
#define KEY_MAX 96      /* bytes, decoded; ours have 32 */
#define SECRET_PREFIX "whsec_"

/* The bytes of "whsec_<base64>", len characters; 0: it is none. */
static size_t decode_secret(const char *secret, size_t len, unsigned char key[KEY_MAX])
{
    size_t prefix = strlen(SECRET_PREFIX);
    int n;

    if (len <= prefix || (len - prefix) / 4 * 3 > KEY_MAX || strncmp(secret, SECRET_PREFIX, prefix) != 0) {
        return 0;
    }
    n = EVP_DecodeBlock(key, (const unsigned char *)secret + prefix, (int)(len - prefix));
    for (size_t i = len; n > 0 && i > len - 2 && secret[i - 1] == '='; i--) {
        n--; /* what stands for padding is decoded too */
    }
    return n > 0 ? (size_t)n : 0;
}

bool tfw_signed_post_secret_valid(const char *secrets)
{
    unsigned char key[KEY_MAX];
    bool valid = false;

    while (*secrets && !valid) {
        size_t len = strcspn(secrets, " ");

        valid = decode_secret(secrets, len, key) > 0;
        secrets += len + strspn(secrets + len, " ");
    }
    explicit_bzero(key, sizeof(key));
    return valid;
}

/* Appends " v1,<base64>" of HMAC-SHA256 over "id.timestamp.body". */
static bool add_signature(tf_buf_t *out, const tfw_signed_message_t *m, const char *timestamp,
                          const unsigned char *key, size_t key_len)
{
    unsigned char mac[EVP_MAX_MD_SIZE], text[EVP_MAX_MD_SIZE * 2];
    unsigned int mac_len = 0;
    tf_buf_t content = TF_BUF_INIT;
    bool ok;

    tf_buf_adds(&content, m->id);
    tf_buf_addc(&content, '.');
    tf_buf_adds(&content, timestamp);
    tf_buf_addc(&content, '.');
    tf_buf_add(&content, m->body, m->body_len);
    ok = !content.failed &&
         HMAC(EVP_sha256(), key, (int)key_len, (unsigned char *)content.data, content.len, mac, &mac_len);
    tf_buf_free(&content);
    if (ok) {
        tf_buf_adds(out, " v1,");
        tf_buf_add(out, text, (size_t)EVP_EncodeBlock(text, mac, (int)mac_len));
    }
    return ok;
}

/* One signature for each secret; false: there is none, or out of memory. */
static bool sign(const tfw_signed_message_t *m, const char *timestamp, tf_buf_t *out)
{
    unsigned char key[KEY_MAX];
    const char *secret = m->secrets;
    bool any = false, ok = true;

    while (*secret && ok) {
        size_t len = strcspn(secret, " "), key_len = decode_secret(secret, len, key);

        if (key_len) {
            ok = add_signature(out, m, timestamp, key, key_len);
            any = true;
        }
        secret += len + strspn(secret + len, " ");
    }
    explicit_bzero(key, sizeof(key));
    return any && ok && !out->failed;
}

static void post(tfw_run_t *run, const tfw_signed_message_t *m, const char *timestamp, const char *signatures,
                 const tfw_http_request_t *wanted, tfw_http_answer_t *answer)
{
    char text[4][HEADER_SIZE];
    const char *headers[HEADERS_MAX] = {"content-type: application/json",
                                        "user-agent: TaskForge/" TF_VERSION};
    tfw_http_request_t request = *wanted;
    int n = 2;

    snprintf(text[0], HEADER_SIZE, "webhook-id: %s", m->id);
    snprintf(text[1], HEADER_SIZE, "webhook-timestamp: %s", timestamp);
    snprintf(text[2], HEADER_SIZE, "webhook-signature:%s", signatures);
    for (int i = 0; i < 3; i++) {
        headers[n++] = text[i];
    }
    if (m->traceparent) {
        snprintf(text[3], HEADER_SIZE, "traceparent: %s", m->traceparent);
        headers[n++] = text[3];
    }
    headers[n] = NULL;
    request.headers = headers;
    request.body = m->body;
    request.body_len = m->body_len;
    tfw_http_call(run, &request, answer);
}

bool tfw_signed_post(tfw_run_t *run, const tfw_signed_message_t *message, const tfw_http_request_t *request,
                     tfw_http_answer_t *answer)
{
    char timestamp[24];
    tf_buf_t signatures = TF_BUF_INIT;
    bool ok;

    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)time(NULL));
    ok = sign(message, timestamp, &signatures);
    if (ok) {
        post(run, message, timestamp, tf_buf_cstr(&signatures), request, answer);
    }
    tf_buf_free(&signatures);
    return ok;
}
