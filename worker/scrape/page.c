#include "scrape/page.h"

#include <errno.h>
#include <iconv.h>
#include <libxml/HTMLtree.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PIECE 16384  /* bytes that are converted, or parsed, at a time */
#define PRESCAN 1024 /* bytes in which a <meta> may name the character set */
#define NAME_SIZE 48 /* of a character set */
#define REPLACEMENT "\xEF\xBF\xBD"

/* ---- the character set ---- */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n' || *at == '\f')) {
        at++;
    }
    return at;
}

/* "charset", "=" and a name. NULL: not there. */
static const char *find_charset(const char *text, const char *end, char name[NAME_SIZE])
{
    static const char key[] = "charset";
    const char *at = text;
    size_t len = 0;

    for (;; at++) {
        if (end - at < (ptrdiff_t)sizeof(key)) {
            return NULL;
        }
        if (strncasecmp(at, key, sizeof(key) - 1) == 0) {
            break;
        }
    }
    at = skip_space(at + sizeof(key) - 1, end);
    if (at == end || *at != '=') {
        return NULL;
    }
    at = skip_space(at + 1, end);
    at += at < end && (*at == '"' || *at == '\'');
    while (at < end && len + 1 < NAME_SIZE &&
           (((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') || (*at >= '0' && *at <= '9') ||
            (*at && strchr("-_.:+", *at)))) {
        name[len++] = *at++;
    }
    name[len] = '\0';
    return len ? name : NULL;
}

/* Of a <meta> at the beginning of the page. */
static const char *prescan(const char *bytes, size_t len, char name[NAME_SIZE])
{
    const char *end = bytes + (len < PRESCAN ? len : PRESCAN), *at = bytes;

    while (end - at > 5 && (at = memchr(at, '<', (size_t)(end - at))) != NULL) {
        const char *stop = memchr(at, '>', (size_t)(end - at));

        if (!stop) {
            return NULL;
        }
        if (strncasecmp(at, "<meta", 5) == 0 && find_charset(at, stop, name)) {
            return strncasecmp(name, "utf-16", 6) == 0 ? "UTF-8" : name; /* it could be read as ASCII */
        }
        at++;
    }
    return NULL;
}

const char *tfw_charset(const char *bytes, size_t len, const char *content_type, char name[NAME_SIZE])
{
    static const char *const latin[] = {"iso-8859-1", "iso8859-1", "latin1", "us-ascii", "ascii", "cp1252"};
    const char *found;

    if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        return "UTF-8";
    }
    if (len >= 2 && (memcmp(bytes, "\xFE\xFF", 2) == 0 || memcmp(bytes, "\xFF\xFE", 2) == 0)) {
        return "UTF-16";
    }
    found = find_charset(content_type, content_type + strlen(content_type), name);
    if (!found) {
        found = prescan(bytes, len, name);
    }
    for (size_t i = 0; found && i < sizeof(latin) / sizeof(latin[0]); i++) {
        if (strcasecmp(found, latin[i]) == 0) {
            return "windows-1252"; /* Encoding Standard, 4.2: so they are meant */
        }
    }
    return found ? found : "";
}

/* Appends what iconv makes of the bytes; what it cannot read becomes U+FFFD. */
static bool convert(tf_buf_t *out, iconv_t converter, const char *bytes, size_t len)
{
    char *in = (char *)bytes;

    while (len > 0 && !out->failed) {
        char *room = tf_buf_reserve(out, PIECE), *to = room;
        size_t left = PIECE;
        int why;

        if (!room) {
            return false;
        }
        why = iconv(converter, &in, &len, &to, &left) == (size_t)-1 ? errno : 0;
        out->len += PIECE - left;
        if (why == EINVAL || why == EILSEQ) {
            tf_buf_adds(out, REPLACEMENT);
            len -= why == EINVAL ? len : 1; /* the first: the last character is cut off */
            in++;
        }
    }
    return !out->failed;
}

/* The same for what is meant to be UTF-8 already; NUL becomes U+FFFD as well. */
static bool copy_utf8(tf_buf_t *out, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t span = tf_utf8_span(bytes, len);

        tf_buf_add(out, bytes, span);
        bytes += span;
        len -= span;
        if (len > 0) {
            tf_buf_adds(out, REPLACEMENT);
            bytes++;
            len--;
        }
    }
    return !out->failed;
}

