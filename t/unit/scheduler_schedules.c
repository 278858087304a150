/* What becomes of a tick that has come: fired, or missed with others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "scheduler/schedules.h"

#define NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */

static tf_zone_t *utc;

static void check(const char *expression, int64_t late, int32_t catch_up, const char *outcome,
                  int64_t following)
{
    tf_cron_t cron;
    char error[200];
    tfs_verdict_t verdict;

    assert_true(tf_cron_parse(&cron, expression, strlen(expression), error, sizeof(error)));
    verdict = tfs_schedules_judge(&cron, utc, NOW - late, NOW, catch_up);
    assert_string_equal(verdict.outcome, outcome);
    assert_true(verdict.again);
    assert_int_equal(verdict.following - NOW, following);
}

static void test_in_time(void **state)
{
    check("* * * * * *", 0, 60, "fired", 1);
    check("@daily", 0, 60, "fired", 86400);
    check("@daily", 0, 10, "fired", 86400);
    check("* * * * *", 60, 60, "fired", 0);
    check("* * * * * *", 1, 60, "fired", 0);
}

/* Missed ticks within the window fire one after the other, the oldest first. */
static void test_catch_up(void **state)
{
    check("* * * * * *", 60, 60, "fired", -59);
    check("* * * * *", 600, 3600, "fired", -540);
    check("@hourly", 7200, 86400, "fired", -3600);
}

/* What is too old is missed, all of it at once. */
static void test_missed(void **state)
{
    check("* * * * *", 120, 60, "skipped_missed", -60);
    check("* * * * *", 365 * 86400, 60, "skipped_missed", -60);
    check("@daily", 7 * 86400, 86400, "skipped_missed", -86400);
    check("@daily", 86400, 60, "skipped_missed", 0);
    check("30 * * * *", 5400, 60, "skipped_missed", 1800);
    check("* * * * * *", 365 * 86400, 604800, "skipped_missed", -TFS_CATCH_UP_MAX + 1);
}

/* At most TFS_CATCH_UP_MAX fire late: the newest. */
static void test_bound(void **state)
{
    check("* * * * * *", TFS_CATCH_UP_MAX - 1, 3600, "fired", -TFS_CATCH_UP_MAX + 2);
    check("* * * * * *", TFS_CATCH_UP_MAX, 3600, "skipped_missed", -TFS_CATCH_UP_MAX + 1);
    check("* * * * * *", 3000, 3600, "skipped_missed", -TFS_CATCH_UP_MAX + 1);
}

static void test_last(void **state)
{
    tf_cron_t cron;
    char error[200];
    tfs_verdict_t verdict;

    assert_true(tf_cron_parse(&cron, "0 0 29 2 *", 10, error, sizeof(error)));
    verdict =
        tfs_schedules_judge(&cron, utc, INT64_C(253299744000), INT64_C(253299744000), 60); /* 9996-09-... */
    assert_string_equal(verdict.outcome, "fired");
    assert_false(verdict.again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_time), cmocka_unit_test(test_catch_up), cmocka_unit_test(test_missed),
        cmocka_unit_test(test_bound),   cmocka_unit_test(test_last),
    };
    int failed;

    utc = tf_zone_utc();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tf_zone_free(utc);
    return failed;
}
