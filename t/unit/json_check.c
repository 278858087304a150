#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "json_check.h"
#include "json_slice.h"
#include "submission.h"

static void test_valid(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        " { } \n",
        "{\"a\":1}",
        "[1,-0,0.5,1e9,-1.25E-3,true,false,null,\"\"]",
        "{\"a\":{\"a\":[{\"a\":{}}]}}",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uFFFD\"]",
        "[\"\xc3\xa9\xf0\x9f\x98\x80\"]",
        "{\"a\":1,\"b\":2,\"c\":3}",
        "[123456789012345]",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!tf_json_check(texts[i], strlen(texts[i]))) {
            fail_msg("not passed: %s", texts[i]);
        }
    }
}

static void test_not_valid(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "1",
        "\"a\"",
        "null",
        "{",
        "[",
        "}",
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{a:1}",
        "{'a':1}",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[-]",
        "[1e]",
        "[0x1]",
        "[NaN]",
        "[tru]",
        "[\"a]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"\\u0000\"]",
        "[\"\\ud800\"]",
        "[\"a\nb\"]",
        "[\"\xff\"]",
        "[\"\xc0\x80\"]",
        "[\"\xed\xa0\x80\"]",
        "{}{}",
        "{} x",
        "{\"a\":1,\"a\":2}",
        "[\"a\\",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (tf_json_check(texts[i], strlen(texts[i]))) {
            fail_msg("passed: %s", texts[i]);
        }
    }
    assert_false(tf_json_check("[\"a\0b\"]", 7));
}

static void test_depth(void **state)
{
    char text[2 * TF_JSON_DEPTH_MAX + 2];

    memset(text, '[', TF_JSON_DEPTH_MAX + 1);
    memset(text + TF_JSON_DEPTH_MAX + 1, ']', TF_JSON_DEPTH_MAX + 1);
    assert_false(tf_json_check(text, sizeof(text)));
    assert_true(tf_json_check(text + 1, sizeof(text) - 2));
}

static void test_envelopes(void **state)
{
    static const char one[] = "{\"type\":\"noop\",\"payload\":{\"a\":[1,2]},\"name\":\"x\"}";
    static const char batch[] =
        "{\"atomic\":true,\"jobs\":[{\"payload\":{\"b\":1},\"type\":\"t\"},7,{\"payload\":3}]}";
    char error[100];
    json_t *body = tf_submission_parse(TF_STR(one), false, error, sizeof(error));
    json_t *jobs;

    assert_non_null(body);
    assert_int_equal(json_object_size(body), 3);
    assert_int_equal(json_object_size(json_object_get(body, "payload")), 0);
    assert_string_equal(json_string_value(json_object_get(body, "name")), "x");
    json_decref(body);

    body = tf_submission_parse(TF_STR(batch), true, error, sizeof(error));
    assert_non_null(body);
    jobs = json_object_get(body, "jobs");
    assert_int_equal(json_array_size(jobs), 3);
    assert_true(json_is_true(json_object_get(body, "atomic")));
    assert_int_equal(json_object_size(json_object_get(json_array_get(jobs, 0), "payload")), 0);
    assert_int_equal(json_integer_value(json_array_get(jobs, 1)), 7);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(jobs, 2), "payload")), 3);
    json_decref(body);

    assert_null(tf_submission_parse(TF_STR("{\"type\":\"noop\",\"payload\":{\"a\":[1,}}"), false, error,
                                    sizeof(error)));
    assert_non_null(strstr(error, "line 1"));
}

static void test_slices(void **state)
{
    static const char text[] =
        " { \"a\" : [1, \"]\"] ,\"b\\u0062\":\"\\\"}\", \"c\":{\"d\":{}} , \"e\": -1.5e3 } ";
    static const struct {
        const char *name, *value;
    } members[] = {{"a", "[1, \"]\"]"}, {"bb", "\"\\\"}\""}, {"c", "{\"d\":{}}"}, {"e", "-1.5e3"}};

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        tf_str_t value = tf_json_slice_member(TF_STR(text), members[i].name);

        assert_int_equal(value.len, strlen(members[i].value));
        assert_memory_equal(value.data, members[i].value, value.len);
    }
    assert_null(tf_json_slice_member(TF_STR(text), "d").data);
    assert_null(tf_json_slice_member(TF_STR("[1]"), "a").data);
    assert_null(tf_json_slice_member(TF_STR("{}"), "a").data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),     cmocka_unit_test(test_not_valid), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_envelopes), cmocka_unit_test(test_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
