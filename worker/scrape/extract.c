#include "scrape/extract.h"

#include <libxml/HTMLtree.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- values ---- */

bool tfw_sheet_fits(tfw_sheet_t *sheet, size_t from)
{
    if (sheet->json.len <= sheet->max && !sheet->json.failed) {
        return true;
    }
    sheet->json.len = from;
    sheet->truncated = true;
    return false;
}

static void begin_element(tfw_sheet_t *sheet)
{
    if (sheet->json.len && sheet->json.data[sheet->json.len - 1] != '[') {
        tf_buf_addc(&sheet->json, ',');
    }
}

static void add_text(tfw_sheet_t *sheet, const char *text, size_t len)
{
    if (len > TFW_VALUE_MAX) {
        len = TFW_VALUE_MAX;
        while (len > 0 && (text[len] & 0xC0) == 0x80) {
            len--;
        }
        sheet->truncated = true;
    }
    tf_json_str(&sheet->json, text, len);
}

static void add_node_text(tfw_sheet_t *sheet, xmlNodePtr node, bool lines)
{
    tf_buf_t text = {.limit = TFW_VALUE_MAX};

    tfw_node_text(&text, node, lines);
    sheet->truncated = sheet->truncated || text.failed;
    add_text(sheet, text.data ? text.data : "", text.len);
    tf_buf_free(&text);
}

static void add_html(tfw_sheet_t *sheet, const tfw_page_t *page, xmlNodePtr node)
{
    xmlOutputBufferPtr html = xmlAllocOutputBuffer(NULL);

    if (html) {
        htmlNodeDumpFormatOutput(html, page->doc, node, "UTF-8", 0);
        add_text(sheet, (const char *)xmlOutputBufferGetContent(html), xmlOutputBufferGetSize(html));
        xmlOutputBufferClose(html);
    } else {
        tf_buf_adds(&sheet->json, "null");
    }
}

static void add_attribute(tfw_sheet_t *sheet, xmlNodePtr node, const char *name)
{
    xmlChar *value = node->type == XML_ELEMENT_NODE ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;

    if (value) {
        add_text(sheet, (const char *)value, strlen((const char *)value));
    } else {
        tf_buf_adds(&sheet->json, "null");
    }
    xmlFree(value);
}

/* The absolute URLs of the links within a node; details: as objects with their texts. */
static void add_links(tfw_sheet_t *sheet, const tfw_page_t *page, xmlNodePtr root, bool details)
{
    size_t count = 0;

    tf_buf_addc(&sheet->json, '[');
    for (xmlNodePtr node = root; node && count < TFW_LINKS_MAX; node = tfw_node_next(root, node, true)) {
        size_t from = sheet->json.len;
        char url[TFW_URL_SIZE];
        const char *href = tfw_node_link(node);

        if (!href || !tfw_url_resolve(page->base, href, strlen(href), url)) {
            continue;
        }
        begin_element(sheet);
        if (details) {
            tf_buf_addc(&sheet->json, '{');
            tf_json_kcstr(&sheet->json, "url", url);
            tf_json_key(&sheet->json, "text");
            add_node_text(sheet, node, false);
            tf_buf_addc(&sheet->json, '}');
        } else {
            tf_json_str(&sheet->json, url, strlen(url));
        }
        if (!tfw_sheet_fits(sheet, from)) {
            break;
        }
        count++;
    }
    tf_buf_addc(&sheet->json, ']');
}

/* The next node of a table that is not of a table within it. */
static xmlNodePtr next_in_table(xmlNodePtr table, xmlNodePtr node)
{
    return tfw_node_next(table, node, node == table || !tfw_node_is(node, "table"));
}

static void add_row(tfw_sheet_t *sheet, xmlNodePtr row)
{
    tf_buf_addc(&sheet->json, '[');
    for (xmlNodePtr node = row; node; node = next_in_table(row, node)) {
        if (tfw_node_is(node, "td") || tfw_node_is(node, "th")) {
            begin_element(sheet);
            add_node_text(sheet, node, false);
        }
    }
    tf_buf_addc(&sheet->json, ']');
}

