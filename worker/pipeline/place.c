#include "pipeline/place.h"

#include <stdio.h>
#include <string.h>

#include "job.h"

/* What is being read, and where complaints go. */
typedef struct {
    tfw_place_t *place;
    bool destination;
    char *error;
    size_t error_size;
} parse_t;

__attribute__((format(printf, 2, 3))) static bool refuse(parse_t *p, const char *fmt, ...)
{
    va_list args;
    int n = snprintf(p->error, p->error_size, "payload: \"%s\" ", p->place->label);

    va_start(args, fmt);
    vsnprintf(p->error + n, p->error_size - (size_t)n, fmt, args);
    va_end(args);
    return false;
}

/* A text of 1 to max bytes without control characters. */
static bool text_fits(const char *text, size_t len, size_t max)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return len > 0 && len <= max;
}

/* The next part of "connection/bucket/key": up to a slash. */
static tf_str_t cut(const char **text)
{
    tf_str_t part = {*text, strcspn(*text, "/")};

    *text += part.len + ((*text)[part.len] == '/');
    return part;
}

/* What the callers write is no server but the name of a connection: it is not repeated in the message, as it
 * may be a URL with a password. */
static bool find_connection(parse_t *p, tf_str_t name, tfw_connection_kind_t kind)
{
    char text[TFW_CONNECTION_NAME_MAX + 1];
    const char *what = kind == TFW_CONNECTION_S3 ? "s3" : "postgresql";

    if (name.len == 0 || name.len > TFW_CONNECTION_NAME_MAX || !tf_queue_name_valid(name.data, name.len)) {
        return refuse(p, "must name a connection of the operator: %s", what);
    }
    snprintf(text, sizeof(text), "%.*s", (int)name.len, name.data);
    p->place->connection = tfw_connection(text, kind);
    if (!p->place->connection) {
        return refuse(p, "names \"%s\", and there is no %s connection of that name", text, what);
    }
    return true;
}

static bool put(parse_t *p, char *to, size_t size, tf_str_t from, const char *what)
{
    if (!text_fits(from.data, from.len, size - 1)) {
        return refuse(p, "needs a %s of 1 to %zu bytes without control characters", what, size - 1);
    }
    memcpy(to, from.data, from.len);
    to[from.len] = '\0';
    return true;
}

static tf_str_t str_of(const char *text)
{
    return (tf_str_t){text ? text : "", text ? strlen(text) : 0};
}

static bool use_path(parse_t *p, tfw_place_kind_t kind, const char *path)
{
    p->place->kind = kind;
    if (kind == TFW_PLACE_HTTP && p->destination) {
        return refuse(p, "cannot be an http URL");
    }
    return put(p, p->place->path, sizeof(p->place->path), str_of(path),
               kind == TFW_PLACE_HTTP ? "URL" : "path");
}

/* A key that libcurl would take for a way to another object, or another bucket. */
static bool has_dots(const char *key)
{
    while (*key) {
        tf_str_t part = cut(&key);

        if ((part.len == 1 && part.data[0] == '.') || (part.len == 2 && memcmp(part.data, "..", 2) == 0)) {
            return true;
        }
    }
    return false;
}

static bool use_object(parse_t *p, tf_str_t connection, tf_str_t bucket, tf_str_t key)
{
    tfw_place_t *place = p->place;

    place->kind = TFW_PLACE_S3;
    if (!find_connection(p, connection, TFW_CONNECTION_S3) ||
        !put(p, place->bucket, sizeof(place->bucket), bucket, "bucket") ||
        !put(p, place->path, sizeof(place->path), key, "key")) {
        return false;
    }
    if (has_dots(place->path)) {
        return refuse(p, "has a key with a part that is \".\" or \"..\"");
    }
    if (strchr(place->bucket, '/') || !tfw_s3_allows(&place->connection->u.s3, place->bucket)) {
        return refuse(p, "names the bucket \"%s\", which is not one of the connection \"%s\"", place->bucket,
                      place->connection->name);
    }
    return !p->destination || place->connection->u.s3.write ||
           refuse(p, "may not be written: the connection \"%s\" is for reading", place->connection->name);
}

/* How far other jobs have got is no record of anybody's, whatever the connection allows. */
static bool is_ours(const char *table)
{
    const char *dot = strchr(table, '.');

    return strcmp(dot ? dot + 1 : table, TFW_PLACE_CHECKPOINTS) == 0;
}

static bool use_table(parse_t *p, tf_str_t connection, tf_str_t table)
{
    tfw_place_t *place = p->place;

    place->kind = TFW_PLACE_TABLE;
    if (!find_connection(p, connection, TFW_CONNECTION_POSTGRESQL) ||
        !put(p, place->table, sizeof(place->table), table, "table")) {
        return false;
    }
    if (is_ours(place->table) || !tfw_postgresql_allows(&place->connection->u.postgresql, place->table)) {
        return refuse(p, "names the table \"%s\", which is not one of the connection \"%s\"", place->table,
                      place->connection->name);
    }
    return !p->destination || place->connection->u.postgresql.write ||
           refuse(p, "may not be written: the connection \"%s\" is for reading", place->connection->name);
}

