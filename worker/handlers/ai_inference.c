/* ai_inference: asks a language model that speaks OpenAI's protocol, chat or completions. Where it is, is the
 * operator's to say. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "inference/ai_answer.h"
#include "inference/ai_request.h"
#include "call/caller_headers.h"
#include "handler.h"
#include "held.h"
#include "http_call.h"
#include "run.h"
#include "inference/sse.h"
#include "submission.h"

#define ANSWER_MAX (64 << 20) /* bytes that are read of an answer */
#define ERROR_KEPT 65536      /* bytes that are kept of one that is not streamed as asked for */
#define ERROR_SHOWN 600       /* bytes of it in an error */
#define LOG_EVERY_US INT64_C(2000000)
#define LOG_SHOWN 200    /* bytes of the text in a line of the log */
#define SPARE_SECONDS 10 /* an attempt may take a little longer than the call in it */
#define TIMEOUT_SECONDS_MAX 3600

/* ---- settings ---- */

typedef struct {
    char *url, *key, *model, *models;
    int64_t max_tokens, timeout_seconds;
    /* derived */
    tf_outgoing_t lists; /* the URL's host, wherever it is */
    tfw_secret_t secret;
} settings_t;

static settings_t settings;

#define AT(field) offsetof(settings_t, field)

static const tf_setting_t table[] = {
    {"TASKFORGE_AI_URL", TF_SETTING_TEXT, AT(url), "", 0, 0,
     "of the model's server, as http://127.0.0.1:11434/v1"},
    {"TASKFORGE_AI_KEY", TF_SETTING_TEXT, AT(key), "", 0, 0, "that the server wants"},
    {"TASKFORGE_AI_MODEL", TF_SETTING_TEXT, AT(model), "", 0, 0, "for jobs that name none"},
    {"TASKFORGE_AI_MODELS", TF_SETTING_TEXT, AT(models), "", 0, 0,
     "that jobs may name, with commas; default: any"},
    {"TASKFORGE_AI_MAX_TOKENS", TF_SETTING_INT, AT(max_tokens), "4096", 1, 1 << 20, "tokens"},
    {"TASKFORGE_AI_TIMEOUT_SECONDS", TF_SETTING_INT, AT(timeout_seconds), "300", 1, TIMEOUT_SECONDS_MAX,
     "seconds"},
};

static bool check_settings(char *error, size_t error_size)
{
    char host[TF_URL_MAX + 1], text[200];
    size_t len = strlen(settings.url);
    const char *why;
    tf_url_t url;

    while (len && settings.url[len - 1] == '/') {
        settings.url[--len] = '\0';
    }
    for (const char *p = settings.key; *p; p++) {
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f) {
            snprintf(error, error_size, "TASKFORGE_AI_KEY: must be printable ASCII without blanks");
            return false;
        }
    }
    settings.secret = (tfw_secret_t){.value = settings.key};
    if (!len) {
        return true;
    }
    why = tf_url_parse(settings.url, len, &url);
    if (!why && memchr(settings.url, '?', len)) {
        why = "must not have a query";
    }
    if (why) {
        snprintf(error, error_size, "TASKFORGE_AI_URL: %s", why);
        return false;
    }
    snprintf(host, sizeof(host), "%.*s", (int)url.host.len, url.host.data);
    tf_outgoing_free(&settings.lists);
    if (!tf_outgoing_init(&settings.lists, host, "", text, sizeof(text))) {
        snprintf(error, error_size, "TASKFORGE_AI_URL: %s", text);
        return false;
    }
    return true;
}

TF_HANDLER_SETTINGS(ai_inference) = {table, sizeof(table) / sizeof(table[0]), &settings, check_settings};

/* ---- the request ---- */

typedef struct {
    tfw_run_t *run;
    tfw_ai_request_t request;
    tf_buf_t url, authorization;
    tfw_caller_headers_t headers; /* ours; and the key, to be blotted out */
    const char *origin_headers[2];
    /* the answer */
    tfw_http_answer_t http;
    tfw_ai_answer_t answer;
    tfw_sse_t events;
    int64_t began_us, first_us, logged_us; /* first_us 0: nothing so far */
} inference_t;