static void add_table(tfw_sheet_t *sheet, xmlNodePtr table)
{
    tf_buf_addc(&sheet->json, '[');
    for (xmlNodePtr node = table; node; node = next_in_table(table, node)) {
        size_t from = sheet->json.len;

        if (tfw_node_is(node, "tr")) {
            begin_element(sheet);
            add_row(sheet, node);
            if (!tfw_sheet_fits(sheet, from)) {
                break;
            }
        }
    }
    tf_buf_addc(&sheet->json, ']');
}

/* ---- selectors ---- */

static void add_value(tfw_sheet_t *sheet, const tfw_page_t *page, const tfw_selector_t *s, xmlNodePtr node)
{
    bool element = node->type == XML_ELEMENT_NODE || node->type == XML_HTML_DOCUMENT_NODE;

    if (!element) { /* of an XPath: an attribute, a text or a comment */
        xmlChar *content = xmlNodeGetContent(node);

        add_text(sheet, content ? (char *)content : "", content ? strlen((char *)content) : 0);
        xmlFree(content);
        return;
    }
    switch (s->kind) {
    case TFW_VALUE_TEXT:
        add_node_text(sheet, node, false);
        break;
    case TFW_VALUE_HTML:
        add_html(sheet, page, node);
        break;
    case TFW_VALUE_ATTRIBUTE:
        add_attribute(sheet, node, s->attribute);
        break;
    case TFW_VALUE_LINKS:
        add_links(sheet, page, node, false);
        break;
    case TFW_VALUE_TABLE:
        add_table(sheet, node);
        break;
    }
}

static void add_matches(tfw_sheet_t *sheet, const tfw_page_t *page, const tfw_selector_t *s,
                        const xmlNodeSet *nodes)
{
    int count = nodes ? nodes->nodeNr : 0;

    if (!s->all) {
        if (count > 0) {
            add_value(sheet, page, s, nodes->nodeTab[0]);
        } else {
            tf_buf_adds(&sheet->json, "null");
        }
        return;
    }
    tf_buf_addc(&sheet->json, '[');
    for (int i = 0; i < count; i++) {
        size_t from = sheet->json.len;

        begin_element(sheet);
        add_value(sheet, page, s, nodes->nodeTab[i]);
        if (!tfw_sheet_fits(sheet, from)) {
            break;
        }
    }
    tf_buf_addc(&sheet->json, ']');
}

/* What an XPath gives that selects no nodes is the value. */
static void add_object(tfw_sheet_t *sheet, const tfw_page_t *page, const tfw_selector_t *s,
                       xmlXPathObjectPtr object)
{
    switch (object->type) {
    case XPATH_BOOLEAN:
        tf_buf_adds(&sheet->json, object->boolval ? "true" : "false");
        break;
    case XPATH_NUMBER:
        tf_json_double(&sheet->json, object->floatval);
        break;
    case XPATH_STRING:
        add_text(sheet, (const char *)object->stringval, strlen((const char *)object->stringval));
        break;
    default:
        if (object->nodesetval) {
            xmlXPathNodeSetSort(object->nodesetval);
        }
        add_matches(sheet, page, s, object->nodesetval);
    }
}

static void add_selector(tfw_sheet_t *sheet, const tfw_page_t *page, const tfw_selector_t *s, char *error,
                         size_t error_size)
{
    xmlXPathContextPtr context = tfw_xpath_context(page->doc);
    xmlXPathObjectPtr object = NULL;
    size_t from = sheet->json.len;

    if (context) {
        object = xmlXPathCompiledEval(s->xpath, context);
    }
    if (sheet->json.data[from - 1] != '{') {
        tf_buf_addc(&sheet->json, ',');
    }
    tf_json_str(&sheet->json, s->name, strlen(s->name));
    tf_buf_addc(&sheet->json, ':');
    if (object) {
        add_object(sheet, page, s, object);
    } else {
        tf_buf_adds(&sheet->json, "null");
        snprintf(error, error_size, "the selector \"%.64s\" cannot be evaluated on this page", s->name);
    }
    tfw_sheet_fits(sheet, from);
    xmlXPathFreeObject(object);
    xmlXPathFreeContext(context);
}

