/* JSON paths: singular queries of RFC 9535, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "call/json_path.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char document[] =
    "{\"a\":{\"b\":[10,20,[30]],\"j j\":{\"k.k\":3},\"'\":1,\"\\\"\":2,\"\":4},\"_1\":5,"
    "\"\xe2\x98\xba\":6,\"\xf0\x9d\x84\x9e\":7,\"\\\\\":8,\"\\t\":9,\"null\":null}";

/* As json_dumps has the value; "": there is none. */
static const struct {
    const char *path, *found;
} good[] = {
    {"$.a.b[0]", "10"},
    {"$['a']['b'][1]", "20"},
    {"$[\"a\"].b[-1]", "[30]"},
    {"$.a.b[2][0]", "30"},
    {"$.a.b[-3]", "10"},
    {"$.a.b[3]", ""},
    {"$.a.b[-4]", ""},
    {"$.a.b[9007199254740991]", ""},
    {"$.a['j j']['k.k']", "3"},
    {"$[ 'a' ]\n[\t\"j j\"] . a", NULL},
    {"$.a [ \"'\" ]", "1"},
    {"$.a['\\'']", "1"},
    {"$.a['\"']", "2"},
    {"$.a[\"\\\"\"]", "2"},
    {"$.a['']", "4"},
    {"$._1", "5"},
    {"$.\xe2\x98\xba", "6"},
    {"$['\\u263A']", "6"},
    {"$['\\u263a']", "6"},
    {"$['\\uD834\\udd1e']", "7"},
    {"$['\\\\']", "8"},
    {"$['\\t']", "9"},
    {"$['\\u0000']", ""},
    {"$.null", "null"},
    {"$.null.x", ""},
    {"$.a[0]", ""},
    {"$[0]", ""},
    {"$.a.b.c", ""},
    {"$.a.b['0']", ""},
};

static void test_good(void **state)
{
    json_t *root = json_loads(document, 0, NULL);

    assert_non_null(root);
    for (size_t i = 0; i < COUNT(good); i++) {
        const char *path = good[i].path, *wrong;
        const json_t *found;
        char text[64] = "";
        size_t at;

        wrong = tfw_json_path(path, strlen(path), root, &found, &at);
        if (!good[i].found) {
            assert_non_null(wrong);
            continue;
        }
        if (wrong) {
            fail_msg("%s: byte %zu: %s", path, at, wrong);
        }
        if (found) {
            text[json_dumpb(found, text, sizeof(text) - 1, JSON_COMPACT | JSON_ENCODE_ANY)] = '\0';
        }
        assert_string_equal(text, good[i].found);
    }
    json_decref(root);
}

static void test_root(void **state)
{
    json_t *root = json_loads("[1]", 0, NULL);
    const json_t *found;
    size_t at;

    assert_null(tfw_json_path("$", 1, root, &found, &at));
    assert_ptr_equal(found, root);
    assert_null(tfw_json_path("$", 1, NULL, &found, &at));
    assert_null(found);
    json_decref(root);
}

static const struct {
    const char *path;
    size_t at;
} bad[] = {
    {"", 0},
    {"a", 0},
    {" $", 0},
    {"$ ", 2},
    {"$a", 1},
    {"$.", 2},
    {"$.1", 2},
    {"$. a", 2},
    {"$.a-b", 3},
    {"$..a", 2},
    {"$.*", 2},
    {"$[*]", 2},
    {"$[?@.a]", 2},
    {"$[0:1]", 3},
    {"$[0,1]", 3},
    {"$[00]", 2},
    {"$[-0]", 3},
    {"$[01]", 2},
    {"$[-]", 3},
    {"$[+1]", 2},
    {"$[1.0]", 3},
    {"$[9007199254740992]", 2},
    {"$[99999999999999999999]", 2},
    {"$[", 2},
    {"$[0", 3},
    {"$['a", 4},
    {"$['a'", 5},
    {"$['a\"]", 6},
    {"$['\\x']", 4},
    {"$['\\\"']", 4},
    {"$[\"\\'\"]", 4},
    {"$['\\u12']", 7},
    {"$['\\ud800']", 9},
    {"$['\\ud800\\u0041']", 15},
    {"$['\\udc00']", 9},
    {"$['\n']", 3},
    {"$[a]", 2},
    {"$[]", 2},
    {"$.a\xff", 0},
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        const json_t *found;
        size_t at;

        if (!tfw_json_path(bad[i].path, strlen(bad[i].path), NULL, &found, &at)) {
            fail_msg("%s is taken", bad[i].path);
        }
        if (at != bad[i].at) {
            fail_msg("%s: byte %zu instead of %zu", bad[i].path, at, bad[i].at);
        }
    }
}

static void test_length(void **state)
{
    char path[TFW_JSON_PATH_MAX + 1];
    const json_t *found;
    size_t at;

    memset(path, 'a', sizeof(path));
    path[0] = '$';
    path[1] = '.';
    assert_null(tfw_json_path(path, TFW_JSON_PATH_MAX, NULL, &found, &at));
    assert_non_null(tfw_json_path(path, TFW_JSON_PATH_MAX + 1, NULL, &found, &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_length),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
