/* Pages that are made to break whoever reads them, on a stack as small as a job may have. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "scrape/extract.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define STACK (160 * 1024) /* bytes; a job has 256 KiB, and is a few calls deep when it comes here */

/* What one thread does; out is malloc'd, NULL if the payload was refused. */
typedef struct {
    const char *html, *selectors, *wanted;
    size_t len;
    char *out, error[300];
} work_t;

static void *work(void *data)
{
    work_t *w = data;
    json_t *selectors = json_loads(w->selectors, 0, NULL), *wanted = json_loads(w->wanted, 0, NULL);
    tfw_sheet_t sheet = {.max = 100000};
    static const char type[] = "text/html; charset=utf-8";
    tfw_extract_t extract;
    tfw_page_t page;

    *w->error = '\0';
    w->out = NULL;
    if (tfw_extract_init(&extract, selectors, wanted, w->error, sizeof(w->error))) {
        if (tfw_page_parse(&page, w->html, w->len, type, "http://h/a/")) {
            tf_buf_addc(&sheet.json, '{');
            tfw_extract_page(&extract, &page, &sheet, w->error, sizeof(w->error));
            tf_json_kbool(&sheet.json, "cut", page.cut);
            tf_buf_addc(&sheet.json, '}');
            w->out = strdup(tf_buf_cstr(&sheet.json));
            tfw_page_free(&page);
        }
        tfw_extract_free(&extract);
    }
    tf_buf_free(&sheet.json);
    json_decref(selectors);
    json_decref(wanted);
    return NULL;
}

static void on_small_stack(work_t *w)
{
    pthread_attr_t attributes;
    pthread_t thread;

    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, work, w), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

static char *repeated(const char *piece, size_t times, const char *end)
{
    size_t len = strlen(piece), size = len * times + strlen(end) + 1;
    char *text = malloc(size);

    assert_non_null(text);
    for (size_t i = 0; i < times; i++) {
        memcpy(text + i * len, piece, len);
    }
    memcpy(text + len * times, end, strlen(end) + 1);
    return text;
}

/* The document that the parts say; NULL where it must be refused. */
static json_t *extracted(const char *html, const char *selectors, const char *wanted)
{
    work_t w = {html, selectors, wanted, strlen(html), NULL, ""};
    json_t *result;

    on_small_stack(&w);
    result = w.out ? json_loads(w.out, 0, NULL) : NULL;
    if (w.out && !result) {
        print_error("%s\n", w.out);
    }
    assert_true(!w.out == !result);
    free(w.out);
    return result;
}

static void test_deep_xpaths(void **state)
{
    static const struct {
        const char *piece;
        int times;
        const char *end;
        bool fits;
    } cases[] = {
        {"(", 12, "1))))))))))))", true},
        {"(", 13, "1)))))))))))))", false},
        {"1+", 250, "1", true},
        {"-", 500, "1", true},
        {"1 or ", 100, "1", true},
        {"not(", 12, "1))))))))))))", true},
        {"a[", 12, "1]]]]]]]]]]]]", true},
        {"a[", 13, "1]]]]]]]]]]]]]", false},
        {"*/", 64, "*", true},
        {"*/", 65, "*", false},
        {"//*", 32, "", true},
        {"*|", 64, "*", true},
        {"*[1]/", 31, "*", true},
        {"descendant::*/", 35, "*", true},
        {"x", 513, "", false},
    };
    char *html = repeated("<div>", 200, "x");

    for (size_t i = 0; i < COUNT(cases); i++) {
        char *xpath = repeated(cases[i].piece, (size_t)cases[i].times, cases[i].end);
        json_t *selectors = json_pack("{s:{s:s,s:b}}", "x", "xpath", xpath, "all", 1), *result;
        char *text = json_dumps(selectors, 0);

        result = extracted(html, text, "[]");
        if ((result != NULL) != cases[i].fits) {
            print_error("%s\n", xpath);
        }
        assert_int_equal(result != NULL, cases[i].fits);
        json_decref(result);
        json_decref(selectors);
        free(text);
        free(xpath);
    }
    free(html);
}

static void test_deep_pages(void **state)
{
    static const char *const pieces[] = {"<div>",    "<b>",       "<table><tr><td>",
                                         "<ul><li>", "<font><p>", "<a href=x>"};

    for (size_t i = 0; i < COUNT(pieces); i++) {
        char *html = repeated(pieces[i], 60000, "end");
        json_t *result = extracted(html, "{\"all\": {\"css\": \"div b, td > table, li li\", \"all\": true}}",
                                   "[\"text\", \"links\", \"tables\", \"meta\", \"images\"]");

        assert_non_null(result);
        json_decref(result);
        free(html);
    }
}

/* Values that do not fit are left out as a whole, and what is written stays JSON. */
static void test_room(void **state)
{
    char *html =
        repeated("<p>0123456789 a paragraph</p><table><tr><td>1<td>2</table><a href=x>y</a>", 3000, "");
    work_t w = {html,
                "{\"p\": {\"css\": \"p\", \"all\": true}, \"t\": {\"css\": \"table\", \"type\": \"table\", "
                "\"all\": true}}",
                "[\"text\", \"links\", \"tables\"]",
                strlen(html),
                NULL,
                ""};
    json_t *result;

    on_small_stack(&w);
    assert_non_null(w.out);
    assert_true(strlen(w.out) < 100100);
    result = json_loads(w.out, 0, NULL);
    assert_non_null(result);
    assert_true(json_array_size(json_object_get(json_object_get(result, "data"), "p")) > 2900);
    json_decref(result);
    free(w.out);
    free(html);
}

static void test_charsets(void **state)
{
    static const struct {
        const char *bytes, *type, *charset;
    } cases[] = {
        {"<p>", "text/html", ""},
        {"<p>", "text/html; charset=utf-8", "utf-8"},
        {"<p>", "text/html; CHARSET = \"KOI8-R\"", "KOI8-R"},
        {"<p>", "text/html;charset='koi8-r' ", "koi8-r"},
        {"<p>", "text/html; charset=latin1", "windows-1252"},
        {"<p>", "text/html; charset=", ""},
        {"<p>", "text/html; charset=utf-8//TRANSLIT", "utf-8"},
        {"\xEF\xBB\xBF<p>", "text/html; charset=koi8-r", "UTF-8"},
        {"\xFF\xFEp", "text/html; charset=koi8-r", "UTF-16"},
        {"<meta charset=koi8-r>", "text/html", "koi8-r"},
        {"<META CharSet=\"koi8-r\" >", "text/html", "koi8-r"},
        {"<meta http-equiv=Content-Type content=\"text/html; charset=koi8-r\">", "text/html", "koi8-r"},
        {"<meta charset=koi8-r>", "text/html; charset=utf-8", "utf-8"},
        {"<meta charset=utf-16le>", "text/html", "UTF-8"},
        {"<meta charset", "text/html", ""},
        {"<meta name=x><meta charset=koi8-r>", "text/html", "koi8-r"},
    };
    char name[48];

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_string_equal(tfw_charset(cases[i].bytes, strlen(cases[i].bytes), cases[i].type, name),
                            cases[i].charset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_deep_xpaths), cmocka_unit_test(test_deep_pages),
                                       cmocka_unit_test(test_room), cmocka_unit_test(test_charsets)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
