/* css_text.h: the words of a selector: names, texts and numbers (CSS Syntax Level 3). */
#ifndef TFW_CSS_TEXT_H
#define TFW_CSS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

typedef struct {
    const char *start, *at, *end;
    tf_buf_t name; /* what was read last */
    char *error;
    size_t error_size;
} tfw_css_text_t;

/* The error, with the byte that is looked at. Always false. */
bool tfw_css_fail(tfw_css_text_t *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The byte that is looked at; '\0': the end. */
char tfw_css_peek(const tfw_css_text_t *t);

bool tfw_css_is_space(char byte);
bool tfw_css_is_name(char byte);
void tfw_css_skip_space(tfw_css_text_t *t);

/* An identifier into t->name, its escapes taken out. hash: it stands behind '#' and may begin with a digit.
 * what: it is, for the error. */
bool tfw_css_name(tfw_css_text_t *t, const char *what, bool hash);

/* A text in quotes, which t->at stands on, into t->name. */
bool tfw_css_string(tfw_css_text_t *t);

/* "odd", "even", "3", "2n + 1", "-n+3". */
bool tfw_css_an_plus_b(tfw_css_text_t *t, int *a, int *b);

#endif
