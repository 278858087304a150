#include "scrape/css_text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#define NUMBER_MAX 100000 /* of :nth-child() */

/* Always false. */
bool tfw_css_fail(tfw_css_text_t *t, const char *fmt, ...)
{
    va_list args;
    int n = snprintf(t->error, t->error_size, "at byte %zu: ", (size_t)(t->at - t->start) + 1);

    va_start(args, fmt);
    if (n > 0 && (size_t)n < t->error_size) {
        vsnprintf(t->error + n, t->error_size - (size_t)n, fmt, args);
    }
    va_end(args);
    return false;
}

/* The byte that is looked at; '\0': the end. */
char tfw_css_peek(const tfw_css_text_t *t)
{
    if (t->at == t->end) {
        return '\0';
    }
    return *t->at;
}

bool tfw_css_is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\f';
}

void tfw_css_skip_space(tfw_css_text_t *t)
{
    while (t->at < t->end && tfw_css_is_space(*t->at)) {
        t->at++;
    }
}

bool tfw_css_is_name(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '_' || (byte & 0x80);
}

static int hex_of(char byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

static void add_utf8(tf_buf_t *b, uint32_t code)
{
    if (code < 0x80) {
        tf_buf_addc(b, (char)code);
        return;
    }
    if (code < 0x800) {
        tf_buf_addc(b, (char)(0xC0 | code >> 6));
    } else if (code < 0x10000) {
        tf_buf_addc(b, (char)(0xE0 | code >> 12));
        tf_buf_addc(b, (char)(0x80 | (code >> 6 & 0x3F)));
    } else {
        tf_buf_addc(b, (char)(0xF0 | code >> 18));
        tf_buf_addc(b, (char)(0x80 | (code >> 12 & 0x3F)));
        tf_buf_addc(b, (char)(0x80 | (code >> 6 & 0x3F)));
    }
    tf_buf_addc(b, (char)(0x80 | (code & 0x3F)));
}

/* What follows a backslash. CSS Syntax Level 3, 4.3.7. */
static bool read_escape(tfw_css_text_t *t)
{
    uint32_t code = 0;
    int digits = 0;

    if (t->at == t->end || *t->at == '\n' || *t->at == '\r' || *t->at == '\f') {
        return tfw_css_fail(t, "a character must follow '\\'");
    }
    for (; digits < 6 && t->at < t->end && hex_of(*t->at) >= 0; digits++) {
        code = code * 16 + (uint32_t)hex_of(*t->at++);
    }
    if (digits == 0) {
        tf_buf_addc(&t->name, *t->at++);
        return true;
    }
    if (code > 0 && code < 0x20) {
        return tfw_css_fail(t, "control characters cannot be matched");
    }
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) || code == 0xFFFE ||
        code == 0xFFFF) {
        code = 0xFFFD;
    }
    add_utf8(&t->name, code);
    if (t->at < t->end && tfw_css_is_space(*t->at)) {
        t->at++;
    }
    return true;
}

/* An identifier into t->name; after '#' it may begin with a digit. */
bool tfw_css_name(tfw_css_text_t *t, const char *what, bool hash)
{
    char first = tfw_css_peek(t), second = '\0';

    if (t->at + 1 < t->end) {
        second = t->at[1];
    }
    t->name.len = 0;
    if (!hash && ((first >= '0' && first <= '9') || (first == '-' && second >= '0' && second <= '9'))) {
        return tfw_css_fail(t, "%s cannot begin with a digit", what);
    }
    while (t->at < t->end && (tfw_css_is_name(*t->at) || *t->at == '\\')) {
        if (*t->at == '\\') {
            t->at++;
            if (!read_escape(t)) {
                return false;
            }
        } else {
            tf_buf_addc(&t->name, *t->at++);
        }
    }
    return t->name.len > 0 || tfw_css_fail(t, "%s is missing", what);
}

/* A string in quotes into t->name. */
bool tfw_css_string(tfw_css_text_t *t)
{
    char quote = *t->at++;

    t->name.len = 0;
    while (t->at < t->end && *t->at != quote) {
        if (*t->at == '\n' || *t->at == '\r' || *t->at == '\f') {
            return tfw_css_fail(t, "a text cannot hold a line end");
        }
        if (*t->at == '\\') {
            t->at++;
            if (!read_escape(t)) {
                return false;
            }
        } else {
            tf_buf_addc(&t->name, *t->at++);
        }
    }
    if (t->at == t->end) {
        return tfw_css_fail(t, "the text has no end");
    }
    t->at++;
    return true;
}

static bool read_digits(tfw_css_text_t *t, int *value)
{
    const char *from = t->at;

    for (*value = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
        if (*value > NUMBER_MAX / 10) {
            return tfw_css_fail(t, "the number is too large");
        }
        *value = *value * 10 + (*t->at - '0');
    }
    return t->at > from || tfw_css_fail(t, "a number is missing");
}

/* "odd", "even", "3", "2n + 1", "-n+3". CSS Syntax Level 3, 6. */
bool tfw_css_an_plus_b(tfw_css_text_t *t, int *a, int *b)
{
    int sign = 1;

    *b = 0;
    if (t->end - t->at >= 3 && strncasecmp(t->at, "odd", 3) == 0) {
        t->at += 3;
        *a = 2;
        *b = 1;
        return true;
    }
    if (t->end - t->at >= 4 && strncasecmp(t->at, "even", 4) == 0) {
        t->at += 4;
        *a = 2;
        return true;
    }
    if (tfw_css_peek(t) == '+' || tfw_css_peek(t) == '-') {
        sign = *t->at++ == '-' ? -1 : 1;
    }
    *a = 1;
    if ((tfw_css_peek(t) | 0x20) != 'n' && !read_digits(t, a)) {
        return false;
    }
    *a *= sign;
    if ((tfw_css_peek(t) | 0x20) != 'n') {
        *b = *a;
        *a = 0;
        return true;
    }
    t->at++;
    tfw_css_skip_space(t);
    if (tfw_css_peek(t) != '+' && tfw_css_peek(t) != '-') {
        return true;
    }
    sign = *t->at++ == '-' ? -1 : 1;
    tfw_css_skip_space(t);
    if (!read_digits(t, b)) {
        return false;
    }
    *b *= sign;
    return true;
}
