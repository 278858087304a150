/* CSS selectors as XPath: each is held against a page, and the elements that match are named by their ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <libxml/xpathInternals.h>

#include "scrape/css.h"
#include "scrape/extract.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char html[] =
    "<html id=html><body id=body>"
    "<div id=a class='box  first' title=\"it's\">"
    "<p id=p1 class=x>1</p> text <p id=p2 lang=en-GB>2</p><p id=p3 lang=english>3</p><span id=s1></span>"
    "</div>"
    "<div id=b class=box data-k='say \"hi\"'>"
    "<ul id=u><li id=l1><li id=l2 class='x y'><li id=l3><li id=l4><li id=l5></ul>"
    "<p id=p4 class='x-y'></p><p id='caf\xC3\xA9'></p>"
    "</div>"
    "<a id=k1 href='http://x/a.pdf'></a><a id=k2 href='/b.html'></a><a id=k3></a>"
    "<p id=both title='it&#39;s &quot;so&quot;'></p>"
    "</body></html>";

/* "p1 p2", in the order of the page. */
static void matches(const char *css, char *out, size_t size)
{
    htmlDocPtr doc = htmlReadMemory(html, sizeof(html) - 1, NULL, "UTF-8", HTML_PARSE_NOERROR);
    xmlXPathContextPtr context = tfw_xpath_context(doc);
    xmlXPathObjectPtr object;
    tf_buf_t xpath = TF_BUF_INIT;
    char error[200] = "";
    size_t len = 0;

    *out = '\0';
    assert_true(tfw_css_xpath(css, strlen(css), &xpath, error, sizeof(error)));
    object = xmlXPathEval((const xmlChar *)tf_buf_cstr(&xpath), context);
    if (!object) {
        print_error("%s: %s\n", css, tf_buf_cstr(&xpath));
    }
    assert_non_null(object);
    assert_int_equal(object->type, XPATH_NODESET);
    if (object->nodesetval) {
        xmlXPathNodeSetSort(object->nodesetval);
    }
    for (int i = 0; object->nodesetval && i < object->nodesetval->nodeNr; i++) {
        const char *id = tfw_node_attribute(object->nodesetval->nodeTab[i], "id");

        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? " " : "", id ? id : "?");
    }
    xmlXPathFreeObject(object);
    xmlXPathFreeContext(context);
    xmlFreeDoc(doc);
    tf_buf_free(&xpath);
}

static const struct {
    const char *css, *ids;
} matching[] = {
    {"html", "html"},
    {"P", "p1 p2 p3 p4 caf\xC3\xA9 both"},
    {"ul *", "l1 l2 l3 l4 l5"},
    {".box", "a b"},
    {".first", "a"},
    {".bo", ""},
    {".x", "p1 l2"},
    {"li.x.y", "l2"},
    {"#p2", "p2"},
    {"div#a", "a"},
    {"#caf\xC3\xA9", "caf\xC3\xA9"},
    {"#caf\\E9 ", "caf\xC3\xA9"},
    {"#caf\\0000e9", "caf\xC3\xA9"},
    {"#\\70 1", "p1"},
    {"[lang]", "p2 p3"},
    {"[LANG]", "p2 p3"},
    {"p[lang=english]", "p3"},
    {"[lang|=en]", "p2"},
    {"[lang|='english']", "p3"},
    {"[class~=y]", "l2"},
    {"[class~='x y']", ""},
    {"[class~='']", ""},
    {"[class='x y']", "l2"},
    {"[ class = \"x y\" ]", "l2"},
    {"[href^=http]", "k1"},
    {"[href$='.pdf']", "k1"},
    {"[href$='a longer text than any of them has']", ""},
    {"[href*='.']", "k1 k2"},
    {"[href^='']", ""},
    {"[href$='']", ""},
    {"[href*='']", ""},
    {"[title=\"it's\"]", "a"},
    {"[title='it\\'s']", "a"},
    {"[data-k='say \"hi\"']", "b"},
    {"[title='it\\'s \"so\"']", "both"},
    {"[title$='\"so\"']", "both"},
    {"[id$='\xC3\xA9']", "caf\xC3\xA9"},
    {"[weird\\:name]", ""},
    {"div p", "p1 p2 p3 p4 caf\xC3\xA9"},
    {"body > p", "both"},
    {"body>div>p", "p1 p2 p3 p4 caf\xC3\xA9"},
    {"body div li", "l1 l2 l3 l4 l5"},
    {"p + p", "p2 p3 caf\xC3\xA9"},
    {"p + span", "s1"},
    {"div + p", ""},
    {"p~p", "p2 p3 caf\xC3\xA9"},
    {"li ~ .x", "l2"},
    {"div ~ a", "k1 k2 k3"},
    {"li:first-child", "l1"},
    {"li:last-child", "l5"},
    {"p:first-child", "p1"},
    {"p:last-child", "caf\xC3\xA9 both"},
    {":first-child:last-child", "html body"},
    {"li:nth-child(2)", "l2"},
    {"li:nth-child(odd)", "l1 l3 l5"},
    {"li:nth-child(even)", "l2 l4"},
    {"li:nth-child( 2n + 1 )", "l1 l3 l5"},
    {"li:nth-child(n)", "l1 l2 l3 l4 l5"},
    {"li:nth-child(n+3)", "l3 l4 l5"},
    {"li:nth-child(-n+2)", "l1 l2"},
    {"li:nth-child(3n-1)", "l2 l5"},
    {"li:nth-child(-2n+5)", "l1 l3 l5"},
    {"li:nth-child(+4)", "l4"},
    {"li:nth-child(0)", ""},
    {"li:nth-child(-1)", ""},
    {"ul > li:nth-child(3)", "l3"},
    {"div > p:nth-child(2)", "p2 p4"},
    {"li + li:nth-child(3)", "l3"},
    {"li ~ li:last-child", "l5"},
    {"li:nth-child(n+2):nth-child(-n+4)", "l2 l3 l4"},
    {"li:nth-child(n+2):last-child", "l5"},
    {"p:not(.x)", "p2 p3 p4 caf\xC3\xA9 both"},
    {"li:not(:first-child)", "l2 l3 l4 l5"},
    {"li:not(:nth-child(odd))", "l2 l4"},
    {"div > *:not(p)", "s1 u"},
    {"a:not([href])", "k3"},
    {"p:not(#p1):not(#p2)", "p3 p4 caf\xC3\xA9 both"},
    {"p:not(*)", ""},
    {"#l2, #p1,span", "p1 s1 l2"},
    {"p, .x", "p1 p2 p3 l2 p4 caf\xC3\xA9 both"},
    {" \t#l1\n", "l1"},
    {"div>ul>li.x+li", "l3"},
    {"and, or, div-x, mod", ""},
};

