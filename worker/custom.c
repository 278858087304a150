#include "custom.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "catalogue.h"
#include "custom_file.h"
#include "exec.h"
#include "remote.h"
#include "schema.h"
#include "signed_post.h"

#define TIMEOUT_SECONDS 300
#define MAX_RETRIES 3
#define MEGABYTE (INT64_C(1) << 20)
#define SECRETS_MAX 4096 /* bytes */
#define PROCESSES 1024
#define REMOTE_SPARE_SECONDS 5 /* an attempt may take a little longer than the call in it */
#define OWN_PREFIX "TASKFORGE_"

/* One type. Texts point into root where they can. */
typedef struct custom_s {
    struct custom_s *next;
    json_t *root;
    char *path, *type, *schema;
    tfw_handler_t handler;
    tfw_exec_t exec;
    tfw_remote_t remote;
} custom_t;

static custom_t *customs; /* as long as the process */

static const char any_object[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\"}";

/* ---- what all have ---- */

static bool read_retry(const tfw_custom_file_t *file, custom_t *c)
{
    static const char *const names[] = {"base_seconds", "max_seconds", "jitter", NULL};
    tf_retry_policy_t *retry = &c->handler.retry;
    const json_t *object;

    *retry = (tf_retry_policy_t){TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true};
    if (!tfw_custom_object(file, "", c->root, "retry", &object)) {
        return false;
    }
    if (object && (!tfw_custom_known(file, "/retry", object, names) ||
                   !tfw_custom_seconds(file, "/retry", object, "base_seconds", &retry->base_ms) ||
                   !tfw_custom_seconds(file, "/retry", object, "max_seconds", &retry->max_ms) ||
                   !tfw_custom_bool(file, "/retry", object, "jitter", &retry->jitter))) {
        return false;
    }
    return retry->max_ms >= retry->base_ms ||
           tfw_custom_complain(file, "/retry/max_seconds", "must not be less than base_seconds");
}

/* In place, or in a file of its own. */
static bool read_schema(const tfw_custom_file_t *file, custom_t *c)
{
    const json_t *member = json_object_get(c->root, "payload_schema");
    char error[256];
    const char *where = "";
    tf_schema_t *schema;

    if (json_is_object(member)) {
        c->schema = json_dumps(member, JSON_COMPACT);
    } else if (json_is_string(member)) {
        c->schema = tfw_custom_read(file, "/payload_schema", json_string_value(member), TF_SCHEMA_MAX);
        if (!c->schema) {
            return false;
        }
        where = json_string_value(member);
    } else if (member) {
        return tfw_custom_complain(file, "/payload_schema", "must be an object, or the name of a file");
    }
    c->handler.payload_schema = c->schema ? c->schema : any_object;
    schema =
        tf_schema_compile(c->handler.payload_schema, strlen(c->handler.payload_schema), error, sizeof(error));
    if (!schema) {
        return tfw_custom_complain(file, "/payload_schema", "%.200s%s%s", where, *where ? ": " : "", error);
    }
    tf_schema_free(schema);
    return true;
}

static bool read_common(const tfw_custom_file_t *file, custom_t *c)
{
    int64_t timeout = TIMEOUT_SECONDS, retries = MAX_RETRIES;

    if (!tfw_custom_text(file, "", c->root, "description", &c->handler.description) ||
        !tfw_custom_int(file, "", c->root, "timeout_seconds", 1, 86400 - REMOTE_SPARE_SECONDS, &timeout) ||
        !tfw_custom_int(file, "", c->root, "max_retries", 0, 100, &retries) || !read_retry(file, c) ||
        !read_schema(file, c)) {
        return false;
    }
    if (!c->handler.description) {
        return tfw_custom_complain(file, "/description", "is required");
    }
    c->handler.type = c->type;
    c->handler.timeout_seconds = (int)timeout;
    c->handler.max_retries = (int)retries;
    return true;
}

/* ---- commands ---- */

static bool read_argv(const tfw_custom_file_t *file, custom_t *c)
{
    const json_t *list = json_object_get(c->root, "exec");
    size_t n = json_array_size(list);
    struct stat st;

    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_string(item) || strlen(json_string_value(item)) != json_string_length(item)) {
            n = 0;
        }
    }
    if (n == 0 || !*json_string_value(json_array_get(list, 0))) {
        return tfw_custom_complain(file, "/exec", "must be a list of texts: a program and its arguments");
    }
    c->exec.argv = calloc(n + 1, sizeof(*c->exec.argv));
    for (size_t i = 0; c->exec.argv && i < n; i++) {
        c->exec.argv[i] = (char *)json_string_value(json_array_get(list, i));
    }
    if (!c->exec.argv || (c->exec.argv[0] = tfw_custom_path(file, c->exec.argv[0])) == NULL) {
        return tfw_custom_complain(file, "/exec", "out of memory");
    }
    if (stat(c->exec.argv[0], &st) != 0 || access(c->exec.argv[0], X_OK) != 0) {
        return tfw_custom_complain(file, "/exec/0", "%.200s: %s", c->exec.argv[0], strerror(errno));
    }
    return S_ISREG(st.st_mode) ||
           tfw_custom_complain(file, "/exec/0", "%.200s: not a regular file", c->exec.argv[0]);
}

