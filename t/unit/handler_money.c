/* Amounts in minor units: exact, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "payment/money.h"

static void gives(const char *text, int digits, int64_t expected)
{
    int64_t minor = -1;
    const char *why = tfw_money_minor(text, strlen(text), digits, &minor);

    if (why || minor != expected) {
        print_error("%s: %lld, %s\n", text, (long long)minor, why ? why : "");
    }
    assert_null(why);
    assert_int_equal(minor, expected);
}

static void refuses(const char *text, int digits, const char *expected)
{
    int64_t minor = -1;
    const char *why = tfw_money_minor(text, strlen(text), digits, &minor);

    if (!why) {
        print_error("%s: %lld\n", text, (long long)minor);
    }
    assert_non_null(why);
    assert_non_null(strstr(why, expected));
}

static void amounts(void **state)
{
    (void)state;
    gives("19.99", 2, 1999);
    gives("0.01", 2, 1);
    gives("00.10", 2, 10);
    gives("5", 2, 500);
    gives("5.0000", 2, 500);
    gives("1.005", 3, 1005);
    gives("1005", 0, 1005);
    gives("100.0", 0, 100);
    gives("1e3", 2, 100000);
    gives("1.5E+1", 2, 1500);
    gives("1999e-2", 2, 1999);
    gives("199900e-4", 2, 1999);
    gives("1010.10", 2, 101010);
    gives("9999999999.99", 2, 999999999999);
    gives("999999999999", 0, 999999999999);
    gives("100000000000", 0, 100000000000);
    /* each of these is another number in binary */
    for (int64_t cents = 1; cents < 100000; cents += 7) {
        char text[32];

        snprintf(text, sizeof(text), "%lld.%02lld", (long long)(cents / 100), (long long)(cents % 100));
        gives(text, 2, cents);
    }
}

static void refused(void **state)
{
    (void)state;
    refuses("19.999", 2, "at most 2 digits");
    refuses("0.001", 2, "at most 2 digits");
    refuses("1.0005", 3, "at most 3 digits");
    refuses("100.5", 0, "no digits behind the point");
    refuses("1e-3", 2, "at most 2 digits");
    refuses("1e-999999999999999999999", 2, "at most 2 digits");
    refuses("0", 2, "more than 0");
    refuses("0.00", 2, "more than 0");
    refuses("-5", 2, "more than 0");
    refuses("10000000000.00", 2, "at most 12 digits");
    refuses("1000000000001", 0, "at most 12 digits");
    refuses("10000000000000000000000000000001", 0, "at most 12 digits");
    refuses("1e11", 2, "at most 12 digits");
    refuses("1e999999999999999999999", 2, "at most 12 digits");
    for (const char *const *text = (const char *const[]){"", ".", "5.", ".5", "+5", " 5", "5 ", "1,5", "0x10",
                                                         "1e", "1e+", "nan", "1.2.3", "1e2e3", NULL};
         *text; text++) {
        refuses(*text, 2, "must be a decimal number");
    }
}

static void currencies(void **state)
{
    (void)state;
    assert_int_equal(tfw_currency_digits("USD"), 2);
    assert_int_equal(tfw_currency_digits("EUR"), 2);
    assert_int_equal(tfw_currency_digits("JPY"), 0);
    assert_int_equal(tfw_currency_digits("BIF"), 0);
    assert_int_equal(tfw_currency_digits("KWD"), 3);
    assert_int_equal(tfw_currency_digits("TND"), 3);
    assert_int_equal(tfw_currency_digits("ZWG"), 2);
    for (const char *const *code =
             (const char *const[]){"", "US", "USDD", "usd", "XXX", "D A", "EDA", " AE", NULL};
         *code; code++) {
        assert_int_equal(tfw_currency_digits(*code), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts),
        cmocka_unit_test(refused),
        cmocka_unit_test(currencies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
