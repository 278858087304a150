/* assertions.h: what a job wants to be true of a JSON answer: a list of {"path": "$.a[0]", "equals": ...}. */
#ifndef TFW_ASSERTIONS_H
#define TFW_ASSERTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define TFW_ASSERTIONS_MAX 32

/* What one assertion may hold, as JSON Schema. At least one comparison must be there, and all that are must
 * hold: equals, not_equals (numbers by their value: 1 equals 1.0), exists (true or false), contains (a part
 * of a text, a member of an array, the name of a member of an object), at_least and at_most (numbers). */
#define TFW_ASSERTION_SCHEMA                                                                                 \
    "{\"type\":\"object\",\"properties\":{"                                                                  \
    "\"path\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1024,\"description\":\"JSON path of one "   \
    "value: "                                                                                                \
    "$.items[0].name\"},"                                                                                    \
    "\"equals\":{\"description\":\"any value\"},\"not_equals\":{\"description\":\"any value\"},"             \
    "\"exists\":{\"type\":\"boolean\"},\"contains\":{\"description\":\"a part of a text, an element of an "  \
    "array or "                                                                                              \
    "a member's name\"},\"at_least\":{\"type\":\"number\"},\"at_most\":{\"type\":\"number\"}},"              \
    "\"required\":[\"path\"],\"minProperties\":2,\"additionalProperties\":false}"

/* false: error says which assertion is none, and why. list: an array, or NULL. */
bool tfw_assertions_check(const json_t *list, char *error, size_t error_size);

/* Holds each against the value. NULL: there is none, and all fail but those of what must not exist. Appends a
 * JSON array of {"path", "ok", "actual"} to results (actual is left out where there is nothing), and to
 * failures, for people, one line: "$.a must equal 1, is 2; ...". Returns how many failed. */
size_t tfw_assertions_judge(const json_t *list, const json_t *value, tf_buf_t *results, tf_buf_t *failures);

#endif
