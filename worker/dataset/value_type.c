#include "dataset/value_type.h"

#include <stdbool.h>
#include <string.h>

#include "dataset/number.h"

#define INTEGER_DIGITS 18 /* that always fit into 64 bits */

const char *tfw_type_name(tfw_type_t type)
{
    static const char *const names[] = {"null", "integer", "real", "boolean", "text", "json"};

    return names[type];
}

tfw_type_t tfw_type_merge(tfw_type_t a, tfw_type_t b)
{
    if (a == b || b == TFW_TYPE_NONE) {
        return a;
    }
    if (a == TFW_TYPE_NONE) {
        return b;
    }
    return (a == TFW_TYPE_INTEGER && b == TFW_TYPE_REAL) || (a == TFW_TYPE_REAL && b == TFW_TYPE_INTEGER)
               ? TFW_TYPE_REAL
               : TFW_TYPE_TEXT;
}

/* Digits alone, without needless zeros: fits into 64 bits? */
static bool fits(const char *digits, size_t len, bool negative)
{
    static const char max[] = "9223372036854775807", min[] = "9223372036854775808";

    return len <= INTEGER_DIGITS ||
           (len == INTEGER_DIGITS + 1 && memcmp(digits, negative ? min : max, len) <= 0);
}

tfw_type_t tfw_type_of_field(tf_str_t field)
{
    const char *p = field.data, *end = field.data + field.len, *digits;
    double value;

    if (field.len == 0) {
        return TFW_TYPE_NONE;
    }
    p += *p == '-';
    for (digits = p; p < end && *p >= '0' && *p <= '9'; p++) {
    }
    if (p - digits > 1 && *digits == '0') {
        return TFW_TYPE_TEXT;
    }
    if (p == end && p > digits) {
        return fits(digits, (size_t)(p - digits), digits > field.data) ? TFW_TYPE_INTEGER : TFW_TYPE_TEXT;
    }
    return *field.data != '+' && tfw_number_parse(field.data, field.len, &value) ? TFW_TYPE_REAL
                                                                                 : TFW_TYPE_TEXT;
}
