/* page.h: a page as a tree: its bytes as UTF-8, parsed by libxml2. */
#ifndef TFW_PAGE_H
#define TFW_PAGE_H

#include <libxml/HTMLparser.h>
#include <stdbool.h>
#include <stddef.h>

#include "scrape/url.h"

typedef struct {
    htmlDocPtr doc;
    char base[TFW_URL_SIZE]; /* that references are relative to */
    bool cut;                /* nested deeper than the parser goes: the rest is missing */
} tfw_page_t;

/* The page that came from url with this Content-Type ("": none). Its character set is what says a byte order
 * mark, or the header, or a <meta> in the first 1024 bytes (HTML, 13.2.3.2); without any of them UTF-8 if it
 * is that, or windows-1252. Pages are made by strangers: there are some that take hours, or gigabytes
 * (worker/apart.h). false: out of memory. */
bool tfw_page_parse(tfw_page_t *page, const char *bytes, size_t len, const char *content_type,
                    const char *url);

void tfw_page_free(tfw_page_t *page);

/* The node after this one in the order of the document, within root; NULL: there is none. inside: its
 * children come first, else they are left out. */
xmlNodePtr tfw_node_next(xmlNodePtr root, xmlNodePtr node, bool inside);

/* An element of that name (lower case). */
bool tfw_node_is(xmlNodePtr node, const char *name);

/* The value of an attribute as the tree has it; NULL: there is none, or it is not plain. */
const char *tfw_node_attribute(xmlNodePtr node, const char *name);

/* Where a link leads, as its href has it; NULL: the node is none. */
const char *tfw_node_link(xmlNodePtr node);

/* The name of the character set; "": none is declared. For tests. */
const char *tfw_charset(const char *bytes, size_t len, const char *content_type, char name[48]);

#endif
