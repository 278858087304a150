/* watch.h: executors are looked at now and then: who has run too long, did not stop when asked to, or keeps
 * others waiting. */
#ifndef TFW_WATCH_H
#define TFW_WATCH_H

#include <stdint.h>

#include "executor.h"

/* A job that runs longer than this has nothing queued behind it. */
#define TFW_SLOW_US 20000

/* Does what has to be done about this executor by now. Returns in how many microseconds to look again;
 * INT64_MAX: not before something happens. */
int64_t tfw_watch(tfw_executor_t *ex, int64_t now_us);

/* How long a handler in this executor has to stop by itself when its job is cancelled. */
int64_t tfw_watch_cancel_grace_ms(const tfw_executor_t *ex);

#endif
