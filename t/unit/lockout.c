/* Wrong passwords: counted by name and by address, for a while, in a table that never grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lockout.h"

static tf_lockout_t table;

static int empty(void **state)
{
    memset(&table, 0, sizeof(table));
    return 0;
}

static uint64_t name(const char *text)
{
    return tf_lockout_key('n', text, strlen(text));
}

static uint64_t address(const char *text)
{
    return tf_lockout_key('a', text, strlen(text));
}

static void test_keys(void **state)
{
    assert_true(name("Alice") == name("alice"));
    assert_true(name("alice") != name("alicf"));
    assert_true(name("10.0.0.1") != address("10.0.0.1"));
    assert_true(address("10.0.0.1") != address("10.0.0.2"));
    assert_true(address("2001:db8:1:2::1") == address("2001:db8:1:2:ffff::9"));
    assert_true(address("2001:db8:1:2::1") != address("2001:db8:1:3::1"));
    assert_true(address("::ffff:10.0.0.1") == address("10.0.0.1"));
    assert_true(address("::ffff:10.0.0.1") != address("::ffff:10.0.0.2"));
}

static void test_locks(void **state)
{
    uint64_t key = name("alice");

    for (uint32_t now = 1000; now < 1003; now++) {
        assert_int_equal(tf_lockout_take(&table, key, 3, 60, now), 0);
    }
    assert_int_equal(tf_lockout_take(&table, key, 3, 60, 1003), 59);
    /* asking while it is locked does not make it longer */
    assert_int_equal(tf_lockout_take(&table, key, 3, 60, 1061), 1);
    assert_int_equal(tf_lockout_take(&table, key, 3, 60, 1062), 0);
    assert_int_equal(tf_lockout_take(&table, name("bob"), 3, 60, 1062), 0);
}

static void test_forgets(void **state)
{
    uint64_t key = name("alice");

    assert_int_equal(tf_lockout_take(&table, key, 2, 60, 1000), 0);
    assert_int_equal(tf_lockout_take(&table, key, 2, 60, 1060), 0);
    assert_int_equal(tf_lockout_take(&table, key, 2, 60, 1061), 0);
    tf_lockout_give_back(&table, key);
    assert_int_equal(tf_lockout_take(&table, key, 2, 60, 1062), 0);
    assert_int_not_equal(tf_lockout_take(&table, key, 2, 60, 1063), 0);
    tf_lockout_clear(&table, key);
    assert_int_equal(tf_lockout_take(&table, key, 2, 60, 1064), 0);
    /* nothing to give back is no debt */
    tf_lockout_clear(&table, key);
    tf_lockout_give_back(&table, key);
    assert_int_equal(tf_lockout_take(&table, key, 1, 60, 1065), 0);
    assert_int_not_equal(tf_lockout_take(&table, key, 1, 60, 1066), 0);
}

static void test_clock_goes_back(void **state)
{
    uint64_t key = name("alice");

    assert_int_equal(tf_lockout_take(&table, key, 1, 60, 1000000), 0);
    assert_int_equal(tf_lockout_take(&table, key, 1, 60, 1000), 60);
    assert_int_equal(tf_lockout_take(&table, key, 1, 60, 1060), 0);
}

/* A hundred thousand other names push out who was quiet longest, never who is being guessed at now. */
static void test_bounded(void **state)
{
    uint64_t key = name("alice");
    char text[32];

    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(tf_lockout_take(&table, key, 5, 1000000, 2000000 + i), 0);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "name%u", (unsigned)i);
        assert_int_equal(tf_lockout_take(&table, name(text), 5, 1000000, 1500000), 0);
    }
    assert_int_not_equal(tf_lockout_take(&table, key, 5, 1000000, 2000005), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_keys, empty),    cmocka_unit_test_setup(test_locks, empty),
        cmocka_unit_test_setup(test_forgets, empty), cmocka_unit_test_setup(test_clock_goes_back, empty),
        cmocka_unit_test_setup(test_bounded, empty),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
