/* options.h: the worker's settings (docs/internals.md). */
#ifndef TFW_OPTIONS_H
#define TFW_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/start.h"
#include "http_call.h"

#define TFW_PATTERNS_MAX 64
#define TFW_CONCURRENCY_MAX 1024
#define TFW_IO_CONCURRENCY_MAX 10000

typedef struct {
    tfd_settings_t shared;
    char *data_dir;
    char *hostname; /* "": not set until tfw_options_load has asked the system */
    char *pool;
    char *queue_list;
    bool internal;          /* TaskForge's own queues too */
    char *type_concurrency; /* see types.h */
    char *type_retry;       /* see policies.h */
    char *labels;
    int64_t lowest_priority;
    int64_t concurrency;
    int64_t io_concurrency;     /* 0: no I/O executor */
    int64_t executor_memory_mb; /* 0: no limit */
    int64_t executor_file_mb;   /* 0: no limit */
    int64_t heartbeat_seconds;
    int64_t shutdown_seconds;
    int64_t kill_grace_seconds;
    int64_t cancel_grace_ms;
    int64_t result_max_bytes;
    int64_t log_lines_max;
    char *outgoing_allow;
    char *outgoing_deny;
    char *outgoing_ca_file;
    char *handlers_dir;    /* see custom.h */
    char *plugin_dir;      /* see plugins.h */
    char *connections_dir; /* see connections.h */

    /* derived */
    char *queues[TFW_PATTERNS_MAX]; /* pieces of queue_list and TaskForge's own: names, or beginnings of names
                                       and "*" */
    int nqueues;
    char *labels_json; /* an object, or NULL */
    tfw_http_settings_t http;
} tfw_options_t;

/* Loads and checks everything that can be checked without a connection, and sets the log up. false: error
 * says which setting and why; the options need not be freed then. */
bool tfw_options_load(tfw_options_t *options, const char *path, char *error, size_t error_size);

void tfw_options_free(tfw_options_t *options);

#endif