/* Where to, and with what headers. false: out of memory. */
static bool prepare(inference_t *a)
{
    const char *trace = tfw_run_traceparent(a->run);
    bool ok = tfw_caller_headers_add(&a->headers, "content-type", "application/json") &&
              tfw_caller_headers_add(&a->headers, "user-agent", "TaskForge/" TF_VERSION) &&
              (!trace || tfw_caller_headers_add(&a->headers, "traceparent", trace));

    if (*settings.key) {
        tf_buf_adds(&a->authorization, "authorization: Bearer ");
        tf_buf_adds(&a->authorization, settings.key);
        a->origin_headers[0] = tf_buf_cstr(&a->authorization);
        a->headers.secrets[a->headers.nsecrets++] = &settings.secret;
    }
    tf_buf_adds(&a->url, settings.url);
    tf_buf_adds(&a->url, a->request.completions ? "/completions" : "/chat/completions");
    return ok && !a->authorization.failed && !a->url.failed;
}

/* ---- the answer ---- */

/* The end of the text so far. */
static void log_text(const inference_t *a)
{
    const tf_buf_t *text = &a->answer.text;
    size_t from = text->len > LOG_SHOWN ? text->len - LOG_SHOWN : 0;

    while (from < text->len && ((unsigned char)text->data[from] & 0xc0) == 0x80) {
        from++; /* not into the middle of a character */
    }
    tfw_run_log(a->run, "info", "%lld tokens: %s%.*s", (long long)a->answer.pieces, from ? "..." : "",
                (int)(text->len - from), text->data + from);
}

static bool on_event(void *arg, const char *data, size_t len)
{
    inference_t *a = arg;
    int64_t before = a->answer.pieces, now, percent;

    if (!tfw_ai_answer_take(&a->answer, data, len)) {
        return false;
    }
    if (a->answer.pieces > before) {
        now = tfw_monotonic_us();
        a->first_us = a->first_us ? a->first_us : now;
        percent = 100 * a->answer.pieces / a->request.max_tokens;
        tfw_run_progress(a->run, percent > 99 ? 99 : (int)percent);
        if (now - a->logged_us >= LOG_EVERY_US) {
            a->logged_us = now;
            log_text(a);
        }
    }
    return true;
}

static bool is_stream(const tfw_http_answer_t *http)
{
    return http->status == 200 && strncasecmp(http->content_type, "text/event-stream", 17) == 0;
}

static bool on_body(void *data, const tfw_http_answer_t *http, const char *bytes, size_t len)
{
    inference_t *a = data;

    return !is_stream(http) || tfw_sse_feed(&a->events, bytes, len);
}

static void give_error(const inference_t *a, tf_buf_t *error)
{
    error->len = tfw_caller_headers_mask(&a->headers, error->data, error->len);
    tfw_run_error(a->run, "%s", tf_buf_cstr(error));
    tf_buf_free(error);
}

/* "HTTP 429: Rate limit reached" */
static tfw_outcome_t refused(inference_t *a)
{
    const tfw_http_answer_t *http = &a->http;
    bool again = http->status >= 500 || http->status == 408 || http->status == 425 || http->status == 429;
    tf_buf_t error = TF_BUF_INIT;
    char message[ERROR_SHOWN + 1];

    tf_buf_addf(&error, "HTTP %d", http->status);
    if (http->body.len && tfw_ai_answer_error(http->body.data, http->body.len, message, sizeof(message))) {
        tf_buf_addf(&error, ": %s", message);
    } else if (http->body.len) {
        size_t shown = http->body.len < ERROR_SHOWN ? http->body.len : ERROR_SHOWN;

        tf_buf_adds(&error, ": ");
        tf_buf_add(&error, http->body.data, tfw_text_clean(http->body.data, http->body.len, shown));
    }
    give_error(a, &error);
    if (http->retry_after_seconds >= 0) {
        tfw_run_retry_after(a->run, http->retry_after_seconds);
    }
    return again ? TFW_RETRY : TFW_PERMANENT;
}

