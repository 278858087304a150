/* http_call.h: HTTP calls for handlers (libcurl). Only what core/outgoing.h lets through is called: each
 * address is judged at the moment of the connection to it, so a name that resolves to something else a moment
 * later gains nothing. No proxy, no cookies, certificates are verified. */
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

struct tfw_http_answer_s;

typedef struct {
    const char *method; /* NULL: GET, or POST if there is a body */
    const char *url;
    const char *const *headers; /* "name: value", ends with NULL; no line ends within. NULL: none */
    /* The same for headers that another origin must not see (RFC 9110, 15.4): not sent once a redirect leads
     * to another scheme, host or port. */
    const char *const *origin_headers;
    const char *body; /* NULL: none */
    size_t body_len;
    int64_t timeout_ms; /* of everything, the name's lookup and redirects included */
    int redirects;      /* followed at most, each judged like the first URL; 0: a redirect is the answer */
    bool decode;     /* asks for compressed answers and takes them apart; all bytes below are of the result */
    size_t keep_max; /* so many bytes of the answer's body are kept */
    size_t read_max; /* bytes: the rest of a longer body is not waited for */
    /* Each piece of the answer's body as it comes, that of followed redirects excepted; false: the rest is
     * not wanted (tfw_http_answer_t.stopped). It must not call tfw_http_call. NULL: nobody looks */
    bool (*on_body)(void *data, const struct tfw_http_answer_s *answer, const char *bytes, size_t len);
    void *data;
    const tf_outgoing_t *lists; /* who may be called; NULL: as the settings of all calls have it */
} tfw_http_request_t;

typedef struct tfw_http_answer_s {
    int status;   /* 0: there was no answer, error says why; set when on_body is called */
    bool refused; /* the URL, or that of a redirect, may not be called */
    bool cancelled;
    bool timed_out;
    bool cut;       /* the body was longer than read_max */
    bool stopped;   /* by on_body */
    int redirected; /* redirects that were followed */
    int64_t duration_us;
    int64_t retry_after_seconds; /* -1: not said */
    tf_buf_t headers;            /* of the last answer, "name: value\n" each, as they came */
    tf_buf_t body;               /* what is kept of it; any bytes */
    size_t body_read;            /* bytes */
    char content_type[128];      /* "": not said */
    char url[TF_URL_MAX + 1];    /* that answered */
    char error[512];
} tfw_http_answer_t;

/* Makes the call and waits for the answer, the time limit, or the job's cancel. The answer is to be freed.
 * Connections to where nothing was refused are kept for the next call. */
void tfw_http_call(tfw_run_t *run, const tfw_http_request_t *request, tfw_http_answer_t *answer);

/* The value of the first header of that name (any case), as a slice of answer->headers; {NULL, 0}: none. */
tf_str_t tfw_http_header(const tfw_http_answer_t *answer, const char *name);

void tfw_http_answer_free(tfw_http_answer_t *answer);

#endif
