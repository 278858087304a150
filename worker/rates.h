/* rates.h: how fast counters that only grow have grown over the last minute, from as few earlier readings of
 * them as are needed for that. */
#ifndef TFW_RATES_H
#define TFW_RATES_H

#include <stdint.h>

#define TFW_RATES_WINDOW_US 60000000
#define TFW_RATES_STEP_US 5000000 /* readings that come faster than this are not all kept */
#define TFW_RATES_KEPT (TFW_RATES_WINDOW_US / TFW_RATES_STEP_US + 1)

/* What is counted, since the worker started. */
typedef struct {
    int64_t at_us; /* CLOCK_MONOTONIC, when it was read */
    int64_t processed, failed;
    int64_t cpu_us; /* processor time */
} tfw_reading_t;

/* Zeroed: none has been read. */
typedef struct {
    tfw_reading_t kept[TFW_RATES_KEPT]; /* a ring */
    uint32_t nkept;                     /* that were ever kept */
} tfw_rates_t;

typedef struct {
    double processed, failed; /* a second */
    double cpu_percent;       /* 100: one processor all the time */
} tfw_per_second_t;

/* How fast the counters have grown to what they are now. That is over the time since they were read a minute
 * ago, or up to a step or the distance of readings longer; over the time since the first reading, if that is
 * less (but no less than a second). The first reading itself: 0. */
tfw_per_second_t tfw_rates_read(tfw_rates_t *rates, const tfw_reading_t *now);

#endif
