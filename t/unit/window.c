/* The sliding window against a plain list of everything that was granted. */
#include "window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Permits that are used at once. */
static uint32_t take(tf_window_t *w, uint32_t quota, int64_t window_ms, int64_t now_ms, uint32_t want)
{
    return tf_window_take(w, quota, window_ms, 0, now_ms, want, NULL);
}

static void quota_is_granted_once(void **state)
{
    tf_window_t w = {0};

    assert_int_equal(take(&w, 120, 60000, 1000, 100), 100);
    assert_int_equal(tf_window_free(&w, 120, 1000), 20);
    assert_int_equal(take(&w, 120, 60000, 1500, 100), 20);
    assert_int_equal(take(&w, 120, 60000, 2000, 1), 0);
    assert_int_equal(take(&w, 120, 60000, 60999, 1), 0);
}

static void it_comes_back_after_a_window(void **state)
{
    tf_window_t w = {0};
    int64_t next;

    take(&w, 10, 60000, 1000, 10);
    next = tf_window_next_ms(&w, 10, 1000);
    assert_in_range(next, 60000, 60000 + 60000 / TF_WINDOW_SEGMENTS + 1);
    assert_int_equal(take(&w, 10, 60000, 1000 + next - 1, 1), 0);
    assert_int_equal(take(&w, 10, 60000, 1000 + next, 10), 10);
}

static void nothing_counted_nothing_to_wait_for(void **state)
{
    tf_window_t w = {0};

    assert_int_equal(tf_window_next_ms(&w, 10, 1000), 0);
    assert_int_equal(tf_window_free(&w, 10, 1000), 10);
}

static void a_smaller_quota_waits_for_enough(void **state)
{
    tf_window_t w = {0};

    take(&w, 100, 1000, 10000, 50);
    take(&w, 100, 1000, 10500, 50);
    /* with a quota of 20 it is not enough that the first 50 are gone */
    assert_in_range(tf_window_next_ms(&w, 20, 10600), 900, 940);
    assert_int_equal(take(&w, 20, 1000, 11100, 1), 0);
    assert_int_equal(take(&w, 20, 1000, 11540, 30), 20);
}

static void a_clock_that_steps_back_counts_longer(void **state)
{
    tf_window_t w = {0};

    take(&w, 10, 1000, 50000, 5);
    assert_int_equal(take(&w, 10, 1000, 40000, 9), 5);
    assert_int_equal(take(&w, 10, 1000, 41500, 1), 0);
    assert_int_equal(take(&w, 10, 1000, 51100, 10), 10);
}

static void a_lease_is_counted_too(void **state)
{
    tf_window_t w = {0};
    int64_t moment;

    assert_int_equal(tf_window_take(&w, 10, 6000, 500, 1000, 10, &moment), 10);
    assert_in_range(moment, 7501, 7501 + 6000 / TF_WINDOW_SEGMENTS);
    assert_int_equal(take(&w, 10, 6000, moment - 1, 1), 0);
    assert_int_equal(take(&w, 10, 6000, moment, 10), 10);
}

static void what_is_given_back_is_free(void **state)
{
    tf_window_t w = {0};
    int64_t first, second;

    tf_window_take(&w, 10, 6000, 500, 1000, 6, &first);
    tf_window_take(&w, 10, 6000, 500, 3000, 4, &second);
    assert_int_equal(tf_window_free(&w, 10, 3000), 0);
    tf_window_give_back(&w, first, 2);
    assert_int_equal(tf_window_free(&w, 10, 3000), 2);
    tf_window_give_back(&w, second, 1);
    assert_int_equal(tf_window_free(&w, 10, 3000), 3);
    /* it was of the first that two were given back */
    assert_int_equal(tf_window_free(&w, 10, first), 7);
    /* what is not counted any more, or never was, changes nothing */
    tf_window_give_back(&w, first, 4);
    tf_window_give_back(&w, 0, 4);
    tf_window_give_back(&w, second + 1, 4);
    assert_int_equal(tf_window_free(&w, 10, first), 7);
    tf_window_give_back(&w, second, 100);
    assert_int_equal(tf_window_free(&w, 10, first), 10);
    assert_int_equal(tf_window_next_ms(&w, 10, first), 0);
}

/* Many calls at random moments with changing quotas and windows never let too much in, and use what they may.
 * Each takes some permits, uses some at once, some at the end of their lease, and gives the rest back then.
 */
static void never_more_than_the_quota_in_any_window(void **state)
{
    enum { CALLS = 20000 };
    static int64_t when[2 * CALLS];
    static uint32_t n[2 * CALLS];

    for (unsigned seed = 1; seed <= 20; seed++) {
        tf_window_t w = {0};
        int64_t now = seed * 1000003, window = 100 + (int64_t)(seed * 977 % 60000), lease = window / 50;
        int64_t begin = now, moment = 0, windows;
        uint32_t quota = 1 + seed * 37 % 500, total = 0, held = 0;
        int used = 0, first = 0;
        uint64_t in_window = 0;

        srand(seed);
        for (int i = 0; i < CALLS; i++) {
            uint32_t late = held ? (uint32_t)rand() % (held + 1) : 0, got, at_once;
            int64_t step = rand() % (2 + window / quota);

            /* what is held is used before its lease ends */
            when[used] = now + (step < lease ? step : lease);
            n[used++] = late;
            now += step;
            tf_window_give_back(&w, moment, held - late);
            got = tf_window_take(&w, quota, window, lease, now, 1 + (uint32_t)rand() % (1 + quota / 10),
                                 &moment);
            at_once = got ? 1 + (uint32_t)rand() % got : 0;
            held = got - at_once;
            when[used] = now;
            n[used++] = at_once;
            total += late + at_once;
            in_window += late + at_once;
            while (when[first] <= now - window) {
                in_window -= n[first++];
            }
            assert_true(in_window <= quota);
        }
        /* saturated: at least 90 % of what the windows that passed allow */
        windows = (now - begin) / (window + lease + window / TF_WINDOW_SEGMENTS + 1);
        assert_true(total >= (uint64_t)windows * quota * 9 / 10);
    }
}

static void a_longer_window_keeps_within_its_memory(void **state)
{
    tf_window_t w = {0};
    int64_t now = 1000000;

    /* full of segments of a short window, and then of longer and longer ones */
    for (int64_t window = 64; window < 1000000; window += window / 8) {
        for (int i = 0; i < 200; i++) {
            now += window / 100 + 1;
            take(&w, 100000, window, now, 1);
            assert_true(w.used <= TF_WINDOW_RING);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota_is_granted_once),
        cmocka_unit_test(it_comes_back_after_a_window),
        cmocka_unit_test(nothing_counted_nothing_to_wait_for),
        cmocka_unit_test(a_smaller_quota_waits_for_enough),
        cmocka_unit_test(a_clock_that_steps_back_counts_longer),
        cmocka_unit_test(a_lease_is_counted_too),
        cmocka_unit_test(what_is_given_back_is_free),
        cmocka_unit_test(never_more_than_the_quota_in_any_window),
        cmocka_unit_test(a_longer_window_keeps_within_its_memory),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
