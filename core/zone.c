#include "zone.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "civil.h"

#define DAY 86400
#define HEADER 44        /* bytes of a TZif header */
#define CHANGES_MAX 4096 /* of one zone; the longest of 2025 has 245 */

/* When a year's daylight saving time begins or ends: the date and time of POSIX TZ (IEEE 1003.1, 8.3). */
typedef struct {
    char kind; /* 'M': the week-th weekday of a month; 'J': day 1 to 365 without Feb 29; '0': day 0 to 365 */
    int month, week, day;
    int32_t time; /* seconds after local midnight, -167 to 167 hours */
} date_rule_t;

struct tf_zone_s {
    int32_t first_offset; /* until the first change */
    bool has_rule;        /* after the last change: */
    int32_t standard_offset, daylight_offset;
    date_rule_t begin, end; /* of daylight saving time */
    uint32_t nchanges;
    int32_t *offsets; /* from at[i] on */
    int64_t at[];
};

/* --- the rule of the years to come */

static int64_t rule_day(const date_rule_t *rule, int64_t year)
{
    int64_t first;
    int day;

    if (rule->kind == 'J') { /* March 1 is day 60 in every year */
        return tf_days_from_civil(year, 1, 1) + rule->day - 1 + (rule->day >= 60 && tf_leap_year(year));
    }
    if (rule->kind == '0') {
        return tf_days_from_civil(year, 1, 1) + rule->day;
    }
    first = tf_days_from_civil(year, rule->month, 1);
    day = (rule->day - tf_weekday(first) + 7) % 7 + (rule->week - 1) * 7;
    if (day >= tf_days_in_month(year, rule->month)) {
        day -= 7; /* week 5: the last one */
    }
    return first + day;
}

/* Where `at` lies between the rule's changes: the offset then, and the instant of the next change. */
static int32_t rule_look(const tf_zone_t *zone, int64_t at, int64_t *next)
{
    int64_t year, last = INT64_MIN, change[2];
    int32_t offset = zone->standard_offset;
    int month, day;

    *next = INT64_MAX;
    tf_civil_from_days(at / DAY - (at % DAY < 0), &year, &month, &day);
    for (int64_t y = year - 1; y <= year + 1; y++) {
        change[0] = rule_day(&zone->begin, y) * DAY + zone->begin.time - zone->standard_offset;
        change[1] = rule_day(&zone->end, y) * DAY + zone->end.time - zone->daylight_offset;
        for (int i = 0; i < 2; i++) {
            if (change[i] > at) {
                *next = change[i] < *next ? change[i] : *next;
            } else if (change[i] >= last) {
                last = change[i];
                offset = i == 0 ? zone->daylight_offset : zone->standard_offset;
            }
        }
    }
    return offset;
}

