/* Backoff: doubles, is capped, never overflows; jitter only shortens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "retry.h"

static void test_delays(void **state)
{
    static const struct {
        int64_t base, max;
        int attempt;
        int64_t delay;
    } cases[] = {
        {60000, 3600000, 1, 60000},
        {60000, 3600000, 2, 120000},
        {60000, 3600000, 6, 1920000},
        {60000, 3600000, 7, 3600000},
        {60000, 3600000, INT32_MAX, 3600000},
        {60000, 3600000, 0, 60000},
        {60000, 3600000, -5, 60000},
        {1, INT64_MAX, 64, INT64_MAX},
        {1, INT64_MAX, 63, INT64_C(1) << 62},
        {1, INT64_MAX, INT32_MAX, INT64_MAX},
        {INT64_MAX, INT64_MAX, 2, INT64_MAX},
        {0, 3600000, 9, 0},
        {-1, 3600000, 9, 0},
        {60000, 0, 3, 0},
        {60000, -1, 3, 0},
        {60000, 1000, 1, 1000},
        {2000, 3600000, 1, 2000},
        {2000, 3600000, 2, 4000},
        {2000, 3600000, 3, 8000},
        {2000, 3600000, 4, 16000},
        {3, 7, 2, 6},
        {3, 7, 3, 7},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tf_retry_policy_t policy = {cases[i].base, cases[i].max, false};

        assert_int_equal(tf_retry_delay_ms(&policy, cases[i].attempt, UINT64_MAX), cases[i].delay);
    }
}

static void test_jitter(void **state)
{
    tf_retry_policy_t policy = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true}, tiny = {5, 5, true};
    int64_t low = INT64_MAX, high = 0, delay;
    uint64_t random;

    for (random = 0; random < 100000; random++) {
        delay = tf_retry_delay_ms(&policy, 20, random * 0x9E3779B97F4A7C15u);
        low = delay < low ? delay : low;
        high = delay > high ? delay : high;
    }
    assert_int_equal(high, TF_RETRY_MAX_MS); /* never above the cap */
    assert_true(low >= TF_RETRY_MAX_MS * 9 / 10);
    assert_true(low < TF_RETRY_MAX_MS * 95 / 100); /* and it does spread */
    assert_true(tf_retry_delay_ms(&policy, 20, UINT64_MAX) <= TF_RETRY_MAX_MS);
    assert_int_equal(tf_retry_delay_ms(&tiny, 1, UINT64_MAX), 5);
}

static void test_left(void **state)
{
    assert_false(tf_retry_left(1, 0)); /* no retries: a single attempt */
    assert_true(tf_retry_left(1, 1));
    assert_false(tf_retry_left(2, 1));
    assert_true(tf_retry_left(3, 3));
    assert_false(tf_retry_left(4, 3));
}

static void test_budget(void **state)
{
    const int64_t since = INT64_C(1800000000000000);

    assert_true(tf_retry_in_budget(since, -1, INT64_MAX)); /* no budget */
    assert_true(tf_retry_in_budget(since, 0, since));
    assert_false(tf_retry_in_budget(since, 0, since + 1));
    assert_true(tf_retry_in_budget(since, 10, since + 10000000));
    assert_false(tf_retry_in_budget(since, 10, since + 10000001));
    assert_true(tf_retry_in_budget(since, 10, since - 5000000)); /* a clock that went back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_budget),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
