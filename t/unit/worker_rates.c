/* How fast counters grow, over the last minute: from the start, on and on, after a pause, and however often
 * or seldom they are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rates.h"

#define SECOND 1000000LL

static tfw_rates_t rates;

static int none(void **state)
{
    (void)state;
    memset(&rates, 0, sizeof(rates));
    return 0;
}

/* Ten jobs in a second, one of which fails, and a quarter of a processor. */
static tfw_reading_t steady(int64_t at_us)
{
    return (tfw_reading_t){at_us, at_us / (SECOND / 10), at_us / SECOND, at_us / 4};
}

static void is_steady(tfw_per_second_t got)
{
    assert_float_equal(got.processed, 10, 0.01);
    assert_float_equal(got.failed, 1, 0.01);
    assert_float_equal(got.cpu_percent, 25, 0.01);
}

static void the_first_reading_says_nothing(void **state)
{
    tfw_reading_t now = steady(100 * SECOND);
    tfw_per_second_t got = tfw_rates_read(&rates, &now);

    (void)state;
    assert_true(got.processed == 0 && got.failed == 0 && got.cpu_percent == 0);
}

/* A second, which is too often to keep each; the default; every minute; every hour. */
static void what_is_steady_is_so_however_often_it_is_read(void **state)
{
    static const int64_t every[] = {SECOND, 5 * SECOND, 60 * SECOND, 3600 * SECOND};

    for (size_t e = 0; e < sizeof(every) / sizeof(every[0]); e++) {
        none(state);
        for (int64_t i = 0; i < 500; i++) {
            tfw_reading_t now = steady(1000 * SECOND + i * every[e]);
            tfw_per_second_t got = tfw_rates_read(&rates, &now);

            if (i > 0) {
                is_steady(got);
            }
        }
    }
}

static void a_burst_is_forgotten_after_a_minute(void **state)
{
    tfw_reading_t now = {0};
    tfw_per_second_t got;

    (void)state;
    tfw_rates_read(&rates, &now);
    for (int second = 1; second <= 300; second++) {
        now.at_us = second * SECOND;
        now.processed = 600; /* all within the first second */
        got = tfw_rates_read(&rates, &now);
        if (second <= 60) {
            assert_float_equal(got.processed, 600.0 / second, 0.01);
        } else if (second > 60 + TFW_RATES_STEP_US / SECOND) {
            assert_true(got.processed == 0);
        }
    }
}

static void what_begins_now_counts_over_a_minute(void **state)
{
    tfw_reading_t now = {0};
    tfw_per_second_t got;

    (void)state;
    for (int second = 0; second <= 200; second++) {
        now.at_us = second * SECOND;
        tfw_rates_read(&rates, &now);
    }
    now.at_us = 201 * SECOND;
    now.processed = 61;
    got = tfw_rates_read(&rates, &now);
    assert_in_range((uint64_t)(got.processed * 1000), 61 * 1000 / 65, 61 * 1000 / 60);
}

static void an_instant_makes_no_large_rate(void **state)
{
    tfw_reading_t now = {0};

    (void)state;
    tfw_rates_read(&rates, &now);
    now = (tfw_reading_t){1000, 3, 0, 900};
    assert_float_equal(tfw_rates_read(&rates, &now).processed, 3, 0.01);
    assert_float_equal(tfw_rates_read(&rates, &now).cpu_percent, 0.09, 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_reading_says_nothing, none),
        cmocka_unit_test_setup(what_is_steady_is_so_however_often_it_is_read, none),
        cmocka_unit_test_setup(a_burst_is_forgotten_after_a_minute, none),
        cmocka_unit_test_setup(what_begins_now_counts_over_a_minute, none),
        cmocka_unit_test_setup(an_instant_makes_no_large_rate, none),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
