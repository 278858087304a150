#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void fail(char *error, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void fail(char *error, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(error, size, fmt, args);
    va_end(args);
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);

    return a >= b && strcmp(text + a - b, end) == 0;
}

static bool is_secret(const char *name)
{
    return ends_with(name, "_URL") || ends_with(name, "_KEY") || ends_with(name, "_PASSWORD") ||
           ends_with(name, "_SECRET");
}

static const tf_setting_t *find(const tf_setting_t *table, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static bool parse_int(const char *value, int64_t *out)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(value, &end, 10);
    if (errno || end == value || *end || isspace((unsigned char)value[0])) {
        return false;
    }
    *out = n;
    return true;
}

static bool parse_bool(const char *value, bool *out)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* Stores one value; `where` is the source for error messages ("file:12" or "environment"). */
static bool assign(const tf_setting_t *s, void *target, const char *value, const char *where, char *error,
                   size_t size)
{
    char *field = (char *)target + s->offset, *copy;
    const char *shown = is_secret(s->name) ? "(not shown)" : value;
    int64_t number;
    bool flag;

    switch (s->kind) {
    case TF_SETTING_TEXT:
        copy = strdup(value);
        if (copy == NULL) {
            fail(error, size, "%s: out of memory", where);
            return false;
        }
        free(*(char **)(void *)field);
        *(char **)(void *)field = copy;
        return true;
    case TF_SETTING_INT:
        if (!parse_int(value, &number) || number < s->min || number > s->max) {
            fail(error, size, "%s: %s: \"%s\" is not an integer from %lld to %lld", where, s->name, shown,
                 (long long)s->min, (long long)s->max);
            return false;
        }
        *(int64_t *)(void *)field = number;
        return true;
    case TF_SETTING_BOOL:
        if (!parse_bool(value, &flag)) {
            fail(error, size, "%s: %s: \"%s\" is neither on nor off", where, s->name, shown);
            return false;
        }
        *(bool *)(void *)field = flag;
        return true;
    }
    return false;
}

/* NAME_FILE, for a secret text NAME: its value is the file's first line. where: what says NAME_FILE. */
static bool assign_from_file(const tf_setting_t *s, void *target, const char *path, const char *where,
                             char *error, size_t size)
{
    char *line = NULL;
    size_t line_size = 0;
    FILE *file = fopen(path, "re");
    ssize_t len = file ? getline(&line, &line_size, file) : -1;
    bool ok = false;

    if (len < 0) {
        fail(error, size, "%s: %s_FILE: %s: %s", where, s->name, path,
             file && !ferror(file) ? "the file is empty" : strerror(errno));
    } else if (strlen(line) != (size_t)len) {
        fail(error, size, "%s: %s_FILE: %s: a NUL byte", where, s->name, path);
    } else {
        line[strcspn(line, "\r\n")] = '\0';
        ok = assign(s, target, line, where, error, size);
    }
    if (line) {
        explicit_bzero(line, line_size);
    }
    free(line);
    if (file) {
        fclose(file);
    }
    return ok;
}

