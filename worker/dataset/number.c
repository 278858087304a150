/* number.c: see number.h. Most numbers in files are short, and those need no strtod: a mantissa below 2^53
 * and a power of ten up to 10^22 are both exact doubles, so one division or multiplication rounds correctly
 * (W. Clinger, "How to read floating point numbers accurately", PLDI 1990). */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/number.h"

#define EXACT_MANTISSA ((uint64_t)1 << 53)
#define EXACT_POWER 22
#define EXPONENT_CAP 100000 /* far beyond any double; keeps the sum of digits and exponent in an int */

static const double powers_of_ten[EXACT_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* What the scan found: value = mantissa * 10^exponent unless `inexact`. */
typedef struct {
    uint64_t mantissa;
    int exponent;
    int digits; /* digits seen before and after the point */
    bool negative;
    bool inexact; /* mantissa has more digits than fit */
} decimal_t;

static const char *scan_digits(const char *p, const char *end, decimal_t *d, int exponent_step)
{
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        d->digits++;
        if (d->mantissa >= EXACT_MANTISSA / 10) {
            d->inexact = true;
            continue;
        }
        d->mantissa = d->mantissa * 10 + (uint64_t)(*p - '0');
        d->exponent += exponent_step;
    }
    return p;
}

static const char *scan_exponent(const char *p, const char *end, decimal_t *d)
{
    bool negative = false;
    int exponent = 0;
    const char *first;

    if (p < end && (*p == '+' || *p == '-')) {
        negative = *p++ == '-';
    }
    for (first = p; p < end && *p >= '0' && *p <= '9'; p++) {
        if (exponent < EXPONENT_CAP) {
            exponent = exponent * 10 + (*p - '0');
        }
    }
    d->exponent += negative ? -exponent : exponent;
    return p > first ? p : NULL;
}

/* false: the text is not a number. */
static bool scan(const char *p, const char *end, decimal_t *d)
{
    if (p < end && (*p == '+' || *p == '-')) {
        d->negative = *p++ == '-';
    }
    p = scan_digits(p, end, d, 0);
    if (p < end && *p == '.') {
        p = scan_digits(p + 1, end, d, -1);
    }
    if (d->digits == 0) {
        return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = scan_exponent(p + 1, end, d);
    }
    return p == end;
}

/* The general case; the grammar is checked already, so strtod reads all of it. The daemons never call
 * setlocale, so the decimal point is a point. */
static bool parse_slowly(const char *text, size_t len, double *value)
{
    char copy[TFW_NUMBER_LEN_MAX + 1];
    double number;

    memcpy(copy, text, len);
    copy[len] = '\0';
    number = strtod(copy, NULL);
    if (!isfinite(number)) {
        return false;
    }
    *value = number;
    return true;
}

bool tfw_number_parse(const char *text, size_t len, double *value)
{
    decimal_t d = {0};
    double number;

    if (len == 0 || len > TFW_NUMBER_LEN_MAX || !scan(text, text + len, &d)) {
        return false;
    }
    if (d.inexact || d.exponent < -EXACT_POWER || d.exponent > EXACT_POWER) {
        return parse_slowly(text, len, value);
    }
    number = (double)d.mantissa;
    if (d.exponent < 0) {
        number /= powers_of_ten[-d.exponent];
    } else {
        number *= powers_of_ten[d.exponent];
    }
    *value = d.negative ? -number : number;
    return true;
}
