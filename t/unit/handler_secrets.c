/* Secrets of the operator are blotted out of what a server sends back, as they are and as JSON may spell
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "call/caller_headers.h"

static void masks(const char *value, const char *text, const char *expected)
{
    const tfw_secret_t secret = {.value = value};
    const tfw_caller_headers_t h = {.secrets = {&secret}, .nsecrets = 1};
    char copy[200];
    size_t len = strlen(text);

    memcpy(copy, text, len + 1);
    len = tfw_caller_headers_mask(&h, copy, len);
    copy[len] = '\0';
    assert_string_equal(copy, expected);
}

static void as_it_is(void **state)
{
    masks("s3cr3t", "a s3cr3ts3cr3t b", "a ****** b");
    masks("s3cr3t", "s3cr3", "s3cr3");
    masks("x", "axb", "a*b");
    masks("a\\b", "is a\\b", "is ***");
}

static void as_json_spells_it(void **state)
{
    masks("a/b\"c", "{\"k\": \"a/b\\\"c\"}", "{\"k\": \"***\"}");
    masks("a/b\"c", "{\"k\": \"a\\/b\\\"c\"}", "{\"k\": \"***\"}");
    masks("a&b<c", "{\"k\": \"Bearer a\\u0026b\\u003Cc\"}", "{\"k\": \"Bearer ***\"}");
    masks("a&b<c", "\\u0061\\u0026b<c", "***");
    masks("gr\xc3\xbc\xc3\x9f", "\"gr\\u00fc\\u00df\"", "\"***\"");
    masks("\xe2\x82\xac"
          "9",
          "\"\\u20ac9\"", "\"***\"");
    masks("a\\b", "\"a\\\\b\"", "\"***\"");
    masks("a&b", "a\\u0026", "a\\u0026");
    masks("a&b", "a\\u002", "a\\u002");
    masks("a&b", "a\\", "a\\");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_it_is), cmocka_unit_test(as_json_spells_it)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
