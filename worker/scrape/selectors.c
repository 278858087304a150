#include "scrape/extract.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "scrape/css.h"

__attribute__((format(printf, 3, 4))) static bool fail(char *error, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(error, size, fmt, args);
    va_end(args);
    return false;
}

static void ignore(void *data, xmlErrorPtr error)
{
    (void)data;
    (void)error;
}

/* Nesting and steps are what libxml2 recurses by. NULL: fine. */
static const char *xpath_refusal(const char *text)
{
    int depth = 0, steps = 0;
    char quote = '\0';

    if (strlen(text) > TFW_XPATH_MAX) {
        return "is longer than 512 bytes";
    }
    for (; *text; text++) {
        if (quote) {
            quote = *text == quote ? '\0' : quote;
        } else if (*text == '"' || *text == '\'') {
            quote = *text;
        } else if (*text == '(' || *text == '[') {
            depth++;
        } else if (*text == ')' || *text == ']') {
            depth--;
        }
        steps += *text == '/' || *text == '|' || *text == '[';
        if (depth < 0) {
            return "closes a bracket that is not open";
        }
        if (depth > 12) {
            return "has more than 12 brackets in each other";
        }
        if (steps > 64) {
            return "has more than 64 steps";
        }
    }
    return NULL;
}

xmlXPathContextPtr tfw_xpath_context(htmlDocPtr doc)
{
    xmlXPathContextPtr context = xmlXPathNewContext(doc);

    if (context) {
        context->error = ignore;
        context->node = (xmlNodePtr)doc;
    }
    return context;
}

/* NULL: it is none. In brackets: what has none may be evaluated by libxml2's patterns, which take exponential
 * time for some. */
static xmlXPathCompExprPtr compile(const char *xpath)
{
    xmlXPathContextPtr context = tfw_xpath_context(NULL);
    xmlXPathCompExprPtr compiled = NULL;
    tf_buf_t text = TF_BUF_INIT;

    tf_buf_addf(&text, "(%s)", xpath);
    if (context && !text.failed) {
        compiled = xmlXPathCtxtCompile(context, (const xmlChar *)tf_buf_cstr(&text));
    }
    xmlXPathFreeContext(context);
    tf_buf_free(&text);
    return compiled;
}

static bool compile_css(tfw_selector_t *s, const char *css, char *error, size_t error_size)
{
    tf_buf_t xpath = TF_BUF_INIT;
    char why[120];
    bool ok = tfw_css_xpath(css, strlen(css), &xpath, why, sizeof(why));

    if (ok) {
        s->xpath = compile(tf_buf_cstr(&xpath));
        ok = s->xpath != NULL;
        snprintf(why, sizeof(why), "out of memory");
    }
    tf_buf_free(&xpath);
    return ok || fail(error, error_size, "the CSS selector of \"%.64s\": %s", s->name, why);
}

static bool compile_xpath(tfw_selector_t *s, const char *xpath, char *error, size_t error_size)
{
    const char *why = xpath_refusal(xpath);

    if (!why) {
        s->xpath = compile(xpath);
    }
    return s->xpath || fail(error, error_size, "the XPath of \"%.64s\" %s", s->name,
                            why ? why : "is no expression of XPath 1.0");
}

static bool read_kind(tfw_selector_t *s, const char *type)
{
    static const char *const names[] = {"text", "html", "attribute", "links", "table"};

    s->kind = s->attribute ? TFW_VALUE_ATTRIBUTE : TFW_VALUE_TEXT;
    for (size_t i = 0; type && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(type, names[i]) == 0) {
            s->kind = (tfw_value_kind_t)i;
            return true;
        }
    }
    return !type;
}

