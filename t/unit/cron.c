/* Cron expressions: what is read, what is refused and how it is said, and when they fire, also when clocks
 * change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "buf.h"
#include "cron.h"
#include "submission.h"

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

    if (found == NULL) {
        fail_msg("no zone %s", name);
    }
    return found;
}

static int64_t instant(const char *text)
{
    int64_t us;

    if (!tf_time_parse(text, strlen(text), &us)) {
        fail_msg("%s is no time", text);
    }
    return us / 1000000;
}

static tf_cron_t parse(const char *text)
{
    tf_cron_t cron;
    char error[200] = "";

    if (!tf_cron_parse(&cron, text, strlen(text), error, sizeof(error))) {
        fail_msg("\"%s\": %s", text, error);
    }
    return cron;
}

/* "2026-03-29T01:00:00Z" */
static void time_text(int64_t at, char out[21])
{
    tf_buf_t b = TF_BUF_INIT;

    tf_json_time(&b, at * 1000000);
    assert_int_equal(b.len, 29);
    snprintf(out, 21, "%.19sZ", b.data + 1);
    tf_buf_free(&b);
}

/* The firings after an instant, one after the other. */
static void check(const char *expression, const char *zone_name, const char *after, const char *const *wanted)
{
    tf_cron_t cron = parse(expression);
    int64_t at = instant(after);
    char text[21];

    for (; *wanted; wanted++) {
        assert_true(tf_cron_next(&cron, zone(zone_name), at, &at));
        time_text(at, text);
        if (strcmp(text, *wanted) != 0) {
            fail_msg("\"%s\" in %s after %s: %s, not %s", expression, zone_name, after, text, *wanted);
        }
    }
}

#define CHECK(expression, zone_name, after, ...)                                                             \
    check(expression, zone_name, after, (const char *const[]){__VA_ARGS__, NULL})

