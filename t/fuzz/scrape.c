/* Any bytes as a selector, a robots.txt, a reference and a page. The first byte chooses. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outgoing.h"
#include "scrape/css.h"
#include "scrape/extract.h"
#include "scrape/robots.h"

/* What becomes of a selector must be an expression. */
static void try_css(const char *text, size_t len)
{
    tf_buf_t xpath = TF_BUF_INIT;
    char error[200] = "";

    if (tfw_css_xpath(text, len, &xpath, error, sizeof(error))) {
        xmlXPathContextPtr context = tfw_xpath_context(NULL);
        xmlXPathCompExprPtr compiled = xmlXPathCtxtCompile(context, (const xmlChar *)tf_buf_cstr(&xpath));

        if (!compiled) {
            fprintf(stderr, "%s\n", tf_buf_cstr(&xpath));
            abort();
        }
        xmlXPathFreeCompExpr(compiled);
        xmlXPathFreeContext(context);
    } else if (!*error) {
        abort();
    }
    tf_buf_free(&xpath);
}

/* A file that is the same but for its line ends says the same. */
static void try_robots(const char *text, size_t len)
{
    tfw_robots_t *robots = tfw_robots_parse(text, len, "TaskForge"), *other;
    char *copy = malloc(len + 1), path[40];
    size_t n = len < sizeof(path) - 2 ? len : sizeof(path) - 2;

    path[0] = '/';
    memcpy(path + 1, text + len - n, n);
    path[n + 1] = '\0';
    for (size_t i = 0; i < len; i++) {
        copy[i] = text[i] == '\n' ? '\r' : text[i];
    }
    other = tfw_robots_parse(copy, len, "TaskForge");
    if (!robots || !other || tfw_robots_allows(robots, path) != tfw_robots_allows(other, path) ||
        tfw_robots_delay_ms(robots) < 0 || !tfw_robots_allows(robots, "/robots.txt")) {
        abort();
    }
    tfw_robots_free(robots);
    tfw_robots_free(other);
    free(copy);
}

/* What a reference means is normal: it means itself. */
static void try_reference(const char *text, size_t len)
{
    char url[TFW_URL_SIZE], again[TFW_URL_SIZE];
    tf_url_t parsed;

    if (!tfw_url_resolve("http://host/a/b?c", text, len, url)) {
        return;
    }
    if (tf_url_parse(url, strlen(url), &parsed) ||
        !tfw_url_resolve("http://host/", url, strlen(url), again) || strcmp(url, again) != 0) {
        fprintf(stderr, "%s\n", url);
        abort();
    }
}

/* Whatever the page is, the result is JSON. */
static void try_page(const char *text, size_t len)
{
    static const char payload[] = "{\"s\": {\"a\": {\"css\": \"a, p:nth-child(2n) > b\", \"all\": true}, "
                                  "\"h\": {\"css\": \"p\", \"type\": \"html\"},"
                                  "\"t\": {\"css\": \"table\", \"type\": \"table\", \"all\": true}, \"l\": "
                                  "{\"css\": \"*\", \"type\": \"links\"},"
                                  "\"x\": {\"xpath\": \"//@href | //text()\", \"all\": true}}, \"w\": "
                                  "[\"text\", \"links\", \"tables\", \"meta\", \"images\"]}";
    json_t *wanted = json_loads(payload, 0, NULL), *result;
    tfw_sheet_t sheet = {.max = 4000};
    tfw_extract_t extract;
    tfw_page_t page;
    char error[300];

    if (!tfw_extract_init(&extract, json_object_get(wanted, "s"), json_object_get(wanted, "w"), error,
                          sizeof(error)) ||
        !tfw_page_parse(&page, text, len, "", "http://host/a")) {
        abort();
    }
    tf_buf_addc(&sheet.json, '{');
    tfw_extract_page(&extract, &page, &sheet, error, sizeof(error));
    tf_buf_addc(&sheet.json, '}');
    result = json_loadb(sheet.json.data, sheet.json.len, 0, NULL);
    if (!result) {
        fprintf(stderr, "%s\n", tf_buf_cstr(&sheet.json));
        abort();
    }
    json_decref(result);
    json_decref(wanted);
    tf_buf_free(&sheet.json);
    tfw_page_free(&page);
    tfw_extract_free(&extract);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const char *text, size_t len) = {try_css, try_robots, try_reference,
                                                                    try_page};

    if (size > 0) {
        targets[data[0] % 4]((const char *)data + 1, size - 1);
    }
    return 0;
}