static bool read_selector(tfw_selector_t *s, const json_t *spec, char *error, size_t error_size)
{
    const char *css = json_string_value(spec), *xpath = NULL, *key, *type;
    json_t *value;

    if (css) {
        return compile_css(s, css, error, error_size);
    }
    json_object_foreach((json_t *)spec, key, value)
    {
        bool text = strcmp(key, "css") == 0 || strcmp(key, "xpath") == 0 || strcmp(key, "attribute") == 0 ||
                    strcmp(key, "type") == 0;

        if (!(text ? json_is_string(value) : strcmp(key, "all") == 0 && json_is_boolean(value))) {
            return fail(error, error_size,
                        "the selector \"%.64s\" may have the texts \"css\", \"xpath\", \"attribute\" and "
                        "\"type\", and \"all\", true or false",
                        s->name);
        }
    }
    css = json_string_value(json_object_get(spec, "css"));
    xpath = json_string_value(json_object_get(spec, "xpath"));
    type = json_string_value(json_object_get(spec, "type"));
    s->attribute = json_string_value(json_object_get(spec, "attribute"));
    s->all = json_is_true(json_object_get(spec, "all"));
    if (!json_is_object(spec) || !css == !xpath) {
        return fail(error, error_size,
                    "the selector \"%.64s\" must be a CSS selector, or an object with either \"css\" or "
                    "\"xpath\"",
                    s->name);
    }
    if (!read_kind(s, type) || (s->kind == TFW_VALUE_ATTRIBUTE) != (s->attribute != NULL)) {
        return fail(
            error, error_size,
            "the \"type\" of \"%.64s\" must be text, html, links, table, or attribute with the name of "
            "one in \"attribute\"",
            s->name);
    }
    return css ? compile_css(s, css, error, error_size) : compile_xpath(s, xpath, error, error_size);
}

static bool read_wanted(tfw_extract_t *extract, const json_t *wanted, char *error, size_t error_size)
{
    const struct {
        const char *name;
        bool *field;
    } known[] = {{"text", &extract->text},
                 {"links", &extract->links},
                 {"tables", &extract->tables},
                 {"meta", &extract->meta},
                 {"images", &extract->images}};

    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *name = json_string_value(json_array_get(wanted, i));
        size_t k = 0;

        while (k < sizeof(known) / sizeof(known[0]) && (!name || strcmp(name, known[k].name) != 0)) {
            k++;
        }
        if (k == sizeof(known) / sizeof(known[0])) {
            return fail(error, error_size, "\"extract\"[%zu] must be text, links, tables, meta or images", i);
        }
        *known[k].field = true;
    }
    return !wanted || json_is_array(wanted) || fail(error, error_size, "\"extract\" must be a list");
}

static bool read_selectors(tfw_extract_t *extract, const json_t *selectors, char *error, size_t error_size)
{
    bool list = json_is_array(selectors);
    size_t count = list ? json_array_size(selectors) : json_object_size(selectors), i = 0;
    void *at = json_object_iter((json_t *)selectors);

    if (selectors && !list && !json_is_object(selectors)) {
        return fail(error, error_size, "\"selectors\" must be an object, or a list of CSS selectors");
    }
    if (count > TFW_SELECTORS_MAX) {
        return fail(error, error_size, "\"selectors\" has more than %d", TFW_SELECTORS_MAX);
    }
    for (; i < count; i++) {
        tfw_selector_t *s = &extract->selectors[extract->count++];
        const json_t *spec = list ? json_array_get(selectors, i) : json_object_iter_value(at);

        s->name = list ? json_string_value(spec) : json_object_iter_key(at);
        s->all = list;
        if (list && !s->name) {
            return fail(error, error_size, "\"selectors\"[%zu] must be a CSS selector", i);
        }
        if (!read_selector(s, spec, error, error_size)) {
            return false;
        }
        at = list ? NULL : json_object_iter_next((json_t *)selectors, at);
    }
    return true;
}

bool tfw_extract_init(tfw_extract_t *extract, const json_t *selectors, const json_t *wanted, char *error,
                      size_t error_size)
{
    memset(extract, 0, sizeof(*extract));
    xmlInitParser();
    if (read_selectors(extract, selectors, error, error_size) &&
        read_wanted(extract, wanted, error, error_size)) {
        return true;
    }
    tfw_extract_free(extract);
    return false;
}

void tfw_extract_free(tfw_extract_t *extract)
{
    for (size_t i = 0; i < extract->count; i++) {
        xmlXPathFreeCompExpr(extract->selectors[i].xpath);
    }
    extract->count = 0;
}
