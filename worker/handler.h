/* handler.h: a handler that is linked into the worker: one file per type in worker/handlers/, with a
 * TF_HANDLER at its bottom. What it is made of and what it may call is in plugin.h; what only TaskForge's own
 * handlers may call is here, in files.h (files that a job makes), http_call.h and transfer.h. */
#ifndef TFW_HANDLER_H
#define TFW_HANDLER_H

#include "buf.h"
#include "plugin.h"
#include "retry.h"
#include "settings.h"

/* Registers a handler: TF_HANDLER(noop) = { .type = "noop", ... }; */
#define TF_HANDLER(name)                                                                                     \
    static const tfw_handler_t tfw_handler_##name;                                                           \
    static const tfw_handler_t *const tfw_handler_ptr_##name                                                 \
        __attribute__((used, section("tfw_handlers"))) = &tfw_handler_##name;                                \
    static const tfw_handler_t tfw_handler_##name

/* A handler's .retry: 2^n seconds before the n-th retry (2, 4, 8, ...), exactly, at most an hour: of
 * send_email, process_payment, generate_report and data_pipeline. */
#define TFW_RETRY_POWERS_OF_TWO                                                                              \
    {                                                                                                        \
        2000, TF_RETRY_MAX_MS, false                                                                         \
    }

/* The settings of one or several handlers: the worker fills target when it starts, and its executors have it.
 * Beside the handlers that need it: TF_HANDLER_SETTINGS(email) = { table, count, &target, check }; */
typedef struct {
    const tf_setting_t *table; /* names begin with TASKFORGE_ */
    size_t count;
    void *target;
    /* Whether they make sense, and what is to be derived from them. NULL: nothing. error: which and why */
    bool (*check)(char *error, size_t error_size);
} tfw_handler_settings_t;

#define TF_HANDLER_SETTINGS(name)                                                                            \
    static const tfw_handler_settings_t tfw_settings_##name;                                                 \
    static const tfw_handler_settings_t *const tfw_settings_ptr_##name                                       \
        __attribute__((used, section("tfw_settings"))) = &tfw_settings_##name;                               \
    static const tfw_handler_settings_t tfw_settings_##name

/* Where the daemon keeps jobs (worker/direct.h). They hold passwords: never print them. */
const char *tfw_run_database_url(tfw_run_t *run);
const struct tf_redis_url_s *tfw_run_redis_url(tfw_run_t *run);

/* What the claim handed over for this type of job alone, beside the payload: the signing secrets of a
 * webhook. NUL-terminated; "": nothing. Gone when the run ends. */
const char *tfw_run_secret(tfw_run_t *run);

/* The settings of HTTP calls (http_call.h). */
const struct tfw_http_settings_s *tfw_run_http(tfw_run_t *run);

/* Bytes that a result may have (TASKFORGE_RESULT_MAX_BYTES). */
size_t tfw_run_result_max(tfw_run_t *run);

#endif
