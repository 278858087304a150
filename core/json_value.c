#include "json_value.h"

#include <string.h>

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than the parser lets through */
void tf_json_value(tf_buf_t *out, const json_t *value)
{
    bool first = true;
    const char *key;
    json_t *member;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        tf_buf_addc(out, '{');
        json_object_foreach((json_t *)value, key, member)
        {
            if (!first) {
                tf_buf_addc(out, ',');
            }
            first = false;
            tf_json_str(out, key, strlen(key));
            tf_buf_addc(out, ':');
            tf_json_value(out, member);
        }
        tf_buf_addc(out, '}');
        break;
    case JSON_ARRAY:
        tf_buf_addc(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i > 0) {
                tf_buf_addc(out, ',');
            }
            tf_json_value(out, json_array_get(value, i));
        }
        tf_buf_addc(out, ']');
        break;
    case JSON_STRING:
        tf_json_str(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        tf_buf_addi(out, json_integer_value(value));
        break;
    case JSON_REAL:
        tf_json_double(out, json_real_value(value));
        break;
    default:
        tf_buf_adds(out, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
    }
}
