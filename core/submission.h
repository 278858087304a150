/* submission.h: a submitted job: from the parsed request body to a checked tf_job_t. No I/O, no clock of its
 * own. */
#ifndef TF_SUBMISSION_H
#define TF_SUBMISSION_H

#include <jansson.h>

#include "buf.h"
#include "job.h"
#include "schema.h"

#define TF_NAME_MAX 200            /* bytes */
#define TF_METADATA_MAX 64         /* pairs */
#define TF_METADATA_VALUE_MAX 1024 /* bytes */
#define TF_MAX_RETRIES_MAX 100
#define TF_TIMEOUT_SECONDS_MAX 86400
#define TF_DELAY_SECONDS_MAX (366 * 86400)
#define TF_RETRY_BUDGET_SECONDS_MAX (366 * 86400)
#define TF_JSON_DEPTH_MAX 64
#define TF_IDEMPOTENCY_KEY_MAX 255 /* bytes */

/* Defaults of a job type, as registered by the workers in job_types. */
typedef struct {
    const char *type;
    size_t type_len;
    int32_t max_retries;
    const tf_schema_t *schema; /* of its payloads; NULL: any object will do */
} tf_type_defaults_t;

/* Finds a type's defaults; NULL: no worker has ever registered it. */
typedef const tf_type_defaults_t *(*tf_type_lookup_fn)(void *data, const char *type, size_t len);

/* Checks body (the object a client sent, parsed from text) and fills job: type, queue, name, priority,
 * max_retries, timeout, retry policy, schedule, status (QUEUED, or SCHEDULED when run_at is later than now),
 * created_at = updated_at = now. The id is not set. type, queue, name and idempotency_key point into body;
 * payload and metadata are the bytes of text: keep both as long as the job. now_us: microseconds since 1970.
 *
 * The payload is held against the type's schema; only then is it parsed.
 * All errors are found in one go: true if there are none, else false and `errors` holds a JSON array's
 * members,
 * {"pointer":"#/priority","detail":"..."},... Pointers start with pointer_prefix ("#" or "#/jobs/3"). */
bool tf_submission_check(const json_t *body, tf_str_t text, const char *pointer_prefix, int64_t now_us,
                         tf_type_lookup_fn lookup, void *lookup_data, tf_job_t *job, tf_buf_t *errors);

/* Parses the body of POST /jobs, or of POST /jobs/batch ({"jobs":[...]}), as tf_json_parse does, except that
 * payloads may come out as empty objects: they are checked, but no tree is made of them, for that would be
 * most of the work. */
json_t *tf_submission_parse(tf_str_t text, bool batch, char *error, size_t error_size);

/* 1 to 255 printable ASCII characters. */
bool tf_idempotency_key_valid(const char *key, size_t len);

/* RFC 3339 with a zone ("2026-11-22T13:00:00Z", fractions, +01:00) to microseconds since 1970. */
bool tf_time_parse(const char *text, size_t len, int64_t *us);

/* json_loadb with the limits above: UTF-8, no NUL, no duplicate keys, depth at most TF_JSON_DEPTH_MAX. NULL:
 * error says what and where. */
json_t *tf_json_parse(const char *text, size_t len, char *error, size_t error_size);

/* The same for any JSON value, not an object or array alone. */
json_t *tf_json_parse_any(const char *text, size_t len, char *error, size_t error_size);

#endif
