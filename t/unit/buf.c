/* The text buffer and the JSON writer: what comes out is always valid JSON, and a failure is kept to the end.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "buf.h"
#include "job.h"

static void expect(tf_buf_t *b, const char *text)
{
    assert_false(b->failed);
    assert_string_equal(tf_buf_cstr(b), text);
    tf_buf_free(b);
}

static void test_adding(void **state)
{
    tf_buf_t b = TF_BUF_INIT;

    assert_string_equal(tf_buf_cstr(&b), "");
    tf_buf_adds(&b, "a");
    tf_buf_addc(&b, 'b');
    tf_buf_add(&b, "cd", 1);
    tf_buf_addf(&b, "-%s-%d", "x", 7);
    tf_buf_addi(&b, INT64_MIN);
    tf_buf_addi(&b, 0);
    tf_buf_addi(&b, INT64_MAX);
    assert_int_equal(b.len, strlen("abc-x-7-922337203685477580809223372036854775807"));
    expect(&b, "abc-x-7-922337203685477580809223372036854775807");
    assert_null(b.data);
}

static void test_growing(void **state)
{
    tf_buf_t b = TF_BUF_INIT;
    int i;

    for (i = 0; i < 100000; i++) {
        tf_buf_addc(&b, (char)('a' + i % 26));
    }
    assert_int_equal(b.len, 100000);
    for (i = 0; i < 100000; i++) {
        assert_int_equal(b.data[i], 'a' + i % 26);
    }
    tf_buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_true(b.size >= 100000); /* the memory is kept */
    tf_buf_free(&b);
}

static void test_limit(void **state)
{
    tf_buf_t b = {.limit = 4};

    tf_buf_adds(&b, "abcd");
    assert_false(b.failed);
    tf_buf_addc(&b, 'e');
    assert_true(b.failed);
    tf_buf_adds(&b, "");
    tf_buf_addi(&b, 1); /* nothing more goes in */
    tf_json_kint(&b, "k", 1);
    assert_int_equal(b.len, 4);
    assert_string_equal(tf_buf_cstr(&b), "");
    assert_null(tf_buf_reserve(&b, 1));
    tf_buf_reset(&b);
    assert_false(b.failed);
    assert_non_null(tf_buf_reserve(&b, 4));
    assert_null(tf_buf_reserve(&b, SIZE_MAX)); /* no overflow of the sum */
    assert_true(b.failed);
    tf_buf_free(&b);
    assert_int_equal(b.limit, 4);
}

#define REPLACED "\xEF\xBF\xBD"

static void test_strings(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\n\r\t\b\f", 5, "\"\\n\\r\\t\\u0008\\u000c\""},
        {"\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\""},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", 10, "\"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\""},
        {"a\x80z", 3, "\"a" REPLACED "z\""},
        {"\xC3", 1, "\"" REPLACED "\""},
        {"\xC3(", 2, "\"" REPLACED "(\""},
        {"\xC0\xAF", 2, "\"" REPLACED REPLACED "\""},                           /* overlong */
        {"\xE0\x80\x80", 3, "\"" REPLACED REPLACED REPLACED "\""},              /* overlong */
        {"\xED\xA0\x80", 3, "\"" REPLACED REPLACED REPLACED "\""},              /* surrogate */
        {"\xF4\x90\x80\x80", 4, "\"" REPLACED REPLACED REPLACED REPLACED "\""}, /* above U+10FFFF */
        {"\xF0\x9F\x98", 3, "\"" REPLACED REPLACED REPLACED "\""},              /* cut off */
        {"\xFF\xFE", 2, "\"" REPLACED REPLACED "\""},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tf_buf_t b = TF_BUF_INIT;

        tf_json_str(&b, cases[i].text, cases[i].len);
        expect(&b, cases[i].json);
    }
}

