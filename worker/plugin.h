/* plugin.h: job types in C: what a handler is made of and what it may call. A handler runs in an executor
 * process of its own: it may block, allocate and crash without harm to anybody else. The handlers in
 * worker/handlers/ are linked into the worker; others come as plug-ins: a shared object in
 * TASKFORGE_PLUGIN_DIR that exports one symbol, see TASKFORGE_PLUGIN. This file is all that a plug-in needs:
 * installed as $TASKFORGE_HOME/include/taskforge/plugin.h, used as docs/handlers.md shows. */
#ifndef TASKFORGE_PLUGIN_H
#define TASKFORGE_PLUGIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "retry_policy.h"

#define TFW_API __attribute__((visibility("default")))

typedef struct tfw_run_s tfw_run_t; /* one attempt of one job, as its handler sees it */

typedef enum {
    TFW_OK,        /* the result was given with tfw_run_result, or is null */
    TFW_RETRY,     /* failed; tried again while retries are left */
    TFW_PERMANENT, /* failed; trying again cannot help (bad payload, missing file) */
    TFW_CANCELLED, /* stopped because tfw_run_cancelled said so; a result says what was done by then */
    TFW_SNOOZE     /* not now: runs again later, and this attempt does not count; see tfw_run_snooze */
} tfw_outcome_t;

typedef struct {
    const char *type; /* 1 to 64 letters, digits, '_', '.' or '-' */
    const char *description;
    const char *payload_schema; /* JSON Schema 2020-12 of the payload, as text */
    int max_retries;            /* 0 to 100 */
    int timeout_seconds;        /* 1 to 86400 */
    tf_retry_policy_t retry;
    tfw_outcome_t (*run)(tfw_run_t *run);
    const void *context; /* for run, which may serve several types: see tfw_run_context */
    /* It waits for the network most of the time, and only in http_call.h and transfer.h: many jobs of such
     * types share one process. For plug-ins, which cannot call those: false. */
    bool io_bound;
} tfw_handler_t;

/* ---- plug-ins ---- */

/* Changes whenever a plug-in that was compiled with an older plugin.h would not fit. */
#define TFW_PLUGIN_ABI 2

typedef struct {
    int abi;                              /* TFW_PLUGIN_ABI */
    const tfw_handler_t *const *handlers; /* ends with NULL */
} tfw_plugin_t;

extern TFW_API const tfw_plugin_t taskforge_plugin;

/* Once in a plug-in, the types that it brings: TASKFORGE_PLUGIN(&word_count, &line_count); */
#define TASKFORGE_PLUGIN(...)                                                                                \
    const tfw_plugin_t taskforge_plugin = {TFW_PLUGIN_ABI, (const tfw_handler_t *const[]){__VA_ARGS__, NULL}}

/* ---- what a handler may call ----
 * Nothing here fails visibly: trouble is kept and reported with the attempt. Texts are the run's. */

/* The payload, parsed on first use; always an object. Owned by the run. */
TFW_API const json_t *tfw_run_payload(tfw_run_t *run);

/* The payload as the caller wrote it; not NUL-terminated. */
TFW_API const char *tfw_run_payload_text(tfw_run_t *run, size_t *len);

/* The job's metadata, a JSON object as the caller wrote it; not NUL-terminated. NULL: none was given. */
TFW_API const char *tfw_run_metadata_text(tfw_run_t *run, size_t *len);

/* Of the submit (W3C Trace Context); NULL: none. */
TFW_API const char *tfw_run_traceparent(tfw_run_t *run);

/* The job's id, 16 bytes. */
TFW_API const uint8_t *tfw_run_id(tfw_run_t *run);

TFW_API const char *tfw_run_type(tfw_run_t *run);

/* Counts from 1. */
TFW_API int tfw_run_attempt(tfw_run_t *run);

/* How often this job is tried again at most. */
TFW_API int tfw_run_max_retries(tfw_run_t *run);

/* Who holds the job. Of two runs of one job the later has the greater (epoch, attempt); a run that was given
 * back or snoozed is followed by one with the same. What a handler changes outside of TaskForge can refuse a
 * run that comes too late: one whose worker was taken for dead and goes on. */
typedef struct {
    int32_t epoch;   /* manual retries */
    int32_t attempt; /* of this epoch, from 1 */
    int64_t incarnation;
} tfw_fence_t;

TFW_API tfw_fence_t tfw_run_fence(tfw_run_t *run);

/* The handler's context. */
TFW_API const void *tfw_run_context(tfw_run_t *run);

/* The result: a JSON text, copied. Calling again replaces it. */
TFW_API void tfw_run_result(tfw_run_t *run, const char *json, size_t len);

/* Why the attempt failed; one line for people. The last call counts. */
TFW_API void tfw_run_error(tfw_run_t *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define TFW_DELAY_SECONDS_MAX (30 * 24 * 3600)

/* When to try again, if the attempt fails with TFW_RETRY: in so many seconds instead of after the backoff of
 * the job's policy, as a server's Retry-After asks for. Limits of retries and of the time budget hold. At
 * most TFW_DELAY_SECONDS_MAX. */
TFW_API void tfw_run_retry_after(tfw_run_t *run, int64_t seconds);

/* return tfw_run_snooze(run, 60): the job is SCHEDULED again, due in so many seconds (1 to
 * TFW_DELAY_SECONDS_MAX), and no attempt is burnt. For what is not ready yet and is nobody's failure. */
TFW_API tfw_outcome_t tfw_run_snooze(tfw_run_t *run, int64_t seconds);

/* 0 to 100; sent at most ten times a second. */
TFW_API void tfw_run_progress(tfw_run_t *run, int percent);

/* A line of the job's log. level: "debug", "info", "warning" or "error". */
TFW_API void tfw_run_log(tfw_run_t *run, const char *level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* true once somebody asked for this job to stop: the handler should return TFW_CANCELLED soon. */
TFW_API bool tfw_run_cancelled(tfw_run_t *run);

/* The directory of datasets (TASKFORGE_DATA_DIR), absolute. */
TFW_API const char *tfw_run_data_dir(tfw_run_t *run);

/* Opens a regular file below the data directory for reading: no "..", no absolute path, no link that leads
 * out (openat2 RESOLVE_BENEATH). Returns a descriptor, or -1 with the reason set by tfw_run_error. */
TFW_API int tfw_run_open_data(tfw_run_t *run, const char *relative_path);

#endif
