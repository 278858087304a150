#include "json_path.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"

#define INDEX_MAX INT64_C(9007199254740991) /* RFC 9535, 2.1: the integers of I-JSON */

typedef struct {
    const char *path, *p, *end;
    const json_t *value; /* where the path has led to; NULL: nowhere */
    const char *wrong;   /* NULL: nothing */
} walk_t;

static bool fail(walk_t *w, const char *wrong)
{
    w->wrong = wrong;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(walk_t *w)
{
    while (w->p < w->end && is_blank(*w->p)) {
        w->p++;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* name-first: a letter, '_', or any character beyond ASCII */
static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* A name with NUL in it is nobody's: jansson takes no such members. */
static void enter_member(walk_t *w, const char *name, size_t len)
{
    w->value = json_is_object(w->value) ? json_object_getn(w->value, name, len) : NULL;
}

static void enter_element(walk_t *w, int64_t index)
{
    int64_t size = (int64_t)json_array_size(w->value); /* 0: no array */

    index += index < 0 ? size : 0;
    w->value = index >= 0 && index < size ? json_array_get(w->value, (size_t)index) : NULL;
}

static bool shorthand(walk_t *w)
{
    const char *begin = w->p;

    if (w->p == w->end || !begins_name(*w->p)) {
        return fail(
            w, "a member's name must follow the dot; others than letters, digits and '_' go into ['...']");
    }
    while (w->p < w->end && (begins_name(*w->p) || is_digit(*w->p))) {
        w->p++;
    }
    enter_member(w, begin, (size_t)(w->p - begin));
    return true;
}

/* "0", "17", "-1"; not "-0", "007" */
static bool element(walk_t *w)
{
    bool negative = *w->p == '-';
    int64_t index = 0;
    const char *begin;

    w->p += negative;
    begin = w->p;
    while (w->p < w->end && is_digit(*w->p) && index <= INDEX_MAX) {
        index = index * 10 + (*w->p++ - '0');
    }
    if (w->p == begin || index > INDEX_MAX || (*begin == '0' && (negative || w->p - begin > 1))) {
        w->p = begin;
        return fail(w, "is no index: 0, 1, ... or -1, -2, ...");
    }
    enter_element(w, negative ? -index : index);
    return true;
}

/* Four hexadecimal digits; -1: they are none. */
static int32_t hex4(walk_t *w)
{
    int32_t code = 0;

    for (int i = 0; i < 4; i++, w->p++) {
        const char *digits = "0123456789abcdef", *at;

        at = w->p < w->end && *w->p ? strchr(digits, is_digit(*w->p) ? *w->p : *w->p | 0x20) : NULL;
        if (!at) {
            return -1;
        }
        code = code * 16 + (int32_t)(at - digits);
    }
    return code;
}

static void add_utf8(tf_buf_t *out, uint32_t code)
{
    if (code < 0x80) {
        tf_buf_addc(out, (char)code);
    } else if (code < 0x800) {
        tf_buf_addc(out, (char)(0xc0 | code >> 6));
        tf_buf_addc(out, (char)(0x80 | (code & 0x3f)));
    } else {
        if (code < 0x10000) {
            tf_buf_addc(out, (char)(0xe0 | code >> 12));
        } else {
            tf_buf_addc(out, (char)(0xf0 | code >> 18));
            tf_buf_addc(out, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        tf_buf_addc(out, (char)(0x80 | (code >> 6 & 0x3f)));
        tf_buf_addc(out, (char)(0x80 | (code & 0x3f)));
    }
}

/* Behind "\u". */
static bool unicode_escape(walk_t *w, tf_buf_t *name)
{
    int32_t high = hex4(w), low;

    if (high < 0 || (high >= 0xdc00 && high < 0xe000)) {
        return fail(w, "is no escaped character");
    }
    if (high < 0xd800 || high >= 0xe000) {
        add_utf8(name, (uint32_t)high);
        return true;
    }
    if (w->end - w->p < 6 || w->p[0] != '\\' || w->p[1] != 'u') {
        return fail(w, "the second half of a surrogate pair must follow");
    }
    w->p += 2;
    low = hex4(w);
    if (low < 0xdc00 || low >= 0xe000) {
        return fail(w, "is no second half of a surrogate pair");
    }
    add_utf8(name, 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
    return true;
}

/* Behind the backslash. */
static bool escape(walk_t *w, char quote, tf_buf_t *name)
{
    static const char from[] = "bfnrt/\\", to[] = "\b\f\n\r\t/\\";
    const char *at = w->p < w->end && *w->p ? strchr(from, *w->p) : NULL;

    if (at || (w->p < w->end && *w->p == quote)) {
        tf_buf_add(name, at ? &to[at - from] : w->p, 1);
        w->p++;
        return true;
    }
    if (w->p < w->end && *w->p == 'u') {
        w->p++;
        return unicode_escape(w, name);
    }
    return fail(w, "is no escape");
}

static bool quoted(walk_t *w)
{
    tf_buf_t name = TF_BUF_INIT;
    char quote = *w->p++;
    bool ok = true;

    while (ok && w->p < w->end && *w->p != quote) {
        if (*w->p == '\\') {
            w->p++;
            ok = escape(w, quote, &name);
        } else if ((unsigned char)*w->p < ' ') {
            ok = fail(w, "a control character must be escaped");
        } else {
            tf_buf_addc(&name, *w->p++);
        }
    }
    if (ok && (w->p == w->end || name.failed)) {
        ok = fail(w, name.failed ? "out of memory" : "the quote is not closed");
    }
    if (ok) {
        w->p++;
        enter_member(w, tf_buf_cstr(&name), name.len);
    }
    tf_buf_free(&name);
    return ok;
}

static bool bracket(walk_t *w)
{
    bool ok;

    skip_blanks(w);
    if (w->p == w->end) {
        return fail(w, "the bracket is not closed");
    }
    if (*w->p == '\'' || *w->p == '"') {
        ok = quoted(w);
    } else if (*w->p == '-' || is_digit(*w->p)) {
        ok = element(w);
    } else {
        return fail(w, "an index or a quoted name must stand in the brackets: a path names one value");
    }
    if (!ok) {
        return false;
    }
    skip_blanks(w);
    if (w->p == w->end || *w->p != ']') {
        return fail(w, "the bracket must be closed here");
    }
    w->p++;
    return true;
}

static bool segment(walk_t *w)
{
    switch (*w->p++) {
    case '.':
        return shorthand(w);
    case '[':
        return bracket(w);
    default:
        w->p--;
        return fail(w, "must be . or [");
    }
}

const char *tfw_json_path(const char *path, size_t len, const json_t *root, const json_t **found, size_t *at)
{
    walk_t w = {path, path, path + len, root, NULL};
    bool ok = true;

    if (len > TFW_JSON_PATH_MAX) {
        ok = fail(&w, "is longer than 1024 bytes");
    } else if (!tf_utf8_valid(path, len)) {
        ok = fail(&w, "is not UTF-8");
    } else if (len == 0 || *w.p++ != '$') {
        w.p = path;
        ok = fail(&w, "must begin with $");
    }
    while (ok && w.p < w.end) {
        /* blanks may stand between segments, and not at the end */
        skip_blanks(&w);
        ok = w.p < w.end ? segment(&w) : fail(&w, "must not end in a blank");
    }
    *found = ok ? w.value : NULL;
    *at = (size_t)(w.p - path);
    return w.wrong;
}