/* There is a result also of a job that was cancelled on the way. */
static void give_result(const inference_t *a)
{
    const tfw_ai_answer_t *answer = &a->answer;
    tf_buf_t out = TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    tf_json_kcstr(&out, "model", *answer->model ? answer->model : a->request.model);
    tf_json_kstr(&out, "text", answer->text.len ? answer->text.data : "", answer->text.len);
    if (a->request.json && answer->whole && !a->http.cancelled) {
        tf_json_kraw(&out, "json", answer->text.data, answer->text.len);
    }
    tf_json_kcstr(&out, "finish_reason",
                  a->http.cancelled        ? "cancelled"
                  : *answer->finish_reason ? answer->finish_reason
                                           : NULL);
    if (answer->has_usage) {
        tf_json_key(&out, "usage");
        tf_buf_addc(&out, '{');
        tf_json_kint(&out, "prompt_tokens", answer->prompt_tokens);
        tf_json_kint(&out, "completion_tokens", answer->completion_tokens);
        tf_json_kint(&out, "total_tokens", answer->total_tokens);
        tf_buf_addc(&out, '}');
    } else {
        tf_json_kraw(&out, "usage", NULL, 0);
    }
    tf_json_kint(&out, "duration_ms", a->http.duration_us / 1000);
    if (a->first_us) {
        tf_json_kint(&out, "time_to_first_token_ms", (a->first_us - a->began_us) / 1000);
    } else {
        tf_json_kraw(&out, "time_to_first_token_ms", NULL, 0);
    }
    tf_buf_addc(&out, '}');
    tfw_run_result(a->run, tf_buf_cstr(&out), out.len);
    tf_buf_free(&out);
}

static tfw_outcome_t broken(const inference_t *a, const char *why)
{
    tf_buf_t error = TF_BUF_INIT;

    tf_buf_addf(&error, "the answer broke off after %lld tokens: %s", (long long)a->answer.pieces, why);
    give_error(a, &error);
    return a->answer.text.failed ? TFW_PERMANENT : TFW_RETRY;
}

/* Of an answer with status 200. */
static tfw_outcome_t judge_text(inference_t *a)
{
    tfw_ai_answer_t *answer = &a->answer;
    json_t *parsed;
    char why[200];

    if (!is_stream(&a->http)) {
        answer->whole =
            tfw_ai_answer_take(answer, a->http.body.len ? a->http.body.data : "", a->http.body.len);
    }
    if (*answer->error) {
        return broken(a, answer->error);
    }
    /* a server may leave "[DONE]" out, and another end the stream with it alone */
    answer->whole = answer->whole || *answer->finish_reason;
    if (!answer->whole) {
        return broken(a, a->http.cut ? "it is too long" : "its end is missing");
    }
    if (a->request.json) {
        parsed =
            tf_json_parse_any(answer->text.len ? answer->text.data : "", answer->text.len, why, sizeof(why));
        json_decref(parsed);
        if (!parsed) {
            tfw_run_error(a->run, "the text is no JSON: %s (finish_reason %s)", why,
                          *answer->finish_reason ? answer->finish_reason : "none");
            return TFW_RETRY;
        }
    }
    give_result(a);
    return TFW_OK;
}

static tfw_outcome_t judge(inference_t *a)
{
    const tfw_http_answer_t *http = &a->http;
    tf_buf_t error = TF_BUF_INIT;

    a->answer.text.len = tfw_caller_headers_mask(&a->headers, a->answer.text.data, a->answer.text.len);
    if (http->cancelled) {
        give_result(a);
        return TFW_CANCELLED;
    }
    if (http->status == 0 && a->answer.pieces) {
        return broken(a, http->error);
    }
    if (http->status == 0) {
        tf_buf_addf(&error, "no answer after %lld ms: %s", (long long)(http->duration_us / 1000),
                    http->error);
        give_error(a, &error);
        return http->refused ? TFW_PERMANENT : TFW_RETRY;
    }
    return http->status == 200 ? judge_text(a) : refused(a);
}

