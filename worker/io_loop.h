/* io_loop.h: an executor that runs many jobs at once, of types that are io_bound: each has a small stack of
 * its own (fiber.h), and while it waits in tfw_transfer the others go on. */
#ifndef TFW_IO_LOOP_H
#define TFW_IO_LOOP_H

#include <stddef.h>

#include "fiber.h"
#include "run.h"
#include "transfer.h"

/* Memory of one job at most, beside what its handler allocates: its stack, and that of the thread that looks
 * a name up for it. Most of it is never touched. */
#define TFW_IO_JOB_BYTES (TFW_FIBER_STACK + TFW_IO_THREAD_STACK)
#define TFW_IO_THREAD_STACK (512 * 1024)
#define TFW_IO_JOB_FILES 4 /* descriptors: two connections that are tried, a lookup, a file to send */

/* Exit status: the job that the board names has taken more memory than one may of what all share. */
#define TFW_IO_GREEDY 77

/* How much of the memory that an executor may allocate one job of an I/O executor may take, in its unit. */
#define TFW_IO_JOB_SHARE(memory) ((memory) / 2)

/* The life of such an executor, until the daemon closes its end. Returns the exit status. */
int tfw_io_main(const tfw_executor_env_t *env);

/* In a fiber, where a run waits while others go on: */

/* tfw_transfer_open. */
CURLcode tfw_io_transfer(tfw_run_t *run, CURL *curl, tfw_transfer_kind_t kind, bool *cancelled);

/* Until the socket (-1: none) is ready for POLLIN or POLLOUT: true; or the time is over, or the job was asked
 * to stop. */
bool tfw_io_wait(tfw_run_t *run, int socket, short events, int64_t timeout_ms);

/* The time that another run waits for in tfw_io_wait is over, at the loop's next turn. */
void tfw_io_wake(tfw_run_t *run);

#endif