static bool set_variable(tfw_exec_t *exec, const char *name, const char *value)
{
    char *text;

    if (value) {
        if (asprintf(&text, "%s=%s", name, value) < 0) {
            return false;
        }
        exec->environment[exec->nenvironment++] = text;
    }
    return true;
}

static bool name_valid(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t first = strspn(name, letters);

    return first &&
           name[first + strspn(name + first,
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789")] == '\0';
}

/* A variable of the settings: with a value, or, null, with the worker's. */
static bool read_variable(const tfw_custom_file_t *file, custom_t *c, const char *name, const json_t *value)
{
    if (!name_valid(name) || strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0) {
        return tfw_custom_complain(file, "/environment",
                                   "\"%.64s\" is not a name, or begins with " OWN_PREFIX, name);
    }
    if (json_is_null(value) && (strcmp(name, "DATABASE_URL") == 0 || strcmp(name, "REDIS_URL") == 0)) {
        return tfw_custom_complain(file, "/environment", "%s is the worker's alone", name);
    }
    if (!json_is_null(value) &&
        (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))) {
        return tfw_custom_complain(file, "/environment",
                                   "the value of %.64s must be a text without NUL, or null", name);
    }
    return set_variable(&c->exec, name, json_is_null(value) ? getenv(name) : json_string_value(value)) ||
           tfw_custom_complain(file, "/environment", "out of memory");
}

static bool read_environment(const tfw_custom_file_t *file, custom_t *c)
{
    static const char *const usual[][2] = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}};
    const size_t n = sizeof(usual) / sizeof(usual[0]);
    const json_t *object;
    const char *name;
    json_t *value;

    if (!tfw_custom_object(file, "", c->root, "environment", &object)) {
        return false;
    }
    c->exec.environment = calloc(json_object_size(object) + n + 1, sizeof(*c->exec.environment));
    if (!c->exec.environment) {
        return tfw_custom_complain(file, "/environment", "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        if (!json_object_get(object, usual[i][0]) && !set_variable(&c->exec, usual[i][0], usual[i][1])) {
            return tfw_custom_complain(file, "/environment", "out of memory");
        }
    }
    json_object_foreach((json_t *)object, name, value)
    {
        if (!read_variable(file, c, name, value)) {
            return false;
        }
    }
    return true;
}

static bool read_limits(const tfw_custom_file_t *file, custom_t *c)
{
    static const struct {
        const char *name;
        int64_t max, unit, usual;
    } limits[TFW_EXEC_LIMITS] = {
        [TFW_EXEC_CPU_SECONDS] = {"cpu_seconds", 86400, 1, 0},
        [TFW_EXEC_MEMORY] = {"memory_mb", 1 << 20, MEGABYTE, 0},
        [TFW_EXEC_FILE] = {"file_mb", 1 << 20, MEGABYTE, 0},
        [TFW_EXEC_FILES] = {"open_files", 1 << 20, 1, 0},
        [TFW_EXEC_PROCESSES] = {"processes", 1 << 20, 1, PROCESSES},
    };
    const char *names[TFW_EXEC_LIMITS + 1] = {NULL};
    const json_t *object;

    for (int i = 0; i < TFW_EXEC_LIMITS; i++) {
        names[i] = limits[i].name;
    }
    if (!tfw_custom_object(file, "", c->root, "limits", &object) ||
        (object && !tfw_custom_known(file, "/limits", object, names))) {
        return false;
    }
    for (int i = 0; i < TFW_EXEC_LIMITS; i++) {
        int64_t value = limits[i].usual;

        if (!tfw_custom_int(file, "/limits", object, limits[i].name, 0, limits[i].max, &value)) {
            return false;
        }
        c->exec.limits[i] = value * limits[i].unit;
    }
    return true;
}

/* What sysexits.h calls the caller's mistakes, unless the settings name others. */
static bool read_permanent(const tfw_custom_file_t *file, custom_t *c)
{
    static const int usual[] = {EX_USAGE,  EX_DATAERR,   EX_NOINPUT, EX_NOUSER,
                                EX_NOHOST, EX_CANTCREAT, EX_NOPERM,  EX_CONFIG};
    const json_t *list = json_object_get(c->root, "permanent_exits");

    if (list && !json_is_array(list)) {
        return tfw_custom_complain(file, "/permanent_exits", "must be a list of exit statuses");
    }
    for (size_t i = 0; !list && i < sizeof(usual) / sizeof(usual[0]); i++) {
        c->exec.permanent[usual[i]] = true;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        json_int_t status = json_integer_value(item);

        if (!json_is_integer(item) || status < 1 || status > 255 || status == EX_TEMPFAIL) {
            return tfw_custom_complain(file, "/permanent_exits",
                                       "must be integers from 1 to 255 other than 75 (EX_TEMPFAIL)");
        }
        c->exec.permanent[status] = true;
    }
    return true;
}

