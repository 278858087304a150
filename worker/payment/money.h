/* money.h: amounts as people write them, in the minor units that payment gateways count in (ISO 4217). */
#ifndef TFW_MONEY_H
#define TFW_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TFW_MONEY_DIGITS_MAX 12 /* of an amount in minor units */

/* Digits behind the point of a currency ("USD": 2, "JPY": 0, "KWD": 3); -1: ISO 4217 has no such currency
 * that money is paid in. code: any text. */
int tfw_currency_digits(const char *code);

/* A positive decimal number ("19.99", "1e3" and "5.00" too, as JSON writes numbers) in minor units, exactly:
 * nothing is rounded. NULL: it is in *minor; else what is wrong ("must ..."). */
const char *tfw_money_minor(const char *text, size_t len, int digits, int64_t *minor);

#endif
