/* robots.txt after RFC 9309, and the URLs that a crawler compares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "scrape/robots.h"
#include "scrape/url.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool allows(const char *text, const char *path)
{
    tfw_robots_t *robots = tfw_robots_parse(text, strlen(text), "TaskForge");
    bool yes;

    assert_non_null(robots);
    yes = tfw_robots_allows(robots, path);
    tfw_robots_free(robots);
    return yes;
}

static void test_groups(void **state)
{
    static const struct {
        const char *text, *path;
        bool allowed;
    } cases[] = {
        {"", "/", true},
        {"User-agent: *\nDisallow: /", "/a", false},
        {"User-agent: *\nDisallow: /", "/robots.txt", true},
        {"User-agent: *\nDisallow:", "/a", true},
        {"Disallow: /", "/a", true}, /* of no group */
        {"User-agent: other\nDisallow: /", "/a", true},
        {"User-agent: taskforge\nDisallow: /", "/a", false},
        {"User-Agent: TASKFORGE/2.0 (x)\nDISALLOW: /", "/a", false},
        {"User-agent: taskforgery\nDisallow: /", "/a", true},
        /* the group that names us, not that for all */
        {"User-agent: *\nDisallow: /\n\nUser-agent: TaskForge\nDisallow: /x", "/a", true},
        {"User-agent: TaskForge\nDisallow: /x\nUser-agent: *\nDisallow: /", "/x", false},
        {"User-agent: TaskForge\nUser-agent: other\nDisallow: /x", "/x", false},
        {"User-agent: other\nUser-agent: TaskForge\nDisallow: /x", "/x", false},
        {"User-agent: other\nDisallow: /y\nUser-agent: TaskForge\nDisallow: /x", "/y", true},
        /* several groups of one name are one */
        {"User-agent: TaskForge\nDisallow: /x\nUser-agent: o\nDisallow: /\nUser-agent: TaskForge\nDisallow: "
         "/y",
         "/x", false},
        {"User-agent: TaskForge\nDisallow: /x\nUser-agent: o\nDisallow: /\nUser-agent: TaskForge\nDisallow: "
         "/y",
         "/y", false},
        /* what is no rule does not end a run of user-agent lines */
        {"User-agent: TaskForge\nSitemap: http://x/\nUser-agent: o\nDisallow: /x", "/x", false},
        {"# all\r\nUser-agent: * # us\r\n  disallow :  /x  # no\r\n", "/x", false},
        {"\xEF\xBB\xBFUser-agent: *\rDisallow: /x\rAllow: /y", "/x", false},
        {"User-agent: *\nnonsense\n:\nDisallow: /x", "/x", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        if (allows(cases[i].text, cases[i].path) != cases[i].allowed) {
            print_error("%s\n%s\n", cases[i].text, cases[i].path);
        }
        assert_int_equal(allows(cases[i].text, cases[i].path), cases[i].allowed);
    }
}

