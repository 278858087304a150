/* extract.h: what a caller wants of each page, and the JSON that it becomes. */
#ifndef TFW_EXTRACT_H
#define TFW_EXTRACT_H

#include <jansson.h>
#include <libxml/xpath.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "scrape/page.h"

#define TFW_SELECTORS_MAX 50
#define TFW_XPATH_MAX 512    /* bytes of an expression of a caller */
#define TFW_LINKS_MAX 2000   /* of a page; what comes later is not seen */
#define TFW_VALUE_MAX 262144 /* bytes of one text */

typedef enum {
    TFW_VALUE_TEXT, /* white space collapsed */
    TFW_VALUE_HTML, /* the element, with itself */
    TFW_VALUE_ATTRIBUTE,
    TFW_VALUE_LINKS, /* within the element, absolute */
    TFW_VALUE_TABLE  /* rows of cells */
} tfw_value_kind_t;

typedef struct {
    const char *name, *attribute; /* the payload's */
    xmlXPathCompExprPtr xpath;
    tfw_value_kind_t kind;
    bool all; /* a list of all matches; else the first, or null */
} tfw_selector_t;

typedef struct {
    tfw_selector_t selectors[TFW_SELECTORS_MAX];
    size_t count;
    bool text, links, tables, meta, images;
} tfw_extract_t;

/* Reads "selectors" and "extract" of a payload, either of them NULL. false: error says what is wrong and
 * where; nothing needs freeing then. */
bool tfw_extract_init(tfw_extract_t *extract, const json_t *selectors, const json_t *wanted, char *error,
                      size_t error_size);
void tfw_extract_free(tfw_extract_t *extract);

/* For expressions on doc, which may be NULL: errors are not printed. NULL: out of memory. */
xmlXPathContextPtr tfw_xpath_context(htmlDocPtr doc);

/* A growing JSON text that stays below a size: what does not fit is left out as a whole, an element of a list
 * or a member. */
typedef struct {
    tf_buf_t json;
    size_t max;     /* bytes */
    bool truncated; /* something was left out */
    /* called before each selector, which may take for ever, and with NULL behind them; NULL: nobody is */
    void (*begins)(void *data, const tfw_selector_t *selector);
    void *data;
} tfw_sheet_t;

/* Forgets what was written since json.len was `from`, if it is too much. false: it was. */
bool tfw_sheet_fits(tfw_sheet_t *sheet, size_t from);

/* Adds the members "data", "text", "links", "tables", "meta" and "images", as far as they are wanted. error:
 * which selectors could not be used on this page; "": all could. */
void tfw_extract_page(const tfw_extract_t *extract, const tfw_page_t *page, tfw_sheet_t *sheet, char *error,
                      size_t error_size);

/* Adds the text of an element and all in it, white space collapsed, but for scripts and styles. lines: a line
 * for each block. */
void tfw_node_text(tf_buf_t *out, xmlNodePtr node, bool lines);

#endif
