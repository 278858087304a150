/* json_path.h: one place in a JSON value, named by a singular query of JSONPath (RFC 9535, 2.3.5.1): "$" and
 * then any number of .member, ['member'], ["member"] and [index], a negative index counting from the end. No
 * wildcards, slices, filters or descendants: such a path never means more than one value. */
#ifndef TFW_JSON_PATH_H
#define TFW_JSON_PATH_H

#include <jansson.h>
#include <stddef.h>

#define TFW_JSON_PATH_MAX 1024 /* bytes */

/* *found: the value at the path, which is root's; NULL: there is none. root NULL: only the path is checked.
 * Returns NULL, or what is wrong with the path, and *at is the byte that is. */
const char *tfw_json_path(const char *path, size_t len, const json_t *root, const json_t **found, size_t *at);

#endif