/* The secret text that a name with _FILE at its end stands for, or NULL. */
static const tf_setting_t *find_of_file(const tf_setting_t *table, size_t count, const char *name)
{
    size_t len = strlen(name), suffix = strlen("_FILE");

    for (size_t i = 0; i < count && ends_with(name, "_FILE"); i++) {
        if (table[i].kind == TF_SETTING_TEXT && is_secret(table[i].name) &&
            strlen(table[i].name) == len - suffix && strncmp(table[i].name, name, len - suffix) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const char *getenv_of_file(const tf_setting_t *s)
{
    char name[128];

    snprintf(name, sizeof(name), "%s_FILE", s->name);
    return s->kind == TF_SETTING_TEXT && is_secret(s->name) ? getenv(name) : NULL;
}

static char *trim(char *text)
{
    size_t len;

    while (isspace((unsigned char)*text)) {
        text++;
    }
    len = strlen(text);
    while (len && isspace((unsigned char)text[len - 1])) {
        text[--len] = '\0';
    }
    return text;
}

/* Takes off one pair of matching quotes. false: a quote is not closed. */
static bool unquote(char **value)
{
    char *v = *value, quote = v[0];
    size_t len = strlen(v);

    if (quote != '"' && quote != '\'') {
        return true;
    }
    if (len < 2 || v[len - 1] != quote) {
        return false;
    }
    v[len - 1] = '\0';
    *value = v + 1;
    return true;
}

static bool read_line(const tf_setting_t *table, size_t count, void *target, bool *set, char *line,
                      const char *where, char *error, size_t size)
{
    char *name = trim(line), *value = strchr(name, '=');
    const tf_setting_t *s;

    if (*name == '\0' || *name == '#') {
        return true;
    }
    if (value == NULL) {
        fail(error, size, "%s: expected NAME=value", where);
        return false;
    }
    *value++ = '\0';
    name = trim(name);
    value = trim(value);
    if (!unquote(&value)) {
        fail(error, size, "%s: %s: a quote is not closed", where, name);
        return false;
    }
    s = find(table, count, name);
    if (s) {
        set[s - table] = true;
        return assign(s, target, value, where, error, size);
    }
    s = find_of_file(table, count, name);
    if (s) {
        set[s - table] = true;
        return assign_from_file(s, target, value, where, error, size);
    }
    return true;
}

static bool read_file(const tf_setting_t *table, size_t count, void *target, bool *set, const char *path,
                      char *error, size_t size)
{
    char *line = NULL, where[512];
    size_t line_size = 0;
    ssize_t len;
    bool ok = true;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        fail(error, size, "%s: %s", path, strerror(errno));
        return false;
    }
    for (int n = 1; ok && (len = getline(&line, &line_size, file)) >= 0; n++) {
        snprintf(where, sizeof(where), "%s:%d", path, n);
        if (strlen(line) != (size_t)len) {
            fail(error, size, "%s: a NUL byte", where);
            ok = false;
        } else {
            ok = read_line(table, count, target, set, line, where, error, size);
        }
    }
    if (ok && ferror(file)) {
        fail(error, size, "%s: %s", path, strerror(errno));
        ok = false;
    }
    free(line);
    fclose(file);
    return ok;
}

bool tf_settings_load(const tf_setting_t *table, size_t count, void *target, const char *path, char *error,
                      size_t error_size)
{
    bool *set = calloc(count ? count : 1, sizeof(bool)), ok;

    if (set == NULL) {
        fail(error, error_size, "out of memory");
        return false;
    }
    ok = path == NULL || read_file(table, count, target, set, path, error, error_size);
    for (size_t i = 0; ok && i < count; i++) {
        const char *value = getenv(table[i].name), *file = value ? NULL : getenv_of_file(&table[i]);

        if (value) {
            ok = assign(&table[i], target, value, "environment", error, error_size);
        } else if (file) {
            ok = assign_from_file(&table[i], target, file, "environment", error, error_size);
        } else if (!set[i] && table[i].fallback) {
            ok = assign(&table[i], target, table[i].fallback, "default", error, error_size);
        } else if (!set[i]) {
            fail(error, error_size, "%s is required (%s)%s%s", table[i].name, table[i].help,
                 path ? "; looked in " : "", path ? path : "");
            ok = false;
        }
    }
    free(set);
    return ok;
}

void tf_settings_free(const tf_setting_t *table, size_t count, void *target)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].kind == TF_SETTING_TEXT) {
            char **field = (char **)(void *)((char *)target + table[i].offset);

            free(*field);
            *field = NULL;
        }
    }
}

/* %41 -> A, over [text, text + len); malloc. NULL: a broken escape, %00, or no memory. */
static char *percent_decode(const char *text, size_t len)
{
    char *out = malloc(len + 1), *p = out;

    for (size_t i = 0; out && i < len; i++) {
        char hex[3] = {0, 0, 0};

        if (text[i] != '%') {
            *p++ = text[i];
            continue;
        }
        if (i + 2 >= len || !isxdigit((unsigned char)text[i + 1]) || !isxdigit((unsigned char)text[i + 2])) {
            free(out);
            return NULL;
        }
        hex[0] = text[i + 1];
        hex[1] = text[i + 2];
        *p = (char)strtol(hex, NULL, 16);
        if (*p++ == '\0') {
            free(out);
            return NULL;
        }
        i += 2;
    }
    if (out) {
        *p = '\0';
    }
    return out;
}

static bool parse_small_int(const char *text, size_t len, int max, int *out)
{
    int n = 0;

    if (len == 0 || len > 6) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i])) {
            return false;
        }
        n = n * 10 + (text[i] - '0');
    }
    *out = n;
    return n <= max;
}

static const char *parse_userinfo(const char *p, size_t len, tf_redis_url_t *out)
{
    const char *at = memrchr(p, '@', len), *colon;

    if (at == NULL) {
        return p;
    }
    colon = memchr(p, ':', (size_t)(at - p));
    if (colon) {
        if (colon > p) {
            out->user = percent_decode(p, (size_t)(colon - p));
        }
        out->password = percent_decode(colon + 1, (size_t)(at - colon - 1));
        if (out->password == NULL || (colon > p && out->user == NULL)) {
            return NULL;
        }
    } else {
        out->user = percent_decode(p, (size_t)(at - p));
        if (out->user == NULL) {
            return NULL;
        }
    }
    return at + 1;
}

