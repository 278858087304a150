/* json_slice.h: the members of a JSON text that is already known to be valid, as the bytes the client sent:
 * nothing is rewritten (19.99 stays 19.99), nothing is copied. */
#ifndef TF_JSON_SLICE_H
#define TF_JSON_SLICE_H

#include <stdbool.h>

#include "job.h"

typedef struct {
    const char *next;
    const char *end;
    bool object;
} tf_json_slice_t;

/* Begins with the members of an object or the elements of an array. false: text is neither. */
bool tf_json_slice(tf_json_slice_t *s, tf_str_t text);

/* The next member: key is what stands between its quotes, escapes included (for an array: data == NULL);
 * value is the value without white space around it. false: there are no more. */
bool tf_json_slice_next(tf_json_slice_t *s, tf_str_t *key, tf_str_t *value);

/* The value of one member of an object; data == NULL: not there. Keys written with escapes are found too. */
tf_str_t tf_json_slice_member(tf_str_t object, const char *name);

#endif
