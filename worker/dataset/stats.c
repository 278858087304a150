/* stats.c: see stats.h. */
#include <math.h>
#include <stdlib.h>

#include "dataset/stats.h"

#define SELECT_ROUNDS_MAX 64

/* A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54 (1974). */
static double sum_of(const double *values, size_t count)
{
    double sum = 0, lost = 0, next;
    size_t i;

    for (i = 0; i < count; i++) {
        next = sum + values[i];
        if (fabs(sum) >= fabs(values[i])) {
            lost += (sum - next) + values[i];
        } else {
            lost += (values[i] - next) + sum;
        }
        sum = next;
    }
    return sum + lost;
}

/* Two passes, the second corrected for the rounding of the mean (Chan, Golub, LeVeque 1983, formula 1.7). */
static double sample_stddev(const double *values, size_t count, double mean)
{
    double squares = 0, off = 0, d;
    size_t i;

    if (count < 2) {
        return NAN;
    }
    for (i = 0; i < count; i++) {
        d = values[i] - mean;
        squares += d * d;
        off += d;
    }
    squares -= off * off / (double)count;
    return sqrt((squares < 0 ? 0 : squares) / (double)(count - 1));
}

static void swap(double *a, double *b)
{
    double t = *a;

    *a = *b;
    *b = t;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Moves the k-th smallest value to index k, smaller ones before it, larger ones behind (Hoare's FIND). Bad
 * luck with the pivots is met by sorting what is left. */
static void select_kth(double *v, size_t count, size_t k)
{
    size_t low = 0, high = count - 1, middle, i, j, rounds = 0;
    double pivot;

    while (low < high) {
        if (++rounds > SELECT_ROUNDS_MAX) {
            qsort(v + low, high - low + 1, sizeof(double), compare);
            return;
        }
        /* the median of three goes to the middle, and the ends become sentinels */
        middle = low + (high - low) / 2;
        if (v[middle] < v[low]) {
            swap(&v[middle], &v[low]);
        }
        if (v[high] < v[low]) {
            swap(&v[high], &v[low]);
        }
        if (v[high] < v[middle]) {
            swap(&v[high], &v[middle]);
        }
        pivot = v[middle];
        i = low;
        j = high;
        while (i <= j) {
            while (v[i] < pivot) {
                i++;
            }
            while (pivot < v[j]) {
                j--;
            }
            if (i <= j) {
                swap(&v[i], &v[j]);
                i++;
                if (j == 0) {
                    break;
                }
                j--;
            }
        }
        /* now v[low..j] <= pivot <= v[i..high], and what is between j and i equals the pivot */
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            return;
        }
    }
}

static double median_of(double *values, size_t count)
{
    size_t k = count / 2, i;
    double below;

    if (count == 0) {
        return NAN;
    }
    select_kth(values, count, k);
    if (count % 2 == 1) {
        return values[k];
    }
    below = values[0];
    for (i = 1; i < k; i++) {
        below = fmax(below, values[i]);
    }
    /* halved first only where the sum would overflow: halving first may lose a subnormal's last bit */
    return isfinite(below + values[k]) ? (below + values[k]) / 2 : below / 2 + values[k] / 2;
}

tfw_stats_t tfw_stats(double *values, size_t count)
{
    tfw_stats_t s = {.count = count, .mean = NAN, .min = NAN, .max = NAN};
    size_t i;

    s.sum = sum_of(values, count);
    if (count > 0) {
        s.mean = s.sum / (double)count;
        s.min = s.max = values[0];
    }
    for (i = 1; i < count; i++) {
        s.min = values[i] < s.min ? values[i] : s.min;
        s.max = values[i] > s.max ? values[i] : s.max;
    }
    s.stddev = sample_stddev(values, count, s.mean);
    s.median = median_of(values, count);
    return s;
}
