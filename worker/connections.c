#include "connections.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "custom_file.h"
#include "job.h"

#define FILE_MAX 65536 /* bytes */
#define VALUE_MAX 8192 /* bytes of a secret */
#define LIST_MAX 256
#define REGION "us-east-1"

/* One connection. Texts point into root where they can. */
typedef struct held_s {
    struct held_s *next;
    json_t *root;
    char *path, *name;
    tfw_connection_t connection;
} held_t;

static held_t *connections; /* as long as the process */

/* ---- members ---- */

/* A file with a secret in it, as PostgreSQL has it of its key: for its owner alone, or root's and for a group
 * too. */
static bool check_mode(const tfw_custom_file_t *file, const char *pointer, const char *path)
{
    char *where = tfw_custom_path(file, path);
    struct stat st;
    bool ok = where && stat(where, &st) == 0;

    if (!ok) {
        tfw_custom_complain(file, pointer, "%.200s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        ok = tfw_custom_complain(file, pointer, "%.200s: not a regular file", path);
    } else if (st.st_mode & (st.st_uid == 0 ? S_IWGRP | S_IRWXO : S_IRWXG | S_IRWXO)) {
        ok = tfw_custom_complain(file, pointer,
                                 "%.200s: others than its owner may read it (mode %04o); chmod 0600 it", path,
                                 (unsigned)st.st_mode & 07777);
    }
    free(where);
    return ok;
}

static bool is_line(const char *text)
{
    const char *p = text;

    while ((unsigned char)*p >= ' ' && *p != 0x7f) {
        p++;
    }
    return p > text && *p == '\0';
}

/* What is a text in `name` or the first line of the file that `name`_file names; may be absent. *value is the
 * process's. */
static bool read_secret(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                        const char *name, const char **value)
{
    char member[64], at[128], *text;
    const char *path = NULL;

    snprintf(member, sizeof(member), "%s_file", name);
    snprintf(at, sizeof(at), "%s/%s", pointer, member);
    if (!tfw_custom_text(file, pointer, object, name, value) ||
        !tfw_custom_text(file, pointer, object, member, &path)) {
        return false;
    }
    if (*value && path) {
        return tfw_custom_complain(file, at, "is there beside \"%s\"", name);
    }
    if (path) {
        if (!check_mode(file, at, path) || (text = tfw_custom_read(file, at, path, VALUE_MAX)) == NULL) {
            return false;
        }
        text[strcspn(text, "\r\n")] = '\0';
        *value = text;
    } else if (!*value) {
        return tfw_custom_complain(file, pointer, "needs \"%s\" or \"%s\"", name, member);
    }
    if (!is_line(*value)) {
        snprintf(at, sizeof(at), "%s/%s", pointer, path ? member : name);
        return tfw_custom_complain(file, at, "must be a line of text without control characters");
    }
    return true;
}

static bool text_valid(const json_t *item)
{
    return json_is_string(item) && json_string_length(item) > 0 &&
           strlen(json_string_value(item)) == json_string_length(item);
}

/* A list of texts, at least one; it ends with NULL and is the process's. NULL: the file's error says why. */
static const char *const *read_list(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                                    const char *name)
{
    const json_t *array = json_object_get(object, name);
    size_t n = json_array_size(array);
    const char **texts;
    char at[128];

    snprintf(at, sizeof(at), "%s/%s", pointer, name);
    if (n == 0 || n > LIST_MAX) {
        tfw_custom_complain(file, at, "must be a list of 1 to %d texts", LIST_MAX);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!text_valid(json_array_get(array, i))) {
            tfw_custom_complain(file, at, "entry %zu must be a text of at least one byte, without NUL", i);
            return NULL;
        }
    }
    texts = calloc(n + 1, sizeof(*texts));
    if (!texts) {
        tfw_custom_complain(file, at, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        texts[i] = json_string_value(json_array_get(array, i));
    }
    return texts;
}

/* ---- kinds ---- */

static bool read_hosts(const tfw_custom_file_t *file, const json_t *object, tfw_secret_t *secret)
{
    const char *const *list = read_list(file, "/secret", object, "hosts");
    tf_buf_t text = TF_BUF_INIT;
    char why[200] = "out of memory";
    bool ok;

    if (!list) {
        return false;
    }
    for (size_t i = 0; list[i]; i++) {
        tf_buf_adds(&text, list[i]);
        tf_buf_addc(&text, ',');
    }
    ok = !text.failed && tf_outgoing_init(&secret->hosts, tf_buf_cstr(&text), "", why, sizeof(why));
    tf_buf_free(&text);
    free((void *)list);
    return ok || tfw_custom_complain(file, "/secret/hosts", "%s", why);
}

/* RFC 9110, 5.6.2: the name of a header */
static bool token_valid(const char *text)
{
    return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                      "!#$%&'*+-.^_`|~")] == '\0';
}

