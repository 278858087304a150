/* schema.h: the JSON Schema of a payload (draft 2020-12), as far as TaskForge checks it: compiled once, then
 * held against any number of values. A keyword that is not checked is an error when the schema is compiled,
 * so no schema promises more than it does. */
#ifndef TF_SCHEMA_H
#define TF_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define TF_SCHEMA_MAX (64 * 1024) /* bytes of a schema's text */
#define TF_SCHEMA_DEPTH_MAX 32    /* schemas in schemas */
#define TF_SCHEMA_ERRORS_MAX 32   /* of one value; the first so many are reported */

typedef struct tf_schema_s tf_schema_t;

/* Keywords: type, enum, const, properties, required, additionalProperties, minProperties, maxProperties,
 * items, minItems, maxItems, minLength, maxLength (code points), minimum, maximum, exclusiveMinimum,
 * exclusiveMaximum, allOf, anyOf, oneOf, not. Annotations, which check nothing: $schema (of 2020-12), $id,
 * $comment, title, description, default, examples, format, deprecated, readOnly, writeOnly. NULL: error says
 * what is wrong and where ("#/properties/rows: ..."). */
tf_schema_t *tf_schema_compile(const char *text, size_t len, char *error, size_t error_size);

/* NULL is fine. */
void tf_schema_free(tf_schema_t *schema);

/* Any object passes: checking objects can be left out. */
bool tf_schema_is_open(const tf_schema_t *schema);

/* true: the value passes. false: `errors` has got members of a JSON array (tf_json_error), with pointers that
 * begin with `pointer` (of the value, "#/payload"); one of more than 400 bytes is cut to that of an enclosing
 * value. Nothing of the value but names of members gets into them. The work is bounded: a value that needs
 * more than some million steps is refused. */
bool tf_schema_check(const tf_schema_t *schema, const json_t *value, const char *pointer, tf_buf_t *errors);

#endif
