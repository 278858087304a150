#include "buf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "civil.h"

void tf_buf_free(tf_buf_t *b)
{
    size_t limit = b->limit;

    free(b->data);
    *b = (tf_buf_t)TF_BUF_INIT;
    b->limit = limit;
}

void tf_buf_reset(tf_buf_t *b)
{
    b->len = 0;
    b->failed = false;
}

char *tf_buf_reserve(tf_buf_t *b, size_t n)
{
    size_t want, size;
    char *data;

    if (b->failed) {
        return NULL;
    }
    if (n > SIZE_MAX / 2 - b->len || (b->limit && b->len + n > b->limit)) {
        b->failed = true;
        return NULL;
    }
    want = b->len + n;
    if (want > b->size) {
        size = b->size ? b->size * 2 : 256;
        if (size < want) {
            size = want;
        }
        data = realloc(b->data, size);
        if (data == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->size = size;
    }
    return b->data + b->len;
}

void tf_buf_add(tf_buf_t *b, const void *data, size_t len)
{
    char *p;

    if (len == 0) {
        return;
    }
    p = tf_buf_reserve(b, len);
    if (p) {
        memcpy(p, data, len);
        b->len += len;
    }
}

void tf_buf_adds(tf_buf_t *b, const char *cstr)
{
    tf_buf_add(b, cstr, strlen(cstr));
}

void tf_buf_addc(tf_buf_t *b, char c)
{
    char *p = tf_buf_reserve(b, 1);

    if (p) {
        *p = c;
        b->len++;
    }
}

void tf_buf_addf(tf_buf_t *b, const char *fmt, ...)
{
    va_list args;
    char *p;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
        return;
    }
    p = tf_buf_reserve(b, (size_t)n + 1);
    if (p == NULL) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
}

void tf_buf_addi(tf_buf_t *b, int64_t value)
{
    char digits[24], *end = digits + sizeof(digits), *p = end;
    uint64_t u = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (value < 0) {
        *--p = '-';
    }
    tf_buf_add(b, p, (size_t)(end - p));
}

const char *tf_buf_cstr(tf_buf_t *b)
{
    char *p = tf_buf_reserve(b, 1);

    if (p == NULL) {
        return "";
    }
    *p = '\0';
    return b->data;
}

/* Length of the valid UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates), 0 if there is none.
 */
static size_t utf8_len(const unsigned char *s, const unsigned char *end)
{
    size_t left = (size_t)(end - s);

    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        return left >= 2 && (s[1] & 0xc0) == 0x80 ? 2 : 0;
    }
    if ((s[0] & 0xf0) == 0xe0) {
        if (left < 3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[0] == 0xe0 && s[1] < 0xa0) ||
            (s[0] == 0xed && s[1] > 0x9f)) {
            return 0;
        }
        return 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if (left < 4 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80 ||
            (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
            return 0;
        }
        return 4;
    }
    return 0;
}

/* Past the ASCII bytes at p other than NUL, eight at a time; up to seven may be left. */
static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t eight;

    for (; (size_t)(end - p) >= sizeof(eight); p += sizeof(eight)) {
        memcpy(&eight, p, sizeof(eight));
        if (((eight | (eight - ones)) & highs) != 0) {
            break;
        }
    }
    return p;
}

size_t tf_utf8_span(const char *s, size_t len)
{
    const unsigned char *start = (const unsigned char *)s, *end = start + len, *p = skip_ascii(start, end);
    size_t n;

    while (p < end) {
        n = *p ? utf8_len(p, end) : 0;
        if (n == 0) {
            break;
        }
        p += n;
        if (n > 1 || ((p - start) & 7) == 0) {
            p = skip_ascii(p, end);
        }
    }
    return (size_t)(p - start);
}

bool tf_utf8_valid(const char *s, size_t len)
{
    return tf_utf8_span(s, len) == len;
}

static void json_escape(tf_buf_t *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

    switch (c) {
    case '"':
        tf_buf_add(b, "\\\"", 2);
        break;
    case '\\':
        tf_buf_add(b, "\\\\", 2);
        break;
    case '\n':
        tf_buf_add(b, "\\n", 2);
        break;
    case '\r':
        tf_buf_add(b, "\\r", 2);
        break;
    case '\t':
        tf_buf_add(b, "\\t", 2);
        break;
    default:
        tf_buf_add(b, u, sizeof(u));
    }
}

