/* handler.h: what a job type is made of. A handler runs in an executor process of its own: it may block,
 * allocate and crash without harm to anybody else. One file per type in worker/handlers/, with a TF_HANDLER
 * at its bottom. */
#ifndef TFW_HANDLER_H
#define TFW_HANDLER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "retry.h"

typedef struct tfw_run_s tfw_run_t; /* one attempt of one job, as its handler sees it */

typedef enum {
    TFW_OK,        /* the result was given with tfw_run_result, or is null */
    TFW_RETRY,     /* failed; tried again while retries are left */
    TFW_PERMANENT, /* failed; trying again cannot help (bad payload, missing file) */
    TFW_CANCELLED, /* stopped because tfw_run_cancelled said so; a result says what was done by then */
    TFW_SNOOZE     /* not now: runs again later, and this attempt does not count; see tfw_run_snooze */
} tfw_outcome_t;

typedef struct {
    const char *type;
    const char *description;
    const char *payload_schema; /* JSON Schema 2020-12 of the payload, as text */
    int max_retries;
    int timeout_seconds;
    tf_retry_policy_t retry;
    tfw_outcome_t (*run)(tfw_run_t *run);
} tfw_handler_t;

/* Registers a handler: TF_HANDLER(noop) = { .type = "noop", ... }; */
#define TF_HANDLER(name)                                                                                     \
    static const tfw_handler_t tfw_handler_##name;                                                           \
    static const tfw_handler_t *const tfw_handler_ptr_##name                                                 \
        __attribute__((used, section("tfw_handlers"))) = &tfw_handler_##name;                                \
    static const tfw_handler_t tfw_handler_##name

/* What a handler may call. Nothing here fails visibly: trouble is kept and reported with the attempt. */

/* The payload, parsed on first use; always an object. Owned by the run. */
const json_t *tfw_run_payload(tfw_run_t *run);

/* The result: a JSON text, copied. Calling again replaces it. */
void tfw_run_result(tfw_run_t *run, const char *json, size_t len);

/* Why the attempt failed; one line for people. The last call counts. */
void tfw_run_error(tfw_run_t *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define TFW_DELAY_SECONDS_MAX (30 * 24 * 3600)

/* When to try again, if the attempt fails with TFW_RETRY: in so many seconds instead of after the backoff of
 * the job's policy, as a server's Retry-After asks for. Limits of retries and of the time budget hold. At
 * most TFW_DELAY_SECONDS_MAX. */
void tfw_run_retry_after(tfw_run_t *run, int64_t seconds);

/* return tfw_run_snooze(run, 60): the job is SCHEDULED again, due in so many seconds (1 to
 * TFW_DELAY_SECONDS_MAX), and no attempt is burnt. For what is not ready yet and is nobody's failure. */
tfw_outcome_t tfw_run_snooze(tfw_run_t *run, int64_t seconds);

/* 0 to 100; sent at most ten times a second. */
void tfw_run_progress(tfw_run_t *run, int percent);

/* A line of the job's log. level: "debug", "info", "warning", "error". */
void tfw_run_log(tfw_run_t *run, const char *level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* true once somebody asked for this job to stop: the handler should return TFW_CANCELLED soon. */
bool tfw_run_cancelled(tfw_run_t *run);

/* The id of the job, 16 bytes. Owned by the run. */
const uint8_t *tfw_run_id(tfw_run_t *run);

/* Who holds the job. Of two runs of one job the later has the greater (epoch, attempt); a run that was given
 * back or snoozed is followed by one with the same. What a handler changes outside of TaskForge can refuse a
 * run that comes too late: one whose worker was taken for dead and goes on. */
typedef struct {
    int32_t epoch;   /* manual retries */
    int32_t attempt; /* of this epoch, from 1 */
    int64_t incarnation;
} tfw_fence_t;

tfw_fence_t tfw_run_fence(tfw_run_t *run);

/* Where the daemon keeps jobs, for TaskForge's own handlers (worker/direct.h). They hold passwords: never
 * print them. */
const char *tfw_run_database_url(tfw_run_t *run);
const struct tf_redis_url_s *tfw_run_redis_url(tfw_run_t *run);

/* The directory of datasets (TASKFORGE_DATA_DIR), absolute. */
const char *tfw_run_data_dir(tfw_run_t *run);

/* What the claim handed over for this type of job alone, beside the payload: the signing secrets of a
 * webhook. NUL-terminated; "": nothing. Gone when the run ends. */
const char *tfw_run_secret(tfw_run_t *run);

/* The settings of HTTP calls (http_call.h). */
const struct tfw_http_settings_s *tfw_run_http(tfw_run_t *run);

/* Opens a regular file below the data directory for reading: no "..", no absolute path, no link that leads
 * out (openat2 RESOLVE_BENEATH). Returns a descriptor, or -1 with the reason set by tfw_run_error. */
int tfw_run_open_data(tfw_run_t *run, const char *relative_path);

#endif
