/* attempt.h: what an executor says, or its death, means for the attempt that it runs. */
#ifndef TFW_ATTEMPT_H
#define TFW_ATTEMPT_H

#include "executor.h"
#include "frame.h"

/* A frame from an executor. */
void tfw_attempt_frame(tfw_executor_t *ex, tfw_frame_in_t *frame);

/* The process has died with that status (wait(2)): buries it. The job that it ran has ended with it; those
 * behind have not begun, and those beside it in an I/O executor are as if they had not: both are put at the
 * end of `rest`. */
void tfw_attempt_died(tfw_executor_t *ex, int status, tfw_jobs_t *rest);

/* How long the job's handler may run. */
int64_t tfw_attempt_timeout_us(const tfw_job_t *job);

#endif
