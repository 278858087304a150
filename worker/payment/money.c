#include "payment/money.h"

#include <ctype.h>
#include <string.h>

/* ISO 4217 by digits behind the point, without metals, test codes and units of account. */
static const char *const currencies[] = {
    [0] = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    [2] = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
          "CDF CHF "
          "CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
          "HTG HUF "
          "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
          "MUR MVR "
          "MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG "
          "SEK SGD "
          "SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST "
          "XCD XCG "
          "YER ZAR ZMW ZWG",
    [3] = "BHD IQD JOD KWD LYD OMR TND",
};

int tfw_currency_digits(const char *code)
{
    if (strlen(code) != 3 || strchr(code, ' ')) {
        return -1;
    }
    for (int digits = 0; digits < (int)(sizeof(currencies) / sizeof(currencies[0])); digits++) {
        if (currencies[digits] && strstr(currencies[digits], code)) {
            return digits;
        }
    }
    return -1;
}

/* A JSON number without its sign: its digits without the point, and where that stood. */
typedef struct {
    char digits[TFW_MONEY_DIGITS_MAX + 1];
    size_t count;   /* leading zeros are left out */
    int64_t behind; /* digits behind the point; negative: zeros to be added */
} decimal_t;

/* NULL, or what is wrong. Zeros at the end of the fraction do not count. */
static const char *read_decimal(const char *p, const char *end, decimal_t *d)
{
    int64_t zeros = 0, exponent = 0;
    bool point = false, minus = false, any = false;

    for (; p < end && (isdigit((unsigned char)*p) || (*p == '.' && !point && any)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        any = true;
        d->behind += point;
        if (*p == '0') {
            zeros++; /* significant only if another digit follows */
            continue;
        }
        for (; zeros > 0; zeros--) {
            if (d->count && d->count < sizeof(d->digits)) {
                d->digits[d->count++] = '0';
            }
        }
        if (d->count == sizeof(d->digits)) {
            return "must have at most 12 digits";
        }
        d->digits[d->count++] = *p;
    }
    d->behind -= zeros;
    if (p < end && any && (*p == 'e' || *p == 'E')) {
        p++;
        minus = p < end && *p == '-';
        p += p < end && (*p == '-' || *p == '+');
        any = false;
        for (; p < end && isdigit((unsigned char)*p); p++) {
            any = true;
            exponent = exponent < 1000 ? exponent * 10 + (*p - '0') : exponent;
        }
        d->behind += minus ? exponent : -exponent;
    }
    return p == end && any && p[-1] != '.' ? NULL : "must be a decimal number like 19.99";
}

const char *tfw_money_minor(const char *text, size_t len, int digits, int64_t *minor)
{
    decimal_t d = {.count = 0};
    const char *why;
    int64_t add;

    if (len && text[0] == '-') {
        return "must be more than 0";
    }
    why = read_decimal(text, text + len, &d);
    if (why) {
        return why;
    }
    if (d.count == 0) {
        return "must be more than 0";
    }
    if (d.behind > digits) {
        return digits == 0   ? "must have no digits behind the point in this currency"
               : digits == 2 ? "must have at most 2 digits behind the point in this currency"
                             : "must have at most 3 digits behind the point in this currency";
    }
    add = digits - d.behind;
    if (add > TFW_MONEY_DIGITS_MAX || d.count + (size_t)add > TFW_MONEY_DIGITS_MAX) {
        return "must have at most 12 digits";
    }
    *minor = 0;
    for (size_t i = 0; i < d.count; i++) {
        *minor = *minor * 10 + (d.digits[i] - '0');
    }
    for (; add > 0; add--) {
        *minor *= 10;
    }
    return NULL;
}
