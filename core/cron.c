#include "cron.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "civil.h"

#define DAY 86400
#define FIELDS 6
#define OFFSET_MAX (26 * 3600) /* zone.c takes no larger one */

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                          "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const day_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

static const struct {
    const char *name;
    int min, max;
    const char *const *names; /* of min and those after it */
    int nnames;
} fields[FIELDS] = {
    {"second", 0, 59, NULL, 0},       {"minute", 0, 59, NULL, 0},        {"hour", 0, 23, NULL, 0},
    {"day of month", 1, 31, NULL, 0}, {"month", 1, 12, month_names, 12}, {"day of week", 0, 7, day_names, 7},
};

static const struct {
    const char *name, *text;
} macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

/* Reading: where it is, and where complaints go. */
typedef struct {
    const char *begin, *p, *end;
    char *error;
    size_t error_size;
    int field;
} reader_t;

static bool complain(reader_t *r, const char *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "minute, at 4: 70 is not from 0 to 59". Always false. */
static bool complain(reader_t *r, const char *at, const char *fmt, ...)
{
    va_list args;
    int n = snprintf(r->error, r->error_size, "%s, at %d: ", fields[r->field].name, (int)(at - r->begin) + 1);

    if (n > 0 && (size_t)n < r->error_size) {
        va_start(args, fmt);
        vsnprintf(r->error + n, r->error_size - (size_t)n, fmt, args);
        va_end(args);
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The next byte of the field; 0 at its end. */
static char look(const reader_t *r)
{
    if (r->p == r->end) {
        return '\0';
    }
    return *r->p;
}

/* Digits, at most 9 of them. */
static bool take_number(reader_t *r, int *value)
{
    const char *first = r->p;

    for (*value = 0; is_digit(look(r)); r->p++) {
        if (r->p - first == 9) {
            return complain(r, first, "the number is too long");
        }
        *value = *value * 10 + (*r->p - '0');
    }
    return r->p > first || complain(r, first, first == r->end ? "a number is missing" : "not a number");
}

static bool take_name(reader_t *r, int *value)
{
    const char *first = r->p;

    while (is_letter(look(r))) {
        r->p++;
    }
    for (int i = 0; i < fields[r->field].nnames; i++) {
        if (r->p - first == 3 && strncasecmp(first, fields[r->field].names[i], 3) == 0) {
            *value = fields[r->field].min + i;
            return true;
        }
    }
    return complain(r, first, "\"%.*s\" means nothing here", (int)(r->p - first > 20 ? 20 : r->p - first),
                    first);
}

/* A number or a name within the field's limits. */
static bool take_value(reader_t *r, int *value)
{
    const char *first = r->p;
    int min = fields[r->field].min, max = fields[r->field].max;

    if (is_letter(look(r))) {
        return take_name(r, value);
    }
    if (!take_number(r, value)) {
        return false;
    }
    return (*value >= min && *value <= max) ||
           complain(r, first, "%d is not from %d to %d", *value, min, max);
}

/* One element of a list: a value, a range or a wildcard, with a step or without. */
static bool take_element(reader_t *r, uint64_t *bits, bool *wildcard)
{
    int first = fields[r->field].min, last = fields[r->field].max, step = 1;
    const char *at = r->p;

    if (look(r) == '*' || look(r) == '?') {
        r->p++;
        *wildcard = true;
        last -= r->field == 5; /* not Sunday twice */
    } else {
        if (!take_value(r, &first)) {
            return false;
        }
        if (look(r) == '-') {
            r->p++;
            if (!take_value(r, &last)) {
                return false;
            }
            last = r->field == 5 && last == 0 && first > 0 ? 7 : last; /* SAT-SUN */
        } else if (look(r) != '/') {
            last = first; /* "5/10" is 5, 15, 25 ... */
        }
        if (first > last) {
            return complain(r, at, "the range goes backwards");
        }
    }
    if (look(r) == '/') {
        const char *step_at = ++r->p;

        if (!take_number(r, &step)) {
            return false;
        }
        if (step < 1 || step > fields[r->field].max) {
            return complain(r, step_at, "a step must be from 1 to %d", fields[r->field].max);
        }
    }
    for (int i = first; i <= last; i += step) {
        *bits |= UINT64_C(1) << i;
    }
    return true;
}

/* wildcard: the field begins with one, as crontab(5) has it. */
static bool take_field(reader_t *r, uint64_t *bits, bool *wildcard)
{
    bool later = false;

    *bits = 0;
    *wildcard = false;
    if (!take_element(r, bits, wildcard)) {
        return false;
    }
    while (look(r) == ',') {
        r->p++;
        if (!take_element(r, bits, &later)) {
            return false;
        }
    }
    return r->p == r->end ||
           complain(r, r->p, "unexpected \"%c\"", *r->p >= ' ' && *r->p <= '~' ? *r->p : '?');
}

/* "1h30m" */
static bool take_every(reader_t *r, tf_cron_t *cron)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'d', DAY}, {'h', 3600}, {'m', 60}, {'s', 1}};
    size_t unit = 0;
    int value;

    while (r->p < r->end) {
        const char *first = r->p;

        for (value = 0; is_digit(look(r)) && r->p - first < 9; r->p++) {
            value = value * 10 + (*r->p - '0');
        }
        while (unit < 4 && units[unit].letter != look(r)) {
            unit++;
        }
        if (r->p == first || unit == 4) {
            snprintf(r->error, r->error_size,
                     "@every, at %d: a time like 90s, 5m, 2h or 1h30m is expected (d, h, m, s)",
                     (int)(first - r->begin) + 1);
            return false;
        }
        cron->every_seconds += value * units[unit].seconds;
        r->p++;
        unit++;
    }
    if (cron->every_seconds < 1 || cron->every_seconds > TF_CRON_EVERY_MAX) {
        snprintf(r->error, r->error_size, "@every: the time must be from 1s to %dd", TF_CRON_EVERY_MAX / DAY);
        return false;
    }
    return true;
}

