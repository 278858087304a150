/* markdown.h: Markdown (CommonMark, with tables, strikethrough, task lists and plain links of GitHub's
 * flavour) as an HTML document. */
#ifndef TFW_MARKDOWN_H
#define TFW_MARKDOWN_H

#include "convert/convert.h"

#define TFW_MARKDOWN_MAX (4 * 1024 * 1024) /* bytes */

/* Writes the document. HTML within the text is shown, never passed on; links and pictures with javascript:
 * and the like lead nowhere. title: of the document; NULL: its first heading, or else fallback. */
bool tfw_markdown_html(tfw_convert_t *c, const tfw_input_t *in, int out_fd, const char *title,
                       const char *fallback);

/* Writes its words as plain text, lines of up to 78 columns. */
bool tfw_markdown_text(tfw_convert_t *c, const tfw_input_t *in, int out_fd);

#endif
