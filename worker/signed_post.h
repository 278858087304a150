/* signed_post.h: a POST that its receiver can check, as Standard Webhooks (standardwebhooks.com) has it. */
#ifndef TFW_SIGNED_POST_H
#define TFW_SIGNED_POST_H

#include <stdbool.h>

#include "http_call.h"

typedef struct {
    const char *id; /* the same for every attempt: who has done it once need not do it again */
    const char *body;
    size_t body_len;
    const char *traceparent; /* NULL: none */
    const char *secrets;     /* "whsec_<base64>", with a blank between if there are more: each signs */
} tfw_signed_message_t;

/* Whether one of the secrets can sign. */
bool tfw_signed_post_secret_valid(const char *secrets);

/* Completes the request with the message, its headers and its signatures, and makes it (tfw_http_call).
 * false: none of the secrets can sign; then there is no answer. */
bool tfw_signed_post(tfw_run_t *run, const tfw_signed_message_t *message, const tfw_http_request_t *request,
                     tfw_http_answer_t *answer);

#endif
