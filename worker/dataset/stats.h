/* stats.h: what is said about a list of numbers. */
#ifndef TFW_STATS_H
#define TFW_STATS_H

#include <stddef.h>

/* With count 0 all but sum are NaN; with count 1 stddev is NaN. What overflows a double is infinite or NaN.
 */
typedef struct {
    size_t count;
    double sum; /* compensated (Neumaier): correct to the last place or two whatever the order */
    double mean;
    double min;
    double max;
    double stddev; /* of a sample: divides by count - 1 */
    double median; /* exact; of an even count the mean of the middle two */
} tfw_stats_t;

/* values must be finite; their order is changed. Linear time on average, count * log(count) at worst. */
tfw_stats_t tfw_stats(double *values, size_t count);

#endif
