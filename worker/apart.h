/* apart.h: a part of a job's work in a process of its own, for what a stranger's input could make endless or
 * boundless: the process is a copy of this one, with bounds, and its end harms nobody. In an I/O executor
 * other jobs run meanwhile. */
#ifndef TFW_APART_H
#define TFW_APART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "handler.h"

#define TFW_APART_AT_ONCE 4 /* such processes of one executor; others wait for their turn */

/* What the process sees of it. */
typedef struct tfw_apart_s tfw_apart_t;

typedef struct {
    /* Called in the process. What it adds to answer is its answer; nothing else that it does is seen here.
     * It must not wait, log, or use the run in any other way. */
    void (*work)(void *data, tfw_apart_t *apart, tf_buf_t *answer);
    void *data;
    int64_t cpu_ms;       /* processor time of all of it */
    int64_t memory_bytes; /* that it may take beside what there is already */
    size_t answer_max;    /* bytes */
} tfw_apart_work_t;

typedef enum {
    TFW_APART_DONE,
    TFW_APART_CANCELLED, /* the job was */
    TFW_APART_TOO_MUCH,  /* it took more than it may: it will again */
    TFW_APART_FAILED     /* it could not be started, or died of something else */
} tfw_apart_end_t;

/* Does the work and appends its answer. Not done: error says why. */
tfw_apart_end_t tfw_apart(tfw_run_t *run, const tfw_apart_work_t *work, tf_buf_t *answer, char *error,
                          size_t error_size);

/* In the process: from now on it does what the format says, and may take so much processor time for it. The
 * name is part of the error if it takes more. */
void tfw_apart_step(tfw_apart_t *apart, int64_t cpu_ms, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
