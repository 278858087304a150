/* Outgoing calls: which URLs and addresses a caller may name. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "outgoing.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const tf_outgoing_t no_lists;

/* The address as a resolver would give it. */
static tf_address_t address_of(const char *text)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    tf_address_t address;

    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        assert_true(tf_address_from(&address, (struct sockaddr *)&four));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
        assert_true(tf_address_from(&address, (struct sockaddr *)&six));
    }
    return address;
}

static const char *refusal(const tf_outgoing_t *lists, const char *host, const char *text)
{
    tf_address_t address = address_of(text);

    return tf_outgoing_refusal(lists, (tf_str_t){host, strlen(host)}, &address);
}

static void test_refused_addresses(void **state)
{
    static const struct {
        const char *address, *word;
    } cases[] = {
        {"0.0.0.0", "unspecified"},
        {"0.1.2.3", "unspecified"},
        {"10.0.0.0", "private"},
        {"10.255.255.255", "private"},
        {"100.64.0.0", "shared"},
        {"100.100.100.200", "shared"}, /* Alibaba's metadata */
        {"100.127.255.255", "shared"},
        {"127.0.0.1", "loopback"},
        {"127.255.255.254", "loopback"},
        {"168.63.129.16", "metadata"}, /* Azure's */
        {"169.254.0.1", "link-local"},
        {"169.254.169.254", "link-local"}, /* most clouds' metadata */
        {"172.16.0.0", "private"},
        {"172.31.255.255", "private"},
        {"192.0.0.1", "reserved"},
        {"192.0.0.192", "reserved"}, /* Oracle's metadata */
        {"192.0.2.1", "documentation"},
        {"192.88.99.1", "6to4"},
        {"192.168.0.1", "private"},
        {"192.168.255.255", "private"},
        {"198.18.0.1", "benchmarks"},
        {"198.19.255.255", "benchmarks"},
        {"198.51.100.7", "documentation"},
        {"203.0.113.7", "documentation"},
        {"224.0.0.1", "multicast"},
        {"239.255.255.250", "multicast"},
        {"240.0.0.1", "reserved"},
        {"255.255.255.255", "reserved"},
        {"::", "unspecified"},
        {"::1", "loopback"},
        {"::127.0.0.1", "reserved"}, /* IPv4-compatible */
        {"::8.8.8.8", "reserved"},
        {"::ffff:127.0.0.1", "loopback"}, /* IPv4-mapped */
        {"::ffff:10.0.0.1", "private"},
        {"::ffff:169.254.169.254", "link-local"},
        {"::ffff:0:127.0.0.1", "reserved"}, /* IPv4-translated */
        {"64:ff9b::127.0.0.1", "loopback"}, /* NAT64 */
        {"64:ff9b::a9fe:a9fe", "link-local"},
        {"64:ff9b:1::8.8.8.8", "reserved"}, /* local NAT64 */
        {"100::1", "reserved"},
        {"2001::1", "Teredo"},
        {"2001:0:7f00:1::", "Teredo"},
        {"2001:2::1", "reserved"},
        {"2001:10::1", "reserved"},
        {"2001:20::1", "reserved"},
        {"2001:db8::1", "documentation"},
        {"2002:7f00:1::", "6to4"},
        {"2002:a9fe:a9fe::1", "6to4"},
        {"3fff::1", "documentation"},
        {"3fff:fff:ffff::1", "documentation"},
        {"4000::1", "reserved"},
        {"5f00::1", "reserved"},
        {"fc00::1", "private"},
        {"fd00:ec2::254", "private"}, /* Amazon's metadata */
        {"fe80::1", "link-local"},
        {"febf::1", "link-local"},
        {"fec0::1", "private"},
        {"ff02::1", "multicast"},
        {"ffff::1", "multicast"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *why = refusal(&no_lists, "example.com", cases[i].address);

        if (!why || !strstr(why, cases[i].word)) {
            fail_msg("%s: %s", cases[i].address, why ? why : "may be called");
        }
    }
}

static void test_public_addresses(void **state)
{
    static const char *const cases[] = {
        "1.1.1.1",        "8.8.8.8",         "9.255.255.255",    "11.0.0.0",         "100.63.255.255",
        "100.128.0.0",    "126.255.255.255", "128.0.0.0",        "169.253.255.255",  "169.255.0.0",
        "172.15.255.255", "172.32.0.0",      "192.0.1.0",        "192.167.255.255",  "192.169.0.0",
        "198.17.255.255", "198.20.0.0",      "223.255.255.255",  "168.63.129.15",    "2606:4700::1111",
        "2001:200::1",    "2001:4860::8888", "2001:db7:ffff::1", "2001:db9::1",      "2003::1",
        "2a00:1450::1",   "3ffe:ffff::1",    "::ffff:8.8.8.8",   "64:ff9b::8.8.8.8",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *why = refusal(&no_lists, "example.com", cases[i]);

        if (why) {
            fail_msg("%s %s", cases[i], why);
        }
    }
}

static void test_other_families(void **state)
{
    struct sockaddr local = {.sa_family = AF_UNIX};
    tf_address_t address;

    assert_false(tf_address_from(&address, &local));
}

static void test_texts(void **state)
{
    static const struct {
        const char *url, *text;
    } cases[] = {{"http://10.0.0.1/", "10.0.0.1"},
                 {"http://255.255.255.255/", "255.255.255.255"},
                 {"http://[::ffff:10.0.0.1]/", "10.0.0.1"},
                 {"http://[2001:DB8:0::1]/", "2001:db8::1"},
                 {"http://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1"}};
    char text[TF_ADDRESS_TEXT_SIZE];
    tf_url_t url;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(tf_url_parse(cases[i].url, strlen(cases[i].url), &url));
        tf_address_text(&url.address, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_lists(void **state)
{
    tf_outgoing_t lists;
    char error[200];

    assert_true(tf_outgoing_init(&lists, "127.0.0.0/8, 10.1.0.0/16 fd12::/48,hooks.lan .corp.example ::1",
                                 "8.8.8.8,10.1.2.0/24\t.evil.example, 2606:4700::/32", error, sizeof(error)));
    assert_int_equal(lists.nallow, 6);
    assert_int_equal(lists.ndeny, 4);
    /* allowed */
    assert_null(refusal(&lists, "x", "127.0.0.1"));
    assert_null(refusal(&lists, "x", "::ffff:127.0.0.1"));
    assert_null(refusal(&lists, "x", "::1"));
    assert_null(refusal(&lists, "x", "10.1.3.1"));
    assert_null(refusal(&lists, "x", "fd12:0:0:1::1"));
    assert_null(refusal(&lists, "hooks.lan", "192.168.1.1"));
    assert_null(refusal(&lists, "HOOKS.lan.", "192.168.1.1"));
    assert_null(refusal(&lists, "a.b.Corp.example", "192.168.1.1"));
    /* not named by the list */
    assert_non_null(refusal(&lists, "x", "10.2.0.1"));
    assert_non_null(refusal(&lists, "x", "fd12:0:1::1"));
    assert_non_null(refusal(&lists, "nohooks.lan", "192.168.1.1"));
    assert_non_null(refusal(&lists, "a.hooks.lan", "192.168.1.1"));
    assert_non_null(refusal(&lists, "corp.example", "192.168.1.1"));
    assert_non_null(refusal(&lists, "xcorp.example", "192.168.1.1"));
    assert_non_null(refusal(&lists, "", "192.168.1.1"));
    /* denied, also where it is allowed or public */
    assert_non_null(refusal(&lists, "x", "10.1.2.3"));
    assert_non_null(refusal(&lists, "x", "::ffff:8.8.8.8"));
    assert_non_null(refusal(&lists, "x", "64:ff9b::8.8.8.8"));
    assert_null(refusal(&lists, "x", "8.8.4.4"));
    assert_non_null(refusal(&lists, "www.evil.example", "1.1.1.1"));
    assert_non_null(refusal(&lists, "www.EVIL.example.", "127.0.0.1"));
    assert_non_null(refusal(&lists, "x", "2606:4700::1111"));
    tf_outgoing_free(&lists);
    /* two nets at the edges */
    assert_true(tf_outgoing_init(&lists, "0.0.0.0/0", "", error, sizeof(error)));
    assert_null(refusal(&lists, "x", "127.0.0.1"));
    assert_non_null(refusal(&lists, "x", "::1"));
    tf_outgoing_free(&lists);
    assert_true(tf_outgoing_init(&lists, "", "::/0", error, sizeof(error)));
    assert_non_null(refusal(&lists, "x", "8.8.8.8"));
    tf_outgoing_free(&lists);
}

static void test_bad_lists(void **state)
{
    static const char *const bad[] = {
        "10.0.0.0/33", "10.0.0.0/",  "10.0.0.0/-1", "10.0.0.0/1x", "::/129",     "::1/0128", "10.0.0",
        "010.0.0.1",   "0x7f000001", "127.1",       "1.2.3.4.5",   "a b..c",     ".",        "..a",
        "a_b!",        "host:80",    "http://x",    "[::1]",       "fe80::1%lo", "lan.",     "10.0.0.0/8/8",
    };
    tf_outgoing_t lists;
    char error[200], many[70 * 4];
    size_t len = 0;

    for (size_t i = 0; i < COUNT(bad); i++) {
        error[0] = '\0';
        if (tf_outgoing_init(&lists, bad[i], "", error, sizeof(error)) ||
            tf_outgoing_init(&lists, "", bad[i], error, sizeof(error))) {
            fail_msg("%s is taken", bad[i]);
        }
        assert_true(error[0] != '\0');
        assert_null(lists.text);
    }
    for (int i = 0; i < TF_OUTGOING_RULES_MAX; i++) {
        len += (size_t)snprintf(many + len, sizeof(many) - len, "::1,");
    }
    assert_true(tf_outgoing_init(&lists, many, many, error, sizeof(error)));
    tf_outgoing_free(&lists);
    snprintf(many + len, sizeof(many) - len, "::1");
    assert_false(tf_outgoing_init(&lists, many, "", error, sizeof(error)));
}

static void test_urls(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool https, literal;
    } cases[] = {
        {"http://example.com", "example.com", 80, false, false},
        {"https://example.com/", "example.com", 443, true, false},
        {"HTTPS://Example.COM./x?y=http://a@b", "Example.COM.", 443, true, false},
        {"https://example.com:8443/a/b%20c?d=e&f", "example.com", 8443, true, false},
        {"http://example.com?q", "example.com", 80, false, false},
        {"http://example.com:1", "example.com", 1, false, false},
        {"http://xn--bcher-kva.example/", "xn--bcher-kva.example", 80, false, false},
        {"http://a_b.example:65535/", "a_b.example", 65535, false, false},
        {"http://1.2.3.4.example/", "1.2.3.4.example", 80, false, false},
        {"http://deadbeef/", "deadbeef", 80, false, false},
        {"http://localhost/", "localhost", 80, false, false},
        {"http://8.8.8.8/", "8.8.8.8", 80, false, true},
        {"http://[2606:4700::1111]/", "2606:4700::1111", 80, false, true},
        {"https://[::ffff:8.8.8.8]:8443", "::ffff:8.8.8.8", 8443, true, true},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        tf_url_t url;
        const char *why = tf_url_parse(cases[i].text, strlen(cases[i].text), &url);

        if (why) {
            fail_msg("%s %s", cases[i].text, why);
        }
        assert_int_equal(url.host.len, strlen(cases[i].host));
        assert_memory_equal(url.host.data, cases[i].host, url.host.len);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.https, cases[i].https);
        assert_int_equal(url.literal, cases[i].literal);
        assert_null(tf_outgoing_url_refusal(&no_lists, &url));
    }
}

static const char *const bad_urls[] = {
    "",
    "http",
    "http://",
    "https://",
    "http:///path",
    "//example.com",
    "example.com",
    "/path",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "javascript:alert(1)",
    "unix:///run/redis.sock",
    "http:example.com",
    "http:/example.com",
    "http:\\\\example.com",
    " http://example.com",
    "http://example.com ",
    "http://exa mple.com/",
    "http://example.com/a b",
    "http://example.com/\n",
    "http://example.com/\r\nX: y",
    "http://example.com/\t",
    "http://ex\xc3\xa4.de/",
    "http://example.com\\@127.0.0.1/",
    "http://user@example.com/",
    "http://user:pass@example.com/",
    "http://@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://example.com/#x",
    "http://example.com#",
    "http://example.com:/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:100000000000/",
    "http://example.com:80x/",
    "http://example.com:-1/",
    "http://example.com:80:80/",
    "http://:80/",
    "http://./",
    "http://../",
    "http://.example.com/",
    "http://a..b/",
    "http://ex%61mple.com/",
    "http://127.0.0.1%2f.example.com/",
    "http://exam\"ple.com/",
    "http://{a}/",
    "http://a|b/",
    "http://a^b/",
    "http://[/",
    "http://[]/",
    "http://[::1/",
    "http://::1/",
    "http://[127.0.0.1]/",
    "http://[::1]x/",
    "http://[::1]:/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::g]/",
    "http://[::1].example.com/",
    /* 127.0.0.1 in other clothes */
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0X7F.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.01/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0x/",
    "http://00.0.0.0/",
    "http://256.0.0.1/",
    "http://1.2.3.4.5/",
    "http://127.0.0.0x1/",
    "http://example.com.1/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
};

static void test_bad_urls(void **state)
{
    char long_url[TF_URL_MAX + 2], label[90];
    tf_url_t url;

    for (size_t i = 0; i < COUNT(bad_urls); i++) {
        if (!tf_url_parse(bad_urls[i], strlen(bad_urls[i]), &url)) {
            fail_msg("%s is taken", bad_urls[i]);
        }
    }
    assert_non_null(tf_url_parse("http://a\0b/", 11, &url));
    memset(long_url, 'a', sizeof(long_url));
    memcpy(long_url, "http://e/", 9);
    assert_null(tf_url_parse(long_url, TF_URL_MAX, &url));
    assert_non_null(tf_url_parse(long_url, TF_URL_MAX + 1, &url));
    snprintf(label, sizeof(label), "http://%064d.example/", 0);
    assert_non_null(tf_url_parse(label, strlen(label), &url));
    snprintf(label, sizeof(label), "http://%063d.example/", 0);
    assert_null(tf_url_parse(label, strlen(label), &url));
    memset(long_url + 7, 'a', 254);
    for (int i = 7 + 50; i < 7 + 254; i += 50) {
        long_url[i] = '.';
    }
    assert_null(tf_url_parse(long_url, 7 + 253, &url));
    assert_non_null(tf_url_parse(long_url, 7 + 254, &url));
}

static void test_url_refusals(void **state)
{
    static const char *const refused[] = {
        "http://127.0.0.1/",
        "http://127.0.0.1:8080/x",
        "https://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://0.0.0.0/",
        "http://[::]:80/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://evil.example/",
        "http://EVIL.example./",
    };
    tf_outgoing_t lists;
    char error[200];
    tf_url_t url;

    assert_true(tf_outgoing_init(&lists, "", "evil.example", error, sizeof(error)));
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_null(tf_url_parse(refused[i], strlen(refused[i]), &url));
        if (!tf_outgoing_url_refusal(&lists, &url)) {
            fail_msg("%s may be called", refused[i]);
        }
    }
    /* a name is judged when it is resolved */
    assert_null(tf_url_parse("http://localhost/", 17, &url));
    assert_null(tf_outgoing_url_refusal(&lists, &url));
    tf_outgoing_free(&lists);
}

static void test_names(void **state)
{
    static const struct {
        const char *url;
        bool named;
    } cases[] = {
        {"https://api.example.com/x", true},
        {"https://API.example.com.:8443/", true},
        {"https://example.com/", false},
        {"https://a.b.example.net/", true},
        {"https://example.net/", false},
        {"https://api.example.com.evil.example/", false},
        {"https://xapi.example.com/", false},
        {"https://10.1.200.3/", true},
        {"https://10.2.0.1/", false},
        {"https://[fd12::7]/", true},
        {"https://[::ffff:10.1.0.1]/", true},
        {"https://127.0.0.1/", false},
        {"https://evil.example/?example.net", false},
    };
    tf_outgoing_t lists;
    char error[200];
    tf_url_t url;

    assert_true(tf_outgoing_init(&lists, "api.example.com,.example.net,10.1.0.0/16,fd12::/48", "", error,
                                 sizeof(error)));
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(tf_url_parse(cases[i].url, strlen(cases[i].url), &url));
        if (tf_outgoing_names(&lists, &url) != cases[i].named) {
            fail_msg("%s", cases[i].url);
        }
    }
    tf_outgoing_free(&lists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_addresses),
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_other_families),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_url_refusals),
        cmocka_unit_test(test_names),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