static bool read_http_secret(const tfw_custom_file_t *file, const json_t *object,
                             tfw_connection_t *connection)
{
    static const char *const names[] = {"value", "value_file", "hosts", "header", "allow_http", NULL};
    tfw_secret_t *secret = &connection->u.secret;

    connection->kind = TFW_CONNECTION_SECRET;
    if (!tfw_custom_known(file, "/secret", object, names) ||
        !read_secret(file, "/secret", object, "value", &secret->value) || !read_hosts(file, object, secret) ||
        !tfw_custom_text(file, "/secret", object, "header", &secret->header) ||
        !tfw_custom_bool(file, "/secret", object, "allow_http", &secret->allow_http)) {
        return false;
    }
    return !secret->header || token_valid(secret->header) ||
           tfw_custom_complain(file, "/secret/header", "is no name of a header");
}

static bool read_postgresql(const tfw_custom_file_t *file, const json_t *object, tfw_connection_t *connection)
{
    static const char *const names[] = {"url", "url_file", "tables", "write", NULL};
    tfw_postgresql_t *postgresql = &connection->u.postgresql;
    PQconninfoOption *parsed;

    connection->kind = TFW_CONNECTION_POSTGRESQL;
    if (!tfw_custom_known(file, "/postgresql", object, names) ||
        !read_secret(file, "/postgresql", object, "url", &postgresql->url) ||
        !(postgresql->tables = read_list(file, "/postgresql", object, "tables")) ||
        !tfw_custom_bool(file, "/postgresql", object, "write", &postgresql->write)) {
        return false;
    }
    /* what libpq says about it may quote the password */
    parsed = PQconninfoParse(postgresql->url, NULL);
    if (!parsed) {
        return tfw_custom_complain(file, "/postgresql/url",
                                   "is no URL or connection string that libpq understands");
    }
    PQconninfoFree(parsed);
    return true;
}

/* "https://host[:port]", and the lists that let it through. */
static bool read_endpoint(const tfw_custom_file_t *file, tfw_s3_t *s3, const char *deny)
{
    char hosts[2 * TF_URL_MAX + 8], text[200];
    const char *why, *end;
    tf_url_t url;

    if (!s3->endpoint) {
        return tfw_custom_complain(file, "/s3/endpoint", "is required");
    }
    why = tf_url_parse(s3->endpoint, strlen(s3->endpoint), &url);
    if (why) {
        return tfw_custom_complain(file, "/s3/endpoint", "%s", why);
    }
    end = url.host.data + url.host.len;
    if (strpbrk(end, "/?")) {
        return tfw_custom_complain(file, "/s3/endpoint", "must end after the host or the port");
    }
    snprintf(hosts, sizeof(hosts), url.literal ? "%.*s" : "%.*s,.%.*s", (int)url.host.len, url.host.data,
             (int)url.host.len, url.host.data);
    if (!tf_outgoing_init(&s3->lists, hosts, deny, text, sizeof(text))) {
        return tfw_custom_complain(file, "/s3/endpoint", "%s", text);
    }
    why = tf_outgoing_url_refusal(&s3->lists, &url);
    return !why || tfw_custom_complain(file, "/s3/endpoint", "the URL's host %s", why);
}

static bool read_s3(const tfw_custom_file_t *file, const json_t *object, tfw_connection_t *connection,
                    const char *deny)
{
    static const char *const names[] = {
        "endpoint",        "region",  "access_key", "access_key_file", "secret_key",
        "secret_key_file", "buckets", "write",      "path_style",      NULL};
    tfw_s3_t *s3 = &connection->u.s3;

    connection->kind = TFW_CONNECTION_S3;
    s3->region = REGION;
    return tfw_custom_known(file, "/s3", object, names) &&
           tfw_custom_text(file, "/s3", object, "endpoint", &s3->endpoint) && read_endpoint(file, s3, deny) &&
           tfw_custom_text(file, "/s3", object, "region", &s3->region) &&
           read_secret(file, "/s3", object, "access_key", &s3->access_key) &&
           read_secret(file, "/s3", object, "secret_key", &s3->secret_key) &&
           (s3->buckets = read_list(file, "/s3", object, "buckets")) &&
           tfw_custom_bool(file, "/s3", object, "write", &s3->write) &&
           tfw_custom_bool(file, "/s3", object, "path_style", &s3->path_style);
}

