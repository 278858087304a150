/* histogram.h: counts of latencies in log-linear buckets: exact below 256, above that 128 buckets per power
 * of two, so a percentile is off by less than 1 %. Fixed size, no allocation. After HdrHistogram (Tene). */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB (1 << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB)

typedef struct {
    uint64_t count[HISTOGRAM_BUCKETS];
    uint64_t total;
    int64_t max;
} histogram_t;

static inline unsigned histogram_bucket(int64_t value)
{
    uint64_t v = (uint64_t)value;
    if (v < 2 * HISTOGRAM_SUB) {
        return (unsigned)v;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(v) - HISTOGRAM_SUB_BITS;
    return (shift + 1) * HISTOGRAM_SUB + (unsigned)((v >> shift) - HISTOGRAM_SUB);
}

/* The largest value that falls into the bucket. */
static inline int64_t histogram_upper(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_SUB) {
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_SUB - 1;
    return (int64_t)(((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB + 1) << shift) - 1);
}

/* value: microseconds; negative counts as 0. */
static inline void histogram_add(histogram_t *h, int64_t value)
{
    if (value < 0) {
        value = 0;
    }
    h->count[histogram_bucket(value)]++;
    h->total++;
    if (value > h->max) {
        h->max = value;
    }
}

/* The value that `per_100k` of 100,000 answers do not exceed; 0 when empty. */
static inline int64_t histogram_percentile(const histogram_t *h, unsigned per_100k)
{
    uint64_t rank = (h->total * per_100k + 99999) / 100000, seen = 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        seen += h->count[b];
        if (seen >= rank && seen > 0) {
            int64_t upper = histogram_upper(b);
            return upper < h->max ? upper : h->max;
        }
    }
    return 0;
}

/* One JSON object on standard output, no newline. */
static inline void histogram_print(const histogram_t *h)
{
    printf("{\"p50\":%lld,\"p90\":%lld,\"p99\":%lld,\"p99.9\":%lld,\"max\":%lld}",
           (long long)histogram_percentile(h, 50000), (long long)histogram_percentile(h, 90000),
           (long long)histogram_percentile(h, 99000), (long long)histogram_percentile(h, 99900),
           (long long)h->max);
}

#endif
