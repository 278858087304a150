/* slice.h: how long the kernel lets a thread run before others that are ready get their turn. Who works in
 * small steps and asks for a short slice is let in sooner when it wakes, at the same share of the processor;
 * with the usual slice it may wait a tick (4 ms) behind whoever computes. docs/performance.md has what that
 * is worth. */
#ifndef TF_SLICE_H
#define TF_SLICE_H

#include <stdbool.h>
#include <stdint.h>

#define TF_SLICE_SHORT 100000 /* ns; the least that Linux takes */
#define TF_SLICE_DEFAULT 0    /* the system's */

/* Of the calling thread, and of what it starts from now on. Linux 6.12 and later; older ones ignore it.
 * Policy and nice value stay. false: errno says why not; nothing has changed, and nothing depends on it. */
bool tf_slice_set(uint64_t ns);

#endif
