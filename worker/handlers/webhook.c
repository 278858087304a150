/* webhook: tells whoever submitted a job of its end, as Standard Webhooks (standardwebhooks.com) has it. The
 * payload is made by sql/0005_webhooks; its body is sent as it is, so that every attempt and replay has the
 * same bytes. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "handler.h"
#include "http_call.h"
#include "run.h"

#define TIMEOUT_MS 15000
#define ANSWER_KEPT 1024 /* bytes */
#define HEADERS_MAX 7    /* the last one is NULL */
#define HEADER_SIZE 512  /* bytes */
#define KEY_MAX 96       /* bytes, decoded; ours have 32 */
#define SECRET_PREFIX "whsec_"
#define STATUS_GONE 410

typedef struct {
    const char *id, *url, *body;
    const char *traceparent; /* NULL: none */
    size_t body_len;
} message_t;

static bool read_message(tfw_run_t *run, message_t *m)
{
    const json_t *payload = tfw_run_payload(run), *body = json_object_get(payload, "body");

    m->id = json_string_value(json_object_get(payload, "id"));
    m->url = json_string_value(json_object_get(payload, "url"));
    m->traceparent = json_string_value(json_object_get(payload, "traceparent"));
    m->body = json_string_value(body);
    m->body_len = json_string_length(body);
    return m->id && m->url && m->body;
}

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

/* Appends " v1,<base64>" of HMAC-SHA256 over "id.timestamp.body". */
static bool add_signature(tf_buf_t *out, const message_t *m, const char *timestamp, const unsigned char *key,
                          size_t key_len)
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
static bool sign(tfw_run_t *run, const message_t *m, const char *timestamp, tf_buf_t *out)
{
    unsigned char key[KEY_MAX];
    const char *secret = tfw_run_secret(run);
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

static void post(tfw_run_t *run, const message_t *m, const char *timestamp, const char *signatures,
                 tfw_http_answer_t *answer)
{
    char text[4][HEADER_SIZE];
    const char *headers[HEADERS_MAX] = {"content-type: application/json",
                                        "user-agent: TaskForge/" TF_VERSION};
    tfw_http_request_t request = {.url = m->url,
                                  .headers = headers,
                                  .body = m->body,
                                  .body_len = m->body_len,
                                  .timeout_ms = TIMEOUT_MS,
                                  .keep_max = ANSWER_KEPT};
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
    tfw_http_post(run, &request, answer);
}

static void give_result(tfw_run_t *run, const tfw_http_answer_t *answer)
{
    tf_buf_t result = TF_BUF_INIT;

    tf_buf_addc(&result, '{');
    tf_json_kint(&result, "status_code", answer->status);
    tf_json_kint(&result, "duration_ms", answer->duration_us / 1000);
    tf_json_kstr(&result, "response", answer->body.data ? answer->body.data : "", answer->body.len);
    tf_buf_addc(&result, '}');
    tfw_run_result(run, tf_buf_cstr(&result), result.len);
    tf_buf_free(&result);
}

/* What the answer means. The words of errors are taken apart again by GET /jobs/{id}/webhooks. */
static tfw_outcome_t judge(tfw_run_t *run, tfw_http_answer_t *answer)
{
    if (answer->cancelled) {
        return TFW_CANCELLED;
    }
    if (answer->refused) {
        tfw_run_error(run, "%s", answer->error);
        return TFW_PERMANENT;
    }
    if (answer->status == 0) {
        tfw_run_error(run, "no answer after %lld ms: %s", (long long)(answer->duration_us / 1000),
                      answer->error);
        return TFW_RETRY;
    }
    answer->body.len = tfw_text_clean(answer->body.data, answer->body.len, answer->body.len);
    if (answer->status >= 200 && answer->status < 300) {
        give_result(run, answer);
        return TFW_OK;
    }
    tfw_run_error(run, "HTTP %d after %lld ms: %.*s", answer->status, (long long)(answer->duration_us / 1000),
                  (int)answer->body.len, answer->body.len ? answer->body.data : "");
    if (answer->retry_after_seconds >= 0) {
        tfw_run_retry_after(run, answer->retry_after_seconds);
    }
    return answer->status == STATUS_GONE ? TFW_PERMANENT : TFW_RETRY;
}

static tfw_outcome_t webhook_run(tfw_run_t *run)
{
    char timestamp[24];
    tf_buf_t signatures = TF_BUF_INIT;
    tfw_outcome_t outcome;
    tfw_http_answer_t answer;
    message_t m;

    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)time(NULL));
    if (!read_message(run, &m)) {
        tfw_run_error(run, "payload: \"id\", \"url\" and \"body\" must be texts");
        return TFW_PERMANENT;
    }
    if (!sign(run, &m, timestamp, &signatures)) {
        tf_buf_free(&signatures);
        tfw_run_error(run, "there is no secret to sign with");
        return TFW_RETRY;
    }
    post(run, &m, timestamp, tf_buf_cstr(&signatures), &answer);
    tf_buf_free(&signatures);
    outcome = judge(run, &answer);
    tfw_http_answer_free(&answer);
    return outcome;
}

/* Retries: webhook_add() in sql/0005_webhooks writes the same into each delivery, for a scheduler that knows
 * no handlers. */
TF_HANDLER(webhook) = {
    .type = "webhook",
    .description = "Tells the webhook_url of a job of its end.",
    .payload_schema = "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
                      "\"properties\":{\"id\":{\"type\":\"string\"},\"type\":{\"type\":\"string\"},"
                      "\"url\":{\"type\":\"string\"},\"traceparent\":{\"type\":[\"string\",\"null\"]},"
                      "\"body\":{\"type\":\"string\"}},\"required\":[\"id\",\"url\",\"body\"]}",
    .max_retries = 30,
    .timeout_seconds = 30,
    .retry = {5000, 7200000, true},
    .run = webhook_run,
};
