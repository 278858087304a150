#include "window.h"

static tf_window_segment_t *at(tf_window_t *w, unsigned i)
{
    return &w->segments[(w->first + i) % TF_WINDOW_RING];
}

static void forget_old(tf_window_t *w, int64_t now_ms)
{
    while (w->used && at(w, 0)->until_ms <= now_ms) {
        w->total -= at(w, 0)->count;
        w->first = (uint16_t)((w->first + 1) % TF_WINDOW_RING);
        w->used--;
    }
}

/* Counts n until `until_ms`, or longer where that keeps the ring ascending and within its size. Returns until
 * when. */
static int64_t add(tf_window_t *w, int64_t until_ms, uint32_t n)
{
    tf_window_segment_t *last = w->used ? at(w, w->used - 1u) : 0;

    if (last && last->until_ms >= until_ms) {
        last->count += n;
    } else if (w->used == TF_WINDOW_RING) {
        /* only after the window was made longer: the oldest two become one */
        at(w, 1)->count += at(w, 0)->count;
        w->first = (uint16_t)((w->first + 1) % TF_WINDOW_RING);
        *at(w, w->used - 1u) = (tf_window_segment_t){until_ms, n};
    } else {
        *at(w, w->used++) = (tf_window_segment_t){until_ms, n};
    }
    w->total += n;
    return at(w, w->used - 1u)->until_ms;
}

uint32_t tf_window_free(tf_window_t *w, uint32_t quota, int64_t now_ms)
{
    forget_old(w, now_ms);
    return w->total < quota ? quota - w->total : 0;
}

uint32_t tf_window_take(tf_window_t *w, uint32_t quota, int64_t window_ms, int64_t lease_ms, int64_t now_ms,
                        uint32_t want, int64_t *moment)
{
    uint32_t left = tf_window_free(w, quota, now_ms);
    int64_t step = (window_ms + TF_WINDOW_SEGMENTS - 1) / TF_WINDOW_SEGMENTS, until_ms = 0;

    if (want > left) {
        want = left;
    }
    if (want) {
        /* now_ms was cut to milliseconds: one more */
        until_ms = add(w, (now_ms + 1 + lease_ms + window_ms + step - 1) / step * step, want);
    }
    if (moment) {
        *moment = until_ms;
    }
    return want;
}

void tf_window_give_back(tf_window_t *w, int64_t moment, uint32_t n)
{
    for (unsigned i = w->used; i-- > 0 && at(w, i)->until_ms >= moment;) {
        tf_window_segment_t *s = at(w, i);

        if (s->until_ms == moment) {
            n = n < s->count ? n : s->count;
            s->count -= n;
            w->total -= n;
        }
    }
}

int64_t tf_window_next_ms(const tf_window_t *w, uint32_t quota, int64_t now_ms)
{
    uint32_t total = w->total;

    for (unsigned i = 0; i < w->used; i++) {
        const tf_window_segment_t *s = &w->segments[(w->first + i) % TF_WINDOW_RING];

        total -= s->count;
        if (s->count && s->until_ms > now_ms && total < quota) {
            return s->until_ms - now_ms;
        }
    }
    return 0;
}