static bool read_exec(const tfw_custom_file_t *file, custom_t *c)
{
    static const char *const names[] = {
        "description", "timeout_seconds", "max_retries",     "retry", "payload_schema", "exec", "environment",
        "directory",   "limits",          "permanent_exits", NULL};
    struct stat st;

    c->exec.directory = "/";
    if (!tfw_custom_known(file, "", c->root, names) || !read_argv(file, c) || !read_environment(file, c) ||
        !tfw_custom_text(file, "", c->root, "directory", &c->exec.directory) || !read_limits(file, c) ||
        !read_permanent(file, c)) {
        return false;
    }
    if (*c->exec.directory != '/' || stat(c->exec.directory, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return tfw_custom_complain(file, "/directory", "%.200s: not the absolute path of a directory",
                                   c->exec.directory);
    }
    c->handler.run = tfw_exec_run;
    c->handler.context = &c->exec;
    return true;
}

/* ---- services ---- */

/* Secrets in their file stand in lines or with blanks between them. */
static bool read_secrets(const tfw_custom_file_t *file, custom_t *c)
{
    const char *name = NULL;
    char *text;

    if (!tfw_custom_text(file, "", c->root, "secret_file", &name)) {
        return false;
    }
    if (!name) {
        return tfw_custom_complain(file, "/secret_file", "is required");
    }
    c->remote.secrets = tfw_custom_read(file, "/secret_file", name, SECRETS_MAX);
    if (!c->remote.secrets) {
        return false;
    }
    for (text = c->remote.secrets; *(text += strcspn(text, "\t\r\n")); text++) {
        *text = ' ';
    }
    return tfw_signed_post_secret_valid(c->remote.secrets) ||
           tfw_custom_complain(file, "/secret_file", "%.200s: does not hold whsec_ and base64", name);
}

static bool read_remote(const tfw_custom_file_t *file, custom_t *c, const char *deny)
{
    static const char *const names[] = {
        "description", "timeout_seconds", "max_retries", "retry", "payload_schema",
        "http",        "secret_file",     NULL};
    const char *why;
    char host[TF_URL_MAX + 1], text[200];
    tf_url_t url;

    if (!tfw_custom_known(file, "", c->root, names) ||
        !tfw_custom_text(file, "", c->root, "http", &c->remote.url) || !read_secrets(file, c)) {
        return false;
    }
    why = tf_url_parse(c->remote.url, strlen(c->remote.url), &url);
    if (why) {
        return tfw_custom_complain(file, "/http", "%s", why);
    }
    /* Who wrote the settings may name a private address, which callers may not. */
    snprintf(host, sizeof(host), "%.*s", (int)url.host.len, url.host.data);
    if (!tf_outgoing_init(&c->remote.lists, host, deny, text, sizeof(text))) {
        return tfw_custom_complain(file, "/http", "%s", text);
    }
    why = tf_outgoing_url_refusal(&c->remote.lists, &url);
    if (why) {
        return tfw_custom_complain(file, "/http", "the URL's host %s", why);
    }
    c->remote.timeout_ms = c->handler.timeout_seconds * INT64_C(1000);
    c->handler.timeout_seconds += REMOTE_SPARE_SECONDS;
    c->handler.run = tfw_remote_run;
    c->handler.io_bound = true;
    c->handler.context = &c->remote;
    return true;
}

/* ---- files ---- */

static bool read_type(const tfw_custom_file_t *file, custom_t *c, const char *deny)
{
    json_error_t at;
    bool exec, http;

    c->root = json_load_file(file->path, JSON_REJECT_DUPLICATES, &at);
    if (!json_is_object(c->root)) {
        return tfw_custom_complain(file, "", "line %d: %s", c->root ? 1 : at.line,
                                   c->root ? "not an object" : at.text);
    }
    exec = json_object_get(c->root, "exec") != NULL;
    http = json_object_get(c->root, "http") != NULL;
    if (exec == http) {
        return tfw_custom_complain(file, "", "needs either \"exec\" or \"http\"");
    }
    return read_common(file, c) && (exec ? read_exec(file, c) : read_remote(file, c, deny)) &&
           tfw_catalogue_add(&c->handler, file->path, file->error, file->error_size);
}

static bool load(const char *directory, const char *name, const char *deny, char *error, size_t error_size)
{
    custom_t *c = calloc(1, sizeof(*c));
    tfw_custom_file_t file = {.directory = directory, .error = error, .error_size = error_size};

    snprintf(error, error_size, "out of memory");
    if (!c) {
        return false;
    }
    c->next = customs;
    customs = c;
    c->path = tfw_custom_path(&file, name);
    c->type = strndup(name, strlen(name) - strlen(TFW_CUSTOM_SUFFIX));
    file.path = c->path;
    return c->path && c->type && read_type(&file, c, deny);
}

bool tfw_custom_load(const char *directory, const char *deny, char *error, size_t error_size)
{
    return tfw_custom_each("TASKFORGE_HANDLERS_DIR", directory, load, deny, error, error_size);
}
