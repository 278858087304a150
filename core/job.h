/* job.h: what a job is: its states, the one table of allowed changes, priorities, and the row as the programs
 * see it. */
#ifndef TF_JOB_H
#define TF_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* The only place where a status is spelled. Order = the enum job_status in sql/0001. */
#define TF_STATUS_MAP(X)                                                                                     \
    X(SCHEDULED, "SCHEDULED")                                                                                \
    X(QUEUED, "QUEUED")                                                                                      \
    X(RUNNING, "RUNNING")                                                                                    \
    X(SUCCESS, "SUCCESS")                                                                                    \
    X(RETRYING, "RETRYING")                                                                                  \
    X(FAILED, "FAILED")                                                                                      \
    X(DEAD_LETTER, "DEAD_LETTER")                                                                            \
    X(CANCELLED, "CANCELLED")

typedef enum {
#define X(id, text) TF_##id,
    TF_STATUS_MAP(X)
#undef X
        TF_STATUS_COUNT
} tf_status_t;

/* For SQL text: "... status = " TF_SQL_QUEUED. A constant, so that partial indexes serve prepared statements.
 */
#define TF_SQL_SCHEDULED "'SCHEDULED'"
#define TF_SQL_QUEUED "'QUEUED'"
#define TF_SQL_RUNNING "'RUNNING'"
#define TF_SQL_SUCCESS "'SUCCESS'"
#define TF_SQL_RETRYING "'RETRYING'"
#define TF_SQL_FAILED "'FAILED'"
#define TF_SQL_DEAD_LETTER "'DEAD_LETTER'"
#define TF_SQL_CANCELLED "'CANCELLED'"

typedef enum { TF_ACTOR_API, TF_ACTOR_SCHEDULER, TF_ACTOR_WORKER, TF_ACTOR_REAPER } tf_actor_t;

/* The status's name in SQL, JSON and events; never NULL for a valid status. */
const char *tf_status_name(tf_status_t status);

/* Exact, case-sensitive. false: no such status. */
bool tf_status_parse(const char *text, size_t len, tf_status_t *status);

/* SUCCESS, FAILED, DEAD_LETTER and CANCELLED: changed by nothing but an explicit retry. */
bool tf_status_is_terminal(tf_status_t status);

/* The transition table of architecture.md section 2. */
bool tf_transition_allowed(tf_status_t from, tf_status_t to, tf_actor_t actor);

/* The event a job entering this status announces ("job_queued", ...). SCHEDULED announces job_queued too. */
const char *tf_status_event(tf_status_t status);

#define TF_PRIORITY_MIN 0
#define TF_PRIORITY_MAX 10
#define TF_PRIORITY_DEFAULT 5

/* low 2, normal and default 5, high 8, critical 10; -1: no such name. */
int tf_priority_parse(const char *name, size_t len);

/* 0-3 low, 4-6 normal, 7-8 high, 9-10 critical. */
const char *tf_priority_name(int priority);

#define TF_QUEUE_DEFAULT "default"
#define TF_QUEUE_INTERNAL '_' /* begins the names of queues that callers may not submit to */
#define TF_QUEUE_NAME_MAX 64  /* bytes; [A-Za-z0-9_.-]+ */

#define TF_QUEUE_OWN "_taskforge" /* internal queue of TaskForge's own jobs */
#define TF_QUEUE_WEBHOOKS "_webhooks"
#define TF_TYPE_BULK "bulk_action"
#define TF_TYPE_WEBHOOK "webhook"

/* Types that only TaskForge itself may submit. */
bool tf_type_is_internal(const char *type, size_t len);

bool tf_queue_name_valid(const char *name, size_t len);

/* A text inside somebody else's memory (a result row, a request body). data == NULL: SQL NULL or not given.
 */
typedef struct {
    const char *data;
    size_t len;
} tf_str_t;

#define TF_STR(literal) ((tf_str_t){literal, sizeof(literal) - 1})
#define TF_TIME_NONE INT64_MIN

/* One row of jobs. Times are microseconds since 1970-01-01 UTC, TF_TIME_NONE where NULL; integers that may be
 * NULL are -1. Texts point into whatever the row was read from and live as long as that. payload, metadata
 * and result are JSON texts. */
typedef struct {
    uint8_t id[16];
    int32_t epoch;
    int32_t attempt;
    int32_t max_retries;
    int32_t priority;
    int32_t progress;
    tf_status_t status;
    bool cancel_requested;
    int32_t timeout_seconds;
    int32_t retry_base_ms;
    int32_t retry_max_ms;
    int32_t retry_jitter; /* -1 not given, 0, 1 */
    int32_t retry_budget_seconds;
    int32_t snoozes;
    bool has_created_by;
    uint8_t created_by[16];
    bool has_parent_id;
    uint8_t parent_id[16];
    bool has_schedule_id;
    uint8_t schedule_id[16];
    int64_t created_at;
    int64_t updated_at;
    int64_t scheduled_at;
    int64_t run_at;
    int64_t started_at;
    int64_t finished_at;
    int64_t expires_at;
    int64_t retried_at;
    tf_str_t type;
    tf_str_t queue;
    tf_str_t name;
    tf_str_t worker;
    tf_str_t traceparent;
    tf_str_t webhook_url;
    tf_str_t idempotency_key; /* of a submission; in no row */
    tf_str_t payload;
    tf_str_t metadata;
    tf_str_t result;
    tf_str_t error;
    tf_str_t traceback;
} tf_job_t;

/* An empty job: every optional field absent. */
void tf_job_init(tf_job_t *job);

/* The job as the API shows it (api.md "Job"), without errors[]: a JSON object without its closing brace when
 * `open` is true, so that the caller may add members. payload and result are included when with_data is true.
 */
void tf_job_write_json(tf_buf_t *out, const tf_job_t *job, bool with_data, bool open);

/* The object of one event, as it goes into tf:events: {"event":...,"ts":...,"job":{...}} (api.md
 * "WebSocket"). The relay and GET /events add "seq". ts in microseconds since 1970. */
void tf_job_write_event(tf_buf_t *out, const tf_job_t *job, const char *event, int64_t ts);

#endif
