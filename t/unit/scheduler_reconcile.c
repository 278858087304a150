/* Which waiting jobs Redis has lost: two clocks that need not agree, and a grace. Queue names as PostgreSQL
 * sends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pgparam.h"
#include "scheduler/names.h"
#include "scheduler/reconcile.h"

#define SECOND INT64_C(1000000)
#define PG (INT64_C(1767225600) * SECOND) /* 2026-01-01T00:00:00Z */
#define GRACE (2 * SECOND)

/* The moment, as seconds before PostgreSQL's now. skew: Redis's clock is ahead by so many seconds; age: of
 * the watermark, in seconds of Redis's clock. */
static int64_t before(int64_t skew, int64_t age)
{
    int64_t redis_us = PG + skew * SECOND;

    return (PG - tfs_reconcile_before(PG, redis_us, redis_us / 1000 - age * 1000, GRACE)) / SECOND;
}

static void test_nothing_undelivered(void **state)
{
    assert_int_equal(PG - tfs_reconcile_before(PG, PG, -1, GRACE), GRACE);
    assert_int_equal(PG - tfs_reconcile_before(PG, PG + 3600 * SECOND, -1, 0), 0);
}

static void test_watermark(void **state)
{
    assert_int_equal(before(0, 0), 2);
    assert_int_equal(before(0, 1), 3);
    assert_int_equal(before(0, 3600), 3602);
}

/* Whatever Redis takes for the time, only how long ago it was counts. */
static void test_skew(void **state)
{
    static const int64_t skews[] = {-86400, -10, -1, 1, 10, 86400};

    for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
        assert_int_equal(before(skews[i], 0), 2);
        assert_int_equal(before(skews[i], 60), 62);
    }
}

/* An id of the future: made in this very millisecond, or before the clock was set back. */
static void test_step(void **state)
{
    assert_int_equal(before(0, -1), 2);
    assert_int_equal(tfs_reconcile_before(PG, PG, PG / 1000 + 1001, GRACE), TF_TIME_NONE);
    assert_int_equal(tfs_reconcile_before(PG, PG, PG / 1000 + 3600 * 1000, GRACE), TF_TIME_NONE);
}

static void add(PGresult *result, int row, const char *name)
{
    assert_true(PQsetvalue(result, row, 0, (char *)(uintptr_t)name, (int)strlen(name)));
}

static PGresult *rows(const char *const *names)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc column = {.name = (char *)(uintptr_t) "name", .format = 1, .typlen = -1};

    assert_non_null(result);
    assert_true(PQsetResultAttrs(result, 1, &column));
    for (int i = 0; names[i]; i++) {
        add(result, i, names[i]);
    }
    return result;
}

static void test_names(void **state)
{
    static const char *const some[] = {"default", "two words", "", "_webhooks", NULL}, *const none[] = {NULL};
    char longest[TF_QUEUE_NAME_MAX + 2];
    const char *const edge[] = {longest, longest + 1, NULL};
    tfs_names_t names = {0};
    PGresult *result = rows(some);

    assert_true(tfs_names_read(&names, result));
    assert_int_equal(names.count, 2);
    assert_string_equal(names.items[0], "default");
    assert_string_equal(names.items[1], "_webhooks");
    PQclear(result);

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    result = rows(edge);
    assert_true(tfs_names_read(&names, result));
    assert_int_equal(names.count, 1);
    assert_int_equal(strlen(names.items[0]), TF_QUEUE_NAME_MAX);
    PQclear(result);

    result = rows(none);
    assert_true(tfs_names_read(&names, result));
    assert_int_equal(names.count, 0);
    assert_null(names.items);
    PQclear(result);
    tfs_names_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_undelivered),
        cmocka_unit_test(test_watermark),
        cmocka_unit_test(test_skew),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_names),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
