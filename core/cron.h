/* cron.h: when a schedule fires: the expression of crontab(5), read once, and the next firing after an
 * instant in a time zone. No clock, no I/O. */
#ifndef TF_CRON_H
#define TF_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zone.h"

#define TF_CRON_TEXT_MAX 256               /* bytes of an expression */
#define TF_CRON_EVERY_MAX (366 * 86400)    /* seconds, of @every */
#define TF_CRON_LAST INT64_C(253402300799) /* 9999-12-31T23:59:59Z: nothing fires later */

/* Bit n is set where n matches. */
typedef struct {
    uint64_t second, minute;
    uint32_t hour, day; /* of the month */
    uint16_t month;
    uint8_t weekday;       /* 0 Sunday */
    bool every_hour;       /* the hour is a wildcard: fires by elapsed time, see tf_cron_next */
    bool any_day;          /* the day of the month is a wildcard, */
    bool any_weekday;      /* ... the day of the week: then both must match, else one of them is enough */
    int64_t every_seconds; /* of @every; 0: all of the above */
} tf_cron_t;

/* Reads "minute hour day-of-month month day-of-week", with a field for seconds before it or not: numbers,
 * names (JAN, MON), lists, ranges and steps; * or ? for all; 0 and 7 are Sunday. Or @yearly, @annually,
 * @monthly,
 * @weekly, @daily, @midnight, @hourly, or "@every 1h30m" (d, h, m, s).
 * false: error says which field is wrong, where (a position counts bytes from 1) and why; also when there is
 * no such day, like February 30. */
bool tf_cron_parse(tf_cron_t *cron, const char *text, size_t len, char *error, size_t error_size);

/* The first firing after an instant; both in seconds since 1970-01-01 UTC. false: none until TF_CRON_LAST.
 *
 * When clocks change: if the hour is a wildcard, it fires whenever the clock on the wall shows a time that
 * matches, so twice in a repeated hour and not in one that is left out. Else each time of the wall clock
 * fires once: a repeated one when it comes first, one that is left out at the first instant after the gap
 * (and all that are left out by one gap are one firing). @every fires at multiples of its length since
 * 1970-01-01 UTC. */
bool tf_cron_next(const tf_cron_t *cron, const tf_zone_t *zone, int64_t after, int64_t *next);

#endif
