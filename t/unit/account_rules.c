/* What a username, an e-mail address and a password must look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "account_rules.h"

static void test_username(void **state)
{
    char text[TF_USERNAME_MAX + 2];
    const char *good[] = {"abc", "A.b-c_9", "..."};
    const char *bad[] = {"", "ab", "a b", "a@b", "abc\n", "\xc3\xa4xx", "a/b", "a'b"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(tf_username_check(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(tf_username_check(bad[i], strlen(bad[i])));
    }
    memset(text, 'a', sizeof(text));
    assert_null(tf_username_check(text, TF_USERNAME_MAX));
    assert_non_null(tf_username_check(text, TF_USERNAME_MAX + 1));
    assert_non_null(tf_username_check("ab\0c", 4));
}

static void test_email(void **state)
{
    const char *good[] = {"a@b.cd", "first.last+tag@sub.example.com", "o'neil@example.org"};
    const char *bad[] = {"",        "a",        "@b.cd",   "a@",           "a@b",
                         "a@.b",    "a@b.",     "a@b..cd", "a b@c.de",     "a@b@c.de",
                         "a@b.c\n", "<a@b.cd>", "a@b.c d", "\xc3\xa4@b.cd"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(tf_email_check(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(tf_email_check(bad[i], strlen(bad[i])));
    }
}

static const char *check(const char *password)
{
    return tf_password_check(password, strlen(password), "alexandria", 10, "alexander.b@example.com", 23);
}

static void test_password(void **state)
{
    char text[TF_PASSWORD_BYTES + 1];
    const char *bad[] = {"short",
                         "ninechars",
                         "alexandria",
                         "ALEXANDRIA",
                         "alexander.b@example.com",
                         "alexander.b",
                         "1234567890",
                         "0987654321",
                         "qwertyuiop",
                         "Password123",
                         "aaaaaaaaaaaa",
                         "121212121212",
                         "abcabcabcabc",
                         "PASSW0RD123",
                         "asdfghjklz",
                         "zyxwvutsrq",
                         "\xff\xfe"
                         "xyz67890123"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(check(bad[i]));
    }
    assert_null(check("ten chars!"));
    assert_null(check("alexandria's"));
    assert_null(check("1234567890x"));
    /* characters count, not bytes: ten of two bytes each, and 128 of four */
    assert_null(check("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9\xc3\xa8\xc3\xa0\xc3\xaa\xc3\xae\xc3\xb4"));
    for (size_t i = 0; i < TF_PASSWORD_BYTES; i += 4) {
        memcpy(text + i, "\xf0\x9f\x98\x80", 4);
        text[i + 3] = (char)(0x80 + i / 4 % 64);
    }
    assert_null(tf_password_check(text, TF_PASSWORD_BYTES, NULL, 0, NULL, 0));
    assert_non_null(tf_password_check(text, TF_PASSWORD_BYTES + 1, NULL, 0, NULL, 0));
    assert_non_null(tf_password_check("", 0, NULL, 0, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_username),
        cmocka_unit_test(test_email),
        cmocka_unit_test(test_password),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