/* ---- files ---- */

/* What jansson says about a text that is no JSON quotes it; here that may be a secret. */
static json_t *parse(const tfw_custom_file_t *file)
{
    char *text = check_mode(file, "", file->path) ? tfw_custom_read(file, "", file->path, FILE_MAX) : NULL;
    json_error_t at;
    json_t *root;

    if (!text) {
        return NULL;
    }
    root = json_loads(text, JSON_REJECT_DUPLICATES, &at);
    if (!root) {
        tfw_custom_complain(file, "", "line %d, column %d: not JSON, or a member is there twice", at.line,
                            at.column);
    }
    explicit_bzero(text, strlen(text));
    free(text);
    return root;
}

static bool read_kind(const tfw_custom_file_t *file, held_t *held, const char *deny)
{
    static const char *const kinds[] = {"secret", "postgresql", "s3", NULL};
    const json_t *object;
    const char *kind;

    held->root = parse(file);
    if (!held->root || !tfw_custom_known(file, "", held->root, kinds)) {
        return false;
    }
    kind = json_object_iter_key(json_object_iter(held->root));
    object = kind ? json_object_get(held->root, kind) : NULL;
    if (json_object_size(held->root) != 1 || !json_is_object(object)) {
        return tfw_custom_complain(
            file, "", "must be an object with one of \"secret\", \"postgresql\" and \"s3\", an object too");
    }
    return strcmp(kind, "secret") == 0       ? read_http_secret(file, object, &held->connection)
           : strcmp(kind, "postgresql") == 0 ? read_postgresql(file, object, &held->connection)
                                             : read_s3(file, object, &held->connection, deny);
}

static bool load(const char *directory, const char *name, const char *deny, char *error, size_t error_size)
{
    held_t *held = calloc(1, sizeof(*held));
    tfw_custom_file_t file = {.directory = directory, .error = error, .error_size = error_size};
    size_t len = strlen(name) - strlen(TFW_CUSTOM_SUFFIX);

    snprintf(error, error_size, "out of memory");
    if (!held) {
        return false;
    }
    held->next = connections;
    connections = held;
    held->path = tfw_custom_path(&file, name);
    held->name = strndup(name, len);
    held->connection.name = held->name;
    file.path = held->path;
    if (!held->path || !held->name) {
        return false;
    }
    if (len > TFW_CONNECTION_NAME_MAX || !tf_queue_name_valid(held->name, len)) {
        return tfw_custom_complain(&file, "", "the name must have 1 to %d letters, digits, '_', '.' or '-'",
                                   TFW_CONNECTION_NAME_MAX);
    }
    return read_kind(&file, held, deny);
}

bool tfw_connections_load(const char *directory, const char *deny, char *error, size_t error_size)
{
    return tfw_custom_each("TASKFORGE_CONNECTIONS_DIR", directory, load, deny, error, error_size);
}

/* ---- use ---- */

const tfw_connection_t *tfw_connection(const char *name, tfw_connection_kind_t kind)
{
    for (const held_t *held = connections; held; held = held->next) {
        if (held->connection.kind == kind && strcmp(held->name, name) == 0) {
            return &held->connection;
        }
    }
    return NULL;
}

const char *tfw_secret_refusal(const tfw_secret_t *secret, const tf_url_t *url, const char *header)
{
    return !tf_outgoing_names(&secret->hosts, url)                     ? "is not for this host"
           : !url->https && !secret->allow_http                        ? "is for https alone"
           : secret->header && strcasecmp(secret->header, header) != 0 ? "is not for this header"
                                                                       : NULL;
}

/* "sales", "staging.*", "*" */
static bool listed(const char *const *list, const char *name)
{
    for (; *list; list++) {
        size_t len = strlen(*list);

        if (strcmp(*list, name) == 0 || strcmp(*list, "*") == 0 ||
            (len > 2 && strcmp(*list + len - 2, ".*") == 0 && strncmp(*list, name, len - 1) == 0)) {
            return true;
        }
    }
    return false;
}

bool tfw_postgresql_allows(const tfw_postgresql_t *postgresql, const char *table)
{
    return listed(postgresql->tables, table);
}

bool tfw_s3_allows(const tfw_s3_t *s3, const char *bucket)
{
    return listed(s3->buckets, bucket);
}
