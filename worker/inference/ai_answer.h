/* ai_answer.h: what a model says in OpenAI's protocol, whole or in pieces of a stream (objects
 * chat.completion, chat.completion.chunk and text_completion). */
#ifndef TFW_AI_ANSWER_H
#define TFW_AI_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* Zeroed, with text.limit set, it is the beginning of an answer. */
typedef struct {
    tf_buf_t text;          /* so far */
    int64_t pieces;         /* that had text in them: about as many as tokens */
    char model[128];        /* that answers; "": not said */
    char finish_reason[32]; /* "": none so far */
    int64_t prompt_tokens, completion_tokens, total_tokens; /* if has_usage */
    bool has_usage;
    bool whole;      /* "data: [DONE]", or an answer that came in one piece */
    char error[512]; /* that the model's server told instead, or what is wrong with what it said; "": none */
} tfw_ai_answer_t;

/* The next piece: the data of an event, or the body of an answer that was not streamed. false: error says why
 * there is no more to come. */
bool tfw_ai_answer_take(tfw_ai_answer_t *answer, const char *json, size_t len);

/* The message of an answer that is an error: {"error": {"message": "..."}} or {"error": "..."}. false: there
 * is none in it. */
bool tfw_ai_answer_error(const char *json, size_t len, char *message, size_t size);

void tfw_ai_answer_free(tfw_ai_answer_t *answer);

#endif