/* "cacert=file&cert=file&key=file" */
static bool parse_files(const char *p, tf_redis_url_t *out, char *error, size_t size)
{
    const struct {
        const char *name;
        char **value;
    } files[] = {{"cacert=", &out->cacert}, {"cert=", &out->cert}, {"key=", &out->key}};

    do {
        size_t len = strcspn(p, "&"), i = 0, skip;

        while (i < 3 && strncmp(p, files[i].name, strlen(files[i].name)) != 0) {
            i++;
        }
        skip = i < 3 ? strlen(files[i].name) : 0;
        if (i == 3 || *files[i].value || len == skip) {
            fail(error, size, "only ?cacert=file&cert=file&key=file may follow, each once");
            return false;
        }
        *files[i].value = percent_decode(p + skip, len - skip);
        if (*files[i].value == NULL) {
            fail(error, size, "%.*s has a broken %%-escape", (int)skip - 1, p);
            return false;
        }
        p += len + (p[len] == '&');
    } while (*p);
    if ((out->cert == NULL) != (out->key == NULL)) {
        fail(error, size, "cert and key belong together");
        return false;
    }
    return true;
}

static bool parse_tcp(const char *rest, tf_redis_url_t *out, char *error, size_t size)
{
    const char *slash = strchr(rest, '/'), *end = slash ? slash : rest + strlen(rest), *host, *colon;
    size_t host_len;

    host = parse_userinfo(rest, (size_t)(end - rest), out);
    if (host == NULL) {
        fail(error, size, "the user or password has a broken %%-escape");
        return false;
    }
    out->port = 6379;
    if (*host == '[') { /* an IPv6 address */
        const char *close = memchr(host, ']', (size_t)(end - host));

        if (close == NULL) {
            fail(error, size, "\"[\" is not closed");
            return false;
        }
        colon = close + 1 < end ? close + 1 : NULL;
        host++;
        host_len = (size_t)(close - host);
    } else {
        colon = memchr(host, ':', (size_t)(end - host));
        host_len = (size_t)((colon ? colon : end) - host);
    }
    if (host_len == 0) {
        fail(error, size, "no host");
        return false;
    }
    if (colon &&
        (*colon != ':' || !parse_small_int(colon + 1, (size_t)(end - colon - 1), 65535, &out->port))) {
        fail(error, size, "the port is not a number up to 65535");
        return false;
    }
    if (slash && slash[1] && !parse_small_int(slash + 1, strlen(slash + 1), 65535, &out->db)) {
        fail(error, size, "the database is not a number");
        return false;
    }
    out->host = strndup(host, host_len);
    return out->host != NULL;
}

/* rediss:// is redis:// and what is known of the certificates. */
static bool parse_tls(const char *rest, tf_redis_url_t *out, char *error, size_t size)
{
    const char *at = strrchr(rest, '@'), *query = strchr(at ? at : rest, '?');
    char *server = query ? strndup(rest, (size_t)(query - rest)) : strdup(rest);
    bool ok =
        server && parse_tcp(server, out, error, size) && (!query || parse_files(query + 1, out, error, size));

    free(server);
    out->tls = true;
    return ok;
}

static bool parse_unix(const char *rest, tf_redis_url_t *out, char *error, size_t size)
{
    const char *query = strchr(rest, '?');

    if (rest[0] != '/') {
        fail(error, size, "unix:// needs an absolute path, e.g. unix:///run/redis.sock");
        return false;
    }
    if (query &&
        (strncmp(query, "?db=", 4) != 0 || !parse_small_int(query + 4, strlen(query + 4), 65535, &out->db))) {
        fail(error, size, "only ?db=number may follow the path");
        return false;
    }
    out->socket_path = query ? strndup(rest, (size_t)(query - rest)) : strdup(rest);
    return out->socket_path != NULL;
}

bool tf_redis_url_parse(const char *url, tf_redis_url_t *out, char *error, size_t error_size)
{
    bool ok;

    memset(out, 0, sizeof(*out));
    fail(error, error_size, "out of memory");
    if (strncmp(url, "redis://", 8) == 0) {
        ok = parse_tcp(url + 8, out, error, error_size);
    } else if (strncmp(url, "rediss://", 9) == 0) {
        ok = parse_tls(url + 9, out, error, error_size);
    } else if (strncmp(url, "unix://", 7) == 0) {
        ok = parse_unix(url + 7, out, error, error_size);
    } else {
        fail(error, error_size, "expected redis://host:port/db, rediss://host:port/db or unix:///path");
        ok = false;
    }
    if (!ok) {
        tf_redis_url_free(out);
    }
    return ok;
}

void tf_redis_url_free(tf_redis_url_t *url)
{
    free(url->socket_path);
    free(url->host);
    free(url->user);
    free(url->password);
    free(url->cacert);
    free(url->cert);
    free(url->key);
    SSL_CTX_free(url->tls_context);
    memset(url, 0, sizeof(*url));
}
