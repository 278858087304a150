/* Numbers as they stand in data files, and what is said about lists of them. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dataset/number.h"
#include "dataset/stats.h"

static void test_numbers(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "+1",
        "1.",
        ".5",
        "-.5e-3",
        "007",
        "3.14159",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "9007199254740991",
        "9007199254740993",
        "123456789012345678901234567890",
        "0.1",
        "0.30000000000000004",
        "1.7976931348623157e308",
        "4.9e-324",
        "2.2250738585072014E-308",
        "1e-400",
        "0e999999999",
        "0.000000000000000000000000000000001",
        "5708990770823839524233143877797980545530986496e-22",
        "1448997445238699",
        "8.5e+1",
        "179769313486231570000e288",
    };
    size_t i;
    double value;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        value = NAN;
        if (!tfw_number_parse(texts[i], strlen(texts[i]), &value)) {
            fail_msg("\"%s\" should be a number", texts[i]);
        }
        /* the C library is the judge, to the last bit */
        if (value != strtod(texts[i], NULL) || signbit(value) != signbit(strtod(texts[i], NULL))) {
            fail_msg("\"%s\" gave %.17g", texts[i], value);
        }
    }
}

static void test_not_numbers(void **state)
{
    static const char *const texts[] = {
        "",          " ",
        "1 ",        " 1",
        "+",         "-",
        ".",         "+.",
        "e5",        ".e5",
        "1e",        "1e+",
        "1e5.0",     "--1",
        "1-",        "1,5",
        "1_000",     "0x10",
        "1p3",       "inf",
        "-Infinity", "nan",
        "NaN",       "1e309",
        "-1e309",    "1e999999999999",
        "12a",       "1..2",
        "١",
    };
    size_t i;
    double value = 7;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (tfw_number_parse(texts[i], strlen(texts[i]), &value) || value != 7) {
            fail_msg("\"%s\" should not be a number", texts[i]);
        }
    }
    assert_false(tfw_number_parse("1\0", 2, &value));
    assert_true(tfw_number_parse("12", 1, &value)); /* the length counts, not a NUL */
    assert_true(value == 1);
}

static void test_number_length(void **state)
{
    char text[TFW_NUMBER_LEN_MAX + 2];
    double value;

    memset(text, '0', sizeof(text));
    text[TFW_NUMBER_LEN_MAX - 1] = '7';
    assert_true(tfw_number_parse(text, TFW_NUMBER_LEN_MAX, &value));
    assert_true(value == 7);
    assert_false(tfw_number_parse(text, TFW_NUMBER_LEN_MAX + 1, &value));
}

/* A plain LCG: the tests need variety, not quality. */
static uint64_t random_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 11;
}

/* A million random decimals against strtod. */
static void test_numbers_at_random(void **state)
{
    uint64_t seed = 1;
    char text[64];
    double value;
    int i;

    for (i = 0; i < 1000000; i++) {
        snprintf(text, sizeof(text), "%s%llu.%0*llue%d", random_bits(&seed) & 1 ? "-" : "",
                 (unsigned long long)(random_bits(&seed) >> (random_bits(&seed) % 53)),
                 (int)(random_bits(&seed) % 12), (unsigned long long)(random_bits(&seed) % 1000000),
                 (int)(random_bits(&seed) % 60) - 30);
        if (!tfw_number_parse(text, strlen(text), &value) || value != strtod(text, NULL)) {
            fail_msg("%s", text);
        }
    }
}

static void check(double *values, size_t count, double sum, double mean, double min, double max,
                  double stddev, double median)
{
    tfw_stats_t s = tfw_stats(values, count);

    assert_int_equal(s.count, count);
    assert_true(s.sum == sum);
    assert_true(s.mean == mean);
    assert_true(s.min == min);
    assert_true(s.max == max);
    assert_true(isnan(stddev) ? isnan(s.stddev) : fabs(s.stddev - stddev) <= 1e-12 * stddev);
    assert_true(s.median == median);
}

