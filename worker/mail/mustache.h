/* mustache.h: templates in Mustache (mustache.github.io, spec 1.4): interpolation, sections, inverted
 * sections and comments, with the spec's rules for lines that hold nothing but a tag. No partials and no
 * other delimiters: a template that asks for them is refused. Missing, false, null, "" and [] make a section
 * empty; objects and lists interpolate as nothing. */
#ifndef TFW_MUSTACHE_H
#define TFW_MUSTACHE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define TFW_MUSTACHE_DEPTH_MAX 32     /* sections in sections */
#define TFW_MUSTACHE_STEPS_MAX 200000 /* tags that one rendering meets, so that nested lists end */

/* Appends the template (UTF-8) with the variables, an object, put in. html: {{name}} escapes & < > " and ',
 * as HTML wants it; else it is put in as it is, as {{{name}}} and {{&name}} always are. out may have a limit.
 * false: error says what is wrong and in which line. */
bool tfw_mustache_render(const char *text, size_t len, const json_t *variables, bool html, tf_buf_t *out,
                         char *error, size_t error_size);

#endif
