/* json_value.h: a parsed value as text again, with numbers in their shortest form that reads back as the
 * same. */
#ifndef TF_JSON_VALUE_H
#define TF_JSON_VALUE_H

#include <jansson.h>

#include "buf.h"

void tf_json_value(tf_buf_t *out, const json_t *value);

#endif
