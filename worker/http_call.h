/* http_call.h: HTTP calls for handlers (libcurl). Only what core/outgoing.h lets through is called: each
 * address is judged at the moment of the connection to it, so a name that resolves to something else a moment
 * later gains nothing. No redirects, no proxy, no cookies, certificates are verified. */
#ifndef TFW_HTTP_CALL_H
#define TFW_HTTP_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "handler.h"
#include "outgoing.h"

/* The settings of all calls, the executor's as long as it lives. */
typedef struct tfw_http_settings_s {
    tf_outgoing_t lists;
    const char *ca_file; /* PEM; "": the system's certificates */
} tfw_http_settings_t;

typedef struct {
    const char *url;
    const char *const *headers; /* "name: value", ends with NULL; no line ends within */
    const char *body;
    size_t body_len;
    int64_t timeout_ms;         /* of everything, the name's lookup included */
    size_t keep_max;            /* so many bytes of the answer's body are kept */
    size_t read_max;            /* bytes: the rest of a longer body is not waited for */
    const tf_outgoing_t *lists; /* who may be called; NULL: as the settings of all calls have it */
} tfw_http_request_t;

typedef struct {
    int status;   /* 0: there was no answer, error says why */
    bool refused; /* the URL may not be called */
    bool cancelled;
    bool cut; /* the body was longer than read_max */
    int64_t duration_us;
    int64_t retry_after_seconds; /* -1: not said */
    tf_buf_t body;               /* what is kept of it; any bytes */
    char error[512];
} tfw_http_answer_t;

/* POST, waiting for the answer, the time limit, or the job's cancel. The answer is to be freed. Connections
 * to where nothing was refused are kept for the next call. */
void tfw_http_post(tfw_run_t *run, const tfw_http_request_t *request, tfw_http_answer_t *answer);

void tfw_http_answer_free(tfw_http_answer_t *answer);

#endif