static void test_paths(void **state)
{
    static const struct {
        const char *rules, *path;
        bool allowed;
    } cases[] = {
        /* RFC 9309, 5.1 */
        {"Disallow: *.gif$\nDisallow: /example/\nAllow: /publications/", "/a.gif", false},
        {"Disallow: *.gif$\nDisallow: /example/\nAllow: /publications/", "/a.gif?x", true},
        {"Disallow: *.gif$\nDisallow: /example/\nAllow: /publications/", "/example/x", false},
        /* 5.2: the longest match */
        {"Allow: /example/page/\nDisallow: /example/page/disallowed.gif", "/example/page/disallowed.gif",
         false},
        {"Allow: /example/page/\nDisallow: /example/page/disallowed.gif", "/example/page/x", true},
        {"Disallow: /a\nAllow: /a", "/a", true},
        {"Allow: /a\nDisallow: /a", "/a", true},
        {"Disallow: /a", "/A", true},
        {"Disallow: /a", "/ab", false},
        {"Disallow: /a$", "/ab", true},
        {"Disallow: /a$", "/a", false},
        {"Disallow: /a*c", "/abbbcd", false},
        {"Disallow: /a*c", "/abbb", true},
        {"Disallow: /a*c$", "/acbc", false},
        {"Disallow: /a*c$", "/acb", true},
        {"Disallow: /a*b*c", "/axbxc", false},
        {"Disallow: /a*b*c", "/axcxb", true},
        {"Disallow: /*", "/x", false},
        {"Disallow: *", "/x", false},
        {"Disallow: $", "/x", true},
        {"Disallow: /*$", "/x", false},
        {"Disallow: /**x", "/yyx", false},
        {"Disallow: /a*aab$", "/aaaaaab", false},
        {"Disallow: /ab*ab$", "/ab", true},
        {"Disallow: /x?y", "/x?y=1", false},
        {"Disallow: /x?y", "/x", true},
        /* 2.2.2: the same path in other clothes */
        {"Disallow: /foo/bar/\xE3\x83\x84", "/foo/bar/%E3%83%84", false},
        {"Disallow: /foo/bar/%E3%83%84", "/foo/bar/%e3%83%84", false},
        {"Disallow: /foo/bar/%62%61%7A", "/foo/bar/baz", false},
        {"Disallow: /foo/bar/baz", "/foo/bar/%62%61%7a", false},
        {"Disallow: /a%3cd.html", "/a%3Cd.html", false},
        {"Disallow: /a%2fb", "/a/b", true},
        {"Disallow: /file-with-a-%2A.html", "/file-with-a-*.html", false},
        {"Disallow: /file-with-a-%2A.html", "/file-with-a-x.html", true},
        {"Disallow: /path/foo-%24", "/path/foo-$", false},
        {"Disallow: /a$b", "/a$b", false},
        {"Disallow: /a$b", "/a", true},
        {"Disallow: /%", "/%", false},
    };
    char text[400];

    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof(text), "User-agent: *\n%s", cases[i].rules);
        if (allows(text, cases[i].path) != cases[i].allowed) {
            print_error("%s\n%s\n", text, cases[i].path);
        }
        assert_int_equal(allows(text, cases[i].path), cases[i].allowed);
    }
}

static int64_t delay(const char *text)
{
    tfw_robots_t *robots = tfw_robots_parse(text, strlen(text), "TaskForge");
    int64_t ms = tfw_robots_delay_ms(robots);

    tfw_robots_free(robots);
    return ms;
}

static void test_delay(void **state)
{
    assert_int_equal(delay("User-agent: *\nCrawl-delay: 2"), 2000);
    assert_int_equal(delay("User-agent: *\nCrawl-delay: 0.25"), 250);
    assert_int_equal(delay("User-agent: *\nCrawl-delay: 99999999999999999999"), 3600000);
    assert_int_equal(delay("User-agent: *\nCrawl-delay: soon"), 0);
    assert_int_equal(delay("User-agent: *\nCrawl-delay: -1"), 0);
    assert_int_equal(delay("User-agent: *\nCrawl-delay: 2\nUser-agent: TaskForge\nDisallow: /x"), 0);
}

/* A file that is made to take long, and one with more rules than are kept. */
static void test_bounds(void **state)
{
    size_t size = 2 * TFW_ROBOTS_MAX, len = (size_t)snprintf(NULL, 0, "User-agent: *\n");
    char *text = malloc(size), path[2048];

    assert_non_null(text);
    snprintf(text, size, "User-agent: *\n");
    while (len + 40 < size) {
        len += (size_t)snprintf(text + len, size - len, "Disallow: /*a*a*a*a*a*a*a*a*a*b$\n");
    }
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_true(allows(text, path));
    path[sizeof(path) - 2] = 'b';
    assert_false(allows(text, path));
    free(text);
}

