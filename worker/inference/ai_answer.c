#include "ai_answer.h"

#include <stdio.h>
#include <string.h>

#include "submission.h"

#define DONE "[DONE]"

static bool message_of(const json_t *root, char *message, size_t size)
{
    const json_t *error = json_object_get(root, "error"),
                 *text = json_is_object(error) ? json_object_get(error, "message") : error;

    if (json_is_string(text)) {
        snprintf(message, size, "%s", json_string_value(text));
    }
    return json_is_string(text);
}

bool tfw_ai_answer_error(const char *json, size_t len, char *message, size_t size)
{
    char why[200];
    json_t *root = tf_json_parse(json, len, why, sizeof(why));
    bool told = message_of(root, message, size);

    json_decref(root);
    return told;
}

static void take_usage(tfw_ai_answer_t *answer, const json_t *usage)
{
    const json_t *prompt = json_object_get(usage, "prompt_tokens"),
                 *completion = json_object_get(usage, "completion_tokens"),
                 *total = json_object_get(usage, "total_tokens");

    if (json_is_integer(prompt) && json_is_integer(completion)) {
        answer->prompt_tokens = json_integer_value(prompt);
        answer->completion_tokens = json_integer_value(completion);
        answer->total_tokens = json_is_integer(total) ? json_integer_value(total)
                                                      : answer->prompt_tokens + answer->completion_tokens;
        answer->has_usage = true;
    }
}

/* Of a chat the message, or what is new of it; of a completion the text. */
static const json_t *text_of(const json_t *choice)
{
    const json_t *message = json_object_get(choice, "delta");

    if (!message) {
        message = json_object_get(choice, "message");
    }
    return message ? json_object_get(message, "content") : json_object_get(choice, "text");
}

static bool take_choice(tfw_ai_answer_t *answer, const json_t *choice)
{
    const json_t *text = text_of(choice), *reason = json_object_get(choice, "finish_reason");

    if (json_string_length(text)) {
        tf_buf_add(&answer->text, json_string_value(text), json_string_length(text));
        answer->pieces++;
    }
    if (json_is_string(reason)) {
        snprintf(answer->finish_reason, sizeof(answer->finish_reason), "%s", json_string_value(reason));
    }
    if (answer->text.failed) {
        snprintf(answer->error, sizeof(answer->error),
                 "the text has more than %zu bytes, or there is no memory for it", answer->text.limit);
    }
    return !answer->text.failed;
}

bool tfw_ai_answer_take(tfw_ai_answer_t *answer, const char *json, size_t len)
{
    char why[200] = "it is no object";
    json_t *root;
    bool ok;

    if (len == strlen(DONE) && memcmp(json, DONE, len) == 0) {
        answer->whole = true;
        return true;
    }
    /* whose depth is bounded: the stack is small */
    root = tf_json_parse(json, len, why, sizeof(why));
    if (!json_is_object(root)) {
        snprintf(answer->error, sizeof(answer->error), "it is no JSON object: %s", why);
        ok = false;
    } else if (message_of(root, answer->error, sizeof(answer->error))) {
        ok = false;
    } else {
        const json_t *model = json_object_get(root, "model");

        if (json_is_string(model)) {
            snprintf(answer->model, sizeof(answer->model), "%s", json_string_value(model));
        }
        take_usage(answer, json_object_get(root, "usage"));
        ok = take_choice(answer, json_array_get(json_object_get(root, "choices"), 0));
    }
    json_decref(root);
    return ok;
}

void tfw_ai_answer_free(tfw_ai_answer_t *answer)
{
    tf_buf_free(&answer->text);
}
