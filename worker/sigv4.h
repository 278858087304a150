/* sigv4.h: AWS Signature Version 4, which S3 and what speaks like it ask for: the headers that sign a
 * request. Source: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference. */
#ifndef TFW_SIGV4_H
#define TFW_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

typedef struct {
    const char *access_key, *secret_key, *region;
    const char *method;
    const char *host; /* as the Host header has it: with the port, unless it is the scheme's */
    const char *path; /* encoded (tfw_sigv4_encode), with its first slash */
    /* Encoded, the names sorted, "name=" where there is no value; "": none. */
    const char *query;
    const char *body;
    size_t body_len;
    int64_t at_seconds; /* since 1970 */
} tfw_sigv4_t;

/* The headers to send with it, "name: value" each. */
typedef struct {
    char date[64], content[96];
    char authorization[512];
} tfw_sigv4_headers_t;

/* false: out of memory, or a key or region that is too long. */
bool tfw_sigv4_sign(const tfw_sigv4_t *request, tfw_sigv4_headers_t *headers);

/* Adds text as a part of a path (slash: with its slashes as they are) or of a query. */
void tfw_sigv4_encode(tf_buf_t *out, const char *text, bool slash);

#endif
