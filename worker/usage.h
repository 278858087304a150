/* usage.h: what the daemon and its executors together take of the machine. The commands that handlers start
 * are not in it. */
#ifndef TFW_USAGE_H
#define TFW_USAGE_H

#include <stdint.h>

struct tfw_worker_s;

/* Zeroed: not measured yet. */
typedef struct {
    /* Anonymous memory that is resident (RssAnon in proc(5)), added up; -1: not known. Mapped files, which
     * are the program and its libraries, and what is swapped out are not in it; a page that an executor
     * shares with the daemon since it was forked counts in both. (Pss would divide those, but the kernel
     * walks all pages of a process for it: some 40 ms for 1 GB, during which the loop would stand still.) */
    int64_t memory_bytes;
    int64_t cpu_us;           /* processor time since the worker started; it never shrinks */
    int64_t executors_cpu_us; /* of it that of executors, also those that are gone, as far as it was seen */
} tfw_usage_t;

/* A few system calls for each process. */
void tfw_usage_measure(tfw_usage_t *usage, struct tfw_worker_s *w);

#endif
