/* value_type.h: what a value of a dataset is. */
#ifndef TFW_VALUE_TYPE_H
#define TFW_VALUE_TYPE_H

#include "job.h"

/* Of a value, or of all values of a column. */
typedef enum {
    TFW_TYPE_NONE, /* no value */
    TFW_TYPE_INTEGER,
    TFW_TYPE_REAL,
    TFW_TYPE_BOOLEAN,
    TFW_TYPE_TEXT,
    TFW_TYPE_JSON /* an array or an object, as text */
} tfw_type_t;

/* "null", "integer", "real", "boolean", "text", "json" */
const char *tfw_type_name(tfw_type_t type);

/* The type of a field of a CSV file. -1, 12: integer; 1.5, 2e3: real; with a sign + or leading zeros, such as
 * a phone number or a postcode, and whole numbers beyond 64 bits: text. */
tfw_type_t tfw_type_of_field(tf_str_t field);

/* The type of a column that has values of both. */
tfw_type_t tfw_type_merge(tfw_type_t a, tfw_type_t b);

#endif