/* Is there a day at all? February 30 never comes; on the other hand "30 2 MON" fires on Mondays too. */
static bool day_exists(const tf_cron_t *cron)
{
    if (!cron->any_day && !cron->any_weekday) {
        return true;
    }
    for (int month = 1; month <= 12; month++) {
        int days = tf_days_in_month(2000, month);

        if ((cron->month >> month & 1) && (cron->day & ((UINT64_C(1) << (days + 1)) - 1))) {
            return true;
        }
    }
    return false;
}

/* Splits at white space. Returns how many fields there are; those past FIELDS are only counted. */
static int split(const reader_t *r, const char *first[FIELDS], const char *last[FIELDS])
{
    int n = 0;

    for (const char *p = r->begin; p < r->end;) {
        const char *begin;

        while (p < r->end && is_space(*p)) {
            p++;
        }
        begin = p;
        while (p < r->end && !is_space(*p)) {
            p++;
        }
        if (p > begin) {
            if (n < FIELDS) {
                first[n] = begin;
                last[n] = p;
            }
            n++;
        }
    }
    return n;
}

static bool parse_fields(tf_cron_t *cron, reader_t *r, int n, const char *const first[],
                         const char *const last[])
{
    uint64_t bits[FIELDS] = {1}; /* without seconds: at second 0 */
    bool wildcard[FIELDS] = {false};

    if (n != 5 && n != 6) {
        snprintf(r->error, r->error_size, "there must be 5 fields, or 6 with seconds first, but there are %d",
                 n);
        return false;
    }
    for (int i = 0; i < n; i++) {
        r->field = i + FIELDS - n;
        r->p = first[i];
        r->end = last[i];
        if (!take_field(r, &bits[r->field], &wildcard[r->field])) {
            return false;
        }
    }
    cron->second = bits[0];
    cron->minute = bits[1];
    cron->hour = (uint32_t)bits[2];
    cron->day = (uint32_t)bits[3];
    cron->month = (uint16_t)bits[4];
    cron->weekday = (uint8_t)((bits[5] | bits[5] >> 7) & 0x7f);
    cron->every_hour = wildcard[2] || cron->hour == 0xffffff;
    cron->any_day = wildcard[3];
    cron->any_weekday = wildcard[5];
    if (!day_exists(cron)) {
        snprintf(r->error, r->error_size, "it never fires: there is no such day of the month");
        return false;
    }
    return true;
}

bool tf_cron_parse(tf_cron_t *cron, const char *text, size_t len, char *error, size_t error_size)
{
    reader_t r = {text, text, text + len, error, error_size, 0};
    const char *first[FIELDS], *last[FIELDS];
    int n;

    memset(cron, 0, sizeof(*cron));
    if (len > TF_CRON_TEXT_MAX || memchr(text, '\0', len)) {
        snprintf(error, error_size, "it is longer than %d bytes or has a NUL in it", TF_CRON_TEXT_MAX);
        return false;
    }
    n = split(&r, first, last);
    if (n == 0 || *first[0] != '@') {
        return parse_fields(cron, &r, n, first, last);
    }
    if (n == 2 && last[0] - first[0] == 6 && strncasecmp(first[0], "@every", 6) == 0) {
        r.p = first[1];
        r.end = last[1];
        return take_every(&r, cron);
    }
    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]) && n == 1; i++) {
        if (strlen(macros[i].name) == (size_t)(last[0] - first[0]) &&
            strncasecmp(first[0], macros[i].name, strlen(macros[i].name)) == 0) {
            return tf_cron_parse(cron, macros[i].text, strlen(macros[i].text), error, error_size);
        }
    }
    snprintf(
        error, error_size,
        "after @ there is yearly, annually, monthly, weekly, daily, midnight, hourly, or every and a time");
    return false;
}

