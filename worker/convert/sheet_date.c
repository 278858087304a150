/* sheet_date.c: what number formats of spreadsheets show, and their serial dates (ECMA-376 part 1, 18.8.30,
 * 18.8.31 and 18.17.4). See sheet.h. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "civil.h"
#include "convert/sheet.h"

#define MS_OF_DAY 86400000
#define LAST_SERIAL 2958466 /* the day after 9999-12-31, from 1900 */
#define DAYS_TO_1904 1462   /* between the two systems */
#define LEAP_SERIAL 60      /* 1900-02-29, which never was: Lotus 1-2-3 had it */

tfw_serial_t tfw_sheet_builtin_format(int64_t id)
{
    if ((id >= 14 && id <= 17) || (id >= 27 && id <= 31) || id == 36 || (id >= 50 && id <= 54) || id == 57 ||
        id == 58) {
        return TFW_SERIAL_DATE;
    }
    if ((id >= 18 && id <= 21) || (id >= 32 && id <= 35) || (id >= 45 && id <= 47) || id == 55 || id == 56) {
        return TFW_SERIAL_TIME;
    }
    return id == 22 ? TFW_SERIAL_DATE_TIME : TFW_SERIAL_NUMBER;
}

/* What is in brackets: [h], [mm], [ss] show time that has gone by; colours, conditions and locales nothing.
 */
static bool elapsed(const char *p, const char *end)
{
    int first = p < end ? tolower((unsigned char)*p) : 0;

    if (first != 'h' && first != 'm' && first != 's') {
        return false;
    }
    while (p < end && tolower((unsigned char)*p) == first) {
        p++;
    }
    return p == end;
}

tfw_serial_t tfw_sheet_format(tf_str_t code)
{
    const char *p = code.data, *end = p + code.len, *from;
    bool date = false, time = false, month_or_minute = false;

    if (code.len == 7 && strncasecmp(code.data, "General", 7) == 0) {
        return TFW_SERIAL_NUMBER;
    }
    for (; p < end && *p != ';'; p++) { /* what follows is for negative numbers */
        switch (tolower((unsigned char)*p)) {
        case '"':
            for (p++; p < end && *p != '"'; p++) {
            }
            break;
        case '[':
            for (from = ++p; p < end && *p != ']'; p++) {
            }
            time = time || elapsed(from, p);
            break;
        case '\\':
        case '_':
        case '*':
            p++;
            break;
        case 'y':
        case 'd':
            date = true;
            break;
        case 'h':
        case 's':
            time = true;
            break;
        case 'm':
            month_or_minute = true;
            break;
        default:
            break;
        }
    }
    date = date || (month_or_minute && !time);
    return date && time ? TFW_SERIAL_DATE_TIME
           : date       ? TFW_SERIAL_DATE
           : time       ? TFW_SERIAL_TIME
                        : TFW_SERIAL_NUMBER;
}

static void write_time(char *out, size_t size, int64_t ms)
{
    int n = snprintf(out, size, "%02lld:%02d:%02d", (long long)(ms / 3600000), (int)(ms / 60000 % 60),
                     (int)(ms / 1000 % 60));

    if (ms % 1000 != 0 && (size_t)n < size) {
        snprintf(out + n, size - (size_t)n, ".%03d", (int)(ms % 1000));
    }
}

bool tfw_sheet_date(double serial, tfw_serial_t kind, bool base_1904, char iso[TFW_ISO_SIZE])
{
    int64_t ms, day, year;
    int month, dom, n;

    if (kind == TFW_SERIAL_NUMBER || !(serial >= 0) ||
        serial >= LAST_SERIAL - (base_1904 ? DAYS_TO_1904 : 0)) {
        return false;
    }
    ms = llround(serial * MS_OF_DAY);
    if (kind == TFW_SERIAL_TIME) {
        write_time(iso, TFW_ISO_SIZE, ms);
        return true;
    }
    day = ms / MS_OF_DAY;
    ms %= MS_OF_DAY;
    if (base_1904) {
        day += tf_days_from_civil(1904, 1, 1);
    } else if (day == LEAP_SERIAL) {
        return false;
    } else {
        day += tf_days_from_civil(1899, 12, day > LEAP_SERIAL ? 30 : 31);
    }
    tf_civil_from_days(day, &year, &month, &dom);
    n = snprintf(iso, TFW_ISO_SIZE, "%04d-%02d-%02d", (int)year, month, dom);
    if (kind == TFW_SERIAL_DATE_TIME || ms != 0) {
        iso[n] = 'T';
        write_time(iso + n + 1, TFW_ISO_SIZE - (size_t)n - 1, ms);
    }
    return true;
}
