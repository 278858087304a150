#include "json_check.h"

#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "job.h"
#include "submission.h"

#define KEYS_MAX 32
#define DIGITS_MAX 15 /* of an integer or fraction: within any limit of jansson's integers and doubles */

typedef struct {
    const char *p;
    const char *end;
} check_t;

static bool check_value(check_t *c, int depth);

static void skip_space(check_t *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t')) {
        c->p++;
    }
}

static bool take(check_t *c, char expected)
{
    if (c->p == c->end || *c->p != expected) {
        return false;
    }
    c->p++;
    return true;
}

/* Behind \u: four hex digits that are neither NUL nor half of a surrogate pair. */
static bool check_unicode(check_t *c)
{
    unsigned value = 0;

    if (c->end - c->p < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        char ch = *c->p++;

        if (ch >= '0' && ch <= '9') {
            value = value << 4 | (unsigned)(ch - '0');
        } else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f') {
            value = value << 4 | (unsigned)((ch | 0x20) - 'a' + 10);
        } else {
            return false;
        }
    }
    return value != 0 && (value < 0xd800 || value > 0xdfff);
}

/* At the opening quote. content: what is between the quotes; plain: no escapes in it. */
static bool check_string(check_t *c, tf_str_t *content, bool *plain)
{
    const char *start;
    unsigned char seen = 0;

    if (!take(c, '"')) {
        return false;
    }
    start = c->p;
    *plain = true;
    for (;; c->p++) {
        unsigned char ch;

        if (c->p == c->end) {
            return false;
        }
        ch = (unsigned char)*c->p;
        if (ch == '"') {
            break;
        }
        if (ch < 0x20) {
            return false;
        }
        seen |= ch;
        if (ch == '\\') {
            *plain = false;
            if (++c->p == c->end) {
                return false;
            }
            if (*c->p == 'u') {
                c->p++;
                if (!check_unicode(c)) {
                    return false;
                }
                c->p--;
            } else if (*c->p == '\0' || !strchr("\"\\/bfnrt", *c->p)) {
                return false;
            }
        }
    }
    *content = (tf_str_t){start, (size_t)(c->p - start)};
    c->p++;
    return seen < 0x80 || tf_utf8_valid(content->data, content->len);
}

static int count_digits(check_t *c)
{
    const char *start = c->p;

    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        c->p++;
    }
    return (int)(c->p - start);
}

static bool check_number(check_t *c)
{
    const char *first;
    int digits;

    if (c->p < c->end && *c->p == '-') {
        c->p++;
    }
    first = c->p;
    digits = count_digits(c);
    if (digits == 0 || digits > DIGITS_MAX || (digits > 1 && *first == '0')) {
        return false;
    }
    if (c->p < c->end && *c->p == '.') {
        c->p++;
        digits = count_digits(c);
        if (digits == 0 || digits > DIGITS_MAX) {
            return false;
        }
    }
    if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
        c->p++;
        if (c->p < c->end && (*c->p == '+' || *c->p == '-')) {
            c->p++;
        }
        digits = count_digits(c);
        if (digits == 0 || digits > 2) {
            return false;
        }
    }
    return true;
}

static bool check_literal(check_t *c, const char *word, size_t len)
{
    if ((size_t)(c->end - c->p) < len || memcmp(c->p, word, len) != 0) {
        return false;
    }
    c->p += len;
    return true;
}

static bool check_array(check_t *c, int depth)
{
    c->p++;
    skip_space(c);
    if (take(c, ']')) {
        return true;
    }
    for (;;) {
        if (!check_value(c, depth)) {
            return false;
        }
        skip_space(c);
        if (take(c, ']')) {
            return true;
        }
        if (!take(c, ',')) {
            return false;
        }
    }
}

static bool check_object(check_t *c, int depth)
{
    tf_str_t keys[KEYS_MAX];
    int count = 0;
    bool plain;

    c->p++;
    skip_space(c);
    if (take(c, '}')) {
        return true;
    }
    for (;;) {
        skip_space(c);
        if (count == KEYS_MAX || !check_string(c, &keys[count], &plain) || !plain) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            if (keys[i].len == keys[count].len && memcmp(keys[i].data, keys[count].data, keys[i].len) == 0) {
                return false;
            }
        }
        count++;
        skip_space(c);
        if (!take(c, ':') || !check_value(c, depth)) {
            return false;
        }
        skip_space(c);
        if (take(c, '}')) {
            return true;
        }
        if (!take(c, ',')) {
            return false;
        }
    }
}

static bool check_value(check_t *c, int depth)
{
    tf_str_t content;
    bool plain;

    skip_space(c);
    if (c->p == c->end) {
        return false;
    }
    switch (*c->p) {
    case '{':
        return depth < TF_JSON_DEPTH_MAX && check_object(c, depth + 1);
    case '[':
        return depth < TF_JSON_DEPTH_MAX && check_array(c, depth + 1);
    case '"':
        return check_string(c, &content, &plain);
    case 't':
        return check_literal(c, "true", 4);
    case 'f':
        return check_literal(c, "false", 5);
    case 'n':
        return check_literal(c, "null", 4);
    default:
        return check_number(c);
    }
}

bool tf_json_check(const char *text, size_t len)
{
    check_t c = {text, text + len};

    skip_space(&c);
    if (c.p == c.end || (*c.p != '{' && *c.p != '[') || !check_value(&c, 0)) {
        return false;
    }
    skip_space(&c);
    return c.p == c.end;
}
