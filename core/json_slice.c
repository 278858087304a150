#include "json_slice.h"

#include <jansson.h>
#include <string.h>

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
    }
    return p;
}

/* p is at the opening quote; the place behind the closing one. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }
    return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0) {
                return p; /* the end of what the value is in */
            }
            depth--;
            p++;
        } else if (depth == 0 && (*p == ',' || *p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
            return p;
        } else {
            p++;
            continue;
        }
        if (depth == 0) {
            return p;
        }
    }
    return end;
}

bool tf_json_slice(tf_json_slice_t *s, tf_str_t text)
{
    s->end = text.data + text.len;
    s->next = skip_space(text.data, s->end);
    if (s->next == s->end || (*s->next != '{' && *s->next != '[')) {
        return false;
    }
    s->object = *s->next == '{';
    s->next++;
    return true;
}

bool tf_json_slice_next(tf_json_slice_t *s, tf_str_t *key, tf_str_t *value)
{
    const char *p = skip_space(s->next, s->end);

    if (p < s->end && *p == ',') {
        p = skip_space(p + 1, s->end);
    }
    if (p == s->end || *p == '}' || *p == ']') {
        return false;
    }
    *key = (tf_str_t){NULL, 0};
    if (s->object) {
        const char *after = skip_string(p, s->end);

        *key = (tf_str_t){p + 1, (size_t)(after - p - 2)};
        p = skip_space(after, s->end);
        if (p == s->end) {
            return false;
        }
        p = skip_space(p + 1, s->end); /* the colon */
    }
    s->next = skip_value(p, s->end);
    *value = (tf_str_t){p, (size_t)(s->next - p)};
    return value->len > 0;
}

static bool key_is(tf_str_t key, const char *name)
{
    json_t *decoded;
    bool same;

    if (memchr(key.data, '\\', key.len) == NULL) {
        return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0;
    }
    decoded = json_loadb(key.data - 1, key.len + 2, JSON_DECODE_ANY, NULL);
    same = decoded && strcmp(json_string_value(decoded), name) == 0;
    json_decref(decoded);
    return same;
}

tf_str_t tf_json_slice_member(tf_str_t object, const char *name)
{
    tf_json_slice_t s;
    tf_str_t key, value;

    if (tf_json_slice(&s, object) && s.object) {
        while (tf_json_slice_next(&s, &key, &value)) {
            if (key_is(key, name)) {
                return value;
            }
        }
    }
    return (tf_str_t){NULL, 0};
}
