/* css.h: CSS selectors as XPath 1.0, for documents that libxml2's HTML parser made. */
#ifndef TFW_CSS_H
#define TFW_CSS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define TFW_CSS_MAX 512      /* bytes of a selector */
#define TFW_CSS_PARTS_MAX 32 /* simple selectors in it */

/* Appends to xpath an expression for all elements of the document, its node "/" being the context, that the
 * selector (UTF-8) matches. Of Selectors Level 4: type and universal selectors, .class, #id, [attribute] with
 * = ~= |= ^= $= *=, the combinators ' ' > + ~, lists with commas, :first-child, :last-child,
 * :nth-child(an+b), :not() of one simple selector, escapes. Names of elements and attributes are those of
 * HTML: their case does not matter; values are compared exactly. false: error says what is wrong and at which
 * byte, from 1; xpath holds nothing of use then. */
bool tfw_css_xpath(const char *css, size_t len, tf_buf_t *xpath, char *error, size_t error_size);

#endif