static void test_plain(void **state)
{
    CHECK("* * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z");
    CHECK("* * * * * *", "UTC", "2026-12-31T23:59:58Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z");
    CHECK("*/20 30 * * * ?", "UTC", "2026-01-01T00:30:20Z", "2026-01-01T00:30:40Z", "2026-01-01T01:30:00Z");
    CHECK("0 9 * * MON-FRI", "UTC", "2026-11-20T09:00:00Z", "2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z");
    CHECK("0 9 * * sat-sun", "UTC", "2026-11-20T09:00:00Z", "2026-11-21T09:00:00Z", "2026-11-22T09:00:00Z",
          "2026-11-28T09:00:00Z");
    CHECK("0 0 * * 7", "UTC", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z");
    CHECK("0 0 * * 5-7", "UTC", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z",
          "2026-11-27T00:00:00Z");
    CHECK("5/20 8-10/2,23 1,15 jan,Jul *", "UTC", "2026-01-01T10:46:00Z", "2026-01-01T23:05:00Z",
          "2026-01-01T23:25:00Z", "2026-01-01T23:45:00Z", "2026-01-15T08:05:00Z");
    CHECK("  0\t0  31 * * ", "UTC", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z");
    CHECK("@hourly", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
    CHECK("@daily", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    CHECK("@midnight", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T18:30:00Z");
    CHECK("@weekly", "UTC", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z");
    CHECK("@monthly", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    CHECK("@Yearly", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    CHECK("@annually", "America/New_York", "2026-01-01T00:00:00Z", "2026-01-01T05:00:00Z");
    CHECK("@every 90s", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z");
    CHECK("@every 1h30m", "Asia/Tokyo", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z");
    CHECK("@every 1d", "UTC", "1969-12-31T12:00:00Z", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z");
}

/* crontab(5): both days restricted: one is enough; else both must match. */
static void test_days(void **state)
{
    CHECK("0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z",
          "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z",
          "2026-12-13T00:00:00Z");
    CHECK("0 0 13 * *", "UTC", "2026-11-01T00:00:00Z", "2026-11-13T00:00:00Z", "2026-12-13T00:00:00Z");
    CHECK("0 0 ? * FRI", "UTC", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z");
    CHECK("0 0 */2 * MON", "UTC", "2026-11-01T00:00:00Z", "2026-11-09T00:00:00Z", "2026-11-23T00:00:00Z");
    CHECK("0 0 30 2 MON", "UTC", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z");
}

static void test_leap_years(void **state)
{
    CHECK("0 12 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z");
    CHECK("0 0 29 2 ?", "UTC", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z");
    CHECK("0 0 29 2 */7", "UTC", "2026-01-01T00:00:00Z", "2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z",
          "2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z");
    CHECK("0 */12 29 2 *", "Europe/Berlin", "2096-03-01T00:00:00Z", "2104-02-28T23:00:00Z",
          "2104-02-29T11:00:00Z", "2108-02-28T23:00:00Z");
}

/* New York: 2026-03-08 02:00 becomes 03:00 (07:00Z), 2026-11-01 02:00 becomes 01:00 (06:00Z). */
static void test_gap_and_repetition(void **state)
{
    /* a fixed hour: once, the first time; in the gap: when it ends */
    CHECK("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", "2026-03-07T07:30:00Z",
          "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z");
    CHECK("*/15 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T07:00:00Z",
          "2026-03-09T06:00:00Z");
    CHECK("0,30 2,3 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T07:00:00Z",
          "2026-03-08T07:30:00Z", "2026-03-09T06:00:00Z");
    CHECK("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z",
          "2026-11-02T06:30:00Z");
    CHECK("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", "2026-11-02T06:30:00Z");
    CHECK("0 0 1 * * *", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-02T06:00:00Z");
    CHECK("* 1 1 11 *", "America/New_York", "2026-11-01T05:59:00Z", "2027-11-01T05:00:00Z");
    /* a wildcard: by elapsed time */
    CHECK("30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", "2026-03-08T06:30:00Z",
          "2026-03-08T07:30:00Z");
    CHECK("30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z",
          "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z");
    CHECK("0 */2 * * *", "America/New_York", "2026-03-08T04:59:00Z", "2026-03-08T05:00:00Z",
          "2026-03-08T08:00:00Z");
    CHECK("30 0-23 * * *", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z",
          "2026-11-01T06:30:00Z");
    CHECK("@every 30m", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z",
          "2026-11-01T06:30:00Z");
}

static void test_odd_zones(void **state)
{
    /* half an hour: 2026-10-04 02:00 becomes 02:30 (15:30Z), 2026-04-05 02:00 becomes 01:30 (15:00Z) */
    CHECK("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T15:30:00Z",
          "2026-10-04T15:15:00Z");
    CHECK("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-04T14:45:00Z",
          "2026-04-05T15:15:00Z");
    CHECK("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:40:00Z", "2026-04-04T14:45:00Z",
          "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z", "2026-04-04T15:30:00Z");
    /* midnight itself is left out: Cairo, 2026-04-24 00:00 becomes 01:00 */
    CHECK("@daily", "Africa/Cairo", "2026-04-23T00:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z");
    /* a whole day is left out: Samoa had no 2011-12-30 */
    CHECK("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-29T22:00:00Z",
          "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z");
    /* midnight twice: Havana, 2026-11-01 01:00 becomes 00:00; the other one comes a long time before the next
     */
    CHECK("30 */23 1 11 *", "America/Havana", "2026-11-01T00:00:00Z", "2026-11-01T04:30:00Z",
          "2026-11-01T05:30:00Z", "2026-11-02T04:30:00Z", "2027-11-01T04:30:00Z");
    CHECK("30 0 1 11 *", "America/Havana", "2026-11-01T00:00:00Z", "2026-11-01T04:30:00Z",
          "2027-11-01T04:30:00Z");
    /* long after the last change that the file lists */
    CHECK("0 9 1 7 *", "Europe/Berlin", "2090-01-01T00:00:00Z", "2090-07-01T07:00:00Z");
}

/* Around every change of 2006 to 2027, in many zones, minute by minute, against the definition itself. */

#define WINDOW 2880  /* minutes, from a day before a change */
#define REPEATED 200 /* minutes: no clock goes back by more */

static bool matches(const tf_cron_t *cron, int64_t wall)
{
    tf_cron_t plain = *cron; /* in UTC nothing changes: what it says of one minute is beyond doubt */
    int64_t next;

    return tf_cron_next(&plain, zone("UTC"), wall - 1, &next) && next == wall;
}

/* fires[i]: by the definition in cron.h it fires at begin + i minutes. */
static void define(const tf_cron_t *cron, const tf_zone_t *z, int64_t begin, int64_t change, bool *fires)
{
    static int64_t walls[WINDOW];
    int64_t gap_end;

    for (int i = 0; i < WINDOW; i++) {
        walls[i] = begin + i * 60 + tf_zone_offset(z, begin + i * 60);
        fires[i] = matches(cron, walls[i]);
        for (int j = i > REPEATED ? i - REPEATED : 0; !cron->every_hour && fires[i] && j < i; j++) {
            fires[i] = walls[j] != walls[i]; /* a repetition */
        }
    }
    gap_end = change + tf_zone_offset(z, change);
    for (int64_t wall = change + tf_zone_offset(z, change - 1); !cron->every_hour && wall < gap_end;
         wall += 60) {
        if (matches(cron, wall)) {
            fires[(change - begin) / 60] = true;
        }
    }
}

static void test_definition(void **state)
{
    static const char *const names[] = {
        "America/New_York", "Europe/London", "Europe/Dublin",  "Australia/Lord_Howe", "Africa/Cairo",
        "America/Havana",   "Asia/Gaza",     "America/Nuuk",   "Antarctica/Troll",    "Africa/Casablanca",
        "America/Santiago", "Pacific/Apia",  "Asia/Pyongyang", "Europe/Istanbul",     "America/Caracas",
    };
    static const char *const expressions[] = {
        "* * * * *",    "*/7 */3 * * *", "0 0 * * *",      "30 0-2 * * *",    "*/20 1,2,23 * * *",
        "15 * * * SUN", "45 1 * * SAT",  "5 */23 1-7 * *", "59 23 28-31 * *", "10 0-23 * * *",
    };
    static bool fires[WINDOW];
    int compared = 0;

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        const tf_zone_t *z = zone(names[n]);
        int64_t change = 1136073600; /* 2006 */

        while ((change = tf_zone_next_change(z, change)) < 1830297600) {
            int64_t begin = change - WINDOW / 2 * 60;

            for (size_t e = 0; e < sizeof(expressions) / sizeof(expressions[0]); e++) {
                tf_cron_t cron = parse(expressions[e]);
                int64_t at = begin + REPEATED * 60 - 1, next;

                define(&cron, z, begin, change, fires);
                for (int i = REPEATED; i < WINDOW - REPEATED; i++) {
                    bool now;

                    assert_true(tf_cron_next(&cron, z, at, &next));
                    now = next == begin + i * 60;
                    if (now != fires[i]) {
                        fail_msg("\"%s\" in %s: %s at %lld", expressions[e], names[n],
                                 now ? "fires" : "does not fire", (long long)(begin + i * 60));
                    }
                    at = begin + i * 60;
                    compared++;
                }
            }
        }
    }
    assert_true(compared > 500000);
}

static void test_never_again(void **state)
{
    tf_cron_t cron = parse("0 0 29 2 *"), every = parse("@every 366d");
    int64_t next;

    assert_false(tf_cron_next(&cron, zone("UTC"), instant("9996-02-29T00:00:00Z"), &next));
    assert_false(tf_cron_next(&every, zone("UTC"), TF_CRON_LAST - 10, &next));
    assert_false(tf_cron_next(&cron, zone("Europe/Berlin"), INT64_MAX, &next));
    assert_true(tf_cron_next(&cron, zone("Europe/Berlin"), INT64_MIN, &next));
    assert_true(tf_cron_next(&every, zone("Europe/Berlin"), INT64_MIN, &next));
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "there must be 5 fields, or 6 with seconds first, but there are 0"},
        {"* * * *", "but there are 4"},
        {"* * * * * * *", "but there are 7"},
        {"60 * * * *", "minute, at 1: 60 is not from 0 to 59"},
        {"0 24 * * *", "hour, at 3: 24 is not from 0 to 23"},
        {"0 0 0 * *", "day of month, at 5: 0 is not from 1 to 31"},
        {"0 0 * 13 *", "month, at 7: 13 is not from 1 to 12"},
        {"0 0 * * 8", "day of week, at 9: 8 is not from 0 to 7"},
        {"61 0 0 * * *", "second, at 1: 61 is not from 0 to 59"},
        {"0 0 * FOO *", "month, at 7: \"FOO\" means nothing here"},
        {"0 0 * MON *", "month, at 7: \"MON\" means nothing here"},
        {"0 0 * JANUARY *", "month, at 7: \"JANUARY\" means nothing here"},
        {"0 MON * * *", "hour, at 3: \"MON\" means nothing here"},
        {"5-1 * * * *", "minute, at 1: the range goes backwards"},
        {"1,,2 * * * *", "minute, at 3: not a number"},
        {"1, * * * *", "minute, at 3: a number is missing"},
        {"1- * * * *", "minute, at 3: a number is missing"},
        {"*/0 * * * *", "minute, at 3: a step must be from 1 to 59"},
        {"*/60 * * * *", "minute, at 3: a step must be from 1 to 59"},
        {"*/ * * * *", "minute, at 3: a number is missing"},
        {"** * * * *", "minute, at 2: unexpected \"*\""},
        {"1x * * * *", "minute, at 2: unexpected \"x\""},
        {"-1 * * * *", "minute, at 1: not a number"},
        {"+1 * * * *", "minute, at 1: not a number"},
        {"1.5 * * * *", "minute, at 2: unexpected \".\""},
        {"9999999999 * * * *", "minute, at 1: the number is too long"},
        {"0 0 L * *", "day of month, at 5: \"L\" means nothing here"},
        {"0 0 * * FRI#2", "day of week, at 12: unexpected \"#\""},
        {"0 0 30 2 *", "it never fires"},
        {"0 0 31 4,6,9,11 *", "it never fires"},
        {"0 0 30 2 */2", "it never fires"},
        {"@reboot", "after @ there is"},
        {"@daily x", "after @ there is"},
        {"@every", "after @ there is"},
        {"@every 5", "@every, at 8: a time like"},
        {"@every m", "@every, at 8: a time like"},
        {"@every 5m1h", "@every, at 10: a time like"},
        {"@every 5m5m", "@every, at 10: a time like"},
        {"@every 5 m", "after @ there is"},
        {"@every 0s", "must be from 1s to 366d"},
        {"@every 367d", "must be from 1s to 366d"},
        {"@every 999999999d", "must be from 1s to 366d"},
        {"@every 9999999999s", "@every, at 8: a time like"},
    };
    char error[200], long_text[TF_CRON_TEXT_MAX + 2];
    tf_cron_t cron;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        error[0] = '\0';
        if (tf_cron_parse(&cron, cases[i].text, strlen(cases[i].text), error, sizeof(error))) {
            fail_msg("\"%s\" is taken", cases[i].text);
        }
        if (strstr(error, cases[i].error) == NULL) {
            fail_msg("\"%s\": \"%s\", not \"%s\"", cases[i].text, error, cases[i].error);
        }
    }
    memset(long_text, ' ', sizeof(long_text));
    assert_false(tf_cron_parse(&cron, long_text, sizeof(long_text), error, sizeof(error)));
    assert_non_null(strstr(error, "longer than 256"));
    assert_false(tf_cron_parse(&cron, "* * * * *\0", 10, error, sizeof(error)));
    /* an error that does not fit is cut */
    assert_false(tf_cron_parse(&cron, "99 * * * *", 10, error, 8));
    assert_int_equal(strlen(error), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),       cmocka_unit_test(test_days),
        cmocka_unit_test(test_leap_years),  cmocka_unit_test(test_gap_and_repetition),
        cmocka_unit_test(test_odd_zones),   cmocka_unit_test(test_definition),
        cmocka_unit_test(test_never_again), cmocka_unit_test(test_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, load, unload);
}