static tfw_outcome_t infer(inference_t *a)
{
    size_t result_max = tfw_run_result_max(a->run);
    tfw_http_request_t request = {
        .url = tf_buf_cstr(&a->url),
        .headers = (const char *const *)a->headers.headers,
        .origin_headers = a->origin_headers,
        .body = tf_buf_cstr(&a->request.body),
        .body_len = a->request.body.len,
        .timeout_ms = settings.timeout_seconds * 1000,
        .decode = true,
        .keep_max = a->request.streamed || result_max < ERROR_KEPT ? ERROR_KEPT : result_max,
        .read_max = ANSWER_MAX,
        .on_body = on_body,
        .data = a,
        .lists = &settings.lists,
    };

    a->answer.text.limit = result_max;
    a->events = (tfw_sse_t){.on_event = on_event, .arg = a};
    a->began_us = a->logged_us = tfw_monotonic_us();
    tfw_http_call(a->run, &request, &a->http);
    return judge(a);
}

static tfw_outcome_t ai_inference_run(tfw_run_t *run)
{
    inference_t *a = calloc(1, sizeof(*a)); /* large for a small stack */
    const tfw_ai_limits_t limits = {settings.model, settings.models, settings.max_tokens};
    tfw_outcome_t outcome = TFW_PERMANENT;

    if (!a) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    a->run = run;
    if (!*settings.url) {
        tfw_run_error(run, "there is no language model: TASKFORGE_AI_URL is not set");
    } else if (!tfw_ai_request_write(&a->request, tfw_run_payload(run), &limits)) {
        tfw_run_error(run, "payload: %s", a->request.error);
    } else if (!prepare(a)) {
        tfw_run_error(run, "out of memory");
        outcome = TFW_RETRY;
    } else {
        outcome = infer(a);
    }
    tfw_http_answer_free(&a->http);
    tfw_ai_answer_free(&a->answer);
    tfw_sse_free(&a->events);
    tfw_caller_headers_free(&a->headers);
    tf_buf_free(&a->request.body);
    tf_buf_free(&a->url);
    tf_buf_free(&a->authorization);
    free(a);
    return outcome;
}

TF_HANDLER(ai_inference) = {
    .type = "ai_inference",
    .description = "Asks a language model, and gives its answer and what it cost in tokens.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"model\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":128,\"description\":\"default: the "
        "operator's\"},"
        "\"prompt\":{\"type\":\"string\",\"minLength\":1,\"description\":\"what the user says\",\"examples\":"
        "[\"Name three rivers of Europe.\"]},"
        "\"system\":{\"type\":\"string\",\"description\":\"what the model is to keep to\"},"
        "\"messages\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1024,\"description\":\"a conversation, "
        "instead of "
        "a "
        "prompt\",\"items\":{\"type\":\"object\",\"properties\":{\"role\":{\"enum\":[\"system\","
        "\"developer\","
        "\"user\",\"assistant\"]},\"content\":{\"type\":\"string\"}},\"required\":[\"role\",\"content\"],"
        "\"additionalProperties\":false}},"
        "\"endpoint\":{\"enum\":[\"chat\",\"completions\"],\"default\":\"chat\"},"
        "\"max_tokens\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1048576,\"description\":\"of the "
        "answer; "
        "default: what the operator allows\"},"
        "\"temperature\":{\"type\":\"number\",\"minimum\":0,\"maximum\":2},"
        "\"top_p\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
        "\"stop\":{\"anyOf\":[{\"type\":\"string\",\"minLength\":1},{\"type\":\"array\",\"minItems\":1,"
        "\"maxItems\":4,"
        "\"items\":{\"type\":\"string\",\"minLength\":1}}],\"description\":\"the answer ends before this "
        "text\"},"
        "\"seed\":{\"type\":\"integer\"},"
        "\"stream\":{\"type\":\"boolean\",\"default\":true,\"description\":\"progress and log while it "
        "answers\"},"
        "\"response_format\":{\"enum\":[\"text\",\"json\"],\"default\":\"text\"}},"
        "\"anyOf\":[{\"required\":[\"prompt\"]},{\"required\":[\"messages\"]}],\"additionalProperties\":"
        "false}",
    .max_retries = 3,
    .timeout_seconds = TIMEOUT_SECONDS_MAX + SPARE_SECONDS,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = ai_inference_run,
    .io_bound = true,
};
