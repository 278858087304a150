/* log_limit.h: a repeated complaint is logged once in ten seconds, with the number of those left out. */
#ifndef TFD_LOG_LIMIT_H
#define TFD_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define TFD_LOG_LIMIT_MS 10000

/* Zeroed: nothing logged yet. */
typedef struct {
    uint64_t next_ms;
    int64_t left_out;
} tfd_log_limit_t;

/* true: log it now, and say that *left_out others were not. now_ms: uv_now(). */
static inline bool tfd_log_allowed(tfd_log_limit_t *limit, uint64_t now_ms, int64_t *left_out)
{
    if (now_ms < limit->next_ms) {
        limit->left_out++;
        return false;
    }
    *left_out = limit->left_out;
    limit->left_out = 0;
    limit->next_ms = now_ms + TFD_LOG_LIMIT_MS;
    return true;
}

#endif
