/* window.h: a sliding window over counts: never more than `quota` permits counted at any moment, each for a
 * whole window after the last moment it may be used. The same rule as tf_limit in taskforge.lua, for what one
 * host lets in, whether Redis answers or not. Memory is fixed: moments are rounded up to a fraction of the
 * window, so a permit may be counted a little longer than it must, never shorter. No clock of its own. */
#ifndef TF_WINDOW_H
#define TF_WINDOW_H

#include <stdint.h>

#define TF_WINDOW_SEGMENTS 96 /* of the window */
/* those of a window and of the lease before it (a tenth of a window, or less), and the one that is filled now
 */
#define TF_WINDOW_RING (TF_WINDOW_SEGMENTS + TF_WINDOW_SEGMENTS / 8 + 2)

typedef struct {
    int64_t until_ms; /* counted until then */
    uint32_t count;
} tf_window_segment_t;

/* All zeros: nothing is counted. */
typedef struct {
    tf_window_segment_t segments[TF_WINDOW_RING]; /* a ring, ascending from `first` */
    uint16_t first, used;
    uint32_t total;
} tf_window_t;

/* Counts up to `want` permits at now_ms (any clock that does not go backwards; if it does, permits are
 * counted longer) that may be used for lease_ms from then. Returns how many were granted, 0 to want; *moment
 * is what tf_window_give_back wants to know, may be NULL. The quota and the window may differ from call to
 * call. */
uint32_t tf_window_take(tf_window_t *w, uint32_t quota, int64_t window_ms, int64_t lease_ms, int64_t now_ms,
                        uint32_t want, int64_t *moment);

/* Counts n of the permits of one tf_window_take no longer: they were not used. */
void tf_window_give_back(tf_window_t *w, int64_t moment, uint32_t n);

/* How many permits are free at now_ms. */
uint32_t tf_window_free(tf_window_t *w, uint32_t quota, int64_t now_ms);

/* Milliseconds until something that is counted now is counted no more and one permit is free; 0: nothing is
 * counted. With free permits: until the next ones come back. */
int64_t tf_window_next_ms(const tf_window_t *w, uint32_t quota, int64_t now_ms);

#endif
