/* caller_headers.h: the headers that a job wants in its HTTP call: checked, and the operator's secrets filled
 * in where the job names them. */
#ifndef TFW_CALLER_HEADERS_H
#define TFW_CALLER_HEADERS_H

#include <jansson.h>
#include <stdbool.h>

#include "connections.h"

#define TFW_CALLER_HEADERS_MAX 64    /* of a job */
#define TFW_CALLER_HEADERS_SECRETS 8 /* in them */
#define TFW_CALLER_HEADERS_OWN 8     /* that a handler adds */

/* Zeroed: none. headers and origin_headers are as tfw_http_request_t wants them. */
typedef struct {
    char *headers[TFW_CALLER_HEADERS_MAX + TFW_CALLER_HEADERS_OWN + 1];
    char *origin_headers[TFW_CALLER_HEADERS_MAX + 1]; /* with a secret in them, Authorization, Cookie */
    size_t nheaders, norigin;
    const tfw_secret_t *secrets[TFW_CALLER_HEADERS_SECRETS]; /* that were filled in */
    size_t nsecrets;
} tfw_caller_headers_t;

/* Takes an object of texts: {"X-Api-Key": "{{secret:crm}}"}; NULL: none. Names are those that a caller may
 * set: not Host, nor what says how the message is framed or what the connection is for. {{secret:NAME}} is
 * replaced by a connection of that name, if that may be sent to url in this header. false: error says which
 * header and why. To be freed either way. */
bool tfw_caller_headers_take(tfw_caller_headers_t *h, const json_t *object, const tf_url_t *url, char *error,
                             size_t error_size);

/* Adds one of the handler's, unless the job has set that itself. At most TFW_CALLER_HEADERS_OWN. false: out
 * of memory. */
bool tfw_caller_headers_add(tfw_caller_headers_t *h, const char *name, const char *value);

/* Makes each secret that was filled in, where it stands in the text, into asterisks; also as JSON spells it.
 * In place; returns the new length. */
size_t tfw_caller_headers_mask(const tfw_caller_headers_t *h, char *text, size_t len);

/* Bytes at the end of a text that was cut which may be the beginning of a secret. */
size_t tfw_caller_headers_tail(const tfw_caller_headers_t *h);

void tfw_caller_headers_free(tfw_caller_headers_t *h);

#endif