void tf_json_str(tf_buf_t *b, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + len, *plain = p;
    size_t n;

    tf_buf_addc(b, '"');
    while (p < end) {
        if (*p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\') {
            p++;
            continue;
        }
        n = *p < 0x80 ? 0 : utf8_len(p, end);
        if (n) {
            p += n;
            continue;
        }
        tf_buf_add(b, plain, (size_t)(p - plain));
        if (*p >= 0x80) {
            tf_buf_add(b, "\xef\xbf\xbd", 3);
        } else {
            json_escape(b, *p);
        }
        plain = ++p;
    }
    tf_buf_add(b, plain, (size_t)(p - plain));
    tf_buf_addc(b, '"');
}

void tf_json_key(tf_buf_t *b, const char *key)
{
    size_t len = strlen(key);
    char last = '{';
    char *p = tf_buf_reserve(b, len + 4);

    if (p == NULL) {
        return;
    }
    if (b->len > 0) {
        last = b->data[b->len - 1];
    }
    if (last != '{' && last != '[' && last != ':' && last != ',') {
        *p++ = ',';
    }
    *p++ = '"';
    memcpy(p, key, len);
    p += len;
    *p++ = '"';
    *p++ = ':';
    b->len = (size_t)(p - b->data);
}

void tf_json_kstr(tf_buf_t *b, const char *key, const char *s, size_t len)
{
    tf_json_key(b, key);
    if (s) {
        tf_json_str(b, s, len);
    } else {
        tf_buf_add(b, "null", 4);
    }
}

void tf_json_kcstr(tf_buf_t *b, const char *key, const char *s)
{
    tf_json_kstr(b, key, s, s ? strlen(s) : 0);
}

void tf_json_kint(tf_buf_t *b, const char *key, int64_t value)
{
    tf_json_key(b, key);
    tf_buf_addi(b, value);
}

void tf_json_kbool(tf_buf_t *b, const char *key, bool value)
{
    tf_json_key(b, key);
    tf_buf_adds(b, value ? "true" : "false");
}

void tf_json_kraw(tf_buf_t *b, const char *key, const char *json, size_t len)
{
    tf_json_key(b, key);
    if (json) {
        tf_buf_add(b, json, len);
    } else {
        tf_buf_add(b, "null", 4);
    }
}

static void put_digits(char *p, int64_t value, int n)
{
    while (n-- > 0) {
        p[n] = (char)('0' + value % 10);
        value /= 10;
    }
}

void tf_json_time(tf_buf_t *b, int64_t us)
{
    int64_t seconds, days, fraction, year;
    int month, day;
    char *p;

    if (us == INT64_MIN) {
        tf_buf_add(b, "null", 4);
        return;
    }
    seconds = us / 1000000 - (us % 1000000 < 0);
    fraction = us - seconds * 1000000;
    days = seconds / 86400 - (seconds % 86400 < 0);
    seconds -= days * 86400;
    tf_civil_from_days(days, &year, &month, &day);
    if (year < 0 || year > 9999) {
        tf_buf_add(b, "null", 4);
        return;
    }
    p = tf_buf_reserve(b, 29);
    if (p == NULL) {
        return;
    }
    memcpy(p, "\"0000-00-00T00:00:00.000000Z\"", 29);
    put_digits(p + 1, year, 4);
    put_digits(p + 6, month, 2);
    put_digits(p + 9, day, 2);
    put_digits(p + 12, seconds / 3600, 2);
    put_digits(p + 15, seconds / 60 % 60, 2);
    put_digits(p + 18, seconds % 60, 2);
    put_digits(p + 21, fraction, 6);
    b->len += 29;
}

void tf_json_ktime(tf_buf_t *b, const char *key, int64_t us)
{
    tf_json_key(b, key);
    tf_json_time(b, us);
}

void tf_json_double(tf_buf_t *b, double value)
{
    char text[32];
    int precision;

    if (!isfinite(value)) {
        tf_buf_add(b, "null", 4);
        return;
    }
    if (value == floor(value) && fabs(value) < 1e15) {
        tf_buf_addi(b, (int64_t)value);
        return;
    }
    for (precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    tf_buf_adds(b, text);
}

void tf_json_kdouble(tf_buf_t *b, const char *key, double value)
{
    tf_json_key(b, key);
    tf_json_double(b, value);
}
