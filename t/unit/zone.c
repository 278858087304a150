/* Time zones: the files of the system, read as libc reads them; and files that are broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "zone.h"

#define DAY INT64_C(86400)

static tf_zones_t *zones;

static int load(void **state)
{
    zones = tf_zones_load(TF_ZONE_DIRECTORY);
    return zones == NULL;
}

static int unload(void **state)
{
    tf_zones_free(zones);
    return 0;
}

static const tf_zone_t *zone(const char *name)
{
    const tf_zone_t *found = tf_zones_find(zones, name, strlen(name));

    assert_non_null(found);
    return found;
}

static int32_t libc_offset(int64_t at)
{
    time_t t = at;
    struct tm tm;

    assert_non_null(localtime_r(&t, &tm));
    return (int32_t)tm.tm_gmtoff;
}

static void compare(const char *name, const tf_zone_t *found, int64_t at)
{
    int32_t wanted = libc_offset(at), offset = tf_zone_offset(found, at);

    if (offset != wanted) {
        fail_msg("%s at %lld: %d seconds east, libc says %d", name, (long long)at, offset, wanted);
    }
}

/* Every zone, 1970 to 2120: at every change, and now and then. */
static void test_like_libc(void **state)
{
    assert_true(tf_zones_count(zones) > 400);
    for (size_t i = 0; i < tf_zones_count(zones); i++) {
        const char *name = tf_zones_name(zones, i);
        const tf_zone_t *found = zone(name);
        int64_t at, change;
        int changes = 0;

        setenv("TZ", name, 1);
        tzset();
        for (at = 0; at < 150 * 366 * DAY; at = change) {
            change = tf_zone_next_change(found, at);
            assert_true(change > at);
            compare(name, found, at + 1);
            for (int64_t t = at; t < change && t < 150 * 366 * DAY; t += 61 * DAY) {
                compare(name, found, t);
            }
            if (change == INT64_MAX) {
                break;
            }
            compare(name, found, change - 1);
            compare(name, found, change);
            changes++;
        }
        assert_true(changes < 1000);
    }
    unsetenv("TZ");
    tzset();
}

/* What is known without libc. */
static void test_known(void **state)
{
    const int64_t july = 1783036800, january = 1767225600; /* 2026-07-03, 2026-01-01 */

    assert_int_equal(tf_zone_offset(zone("UTC"), july), 0);
    assert_int_equal(tf_zone_next_change(zone("UTC"), 0), INT64_MAX);
    assert_int_equal(tf_zone_offset(zone("Europe/Berlin"), july), 7200);
    assert_int_equal(tf_zone_offset(zone("Europe/Berlin"), january), 3600);
    assert_int_equal(tf_zone_next_change(zone("Europe/Berlin"), january), 1774746000); /* 2026-03-29T01:00Z */
    assert_int_equal(tf_zone_offset(zone("Asia/Kolkata"), july), 19800);
    assert_int_equal(tf_zone_offset(zone("Australia/Lord_Howe"), july), 37800);
    assert_int_equal(tf_zone_offset(zone("Australia/Lord_Howe"), january), 39600);
    assert_int_equal(tf_zone_offset(zone("America/New_York"), INT64_C(4102444800)), -18000); /* 2100 */
}

static void test_names(void **state)
{
    static const char *const wrong[] = {"",          "europe/berlin",   "Europe/Berlin ", "Europe",
                                        "../UTC",    "/etc/passwd",     "posix/UTC",      "right/UTC",
                                        "tzdata.zi", "Europe/Atlantis", "Europe/../UTC",  "localtime"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_null(tf_zones_find(zones, wrong[i], strlen(wrong[i])));
    }
    assert_null(tf_zones_find(zones, "UTC\0x", 5));
    assert_null(tf_zones_find(zones, "UTC", 2));
    assert_null(tf_zones_name(zones, tf_zones_count(zones)));
}

static void test_no_directory(void **state)
{
    tf_zones_t *none = tf_zones_load("/nonexistent");

    assert_non_null(none);
    assert_int_equal(tf_zones_count(none), 1);
    assert_non_null(tf_zones_find(none, "UTC", 3));
    assert_null(tf_zones_find(none, "Europe/Berlin", 13));
    tf_zones_free(none);
}

/* A file cut short, or with any byte wrong, is refused or read, and never read past its end. */
static void test_broken(void **state)
{
    char data[8192], *copy;
    FILE *file = fopen(TF_ZONE_DIRECTORY "/Europe/Dublin", "rb");
    size_t len, refused = 0;
    tf_zone_t *one;

    assert_non_null(file);
    len = fread(data, 1, sizeof(data), file);
    fclose(file);
    assert_true(len > 200 && len < sizeof(data));
    for (size_t n = 0; n < len; n++) {
        copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, data, n);
        one = tf_zone_read(copy, n);
        assert_null(one);
        free(copy);
    }
    for (size_t n = 0; n < len; n++) {
        copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, data, len);
        copy[n] = (char)~copy[n];
        one = tf_zone_read(copy, len);
        refused += one == NULL;
        if (one) {
            tf_zone_offset(one, 1783036800);
            tf_zone_next_change(one, 1783036800);
            tf_zone_offset(one, INT64_C(4102444800));
        }
        tf_zone_free(one);
        free(copy);
    }
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_libc),    cmocka_unit_test(test_known),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_directory), cmocka_unit_test(test_broken),
    };

    if (access(TF_ZONE_DIRECTORY "/Europe/Berlin", R_OK) != 0) {
        printf("1..0 # SKIP no time zones in " TF_ZONE_DIRECTORY "\n");
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, load, unload);
}