static bool to_utf8(tf_buf_t *out, const char *bytes, size_t len, const char *content_type)
{
    char name[NAME_SIZE];
    const char *charset = tfw_charset(bytes, len, content_type, name);
    iconv_t converter = (iconv_t)-1;
    tf_buf_t text = TF_BUF_INIT;
    bool ok;

    if (strcasecmp(charset, "UTF-8") == 0 || strcasecmp(charset, "utf8") == 0) {
        return copy_utf8(out, bytes, len);
    }
    if (*charset) {
        converter = iconv_open("UTF-8", charset);
    }
    if (converter == (iconv_t)-1) {
        if (tf_utf8_span(bytes, len) == len) {
            return copy_utf8(out, bytes, len);
        }
        converter = iconv_open("UTF-8", "WINDOWS-1252");
    }
    if (converter == (iconv_t)-1) {
        return copy_utf8(out, bytes, len);
    }
    ok = convert(&text, converter, bytes, len) && copy_utf8(out, text.data, text.len);
    iconv_close(converter);
    tf_buf_free(&text);
    return ok;
}

/* ---- the tree ---- */

/* The end of a piece of at most PIECE bytes, not within a character. */
static size_t piece_of(const char *text, size_t len)
{
    size_t n = len < PIECE ? len : PIECE;

    while (n < len && n > 0 && (text[n] & 0xC0) == 0x80) {
        n--;
    }
    return n;
}

static bool parse(htmlParserCtxtPtr parser, const char *text, size_t len)
{
    while (len > 0) {
        size_t n = piece_of(text, len);

        htmlParseChunk(parser, text, (int)n, 0);
        text += n;
        len -= n;
        if (parser->errNo == XML_ERR_NO_MEMORY) {
            return false;
        }
    }
    htmlParseChunk(parser, NULL, 0, 1);
    if (!parser->myDoc) {
        parser->myDoc = htmlNewDoc(NULL, NULL); /* an empty page */
    }
    return parser->myDoc != NULL;
}

/* What references are relative to: the first <base> with one. */
static void find_base(tfw_page_t *page, const char *url)
{
    xmlNodePtr root = (xmlNodePtr)page->doc;

    snprintf(page->base, sizeof(page->base), "%s", url);
    for (xmlNodePtr node = root; node; node = tfw_node_next(root, node, true)) {
        const char *href = tfw_node_is(node, "base") ? tfw_node_attribute(node, "href") : NULL;
        char base[TFW_URL_SIZE];

        if (href) {
            if (tfw_url_resolve(url, href, strlen(href), base)) {
                snprintf(page->base, sizeof(page->base), "%s", base);
            }
            return;
        }
    }
}

/* What is wrong with a page is nobody's message. */
static void silent(void *data, const char *fmt, ...)
{
    (void)data;
    (void)fmt;
}

bool tfw_page_parse(tfw_page_t *page, const char *bytes, size_t len, const char *content_type,
                    const char *url)
{
    htmlParserCtxtPtr parser;
    tf_buf_t text = TF_BUF_INIT;
    bool ok;

    memset(page, 0, sizeof(*page));
    xmlInitParser();
    xmlSetGenericErrorFunc(NULL, silent);
    parser = htmlCreatePushParserCtxt(NULL, NULL, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
    if (!parser) {
        return false;
    }
    htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                   HTML_PARSE_NONET | HTML_PARSE_COMPACT | HTML_PARSE_IGNORE_ENC);
    ok = to_utf8(&text, bytes, len, content_type);
    if (ok) {
        const char *utf8 = tf_buf_cstr(&text);
        size_t mark = text.len >= 3 && memcmp(utf8, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

        ok = parse(parser, utf8 + mark, text.len - mark);
    }
    page->doc = parser->myDoc;
    page->cut = parser->disableSAX != 0;
    htmlFreeParserCtxt(parser);
    tf_buf_free(&text);
    if (!ok || !page->doc) {
        tfw_page_free(page);
        return false;
    }
    find_base(page, url);
    xmlXPathOrderDocElems(page->doc); /* so that results are sorted quickly */
    return true;
}

void tfw_page_free(tfw_page_t *page)
{
    xmlFreeDoc(page->doc);
    page->doc = NULL;
}

xmlNodePtr tfw_node_next(xmlNodePtr root, xmlNodePtr node, bool inside)
{
    bool has = node->type == XML_ELEMENT_NODE || node->type == XML_HTML_DOCUMENT_NODE ||
               node->type == XML_DOCUMENT_NODE;

    if (inside && has && node->children) {
        return node->children;
    }
    while (node && node != root) {
        if (node->next) {
            return node->next;
        }
        node = node->parent;
    }
    return NULL;
}

bool tfw_node_is(xmlNodePtr node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

const char *tfw_node_attribute(xmlNodePtr node, const char *name)
{
    for (xmlAttrPtr attribute = node->properties; attribute; attribute = attribute->next) {
        if (strcmp((const char *)attribute->name, name) == 0) {
            xmlNodePtr value = attribute->children;

            return !value ? "" : value->type == XML_TEXT_NODE && !value->next ? (char *)value->content : NULL;
        }
    }
    return NULL;
}

const char *tfw_node_link(xmlNodePtr node)
{
    return tfw_node_is(node, "a") || tfw_node_is(node, "area") ? tfw_node_attribute(node, "href") : NULL;
}