/* The index of the change that made the offset of `at`; -1: before the first. */
static int64_t find_change(const tf_zone_t *zone, int64_t at)
{
    int64_t low = 0, high = zone->nchanges;

    while (low < high) {
        int64_t middle = (low + high) / 2;

        if (zone->at[middle] <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

int32_t tf_zone_offset(const tf_zone_t *zone, int64_t at)
{
    int64_t i, next;

    i = find_change(zone, at);
    if (zone->has_rule && i + 1 == zone->nchanges) {
        return rule_look(zone, at, &next);
    }
    return i < 0 ? zone->first_offset : zone->offsets[i];
}

int64_t tf_zone_next_change(const tf_zone_t *zone, int64_t at)
{
    int64_t i, next = INT64_MAX;

    i = find_change(zone, at);
    if (i + 1 < zone->nchanges) {
        return zone->at[i + 1];
    }
    if (zone->has_rule) {
        rule_look(zone, at, &next);
    }
    return next;
}

/* --- the text of that rule: "EST5EDT,M3.2.0,M11.1.0", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0" */

typedef struct {
    const char *p, *end;
} text_t;

static bool take_char(text_t *t, char c)
{
    if (t->p == t->end || *t->p != c) {
        return false;
    }
    t->p++;
    return true;
}

static bool take_number(text_t *t, int max, int *value)
{
    const char *first = t->p;

    for (*value = 0; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
        *value = *value * 10 + (*t->p - '0');
        if (*value > max) {
            return false;
        }
    }
    return t->p > first;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(text_t *t, int hours_max, int32_t *seconds)
{
    bool negative = take_char(t, '-');
    int h, m = 0, s = 0;

    if (!negative) {
        take_char(t, '+');
    }
    if (!take_number(t, hours_max, &h) ||
        (take_char(t, ':') && (!take_number(t, 59, &m) || (take_char(t, ':') && !take_number(t, 59, &s))))) {
        return false;
    }
    *seconds = (h * 60 + m) * 60 + s;
    *seconds = negative ? -*seconds : *seconds;
    return true;
}

/* An abbreviation: three letters or more, or anything between < and >. Nobody asks for it. */
static bool take_name(text_t *t)
{
    const char *first = t->p;

    if (take_char(t, '<')) {
        while (t->p < t->end && *t->p != '>') {
            t->p++;
        }
        return take_char(t, '>');
    }
    while (t->p < t->end && ((*t->p >= 'A' && *t->p <= 'Z') || (*t->p >= 'a' && *t->p <= 'z'))) {
        t->p++;
    }
    return t->p - first >= 3;
}

static bool take_rule(text_t *t, date_rule_t *rule)
{
    rule->time = 2 * 3600;
    if (!take_char(t, ',')) {
        return false;
    }
    if (take_char(t, 'M')) {
        rule->kind = 'M';
        if (!take_number(t, 12, &rule->month) || rule->month < 1 || !take_char(t, '.') ||
            !take_number(t, 5, &rule->week) || rule->week < 1 || !take_char(t, '.') ||
            !take_number(t, 6, &rule->day)) {
            return false;
        }
    } else {
        rule->kind = take_char(t, 'J') ? 'J' : '0';
        if (!take_number(t, 365, &rule->day) || (rule->kind == 'J' && rule->day == 0)) {
            return false;
        }
    }
    return !take_char(t, '/') || take_time(t, 167, &rule->time);
}

/* What offset follows after the last change, for good. An empty text says nothing. */
static bool read_rule(tf_zone_t *zone, const char *text, size_t len)
{
    text_t t = {text, text + len};
    int32_t west;

    if (len == 0) {
        return true;
    }
    if (!take_name(&t) || !take_time(&t, 24, &west)) {
        return false;
    }
    zone->standard_offset = -west;
    if (t.p == t.end) { /* no daylight saving time: the last change, if there is one, has said it */
        return true;
    }
    zone->daylight_offset = zone->standard_offset + 3600;
    if (!take_name(&t)) {
        return false;
    }
    if (t.p < t.end && *t.p != ',') {
        if (!take_time(&t, 24, &west)) {
            return false;
        }
        zone->daylight_offset = -west;
    }
    zone->has_rule = take_rule(&t, &zone->begin) && take_rule(&t, &zone->end) && t.p == t.end;
    return zone->has_rule;
}

/* --- TZif */

static uint32_t get_uint4(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t get_int8(const uint8_t *p)
{
    return (int64_t)((uint64_t)get_uint4(p) << 32 | get_uint4(p + 4));
}

/* The counts of one of the two data blocks, and where its parts are. */
typedef struct {
    uint32_t ntimes, ntypes;
    const uint8_t *times, *indexes, *types, *end;
} block_t;

/* p: at the header; size: bytes of a time there, 4 or 8. */
static bool read_block(block_t *b, const uint8_t *p, const uint8_t *end, size_t size)
{
    uint64_t isut, isstd, leap, chars, total;

    if (end - p < HEADER || memcmp(p, "TZif", 4) != 0 || p[4] < '2') {
        return false;
    }
    isut = get_uint4(p + 20);
    isstd = get_uint4(p + 24);
    leap = get_uint4(p + 28);
    b->ntimes = get_uint4(p + 32);
    b->ntypes = get_uint4(p + 36);
    chars = get_uint4(p + 40);
    total = b->ntimes * (size + 1) + (uint64_t)b->ntypes * 6 + chars + leap * (size + 4) + isstd + isut;
    p += HEADER;
    if (total > (uint64_t)(end - p)) {
        return false;
    }
    b->times = p;
    b->indexes = p + b->ntimes * size;
    b->types = b->indexes + b->ntimes;
    b->end = p + total;
    return true;
}

/* Keeps the changes of the offset since 1970; others only change a name. */
static bool read_changes(tf_zone_t *zone, const block_t *b)
{
    int32_t offset = (int32_t)get_uint4(b->types); /* before the first: type 0 */

    zone->first_offset = offset;
    for (uint32_t i = 0; i < b->ntimes; i++) {
        int64_t at = get_int8(b->times + i * UINT64_C(8));
        int32_t to;

        if (b->indexes[i] >= b->ntypes || (i > 0 && at <= get_int8(b->times + (i - 1) * UINT64_C(8)))) {
            return false;
        }
        to = (int32_t)get_uint4(b->types + b->indexes[i] * 6);
        if (to < -26 * 3600 || to > 26 * 3600) {
            return false;
        }
        if (at <= 0) {
            zone->first_offset = to;
        } else if (to != offset) {
            zone->at[zone->nchanges] = at;
            zone->offsets[zone->nchanges++] = to;
        }
        offset = to;
    }
    return true;
}

tf_zone_t *tf_zone_read(const void *data, size_t len)
{
    const uint8_t *p = data, *end = p + len, *footer;
    tf_zone_t *zone;
    block_t b;

    /* the first block, with times of four bytes, is for old readers */
    if (!read_block(&b, p, end, 4) || !read_block(&b, b.end, end, 8) || b.ntypes == 0 ||
        b.ntimes > CHANGES_MAX || b.end == end || *b.end != '\n') {
        return NULL;
    }
    footer = b.end + 1;
    end = memchr(footer, '\n', (size_t)(end - footer));
    if (end == NULL) {
        return NULL;
    }
    zone = calloc(1, sizeof(*zone) + b.ntimes * (sizeof(int64_t) + sizeof(int32_t)));
    if (zone == NULL) {
        return NULL;
    }
    zone->offsets = (int32_t *)(zone->at + b.ntimes);
    if (!read_changes(zone, &b) || !read_rule(zone, (const char *)footer, (size_t)(end - footer))) {
        tf_zone_free(zone);
        return NULL;
    }
    return zone;
}

tf_zone_t *tf_zone_utc(void)
{
    return calloc(1, sizeof(tf_zone_t)); /* no change, and an offset of 0 */
}

void tf_zone_free(tf_zone_t *zone)
{
    free(zone);
}