/* Any bytes at all become JSON that a strict parser takes. */
static void test_every_pair_of_bytes(void **state)
{
    unsigned pair;

    for (pair = 0; pair < 65536; pair++) {
        char text[2] = {(char)(pair >> 8), (char)pair};
        tf_buf_t b = TF_BUF_INIT;
        json_t *parsed;

        tf_buf_addc(&b, '[');
        tf_json_str(&b, text, 2);
        tf_buf_addc(&b, ']');
        parsed = json_loadb(b.data, b.len, JSON_ALLOW_NUL, NULL);
        if (parsed == NULL) {
            fail_msg("%02x %02x gave %s", pair >> 8, pair & 255, tf_buf_cstr(&b));
        }
        json_decref(parsed);
        tf_buf_free(&b);
    }
}

static void test_utf8_span(void **state)
{
    static const struct {
        const char *text;
        size_t len, span;
    } cases[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"abcdefgh", 8, 8},
        {"abcdefghi\0", 10, 9},
        {"\0", 1, 0},
        {"abcdefg\x80", 8, 7},
        {"abcdefgh\xC3\xA9"
         "abcdefghijkl\xFFz",
         24, 22},
        {"abcdefgh\xE2\x82", 10, 8},
        {"\xF0\x9F\x98\x80\xED\xA0\x80", 7, 4},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(tf_utf8_span(cases[i].text, cases[i].len), cases[i].span);
        assert_int_equal(tf_utf8_valid(cases[i].text, cases[i].len), cases[i].span == cases[i].len);
    }
}

static void test_members(void **state)
{
    tf_buf_t b = TF_BUF_INIT;

    tf_buf_addc(&b, '{');
    tf_json_kstr(&b, "s", "x\"y", 3);
    tf_json_kstr(&b, "empty", "", 0);
    tf_json_kstr(&b, "none", NULL, 0);
    tf_json_kcstr(&b, "c", NULL);
    tf_json_kint(&b, "i", -5);
    tf_json_kbool(&b, "t", true);
    tf_json_kbool(&b, "f", false);
    tf_json_kraw(&b, "raw", "[1,2]", 5);
    tf_json_kraw(&b, "noraw", NULL, 0);
    tf_json_key(&b, "o");
    tf_buf_addc(&b, '{');
    tf_json_kint(&b, "first", 1);
    tf_buf_adds(&b, "}}");
    expect(&b, "{\"s\":\"x\\\"y\",\"empty\":\"\",\"none\":null,\"c\":null,\"i\":-5,\"t\":true,\"f\":false,"
               "\"raw\":[1,2],\"noraw\":null,\"o\":{\"first\":1}}");
}

static void test_times(void **state)
{
    static const struct {
        int64_t us;
        const char *json;
    } cases[] = {
        {0, "\"1970-01-01T00:00:00.000000Z\""},
        {-1, "\"1969-12-31T23:59:59.999999Z\""},
        {1795352400123456, "\"2026-11-22T13:00:00.123456Z\""},
        {951782400000000, "\"2000-02-29T00:00:00.000000Z\""},
        {253402300799999999, "\"9999-12-31T23:59:59.999999Z\""},
        {253402300800000000, "null"},
        {INT64_MAX, "null"},
        {TF_TIME_NONE, "null"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tf_buf_t b = TF_BUF_INIT;

        tf_json_time(&b, cases[i].us);
        expect(&b, cases[i].json);
    }
}

static void test_doubles(void **state)
{
    static const struct {
        double value;
        const char *json;
    } cases[] = {
        {0, "0"},
        {1, "1"},
        {-2.5, "-2.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e14, "100000000000000"},
        {1e21, "1e+21"},
        {5e-324, NULL},
        {DBL_MAX, NULL},
        {1.0 / 3, NULL},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tf_buf_t b = TF_BUF_INIT;

        tf_json_double(&b, cases[i].value);
        if (cases[i].json) {
            assert_string_equal(tf_buf_cstr(&b), cases[i].json);
        } else {
            assert_true(strtod(tf_buf_cstr(&b), NULL) == cases[i].value); /* reads back the same */
        }
        tf_buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adding),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_every_pair_of_bytes),
        cmocka_unit_test(test_utf8_span),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_doubles),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
