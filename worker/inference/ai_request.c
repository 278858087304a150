#include "ai_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 1024

typedef struct {
    tfw_ai_request_t *request;
    const json_t *payload;
    const tfw_ai_limits_t *limits;
} writer_t;

static bool fail(const writer_t *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(const writer_t *w, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(w->request->error, sizeof(w->request->error), fmt, args);
    va_end(args);
    return false;
}

/* "a,b": one of them. */
static bool model_allowed(const tfw_ai_limits_t *limits, const char *model)
{
    const char *list = limits->models;
    size_t len = strlen(model);

    if (!*list || strcmp(model, limits->model) == 0) {
        return true;
    }
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == len && memcmp(list, model, len) == 0) {
            return true;
        }
    }
    return false;
}

static const json_t *member(const writer_t *w, const char *name)
{
    return json_object_get(w->payload, name);
}

static bool write_model(const writer_t *w)
{
    tfw_ai_request_t *r = w->request;
    const json_t *model = member(w, "model");

    r->model = model ? json_string_value(model) : w->limits->model;
    if (!r->model || !*r->model) {
        return fail(w, "\"model\" must be a text; there is no TASKFORGE_AI_MODEL to take instead");
    }
    if (!model_allowed(w->limits, r->model)) {
        return fail(w, "\"model\": \"%.100s\" is not among TASKFORGE_AI_MODELS", r->model);
    }
    tf_json_kcstr(&r->body, "model", r->model);
    return true;
}

static void write_message(tf_buf_t *out, const char *role, const json_t *content)
{
    tf_buf_adds(out, out->data[out->len - 1] == '[' ? "{" : ",{");
    tf_json_kcstr(out, "role", role);
    tf_json_kstr(out, "content", json_string_value(content), json_string_length(content));
    tf_buf_addc(out, '}');
}

static bool write_messages(const writer_t *w)
{
    const json_t *prompt = member(w, "prompt"), *list = member(w, "messages"), *system = member(w, "system");

    tf_json_key(&w->request->body, "messages");
    tf_buf_addc(&w->request->body, '[');
    if (system) {
        write_message(&w->request->body, "system", system);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *message = json_array_get(list, i), *content = json_object_get(message, "content");
        const char *role = json_string_value(json_object_get(message, "role"));

        if (!role || !json_is_string(content) || json_object_size(message) != 2) {
            return fail(
                w, "\"messages\": number %zu must have a \"role\" and a \"content\", texts, and nothing else",
                i + 1);
        }
        write_message(&w->request->body, role, content);
    }
    if (prompt) {
        write_message(&w->request->body, "user", prompt);
    }
    tf_buf_addc(&w->request->body, ']');
    return true;
}

static bool write_input(const writer_t *w)
{
    tfw_ai_request_t *r = w->request;
    const json_t *prompt = member(w, "prompt"), *list = member(w, "messages"), *system = member(w, "system"),
                 *endpoint = member(w, "endpoint");
    const char *name = endpoint ? json_string_value(endpoint) : "chat";

    if (!name || (strcmp(name, "chat") != 0 && strcmp(name, "completions") != 0)) {
        return fail(w, "\"endpoint\" must be chat or completions");
    }
    r->completions = strcmp(name, "completions") == 0;
    if ((prompt != NULL) == (list != NULL)) {
        return fail(w, "needs either \"prompt\" or \"messages\"");
    }
    if ((prompt && !json_string_length(prompt)) || (system && !json_is_string(system))) {
        return fail(w, "\"prompt\" and \"system\" must be texts, and the prompt not empty");
    }
    if (list && (json_array_size(list) == 0 || json_array_size(list) > MESSAGES_MAX)) {
        return fail(w, "\"messages\" must be a list of 1 to %d", MESSAGES_MAX);
    }
    if (r->completions && (list || system)) {
        return fail(w, "completions take a \"prompt\", and neither \"messages\" nor \"system\"");
    }
    if (!r->completions) {
        return write_messages(w);
    }
    tf_json_kstr(&w->request->body, "prompt", json_string_value(prompt), json_string_length(prompt));
    return true;
}

/* A number from 0 to max, as it is. */
static bool write_number(const writer_t *w, const char *name, double max)
{
    const json_t *value = member(w, name);

    if (value &&
        (!json_is_number(value) || !(json_number_value(value) >= 0 && json_number_value(value) <= max))) {
        return fail(w, "\"%s\" must be a number from 0 to %g", name, max);
    }
    if (value) {
        tf_json_kdouble(&w->request->body, name, json_number_value(value));
    }
    return true;
}

static bool write_limit(const writer_t *w)
{
    tfw_ai_request_t *r = w->request;
    const json_t *value = member(w, "max_tokens");

    r->max_tokens = value ? json_integer_value(value) : w->limits->max_tokens;
    if (r->max_tokens < 1 || r->max_tokens > w->limits->max_tokens) {
        return fail(w, "\"max_tokens\" must be an integer from 1 to %lld (TASKFORGE_AI_MAX_TOKENS)",
                    (long long)w->limits->max_tokens);
    }
    tf_json_kint(&w->request->body, "max_tokens", r->max_tokens);
    return true;
}

/* A text, or up to four. */
static bool write_stop(const writer_t *w)
{
    const json_t *stop = member(w, "stop");
    bool ok = !stop || json_is_string(stop) || (json_array_size(stop) > 0 && json_array_size(stop) <= 4);
    char *text;

    for (size_t i = 0; ok && i < json_array_size(stop); i++) {
        ok = json_is_string(json_array_get(stop, i));
    }
    if (!ok) {
        return fail(w, "\"stop\" must be a text, or a list of 1 to 4");
    }
    text = stop ? json_dumps(stop, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text) {
        tf_json_kraw(&w->request->body, "stop", text, strlen(text));
    }
    free(text);
    return true;
}

static bool write_options(const writer_t *w)
{
    tfw_ai_request_t *r = w->request;
    const json_t *seed = member(w, "seed"), *stream = member(w, "stream"),
                 *format = member(w, "response_format");
    const char *name = format ? json_string_value(format) : "text";

    if ((seed && !json_is_integer(seed)) || (stream && !json_is_boolean(stream))) {
        return fail(w, "\"seed\" must be an integer, \"stream\" true or false");
    }
    if (!name || (strcmp(name, "text") != 0 && strcmp(name, "json") != 0)) {
        return fail(w, "\"response_format\" must be text or json");
    }
    if (seed) {
        tf_json_kint(&w->request->body, "seed", json_integer_value(seed));
    }
    r->json = strcmp(name, "json") == 0;
    if (r->json) {
        tf_json_kraw(&w->request->body, "response_format", "{\"type\":\"json_object\"}",
                     strlen("{\"type\":\"json_object\"}"));
    }
    r->streamed = !stream || json_is_true(stream);
    tf_json_kbool(&w->request->body, "stream", r->streamed);
    if (r->streamed) {
        tf_json_kraw(&w->request->body, "stream_options", "{\"include_usage\":true}",
                     strlen("{\"include_usage\":true}"));
    }
    return true;
}

bool tfw_ai_request_write(tfw_ai_request_t *request, const json_t *payload, const tfw_ai_limits_t *limits)
{
    const writer_t w = {request, payload, limits};

    tf_buf_addc(&request->body, '{');
    if (!write_model(&w) || !write_input(&w) || !write_limit(&w) || !write_number(&w, "temperature", 2) ||
        !write_number(&w, "top_p", 1) || !write_stop(&w) || !write_options(&w)) {
        return false;
    }
    tf_buf_addc(&request->body, '}');
    return !request->body.failed || fail(&w, "out of memory");
}
