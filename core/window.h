/* window.h: a sliding window over counts: never more than `quota` permits counted at any moment, each for a
 * whole window after the last moment it may be used. The same rule as tf_limit in taskforge.lua, for the time
 * when Redis is away. Memory is fixed: moments are rounded up to a fraction of the window, so a permit may be
 * counted a little longer than it must, never shorter. No clock of its own. */
#ifndef TF_WINDOW_H
#define TF_WINDOW_H

#include <stdint.h>

#define TF_WINDOW_SEGMENTS 32 /* of the window; one more is the one that is filled now */

typedef struct {
    int64_t until_ms; /* counted until then */
    uint32_t count;
} tf_window_segment_t;

/* All zeros: nothing is counted. */
typedef struct {
    tf_window_segment_t segments[TF_WINDOW_SEGMENTS + 2]; /* a ring, ascending from `first` */
    uint16_t first, used;
    uint32_t total;
} tf_window_t;

/* Counts up to `want` permits at now_ms (any clock that does not go backwards; if it does, permits are
 * counted longer). Returns how many were granted, 0 to want. The quota and the window may differ from call to
 * call. */
uint32_t tf_window_take(tf_window_t *w, uint32_t quota, int64_t window_ms, int64_t now_ms, uint32_t want);

/* How many permits are free at now_ms. */
uint32_t tf_window_free(tf_window_t *w, uint32_t quota, int64_t now_ms);

/* Milliseconds until something that is counted now is counted no more and one permit is free; 0: nothing is
 * counted. With free permits: until the next ones come back. */
int64_t tf_window_next_ms(const tf_window_t *w, uint32_t quota, int64_t now_ms);

#endif
