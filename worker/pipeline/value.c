#include "pipeline/value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataset/number.h"
#include "json_value.h"
#include "submission.h"

bool tfw_value_type(const char *name, tfw_value_type_t *type)
{
    static const char *const names[] = {"integer", "number", "text", "boolean", "timestamp"};

    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *type = (tfw_value_type_t)i;
            return true;
        }
    }
    return false;
}

bool tfw_value_number(const json_t *value, double *number)
{
    if (json_is_number(value)) {
        *number = json_number_value(value);
        return true;
    }
    return json_is_string(value) &&
           tfw_number_parse(json_string_value(value), json_string_length(value), number);
}

void tfw_value_write(tf_buf_t *out, const json_t *value)
{
    if (json_is_string(value)) {
        tf_buf_add(out, json_string_value(value), json_string_length(value));
    } else if (value && !json_is_null(value)) {
        tf_json_value(out, value);
    }
}

static json_t *cast_integer(const json_t *value)
{
    const char *text = json_string_value(value);
    double real = json_real_value(value);
    char *end;
    long long number;

    if (json_is_integer(value)) {
        return json_integer(json_integer_value(value));
    }
    if (json_is_real(value)) {
        return real == floor(real) && fabs(real) < 9.2e18 ? json_integer((json_int_t)real) : NULL;
    }
    /* strtoll takes spaces in front */
    if (!text || strspn(text, "+-0123456789") != json_string_length(value)) {
        return NULL;
    }
    errno = 0;
    number = strtoll(text, &end, 10);
    return errno == 0 && end > text && *end == '\0' ? json_integer(number) : NULL;
}

static json_t *cast_number(const json_t *value)
{
    double number;

    if (json_is_integer(value)) {
        return json_integer(json_integer_value(value));
    }
    return tfw_value_number(value, &number) ? json_real(number) : NULL;
}

static json_t *cast_boolean(const json_t *value)
{
    static const char *const yes[] = {"true", "t", "yes", "y", "on", "1"}, *const no[] = {"false", "f",
                                                                                          "no",    "n",
                                                                                          "off",   "0"};
    const char *text = json_string_value(value);

    if (json_is_boolean(value)) {
        return json_boolean(json_is_true(value));
    }
    if (json_is_integer(value) && (json_integer_value(value) == 0 || json_integer_value(value) == 1)) {
        return json_boolean(json_integer_value(value) == 1);
    }
    for (size_t i = 0; text && i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            return json_boolean(strcasecmp(text, yes[i]) == 0);
        }
    }
    return NULL;
}

static json_t *cast_text(const json_t *value)
{
    tf_buf_t text = TF_BUF_INIT;
    json_t *result;

    tfw_value_write(&text, value);
    result = text.failed ? NULL : json_stringn(text.data ? text.data : "", text.len);
    tf_buf_free(&text);
    return result;
}

/* RFC 3339, also with a space for the T, without a zone (then it is UTC), or a day alone. */
static json_t *cast_timestamp(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value), day = sizeof("2026-11-22") - 1;
    char full[64];
    tf_buf_t out = TF_BUF_INIT;
    json_t *result = NULL;
    int64_t us;
    int n;

    if (!text || len < day || len > 40) {
        return NULL;
    }
    n = snprintf(full, sizeof(full), "%s%s", text, len == day ? "T00:00:00Z" : "");
    if (full[day] == ' ') {
        full[day] = 'T';
    }
    if (!strpbrk(full + day, "Zz+-")) {
        n += snprintf(full + n, sizeof(full) - (size_t)n, "Z");
    }
    if (tf_time_parse(full, (size_t)n, &us)) {
        tf_json_time(&out, us); /* with its quotes */
        result = out.failed || out.len < 2 ? NULL : json_stringn(out.data + 1, out.len - 2);
    }
    tf_buf_free(&out);
    return result;
}

json_t *tfw_value_cast(const json_t *value, tfw_value_type_t type)
{
    if (json_is_null(value) ||
        (json_is_string(value) && json_string_length(value) == 0 && type != TFW_VALUE_TEXT)) {
        return json_null();
    }
    switch (type) {
    case TFW_VALUE_INTEGER:
        return cast_integer(value);
    case TFW_VALUE_NUMBER:
        return cast_number(value);
    case TFW_VALUE_BOOLEAN:
        return cast_boolean(value);
    case TFW_VALUE_TIMESTAMP:
        return cast_timestamp(value);
    default:
        return cast_text(value);
    }
}

json_t *tfw_record_names(const json_t *record)
{
    json_t *names = json_array(), *value;
    const char *name;

    json_object_foreach((json_t *)record, name, value)
    {
        json_array_append_new(names, json_string(name));
    }
    return names;
}

const char *tfw_record_surplus(const json_t *record, const json_t *names)
{
    size_t known = 0;
    const char *name;
    json_t *value;

    for (size_t i = 0; i < json_array_size(names); i++) {
        known += json_object_get(record, json_string_value(json_array_get(names, i))) != NULL;
    }
    json_object_foreach((json_t *)record, name, value)
    {
        bool found = known == json_object_size(record);

        for (size_t i = 0; !found && i < json_array_size(names); i++) {
            found = strcmp(name, json_string_value(json_array_get(names, i))) == 0;
        }
        if (!found) {
            return name;
        }
    }
    return NULL;
}
