/* webhook: tells whoever submitted a job of its end, as Standard Webhooks (standardwebhooks.com) has it. The
 * payload is made by sql/0005_webhooks; its body is sent as it is, so that every attempt and replay has the
 * same bytes. */
#include <string.h>

#include "handler.h"
#include "run.h"
#include "signed_post.h"

#define TIMEOUT_MS 15000
#define ANSWER_KEPT 1024 /* bytes */
#define ANSWER_READ 65536
#define STATUS_GONE 410
#define WAIT_MAX_SECONDS 7200 /* whatever Retry-After says: a delivery has a day */

/* false: the payload is none of ours. */
static bool read_message(tfw_run_t *run, tfw_signed_message_t *m, const char **url)
{
    const json_t *payload = tfw_run_payload(run), *body = json_object_get(payload, "body");

    *url = json_string_value(json_object_get(payload, "url"));
    m->id = json_string_value(json_object_get(payload, "id"));
    m->traceparent = json_string_value(json_object_get(payload, "traceparent"));
    m->body = json_string_value(body);
    m->body_len = json_string_length(body);
    m->secrets = tfw_run_secret(run);
    return m->id && *url && m->body;
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
        tfw_run_retry_after(run, answer->retry_after_seconds < WAIT_MAX_SECONDS ? answer->retry_after_seconds
                                                                                : WAIT_MAX_SECONDS);
    }
    return answer->status == STATUS_GONE ? TFW_PERMANENT : TFW_RETRY;
}

static tfw_outcome_t webhook_run(tfw_run_t *run)
{
    tfw_http_request_t request = {.timeout_ms = TIMEOUT_MS, .keep_max = ANSWER_KEPT, .read_max = ANSWER_READ};
    tfw_signed_message_t message;
    tfw_outcome_t outcome;
    tfw_http_answer_t answer;

    if (!read_message(run, &message, &request.url)) {
        tfw_run_error(run, "payload: \"id\", \"url\" and \"body\" must be texts");
        return TFW_PERMANENT;
    }
    if (!tfw_signed_post(run, &message, &request, &answer)) {
        tfw_run_error(run, "there is no secret to sign with");
        return TFW_RETRY;
    }
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
    .retry = {5000, WAIT_MAX_SECONDS * 1000, true},
    .run = webhook_run,
    .io_bound = true,
};