static void test_urls(void **state)
{
    static const struct {
        const char *base, *reference, *url; /* NULL: none */
    } cases[] = {
        {"http://h/a/b", "c", "http://h/a/c"},
        {"http://h/a/b", "/c", "http://h/c"},
        {"http://h/a/b/", "../c", "http://h/a/c"},
        {"http://h/a", "../../../c", "http://h/c"},
        {"http://h/a/b?q", "", "http://h/a/b?q"},
        {"http://h/a/b?q", "#x", "http://h/a/b?q"},
        {"http://h/a/b?q", "?r=1", "http://h/a/b?r=1"},
        {"http://h/a/b", "c#x", "http://h/a/c"},
        {"http://h/a/b", "//other/c", "http://other/c"},
        {"https://h/a/b", "//other/c", "https://other/c"},
        {"http://h/a/b", "https://other", "https://other/"},
        {"http://h", "c", "http://h/c"},
        {"http://h/a", "HTTP://Other.Example:80/X", "http://other.example/X"},
        {"http://h/a", "https://o:443/x", "https://o/x"},
        {"http://h/a", "http://o:8080/x", "http://o:8080/x"},
        {"http://h/a", "  c\n d ", "http://h/c%20d"},
        {"http://h/a", "\t/a\nb\rc", "http://h/abc"},
        {"http://h/a", "caf\xC3\xA9", "http://h/caf%C3%A9"},
        {"http://h/a", "%7euser/%3a", "http://h/~user/%3A"},
        {"http://h/a/b", "%2e%2e/c", "http://h/c"},
        {"http://h/a", "x?a=<b>", "http://h/x?a=%3Cb%3E"},
        {"http://h/a", "http://[::1]/x", "http://[::1]/x"},
        {"http://h/a", "mailto:a@b", NULL},
        {"http://h/a", "javascript:alert(1)", NULL},
        {"http://h/a", "JavaScript :x", "http://h/JavaScript%20:x"},
        {"http://h/a", "data:text/html,x", NULL},
        {"http://h/a", "ftp://o/x", NULL},
        {"http://h/a", "file:///etc/passwd", NULL},
        {"http://h/a", "http://u:p@o/x", NULL},
        /* an address is an address, whatever its form: it is judged when it is called */
        {"http://h/a", "http://2130706433/", "http://127.0.0.1/"},
        {"http://h/a", "http://0177.0.0.1/", "http://127.0.0.1/"},
        {"http://h/a", "http://0x7f.1/", "http://127.0.0.1/"},
        {"http://h/a", "http://caf\xC3\xA9.example/", NULL},
        {"http://h/a", "http://h:99999/x", NULL},
    };
    char url[TFW_URL_SIZE], longest[3000];

    for (size_t i = 0; i < COUNT(cases); i++) {
        bool ok = tfw_url_resolve(cases[i].base, cases[i].reference, strlen(cases[i].reference), url);

        if (ok != (cases[i].url != NULL)) {
            print_error("%s at %s: %s\n", cases[i].reference, cases[i].base, ok ? url : "none");
        }
        assert_int_equal(ok, cases[i].url != NULL);
        if (ok) {
            assert_string_equal(url, cases[i].url);
        }
    }
    memset(longest, 'x', sizeof(longest));
    assert_false(tfw_url_resolve("http://h/", longest, sizeof(longest), url));
    assert_true(tfw_url_resolve("http://h/", longest, TF_URL_MAX - 9, url));
    assert_string_equal(tfw_url_path("http://h:1/a?b"), "/a?b");
}

static void test_sites(void **state)
{
    static const struct {
        const char *start, *url;
        bool domain, within;
    } cases[] = {
        {"http://a.example/", "http://a.example/x", false, true},
        {"http://a.example/", "http://A.Example./x", false, true},
        {"http://a.example/", "https://a.example/x", false, true},
        {"http://a.example/", "http://www.a.example/", false, true},
        {"http://www.a.example/", "http://a.example/", false, true},
        {"http://a.example/", "http://b.a.example/", false, false},
        {"http://a.example/", "http://b.a.example/", true, true},
        {"http://www.a.example/", "http://b.a.example/", true, true},
        {"http://a.example/", "http://ba.example/", true, false},
        {"http://b.a.example/", "http://a.example/", true, false},
        {"http://a.example/", "http://a.example:8080/", true, false},
        {"http://a.example:8080/", "https://a.example:8080/", true, true},
        {"http://a.example:8080/", "http://a.example/", true, false},
        {"http://a.example/", "http://a.example.evil/", true, false},
        {"http://127.0.0.2/", "http://127.0.0.2/x", true, true},
        {"http://127.0.0.2/", "http://127.0.0.3/x", true, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        tfw_site_t site;

        tfw_site_of(&site, cases[i].start, cases[i].domain);
        if (tfw_site_has(&site, cases[i].url) != cases[i].within) {
            print_error("%s from %s\n", cases[i].url, cases[i].start);
        }
        assert_int_equal(tfw_site_has(&site, cases[i].url), cases[i].within);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_groups), cmocka_unit_test(test_paths),
                                       cmocka_unit_test(test_delay),  cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_urls),   cmocka_unit_test(test_sites)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
