/* json_elements.c: see json_elements.h. A scanner finds where an object ends; only then is it held against
 * the grammar. */
#include "convert/json_elements.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_check.h"
#include "submission.h"

#define READ_SIZE 65536

typedef enum {
    AT_START,   /* of the file */
    AT_OBJECT,  /* or at the end of the file */
    AT_FIRST,   /* element of the array, or at its end */
    AT_ELEMENT, /* after a comma */
    IN_OBJECT,
    IN_STRING,
    IN_ESCAPE,
    AFTER_ELEMENT,
    AFTER_ARRAY
} state_t;

typedef struct {
    tfw_convert_t *convert;
    bool (*fn)(void *data, int64_t number, tf_str_t object);
    void *data;
    state_t state;
    bool array;
    int depth;
    int64_t line, began; /* where the object began */
    int64_t number;
    tf_buf_t object;
} scanner_t;

static bool bad(scanner_t *s, const char *why)
{
    return tfw_convert_fail(s->convert, TFW_PERMANENT, "line %lld: %s", (long long)s->line, why);
}

static bool element(scanner_t *s)
{
    tf_str_t text = {s->object.data, s->object.len};
    json_t *parsed;
    char error[256];

    s->number++;
    if (!tf_json_check(text.data, text.len)) {
        parsed = tf_json_parse(text.data, text.len, error, sizeof(error));
        if (parsed == NULL) {
            return tfw_convert_fail(s->convert, TFW_PERMANENT, "line %lld: object %lld: %s",
                                    (long long)s->began, (long long)s->number, error);
        }
        json_decref(parsed);
    }
    return tfw_convert_go_on(s->convert) && s->fn(s->data, s->number, text);
}

/* A byte outside of objects. */
static bool between(scanner_t *s, char byte)
{
    bool opens = byte == '{';

    if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n') {
        return true;
    }
    switch (s->state) {
    case AT_START:
        s->array = byte == '[';
        if (!s->array && !opens) {
            return bad(s, "neither an array of objects nor an object");
        }
        s->state = AT_FIRST;
        break;
    case AFTER_ELEMENT:
        if (byte != ',' && byte != ']') {
            return bad(s, "a comma or the end of the array was expected");
        }
        s->state = byte == ',' ? AT_ELEMENT : AFTER_ARRAY;
        break;
    case AFTER_ARRAY:
        return bad(s, "something follows the array");
    default:
        if (s->state == AT_FIRST && byte == ']') {
            s->state = AFTER_ARRAY;
        } else if (!opens) {
            return tfw_convert_fail(s->convert, TFW_PERMANENT, "line %lld: value %lld is not an object",
                                    (long long)s->line, (long long)s->number + 1);
        }
    }
    if (opens) {
        s->state = IN_OBJECT;
        s->depth = 1;
        s->began = s->line;
        s->object.len = 0;
        tf_buf_addc(&s->object, byte);
    }
    return true;
}

/* A byte inside of an object. */
static bool inside(scanner_t *s, char byte)
{
    tf_buf_addc(&s->object, byte);
    if (s->object.len > TFW_JSON_ELEMENT_MAX) {
        return tfw_convert_fail(s->convert, TFW_PERMANENT, "line %lld: object %lld is longer than %d bytes",
                                (long long)s->began, (long long)s->number + 1, TFW_JSON_ELEMENT_MAX);
    }
    switch (s->state) {
    case IN_ESCAPE:
        s->state = IN_STRING;
        return true;
    case IN_STRING:
        s->state = byte == '\\' ? IN_ESCAPE : byte == '"' ? IN_OBJECT : IN_STRING;
        return true;
    default:
        break;
    }
    if (byte == '"') {
        s->state = IN_STRING;
    } else if (byte == '{' || byte == '[') {
        s->depth++;
    } else if ((byte == '}' || byte == ']') && --s->depth == 0) {
        s->state = s->array ? AFTER_ELEMENT : AT_OBJECT;
        return !s->object.failed ? element(s) : tfw_convert_memory(s->convert);
    }
    return true;
}

static bool scan(scanner_t *s, const char *bytes, size_t len)
{
    size_t i;
    bool ok = true;

    for (i = 0; i < len && ok; i++) {
        ok = s->state == IN_OBJECT || s->state == IN_STRING || s->state == IN_ESCAPE ? inside(s, bytes[i])
                                                                                     : between(s, bytes[i]);
        s->line += bytes[i] == '\n';
    }
    return ok;
}

static bool scan_file(scanner_t *s, const tfw_input_t *in, int from, int to, char *buf)
{
    static const char mark[] = "\xEF\xBB\xBF";
    off_t at = 0;
    ssize_t n;

    while ((n = pread(in->fd, buf, READ_SIZE, at)) != 0) {
        size_t skip = at == 0 && n >= 3 && memcmp(buf, mark, 3) == 0 ? 3 : 0;

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return tfw_convert_fail(s->convert, TFW_RETRY, "cannot read: %s", strerror(errno));
        }
        if (!tfw_convert_go_on(s->convert) || !scan(s, buf + skip, (size_t)n - skip)) {
            return false;
        }
        at += n;
        tfw_convert_progress(s->convert, (uint64_t)at, in->size, from, to);
    }
    if (s->state == AT_START) {
        return bad(s, "the file is empty");
    }
    if (s->state != AT_OBJECT && s->state != AFTER_ARRAY) {
        return bad(s, s->array ? "the file ends before its array does" : "the file ends within an object");
    }
    return true;
}

bool tfw_json_elements(tfw_convert_t *c, const tfw_input_t *in, int from_percent, int to_percent,
                       bool (*fn)(void *data, int64_t number, tf_str_t object), void *data)
{
    scanner_t s = {.convert = c, .fn = fn, .data = data, .line = 1};
    char *buf = malloc(READ_SIZE);
    bool ok = buf ? scan_file(&s, in, from_percent, to_percent, buf) : tfw_convert_memory(c);

    free(buf);
    tf_buf_free(&s.object);
    return ok;
}