static bool parse_text(parse_t *p, const char *text)
{
    tf_str_t first, second;

    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0) {
        return use_path(p, TFW_PLACE_HTTP, text);
    }
    if (strncmp(text, "file:", 5) == 0) {
        return use_path(p, TFW_PLACE_FILE, text + 5);
    }
    if (strncmp(text, "s3://", 5) == 0) {
        text += 5;
        first = cut(&text);
        second = cut(&text);
        return use_object(p, first, second, str_of(text));
    }
    if (strncmp(text, "postgresql://", 13) == 0) {
        text += 13;
        first = cut(&text);
        return use_table(p, first, str_of(text));
    }
    if (strstr(text, "://")) {
        return refuse(p, "must begin with file:, http://, https://, s3:// or postgresql://, or be a path");
    }
    return use_path(p, TFW_PLACE_FILE, text);
}

static tf_str_t member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return (tf_str_t){json_is_string(value) ? json_string_value(value) : "", json_string_length(value)};
}

/* {"s3": {...}}: the one that is there. */
static bool parse_kind(parse_t *p, const json_t *object)
{
    const json_t *file = json_object_get(object, "file"), *http = json_object_get(object, "http"),
                 *s3 = json_object_get(object, "s3"), *table = json_object_get(object, "postgresql");

    if ((file != NULL) + (http != NULL) + (s3 != NULL) + (table != NULL) != 1) {
        return refuse(p, "must have one of \"file\", \"http\", \"s3\" and \"postgresql\"");
    }
    if (s3) {
        return use_object(p, member(s3, "connection"), member(s3, "bucket"), member(s3, "key"));
    }
    if (table) {
        return use_table(p, member(table, "connection"), member(table, "table"));
    }
    return use_path(p, file ? TFW_PLACE_FILE : TFW_PLACE_HTTP, json_string_value(file ? file : http));
}

bool tfw_columns_check(const json_t *list, const char *where, char *error, size_t error_size)
{
    size_t n = json_array_size(list);
    json_t *seen = json_object();
    bool ok = n > 0 && n <= TFW_COLUMNS_MAX && seen;

    for (size_t i = 0; ok && i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));

        ok = name && *name && strlen(name) <= 255 && !json_object_get(seen, name) &&
             json_object_set_new(seen, name, json_true()) == 0;
    }
    json_decref(seen);
    if (!ok) {
        snprintf(error, error_size, "payload: %s must be a list of 1 to %d different names of columns", where,
                 TFW_COLUMNS_MAX);
    }
    return ok;
}

static bool parse_options(parse_t *p, const json_t *object)
{
    tfw_place_t *place = p->place;
    char where[64];

    place->columns = json_object_get(object, "columns");
    place->key = json_object_get(object, "key");
    if (!p->destination && (place->columns || place->key)) {
        return refuse(p, "has \"columns\" or \"key\", which only a destination has");
    }
    snprintf(where, sizeof(where), "\"%s\"/\"columns\"", place->label);
    if (place->columns && !tfw_columns_check(place->columns, where, p->error, p->error_size)) {
        return false;
    }
    snprintf(where, sizeof(where), "\"%s\"/\"key\"", place->label);
    if (place->key && !tfw_columns_check(place->key, where, p->error, p->error_size)) {
        return false;
    }
    return !place->key || place->kind == TFW_PLACE_TABLE || refuse(p, "has \"key\", which only a table has");
}

static const struct {
    const char *name;
    tfw_format_t format;
} formats[] = {{"csv", TFW_FORMAT_CSV},
               {"tsv", TFW_FORMAT_TSV},
               {"jsonl", TFW_FORMAT_JSONL},
               {"ndjson", TFW_FORMAT_JSONL},
               {"json", TFW_FORMAT_JSON}};

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len > n && text[len - n - 1] == '.' && strncmp(text + len - n, end, n) == 0;
}

/* As it is said, or as the name's end has it. */
static bool find_format(parse_t *p, const char *said)
{
    tfw_place_t *place = p->place;
    size_t len = place->kind == TFW_PLACE_HTTP ? strcspn(place->path, "?") : strlen(place->path);

    if (place->kind == TFW_PLACE_TABLE) {
        return !said || refuse(p, "has \"format\", which a table has not");
    }
    place->gzip = ends_with(place->path, len, "gz");
    len -= place->gzip ? 3 : 0;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (said ? strcmp(said, formats[i].name) == 0 : ends_with(place->path, len, formats[i].name)) {
            place->format = formats[i].format;
            return true;
        }
    }
    return refuse(p, said ? "has an unknown \"format\": csv, tsv, jsonl and json are known"
                          : "does not end with .csv, .tsv, .jsonl, .json or one of these and .gz: "
                            "say its \"format\"");
}

bool tfw_place_parse(const json_t *value, const char *label, tfw_place_t *place, char *error,
                     size_t error_size)
{
    parse_t p = {.place = place, .destination = strcmp(label, "destination") == 0, .error_size = error_size};

    p.error = error;
    *place = (tfw_place_t){.label = label};
    if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value)) {
        return parse_text(&p, json_string_value(value)) && find_format(&p, NULL);
    }
    if (json_is_object(value)) {
        return parse_kind(&p, value) && parse_options(&p, value) &&
               find_format(&p, json_string_value(json_object_get(value, "format")));
    }
    return refuse(&p, "must be a text or an object");
}