/* ---- the rest of a page ---- */

static bool is_blocked(xmlNodePtr node)
{
    return tfw_node_is(node, "script") || tfw_node_is(node, "style") || tfw_node_is(node, "template");
}

static bool is_block(xmlNodePtr node)
{
    static const char *const names[] = {
        "address",  "article", "aside",  "blockquote", "br",   "dd",     "div",    "dl", "dt",
        "fieldset", "figure",  "footer", "form",       "h1",   "h2",     "h3",     "h4", "h5",
        "h6",       "header",  "hr",     "li",         "main", "nav",    "ol",     "p",  "pre",
        "section",  "table",   "title",  "tr",         "ul",   "option", "caption"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tfw_node_is(node, names[i])) {
            return true;
        }
    }
    return false;
}

typedef struct {
    tf_buf_t *out;
    size_t from;
    char gap; /* due before the next word: '\n', ' ' or '\0' */
} words_t;

static void add_words(words_t *words, const char *text)
{
    while (*text) {
        size_t blank = strspn(text, " \t\r\n\f"), len;

        text += blank;
        len = strcspn(text, " \t\r\n\f");
        if (blank && !words->gap) {
            words->gap = ' ';
        }
        if (len > 0) {
            if (words->gap && words->out->len > words->from) {
                tf_buf_addc(words->out, words->gap);
            }
            tf_buf_add(words->out, text, len);
            words->gap = '\0';
        }
        text += len;
    }
}

static void enter_node(words_t *words, xmlNodePtr node, bool lines)
{
    if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
        add_words(words, node->content ? (const char *)node->content : "");
    } else if (lines && is_block(node)) {
        words->gap = '\n';
    } else if (lines && (tfw_node_is(node, "td") || tfw_node_is(node, "th")) && !words->gap) {
        words->gap = ' ';
    }
}

void tfw_node_text(tf_buf_t *out, xmlNodePtr root, bool lines)
{
    words_t words = {out, out->len, '\0'};
    xmlNodePtr node = root;

    while (node && !out->failed) {
        bool within = node->type == XML_ELEMENT_NODE && node->children && (node == root || !is_blocked(node));

        enter_node(&words, node, lines);
        if (within) {
            node = node->children;
            continue;
        }
        while (node != root && !node->next) {
            node = node->parent;
            if (lines && is_block(node)) {
                words.gap = '\n';
            }
        }
        node = node == root ? NULL : node->next;
    }
}

/* <meta name="..."> and <meta property="...">, the title, the language and the canonical URL. */
static void add_meta(tfw_sheet_t *sheet, const tfw_page_t *page)
{
    xmlNodePtr root = (xmlNodePtr)page->doc;
    json_t *meta = json_object();
    char *text;

    for (xmlNodePtr node = root; node && meta; node = tfw_node_next(root, node, true)) {
        const char *name = NULL, *value = NULL;
        char url[TFW_URL_SIZE];

        if (tfw_node_is(node, "meta")) {
            name = tfw_node_attribute(node, "name");
            name = name ? name : tfw_node_attribute(node, "property");
            value = tfw_node_attribute(node, "content");
        } else if (tfw_node_is(node, "html")) {
            name = "lang";
            value = tfw_node_attribute(node, "lang");
        } else if (tfw_node_is(node, "link")) {
            const char *rel = tfw_node_attribute(node, "rel"), *href = tfw_node_attribute(node, "href");

            if (rel && href && strcasecmp(rel, "canonical") == 0 &&
                tfw_url_resolve(page->base, href, strlen(href), url)) {
                name = "canonical";
                value = url;
            }
        }
        if (name && *name && value && !json_object_get(meta, name) && json_object_size(meta) < 100) {
            json_object_set_new(meta, name, json_string(value));
        }
    }
    text = json_dumps(meta, JSON_COMPACT);
    tf_buf_adds(&sheet->json, text ? text : "null");
    free(text);
    json_decref(meta);
}

