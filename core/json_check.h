/* json_check.h: a quick look at a JSON text, many times faster than parsing it. What it passes is valid; what
 * it does not pass may still be: then ask jansson, which also says what is wrong and where.
 * t/fuzz/json_check.c holds it to that. */
#ifndef TF_JSON_CHECK_H
#define TF_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* true: the text is one JSON object or array (RFC 8259) that tf_json_parse takes: valid UTF-8, no NUL, no key
 * twice in an object, numbers within range, at most TF_JSON_DEPTH_MAX levels. false: perhaps not; also for
 * what is rare and costly to decide here (escaped surrogates, escapes in keys, objects of more than 32 keys,
 * very long numbers). */
bool tf_json_check(const char *text, size_t len);

#endif
