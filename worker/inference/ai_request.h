/* ai_request.h: what a job asks of a language model, as OpenAI's protocol has it. */
#ifndef TFW_AI_REQUEST_H
#define TFW_AI_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* What the operator says. */
typedef struct {
    const char *model;  /* for jobs that name none; "": they must */
    const char *models; /* that they may name, with commas between; "": any */
    int64_t max_tokens;
} tfw_ai_limits_t;

/* Zeroed before it is written. */
typedef struct {
    const char *model;  /* the payload's or the limits' */
    int64_t max_tokens; /* of the answer */
    bool completions;   /* for /completions, else for /chat/completions */
    bool streamed;
    bool json; /* the answer is to be JSON */
    tf_buf_t body;
    char error[400];
} tfw_ai_request_t;

/* Makes the body of the request. false: error says what is wrong with the payload. */
bool tfw_ai_request_write(tfw_ai_request_t *request, const json_t *payload, const tfw_ai_limits_t *limits);

#endif