static void test_matches(void **state)
{
    char got[400];

    for (size_t i = 0; i < COUNT(matching); i++) {
        matches(matching[i].css, got, sizeof(got));
        if (strcmp(got, matching[i].ids) != 0) {
            print_error("%s\n", matching[i].css);
        }
        assert_string_equal(got, matching[i].ids);
    }
}

static void test_errors(void **state)
{
    static const struct {
        const char *css, *error;
    } cases[] = {
        {"", "at byte 1: a selector is missing"},
        {"  ", "at byte 3: a selector is missing"},
        {"p,", "at byte 3: a selector is missing"},
        {"p >", "at byte 4: a selector is missing"},
        {"> p", "at byte 1: a selector is missing"},
        {"p > > p", "at byte 5: a selector is missing"},
        {".", "at byte 2: the name of a class is missing"},
        {".1", "at byte 2: the name of a class cannot begin with a digit"},
        {"#", "at byte 2: an id is missing"},
        {"p.a..b", "at byte 5: the name of a class is missing"},
        {"[", "at byte 2: the name of an attribute is missing"},
        {"[a", "at byte 3: ']' or a comparison with '=' must follow the attribute"},
        {"[a=", "at byte 4: the value is missing"},
        {"[a='b", "at byte 6: the text has no end"},
        {"[a='b\n']", "at byte 6: a text cannot hold a line end"},
        {"[a=b", "at byte 5: ']' is missing"},
        {"[a=b i]", "at byte 6: ']' is missing"},
        {"[a!=b]", "at byte 3: ']' or a comparison with '=' must follow the attribute"},
        {"p:hover", "at byte 8: only :first-child, :last-child, :nth-child() and :not() are known, and no "
                    "pseudo-elements"},
        {"p::before", "at byte 3: the name of a pseudo-class is missing"},
        {":nth-child(", "at byte 12: a number is missing"},
        {":nth-child(2", "at byte 13: ')' is missing"},
        {":nth-child(1000000)", "at byte 18: the number is too large"},
        {":not(p", "at byte 7: :not() takes one simple selector; ')' is missing"},
        {":not(p a)", "at byte 8: :not() takes one simple selector; ')' is missing"},
        {":not(:not(p))",
         "at byte 10: only :first-child, :last-child, :nth-child() and :not() are known, and no "
         "pseudo-elements"},
        {"a|b", "at byte 2: '|' cannot stand here"},
        {"p { }", "at byte 3: a selector is missing"},
        {"p\x01", "at byte 2: a control character"},
        {"p\\", "at byte 3: a character must follow '\\'"},
        {"p\\1 ", "at byte 4: control characters cannot be matched"},
        {"p\xC3", "at byte 2: not UTF-8"},
        {"a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a",
         "at byte 65: more than 32 parts"},
    };
    char error[200], longest[TFW_CSS_MAX + 2];
    tf_buf_t xpath = TF_BUF_INIT;

    for (size_t i = 0; i < COUNT(cases); i++) {
        xpath.len = 0;
        *error = '\0';
        if (tfw_css_xpath(cases[i].css, strlen(cases[i].css), &xpath, error, sizeof(error))) {
            print_error("%s: %s\n", cases[i].css, tf_buf_cstr(&xpath));
        }
        assert_string_equal(error, cases[i].error);
    }
    memset(longest, 'p', sizeof(longest));
    assert_true(tfw_css_xpath(longest, TFW_CSS_MAX, &xpath, error, sizeof(error)));
    assert_false(tfw_css_xpath(longest, TFW_CSS_MAX + 1, &xpath, error, sizeof(error)));
    tf_buf_free(&xpath);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_errors)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
