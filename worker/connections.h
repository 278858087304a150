/* connections.h: credentials of the operator that jobs use by name and never see: secrets for HTTP calls,
 * databases, object stores. Each is a file NAME.json in TASKFORGE_CONNECTIONS_DIR (docs/handlers.md), read
 * and checked when the worker starts; the executors inherit what they hold. Never in a log, a result or an
 * error: the values in here. */
#ifndef TFW_CONNECTIONS_H
#define TFW_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "outgoing.h"

#define TFW_CONNECTION_NAME_MAX 64

typedef enum { TFW_CONNECTION_SECRET, TFW_CONNECTION_POSTGRESQL, TFW_CONNECTION_S3 } tfw_connection_kind_t;

/* For headers of HTTP calls. */
typedef struct {
    const char *value;
    tf_outgoing_t hosts; /* its allow: where it may be sent */
    const char *header;  /* the only one it may be put into; NULL: any */
    bool allow_http;     /* else https alone */
} tfw_secret_t;

typedef struct {
    const char *url;           /* what libpq connects with */
    const char *const *tables; /* "name", "schema.name", "schema.*" or "*"; NULL ends */
    bool write;
} tfw_postgresql_t;

/* An object store that speaks S3. */
typedef struct {
    const char *endpoint; /* "https://host[:port]", without a path */
    const char *region;
    const char *access_key, *secret_key;
    const char *const *buckets; /* names, or "*"; NULL ends */
    bool write;
    bool path_style;     /* the bucket is in the path rather than in the host */
    tf_outgoing_t lists; /* the endpoint's host and the buckets below it, wherever they are, unless the
                            settings deny it: for tfw_http_request_t.lists */
} tfw_s3_t;

typedef struct {
    const char *name;
    tfw_connection_kind_t kind;
    union {
        tfw_secret_t secret;
        tfw_postgresql_t postgresql;
        tfw_s3_t s3;
    } u;
} tfw_connection_t;

/* Reads every *.json of the directory ("": none is wanted). deny: TASKFORGE_OUTGOING_DENY. What they hold
 * stays as long as the process. false: error says which file, what in it, and why. */
bool tfw_connections_load(const char *directory, const char *deny, char *error, size_t error_size);

/* NULL: there is none of that name and kind. */
const tfw_connection_t *tfw_connection(const char *name, tfw_connection_kind_t kind);

/* Why the secret may not be sent to this URL in this header, as in "the connection NAME ..."; NULL: it may.
 */
const char *tfw_secret_refusal(const tfw_secret_t *secret, const tf_url_t *url, const char *header);

/* Whether the table is among those of the connection: "name" or "schema.name", compared as it stands. */
bool tfw_postgresql_allows(const tfw_postgresql_t *postgresql, const char *table);

bool tfw_s3_allows(const tfw_s3_t *s3, const char *bucket);

#endif