static void add_images(tfw_sheet_t *sheet, const tfw_page_t *page)
{
    xmlNodePtr root = (xmlNodePtr)page->doc;
    size_t count = 0;

    tf_buf_addc(&sheet->json, '[');
    for (xmlNodePtr node = root; node && count < TFW_LINKS_MAX; node = tfw_node_next(root, node, true)) {
        const char *src = tfw_node_is(node, "img") ? tfw_node_attribute(node, "src") : NULL;
        size_t from = sheet->json.len;
        char url[TFW_URL_SIZE];

        if (!src || !tfw_url_resolve(page->base, src, strlen(src), url)) {
            continue;
        }
        begin_element(sheet);
        tf_buf_addc(&sheet->json, '{');
        tf_json_kcstr(&sheet->json, "url", url);
        tf_json_kcstr(&sheet->json, "alt", tfw_node_attribute(node, "alt"));
        tf_buf_addc(&sheet->json, '}');
        if (!tfw_sheet_fits(sheet, from)) {
            break;
        }
        count++;
    }
    tf_buf_addc(&sheet->json, ']');
}

static void add_tables(tfw_sheet_t *sheet, const tfw_page_t *page)
{
    xmlNodePtr root = (xmlNodePtr)page->doc;

    tf_buf_addc(&sheet->json, '[');
    for (xmlNodePtr node = root; node; node = tfw_node_next(root, node, true)) {
        size_t from = sheet->json.len;

        if (tfw_node_is(node, "table")) {
            begin_element(sheet);
            add_table(sheet, node);
            if (!tfw_sheet_fits(sheet, from)) {
                break;
            }
        }
    }
    tf_buf_addc(&sheet->json, ']');
}

static void add_page_text(tfw_sheet_t *sheet, const tfw_page_t *page)
{
    xmlNodePtr root = (xmlNodePtr)page->doc, node = root;

    while (node && !tfw_node_is(node, "body")) {
        node = tfw_node_next(root, node, true);
    }
    if (node) {
        add_node_text(sheet, node, true);
    } else {
        tf_buf_adds(&sheet->json, "\"\"");
    }
}

static void add_all_links(tfw_sheet_t *sheet, const tfw_page_t *page)
{
    add_links(sheet, page, (xmlNodePtr)page->doc, true);
}

void tfw_extract_page(const tfw_extract_t *extract, const tfw_page_t *page, tfw_sheet_t *sheet, char *error,
                      size_t error_size)
{
    const struct {
        const char *name;
        bool wanted;
        void (*add)(tfw_sheet_t *sheet, const tfw_page_t *page);
    } parts[] = {{"text", extract->text, add_page_text},
                 {"links", extract->links, add_all_links},
                 {"tables", extract->tables, add_tables},
                 {"meta", extract->meta, add_meta},
                 {"images", extract->images, add_images}};

    *error = '\0';
    if (extract->count > 0) {
        tf_json_key(&sheet->json, "data");
        tf_buf_addc(&sheet->json, '{');
        for (size_t i = 0; i < extract->count; i++) {
            if (sheet->begins) {
                sheet->begins(sheet->data, &extract->selectors[i]);
            }
            add_selector(sheet, page, &extract->selectors[i], error, error_size);
        }
        tf_buf_addc(&sheet->json, '}');
        if (sheet->begins) {
            sheet->begins(sheet->data, NULL);
        }
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t from = sheet->json.len;

        if (parts[i].wanted) {
            tf_json_key(&sheet->json, parts[i].name);
            parts[i].add(sheet, page);
            tfw_sheet_fits(sheet, from);
        }
    }
}
