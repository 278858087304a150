/* json_error.h: what is wrong with a body, member by member: errors[] of a problem (RFC 9457). */
#ifndef TF_JSON_ERROR_H
#define TF_JSON_ERROR_H

#include "buf.h"

/* Adds {"pointer":"<pointer>","detail":"<detail>"} to the members of a JSON array. */
void tf_json_error(tf_buf_t *errors, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "<parent>/<key>" into out: RFC 6901, with the escapes of a URI fragment (section 6); of a long key only the
 * beginning. Returns out. */
#define TF_JSON_POINTER_SIZE 320 /* enough for a parent of 120 bytes and any key */
const char *tf_json_pointer(char out[TF_JSON_POINTER_SIZE], const char *parent, const char *key);

#endif
