/* fiber.h: functions with stacks of their own in one thread: one waits, and the thread goes on with another.
 */
#ifndef TFW_FIBER_H
#define TFW_FIBER_H

#include <stdbool.h>

#define TFW_FIBER_STACK (256 * 1024) /* bytes; pages that are never touched cost nothing */

typedef struct tfw_fiber_s tfw_fiber_t;

/* Makes a fiber for run(data), which has not begun. NULL: out of memory. */
tfw_fiber_t *tfw_fiber_new(void (*run)(void *data), void *data);

/* From outside of any fiber: begins it, or goes on where it yielded. Returns when it yields (true), or its
 * function returns (false): then the fiber is gone. */
bool tfw_fiber_resume(tfw_fiber_t *fiber);

/* In a fiber: back to whoever resumed it. */
void tfw_fiber_yield(void);

/* The fiber that runs; NULL: none does. */
tfw_fiber_t *tfw_fiber_current(void);

#endif
