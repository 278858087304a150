#include "call/caller_headers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"

#define NAME_MAX_BYTES 128
#define VALUE_MAX_BYTES 8192
#define OPENING "{{secret:"
#define CLOSING "}}"
#define BLOT "***"
#define SPELLED_MAX 6 /* bytes of a character in JSON */

typedef struct {
    tfw_caller_headers_t *h;
    const tf_url_t *url;
    const char *name; /* of the header */
    char *error;
    size_t error_size;
} taking_t;

static bool fail(const taking_t *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(const taking_t *t, const char *fmt, ...)
{
    int n = snprintf(t->error, t->error_size, "\"headers\": %.*s: ", NAME_MAX_BYTES, t->name);
    va_list args;

    if (n >= 0 && (size_t)n < t->error_size) {
        va_start(args, fmt);
        vsnprintf(t->error + n, t->error_size - (size_t)n, fmt, args);
        va_end(args);
    }
    return false;
}

static bool one_of(const char *name, const char *const *names)
{
    while (*names && strcasecmp(*names, name) != 0) {
        names++;
    }
    return *names != NULL;
}

/* RFC 9110, 5.6.2 (token) and 7.6.1 (what belongs to the connection). */
static bool check_name(const taking_t *t)
{
    static const char token[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
    static const char *const ours[] = {"host",
                                       "connection",
                                       "keep-alive",
                                       "proxy-authenticate",
                                       "proxy-authorization",
                                       "proxy-connection",
                                       "te",
                                       "trailer",
                                       "transfer-encoding",
                                       "upgrade",
                                       "content-length",
                                       "expect",
                                       "accept-encoding",
                                       NULL};

    if (!*t->name || strlen(t->name) > NAME_MAX_BYTES || t->name[strspn(t->name, token)]) {
        return fail(t, "is no name of a header");
    }
    return !one_of(t->name, ours) || fail(t, "may not be set: it is the connection's");
}

static bool check_value(const taking_t *t, const json_t *value)
{
    const char *text = json_string_value(value);

    if (!text) {
        return fail(t, "must be a text");
    }
    if (json_string_length(value) > VALUE_MAX_BYTES) {
        return fail(t, "has more than %d bytes", VALUE_MAX_BYTES);
    }
    for (size_t i = 0; i < json_string_length(value); i++) {
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f) {
            return fail(t, "must not hold line ends or other control characters");
        }
    }
    return true;
}

/* Appends the secret of that name. */
static bool add_secret(const taking_t *t, tf_buf_t *line, const char *name, size_t len)
{
    tfw_caller_headers_t *h = t->h;
    char copy[TFW_CONNECTION_NAME_MAX + 1];
    const tfw_connection_t *connection;
    const char *why;

    snprintf(copy, sizeof(copy), "%.*s", (int)(len < sizeof(copy) ? len : sizeof(copy) - 1), name);
    connection = len < sizeof(copy) ? tfw_connection(copy, TFW_CONNECTION_SECRET) : NULL;
    if (!connection) {
        return fail(t, "there is no secret named \"%s\"", copy);
    }
    why = tfw_secret_refusal(&connection->u.secret, t->url, t->name);
    if (why) {
        return fail(t, "the secret %s %s", copy, why);
    }
    if (h->nsecrets == TFW_CALLER_HEADERS_SECRETS) {
        return fail(t, "more than %d secrets are in use", TFW_CALLER_HEADERS_SECRETS);
    }
    h->secrets[h->nsecrets++] = &connection->u.secret;
    tf_buf_adds(line, connection->u.secret.value);
    return true;
}

/* Appends the value with its secrets. */
static bool expand(const taking_t *t, tf_buf_t *line, const char *text)
{
    const char *at, *end;

    for (; (at = strstr(text, OPENING)) != NULL; text = end + strlen(CLOSING)) {
        const char *name = at + strlen(OPENING);

        tf_buf_add(line, text, (size_t)(at - text));
        end = strstr(name, CLOSING);
        if (!end) {
            return fail(t, "\"" OPENING "\" is not closed by \"" CLOSING "\"");
        }
        if (!add_secret(t, line, name, (size_t)(end - name))) {
            return false;
        }
    }
    tf_buf_adds(line, text);
    return true;
}

/* libcurl sends a header without a value when it ends in ";", and none at all for "name:". */
static void write_name(tf_buf_t *line, const char *name, const char *value)
{
    tf_buf_adds(line, name);
    tf_buf_adds(line, value[strspn(value, " \t")] ? ": " : ";");
}

/* The text, which is the list's then. */
static bool push(char **list, size_t *n, tf_buf_t *line)
{
    (void)tf_buf_cstr(line);
    if (line->failed) {
        tf_buf_free(line);
        return false;
    }
    list[(*n)++] = line->data;
    return true;
}

static bool take(const taking_t *t, const json_t *value)
{
    static const char *const private[] = {"authorization", "cookie", NULL};
    tfw_caller_headers_t *h = t->h;
    tf_buf_t line = TF_BUF_INIT;
    size_t secrets = h->nsecrets;
    const char *text = json_string_value(value);

    if (!check_name(t) || !check_value(t, value)) {
        return false;
    }
    write_name(&line, t->name, text);
    if (text[strspn(text, " \t")] && !expand(t, &line, text)) {
        tf_buf_free(&line);
        return false;
    }
    if (h->nsecrets > secrets || one_of(t->name, private)) {
        return push(h->origin_headers, &h->norigin, &line) || fail(t, "out of memory");
    }
    return push(h->headers, &h->nheaders, &line) || fail(t, "out of memory");
}

bool tfw_caller_headers_take(tfw_caller_headers_t *h, const json_t *object, const tf_url_t *url, char *error,
                             size_t error_size)
{
    taking_t t = {h, url, "", error, error_size};
    json_t *value;

    if (object && (!json_is_object(object) || json_object_size(object) > TFW_CALLER_HEADERS_MAX)) {
        snprintf(error, error_size, "\"headers\" must be an object of at most %d texts",
                 TFW_CALLER_HEADERS_MAX);
        return false;
    }
    json_object_foreach((json_t *)object, t.name, value)
    {
        if (!take(&t, value)) {
            return false;
        }
    }
    return true;
}

static bool has(char *const *list, const char *name)
{
    size_t len = strlen(name);

    for (; *list; list++) {
        if (strncasecmp(*list, name, len) == 0 && ((*list)[len] == ':' || (*list)[len] == ';')) {
            return true;
        }
    }
    return false;
}

bool tfw_caller_headers_add(tfw_caller_headers_t *h, const char *name, const char *value)
{
    tf_buf_t line = TF_BUF_INIT;

    if (has(h->headers, name) || has(h->origin_headers, name)) {
        return true;
    }
    write_name(&line, name, value);
    tf_buf_adds(&line, value);
    return push(h->headers, &h->nheaders, &line);
}

/* In place. */
static size_t blot_out(char *text, size_t len, const char *secret, size_t secret_len)
{
    size_t blot = secret_len < strlen(BLOT) ? secret_len : strlen(BLOT), from = 0, to = 0;
    const char *at;

    while (secret_len && (at = memmem(text + from, len - from, secret, secret_len)) != NULL) {
        size_t before = (size_t)(at - text) - from;

        memmove(text + to, text + from, before);
        memcpy(text + to + before, BLOT, blot);
        to += before + blot;
        from += before + secret_len;
    }
    memmove(text + to, text + from, len - from);
    return to + len - from;
}

/* \u and four hex digits as UTF-8. false: it is none, or half of a surrogate pair. */
static bool unescape_unicode(const char *text, size_t len, char out[5])
{
    char hex[5] = "";
    unsigned long code;

    if (len < 6 || text[1] != 'u') {
        return false;
    }
    memcpy(hex, text + 2, 4);
    code = strspn(hex, "0123456789abcdefABCDEF") == 4 ? strtoul(hex, NULL, 16) : 0;
    if (code == 0 || (code >= 0xd800 && code <= 0xdfff)) {
        return false;
    }
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    *out = '\0';
    return true;
}

/* The character that the text begins with, as a JSON string has it; "": that is none. Returns its bytes
 * there. */
static size_t unescape(const char *text, size_t len, char out[5])
{
    static const char from[] = "bfnrt\"\\/", to[] = "\b\f\n\r\t\"\\/";
    const char *at;

    memset(out, 0, 5);
    if (*text != '\\') {
        *out = *text;
        return 1;
    }
    at = len > 1 && text[1] ? strchr(from, text[1]) : NULL;
    if (at) {
        *out = to[at - from];
        return 2;
    }
    return unescape_unicode(text, len, out) ? SPELLED_MAX : 1;
}

/* Bytes of the text that are the secret as a writer of JSON may have it: some write "\/" for "/", or \u0026
 * for "&". 0: it is something else. */
static size_t spelled(const char *text, size_t len, const char *secret)
{
    size_t used = 0;
    char one[5];

    while (*secret) {
        size_t n = used < len ? unescape(text + used, len - used, one) : 0;

        if (n == 0 || !*one || strncmp(secret, one, strlen(one)) != 0) {
            return 0;
        }
        used += n;
        secret += strlen(one);
    }
    return used;
}

/* In place. */
static size_t blot_out_spelled(char *text, size_t len, const char *secret)
{
    size_t to = 0, blot = strlen(secret) < strlen(BLOT) ? strlen(secret) : strlen(BLOT);

    for (size_t from = 0; from < len;) {
        size_t n = text[from] == *secret || text[from] == '\\' ? spelled(text + from, len - from, secret) : 0;

        if (n) {
            memcpy(text + to, BLOT, blot);
            to += blot;
            from += n;
        } else {
            text[to++] = text[from++];
        }
    }
    return to;
}

size_t tfw_caller_headers_mask(const tfw_caller_headers_t *h, char *text, size_t len)
{
    for (size_t i = 0; i < h->nsecrets && len; i++) {
        const char *secret = h->secrets[i]->value;

        len = blot_out(text, len, secret, strlen(secret));
        len = *secret ? blot_out_spelled(text, len, secret) : len;
    }
    return len;
}

size_t tfw_caller_headers_tail(const tfw_caller_headers_t *h)
{
    size_t most = 0;

    for (size_t i = 0; i < h->nsecrets; i++) {
        size_t len = strlen(h->secrets[i]->value) * SPELLED_MAX;

        most = len > most ? len : most;
    }
    return most;
}

static void free_list(char **list)
{
    for (; *list; list++) {
        explicit_bzero(*list, strlen(*list));
        free(*list);
    }
}

void tfw_caller_headers_free(tfw_caller_headers_t *h)
{
    free_list(h->headers);
    free_list(h->origin_headers);
    memset(h, 0, sizeof(*h));
}
