/* value.h: the values of records, which are JSON values: how they become others, and how they compare. */
#ifndef TFW_PIPELINE_VALUE_H
#define TFW_PIPELINE_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "buf.h"

typedef enum {
    TFW_VALUE_INTEGER,
    TFW_VALUE_NUMBER,
    TFW_VALUE_TEXT,
    TFW_VALUE_BOOLEAN,
    TFW_VALUE_TIMESTAMP /* a text: 2026-11-22T13:00:00.000000Z */
} tfw_value_type_t;

/* false: no such type. */
bool tfw_value_type(const char *name, tfw_value_type_t *type);

/* The value as one of that type, the caller's; null stays null, and so does an empty text but as a text.
 * NULL: it is none. */
json_t *tfw_value_cast(const json_t *value, tfw_value_type_t type);

/* The value as a number; also of a text that is a decimal number. false: it is none. */
bool tfw_value_number(const json_t *value, double *number);

/* The value as it stands in a file of texts: a text as it is, anything else as JSON; null is nothing. */
void tfw_value_write(tf_buf_t *out, const json_t *value);

/* The names of a record's members in their order: the caller's. */
json_t *tfw_record_names(const json_t *record);

/* The first of a record's members that is not among these names; NULL: all are. */
const char *tfw_record_surplus(const json_t *record, const json_t *names);

#endif