/* --- the next firing. "Wall": seconds since 1970-01-01 00:00 of a clock on the wall, as if it were UTC. */

/* The lowest set bit from `from` on; -1: none. */
static int next_bit(uint64_t bits, int from)
{
    bits = from < 64 ? bits >> from : 0;
    return bits ? from + __builtin_ctzll(bits) : -1;
}

static bool day_matches(const tf_cron_t *cron, int64_t days, int day)
{
    bool by_day = cron->day >> day & 1, by_weekday = cron->weekday >> tf_weekday(days) & 1;

    return cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first time of day from `from` (seconds) on; -1: none. */
static int next_time(const tf_cron_t *cron, int from)
{
    int hour = from / 3600, minute = from / 60 % 60, second = from % 60, h, m, s;

    for (h = next_bit(cron->hour, hour); h >= 0; h = next_bit(cron->hour, h + 1)) {
        for (m = next_bit(cron->minute, h == hour ? minute : 0); m >= 0; m = next_bit(cron->minute, m + 1)) {
            s = next_bit(cron->second, h == hour && m == minute ? second : 0);
            if (s >= 0) {
                return (h * 60 + m) * 60 + s;
            }
        }
    }
    return -1;
}

/* The first matching wall time from `wall` on. false: none until TF_CRON_LAST. */
static bool next_wall(const tf_cron_t *cron, int64_t wall, int64_t *found)
{
    int64_t days = wall / DAY - (wall % DAY < 0), year;
    int from = (int)(wall - days * DAY), month, day, at;

    tf_civil_from_days(days, &year, &month, &day);
    while (days <= TF_CRON_LAST / DAY) {
        if (!(cron->month >> month & 1)) {
            days += tf_days_in_month(year, month) - day + 1;
            day = 1;
            month++;
            from = 0;
        } else {
            at = day_matches(cron, days, day) ? next_time(cron, from) : -1;
            if (at >= 0) {
                *found = days * DAY + at;
                return true;
            }
            days++;
            from = 0;
            if (++day > tf_days_in_month(year, month)) {
                day = 1;
                month++;
            }
        }
        if (month > 12) {
            month = 1;
            year++;
        }
    }
    return false;
}

/* When a wall time comes first; when it never comes, the end of the gap. */
static int64_t first_instant(const tf_zone_t *zone, int64_t wall)
{
    int64_t at = wall - OFFSET_MAX, change;

    for (;;) {
        int32_t offset = tf_zone_offset(zone, at);

        change = tf_zone_next_change(zone, at);
        if (wall - offset < change) {
            return wall - offset;
        }
        if (wall - tf_zone_offset(zone, change) < change) {
            return change;
        }
        at = change;
    }
}

/* Each wall time once: the first one whose first instant is later. No earlier wall time can have one, because
 * the first instants never descend. */
static bool next_once(const tf_cron_t *cron, const tf_zone_t *zone, int64_t after, int64_t *next)
{
    int64_t wall = after + tf_zone_offset(zone, after);

    do {
        wall++;
        if (!next_wall(cron, wall, &wall)) {
            return false;
        }
        *next = first_instant(zone, wall);
    } while (*next <= after);
    return *next <= TF_CRON_LAST;
}

/* Each instant whose wall time matches, from one change of the clocks to the next. */
static bool next_elapsed(const tf_cron_t *cron, const tf_zone_t *zone, int64_t after, int64_t *next)
{
    int64_t at = after + 1, from, wall, change, near;

    for (;;) {
        int32_t offset = tf_zone_offset(zone, at);

        change = tf_zone_next_change(zone, at);
        from = at + offset;
        if (!next_wall(cron, from, &wall)) {
            return false;
        }
        *next = wall - offset;
        if (*next < change) {
            return *next <= TF_CRON_LAST;
        }
        /* On the wall nothing matches until `wall`: what is still to be looked at begins shortly before it,
         * unless the clocks go back to before where this look began. */
        near = *next - 2 * OFFSET_MAX;
        at = near > change && change + tf_zone_offset(zone, change) >= from ? near : change;
    }
}

bool tf_cron_next(const tf_cron_t *cron, const tf_zone_t *zone, int64_t after, int64_t *next)
{
    if (after >= TF_CRON_LAST) {
        return false;
    }
    if (cron->every_seconds) {
        *next = (after / cron->every_seconds - (after % cron->every_seconds < 0) + 1) * cron->every_seconds;
        return *next <= TF_CRON_LAST;
    }
    if (after < -TF_CRON_LAST) {
        after = -TF_CRON_LAST; /* long before anybody asks */
    }
    return cron->every_hour ? next_elapsed(cron, zone, after, next) : next_once(cron, zone, after, next);
}