static void test_small_lists(void **state)
{
    tfw_stats_t none = tfw_stats((double[]){0}, 0);

    assert_int_equal(none.count, 0);
    assert_true(none.sum == 0);
    assert_true(isnan(none.mean) && isnan(none.min) && isnan(none.max) && isnan(none.stddev) &&
                isnan(none.median));

    check((double[]){5}, 1, 5, 5, 5, 5, NAN, 5);
    check((double[]){2, 1}, 2, 3, 1.5, 1, 2, sqrt(0.5), 1.5);
    check((double[]){3, 1, 2}, 3, 6, 2, 1, 3, 1, 2);
    check((double[]){2, 4, 4, 4, 5, 5, 7, 9}, 8, 40, 5, 2, 9, sqrt(32.0 / 7), 4.5);
    check((double[]){7, 7, 7, 7}, 4, 28, 7, 7, 7, 0, 7);
    check((double[]){-1, -2, -3}, 3, -6, -2, -3, -1, 1, -2);
}

static void test_hard_sums(void **state)
{
    /* naive summation gives 0 and 2e16 */
    double cancel[] = {1, 1e100, 1, -1e100};
    double small[] = {1e16, 1, 1, 1, 1, -1e16};
    double tenths[1000000];
    size_t i;

    assert_true(tfw_stats(cancel, 4).sum == 2);
    assert_true(tfw_stats(small, 6).sum == 4);
    for (i = 0; i < 1000000; i++) {
        tenths[i] = 0.1;
    }
    assert_true(fabs(tfw_stats(tenths, 1000000).sum - 100000) < 1e-10);
}

static void test_hard_deviations(void **state)
{
    /* the textbook formula (squares minus square) gives 0 or worse here: NIST StRD NumAcc4 */
    double numacc4[1001];
    size_t i;

    numacc4[0] = 10000000.2;
    for (i = 1; i < 1001; i++) {
        numacc4[i] = i % 2 == 1 ? 10000000.1 : 10000000.3;
    }
    assert_true(fabs(tfw_stats(numacc4, 1001).stddev - 0.1) < 1e-8);
}

static void test_overflow(void **state)
{
    double large[] = {DBL_MAX, DBL_MAX};
    tfw_stats_t s = tfw_stats(large, 2);

    assert_false(isfinite(s.sum));
    assert_true(s.median == DBL_MAX);
    assert_true(s.max == DBL_MAX);
    assert_false(isfinite(s.stddev));
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Lists of every length up to 300, of few and of many different values, sorted, reversed and mixed: the
 * median is what sorting says. */
static void test_median(void **state)
{
    double list[300], sorted[300], expected;
    uint64_t seed = 7;
    size_t n, i;
    int shape;

    for (n = 1; n <= 300; n++) {
        for (shape = 0; shape < 6; shape++) {
            for (i = 0; i < n; i++) {
                list[i] = shape == 0   ? (double)i
                          : shape == 1 ? (double)(n - i)
                          : shape == 2 ? (double)(random_bits(&seed) % 3)
                          : shape == 3 ? (double)random_bits(&seed) - 1e9
                          : shape == 4 ? (double)(i < n / 2 ? i : n - i)
                                       : 1;
            }
            memcpy(sorted, list, n * sizeof(double));
            qsort(sorted, n, sizeof(double), compare);
            expected = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
            assert_true(tfw_stats(list, n).median == expected);
        }
    }
}

/* Values laid out so that every median of three is as bad as can be (Musser 1997): must still end soon. */
static void test_median_of_killer(void **state)
{
    size_t n = 400000, k = n / 2, i;
    double *list = malloc(n * sizeof(*list)), *sorted;

    assert_non_null(list);
    for (i = 0; i < k; i++) {
        list[i] = i % 2 == 0 ? (double)(i + 1) : (double)(k + i + (k % 2 == 0 ? 0 : 1));
        list[k + i] = (double)(2 * (i + 1));
    }
    sorted = malloc(n * sizeof(*sorted));
    assert_non_null(sorted);
    memcpy(sorted, list, n * sizeof(*list));
    qsort(sorted, n, sizeof(*sorted), compare);
    assert_true(tfw_stats(list, n).median == (sorted[k - 1] + sorted[k]) / 2);
    free(sorted);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),         cmocka_unit_test(test_not_numbers),
        cmocka_unit_test(test_number_length),   cmocka_unit_test(test_numbers_at_random),
        cmocka_unit_test(test_small_lists),     cmocka_unit_test(test_hard_sums),
        cmocka_unit_test(test_hard_deviations), cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_median),          cmocka_unit_test(test_median_of_killer),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
