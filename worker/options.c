#include "options.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "handler.h"
#include "job.h"
#include "rlimits.h"

/* The section that TF_HANDLER_SETTINGS fills; weak, as there may be none. */
extern const tfw_handler_settings_t *const __start_tfw_settings[] __attribute__((weak));
extern const tfw_handler_settings_t *const __stop_tfw_settings[] __attribute__((weak));

#define AT(field) offsetof(tfw_options_t, field)

static const tf_setting_t table[] = {
    {"TASKFORGE_DATA_DIR", TF_SETTING_TEXT, AT(data_dir), NULL, 0, 0, "directory of datasets"},
    {"TASKFORGE_WORKER_HOSTNAME", TF_SETTING_TEXT, AT(hostname), "", 0, 0, "default: the system's"},
    {"TASKFORGE_WORKER_POOL", TF_SETTING_TEXT, AT(pool), "default", 0, 0, "name of this worker on its host"},
    {"TASKFORGE_WORKER_QUEUES", TF_SETTING_TEXT, AT(queue_list), TF_QUEUE_DEFAULT, 0, 0,
     "comma-separated; \"reports-*\", \"*\""},
    {"TASKFORGE_WORKER_INTERNAL", TF_SETTING_BOOL, AT(internal), "true", 0, 0,
     "serve TaskForge's own queues"},
    {"TASKFORGE_WORKER_LOWEST_PRIORITY", TF_SETTING_INT, AT(lowest_priority), "0", TF_PRIORITY_MIN,
     TF_PRIORITY_MAX, "jobs below it are left to other pools"},
    {"TASKFORGE_TYPE_CONCURRENCY", TF_SETTING_TEXT, AT(type_concurrency), "", 0, 0, "type=number, ..."},
    {"TASKFORGE_TYPE_RETRY", TF_SETTING_TEXT, AT(type_retry), "", 0, 0,
     "type=retries:seconds:most[:exact], ..."},
    {"TASKFORGE_WORKER_LABELS", TF_SETTING_TEXT, AT(labels), "", 0, 0, "name=value, ..."},
    {"TASKFORGE_WORKER_CONCURRENCY", TF_SETTING_INT, AT(concurrency), "4", 1, TFW_CONCURRENCY_MAX,
     "processes"},
    {"TASKFORGE_IO_CONCURRENCY", TF_SETTING_INT, AT(io_concurrency), "200", 0, TFW_IO_CONCURRENCY_MAX,
     "jobs that wait for the network, at once in one process; 0: one process each"},
    {"TASKFORGE_EXECUTOR_MEMORY_MB", TF_SETTING_INT, AT(executor_memory_mb), "1024", 0, 1 << 30,
     "megabytes that one executor allocates; 0: no limit"},
    {"TASKFORGE_EXECUTOR_FILE_MB", TF_SETTING_INT, AT(executor_file_mb), "1024", 0, 1 << 30,
     "megabytes of a file that an executor writes; 0: no limit"},
    {"TASKFORGE_HEARTBEAT_SECONDS", TF_SETTING_INT, AT(heartbeat_seconds), "5", 1, 3600, "seconds"},
    {"TASKFORGE_SHUTDOWN_SECONDS", TF_SETTING_INT, AT(shutdown_seconds), "30", 0, 86400, "seconds"},
    {"TASKFORGE_KILL_GRACE_SECONDS", TF_SETTING_INT, AT(kill_grace_seconds), "5", 0, 3600, "seconds"},
    {"TASKFORGE_CANCEL_GRACE_MS", TF_SETTING_INT, AT(cancel_grace_ms), "300", 0, 60000, "milliseconds"},
    {"TASKFORGE_RESULT_MAX_BYTES", TF_SETTING_INT, AT(result_max_bytes), "1048576", 4096, 256 << 20, "bytes"},
    {"TASKFORGE_OUTGOING_ALLOW", TF_SETTING_TEXT, AT(outgoing_allow), "", 0, 0,
     "private networks and hosts to call"},
    {"TASKFORGE_OUTGOING_DENY", TF_SETTING_TEXT, AT(outgoing_deny), "", 0, 0,
     "networks and hosts not to call"},
    {"TASKFORGE_OUTGOING_CA_FILE", TF_SETTING_TEXT, AT(outgoing_ca_file), "", 0, 0,
     "PEM; default: the system's"},
    {"TASKFORGE_HANDLERS_DIR", TF_SETTING_TEXT, AT(handlers_dir), "", 0, 0,
     "directory of job types: commands and HTTP services"},
    {"TASKFORGE_PLUGIN_DIR", TF_SETTING_TEXT, AT(plugin_dir), "", 0, 0, "directory of job types in C"},
    {"TASKFORGE_CONNECTIONS_DIR", TF_SETTING_TEXT, AT(connections_dir), "", 0, 0,
     "directory of credentials that jobs use by name"},
    {"TASKFORGE_LOG_LINES_MAX", TF_SETTING_INT, AT(log_lines_max), "1000", 0, 1000000, "lines per attempt"},
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static bool name_valid(const char *name, const char *setting, char *error, size_t error_size)
{
    if (!tf_queue_name_valid(name, strlen(name))) {
        snprintf(error, error_size, "%s: \"%.80s\" is not a name of 1 to %d letters, digits, '_', '.' or '-'",
                 setting, name, TF_QUEUE_NAME_MAX);
        return false;
    }
    return true;
}

static bool serves(const tfw_options_t *o, const char *queue)
{
    for (int i = 0; i < o->nqueues; i++) {
        if (strcmp(o->queues[i], queue) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_queue(tfw_options_t *o, char *queue, char *error, size_t error_size)
{
    if (o->nqueues == TFW_PATTERNS_MAX) {
        snprintf(error, error_size, "TASKFORGE_WORKER_QUEUES: more than %d queues", TFW_PATTERNS_MAX);
        return false;
    }
    o->queues[o->nqueues++] = queue;
    return true;
}

/* A name, or the beginning of one and "*". */
static bool pattern_valid(const char *pattern)
{
    size_t len = strlen(pattern);

    if (len && pattern[len - 1] == '*') {
        return len == 1 || tf_queue_name_valid(pattern, len - 1);
    }
    return tf_queue_name_valid(pattern, len);
}

/* Cuts queue_list at its commas, in place. */
static bool split_queues(tfw_options_t *o, char *error, size_t error_size)
{
    static char own[][16] = {TF_QUEUE_OWN, TF_QUEUE_WEBHOOKS};
    char *rest = o->queue_list, *piece;

    while ((piece = strsep(&rest, ",")) != NULL) {
        if (!pattern_valid(piece)) {
            snprintf(
                error, error_size,
                "TASKFORGE_WORKER_QUEUES: \"%.80s\" is not a name of 1 to %d letters, digits, '_', '.' or "
                "'-', nor the beginning of one followed by '*'",
                piece, TF_QUEUE_NAME_MAX);
            return false;
        }
        if (serves(o, piece)) {
            snprintf(error, error_size, "TASKFORGE_WORKER_QUEUES: \"%s\" is there twice", piece);
            return false;
        }
        if (!add_queue(o, piece, error, error_size)) {
            return false;
        }
    }
    for (size_t i = 0; o->internal && i < sizeof(own) / sizeof(own[0]); i++) {
        if (!serves(o, own[i]) && !add_queue(o, own[i], error, error_size)) {
            return false;
        }
    }
    return true;
}

/* "zone=a,gpu=1" as a JSON object of texts. */
static bool read_labels(tfw_options_t *o, char *error, size_t error_size)
{
    json_t *object = json_object();
    char *rest = *o->labels ? o->labels : NULL, *piece;
    bool ok = object != NULL;

    while (ok && (piece = strsep(&rest, ",")) != NULL) {
        char *equals = strchr(piece, '=');

        if (!equals || equals == piece) {
            snprintf(error, error_size, "TASKFORGE_WORKER_LABELS: \"%.80s\" is not name=value", piece);
            ok = false;
            break;
        }
        *equals = '\0';
        ok = json_object_set_new(object, piece, json_string(equals + 1)) == 0;
        if (!ok) {
            snprintf(error, error_size, "TASKFORGE_WORKER_LABELS: the value of \"%.80s\" is not UTF-8",
                     piece);
        }
    }
    if (ok && json_object_size(object)) {
        o->labels_json = json_dumps(object, JSON_COMPACT);
    }
    json_decref(object);
    return ok;
}

static bool resolve_hostname(tfw_options_t *o, char *error, size_t error_size)
{
    char name[256];

    if (o->hostname[0]) {
        return true;
    }
    if (gethostname(name, sizeof(name)) != 0) {
        snprintf(error, error_size, "TASKFORGE_WORKER_HOSTNAME is not set and gethostname failed: %s",
                 strerror(errno));
        return false;
    }
    name[sizeof(name) - 1] = '\0';
    free(o->hostname);
    o->hostname = strdup(name);
    return o->hostname != NULL;
}

/* The data directory as an absolute path: executors resolve names below it. */
static bool resolve_data_dir(tfw_options_t *o, char *error, size_t error_size)
{
    struct stat st;
    char *path = realpath(o->data_dir, NULL);

    if (!path || stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        snprintf(error, error_size, "TASKFORGE_DATA_DIR: %.200s: %s", o->data_dir,
                 path ? "not a directory" : strerror(errno));
        free(path);
        return false;
    }
    free(o->data_dir);
    o->data_dir = path;
    return true;
}

/* Which addresses handlers may call, and whom they trust. */
static bool resolve_outgoing(tfw_options_t *o, char *error, size_t error_size)
{
    char why[200];

    o->http.ca_file = o->outgoing_ca_file;
    if (*o->outgoing_ca_file && access(o->outgoing_ca_file, R_OK) != 0) {
        snprintf(error, error_size, "TASKFORGE_OUTGOING_CA_FILE: %.200s: %s", o->outgoing_ca_file,
                 strerror(errno));
        return false;
    }
    if (!tf_outgoing_init(&o->http.lists, o->outgoing_allow, o->outgoing_deny, why, sizeof(why))) {
        snprintf(error, error_size, "TASKFORGE_OUTGOING_ALLOW or TASKFORGE_OUTGOING_DENY: %s", why);
        return false;
    }
    return true;
}

static bool load_handlers(const char *path, char *error, size_t error_size)
{
    for (const tfw_handler_settings_t *const *at = __start_tfw_settings; at != __stop_tfw_settings; at++) {
        const tfw_handler_settings_t *s = *at;

        if (!tf_settings_load(s->table, s->count, s->target, path, error, error_size) ||
            (s->check && !s->check(error, error_size))) {
            return false;
        }
    }
    return true;
}

bool tfw_options_load(tfw_options_t *options, const char *path, char *error, size_t error_size)
{
    memset(options, 0, sizeof(*options));
    if (!tfd_settings_load(&options->shared, path, "worker", error, error_size)) {
        return false;
    }
    if (!tf_settings_load(table, TABLE_COUNT, options, path, error, error_size) ||
        !resolve_hostname(options, error, error_size) || !resolve_data_dir(options, error, error_size) ||
        !name_valid(options->pool, "TASKFORGE_WORKER_POOL", error, error_size) ||
        !split_queues(options, error, error_size) || !read_labels(options, error, error_size) ||
        !resolve_outgoing(options, error, error_size) || !tfw_limits_check(options, error, error_size) ||
        !load_handlers(path, error, error_size)) {
        tfw_options_free(options);
        return false;
    }
    return true;
}

void tfw_options_free(tfw_options_t *options)
{
    free(options->labels_json);
    tf_outgoing_free(&options->http.lists);
    tf_settings_free(table, TABLE_COUNT, options);
    tfd_settings_free(&options->shared);
    for (const tfw_handler_settings_t *const *at = __start_tfw_settings; at != __stop_tfw_settings; at++) {
        tf_settings_free((*at)->table, (*at)->count, (*at)->target);
    }
}
