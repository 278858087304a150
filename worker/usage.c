#include "usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "read_text.h"
#include "worker.h"

/* -1: it is gone, or there is no /proc. */
static int64_t memory_of(pid_t pid)
{
    char path[32], text[128], *end = text;
    long long resident, of_files;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    if (!tfw_read_text(AT_FDCWD, path, text, sizeof(text))) {
        return -1;
    }
    (void)strtoll(text, &end, 10); /* of the address space */
    resident = strtoll(end, &end, 10);
    of_files = strtoll(end, &end, 10);
    return (resident - of_files) * sysconf(_SC_PAGESIZE);
}

/* 0: it is gone. */
static int64_t cpu_us_of(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

void tfw_usage_measure(tfw_usage_t *usage, tfw_worker_t *w)
{
    int64_t memory = memory_of(getpid());

    for (int i = 0; i < w->pool.count; i++) {
        tfw_executor_t *ex = &w->pool.executors[i];
        int64_t bytes, cpu_us;

        if (ex->pid <= 0) {
            continue;
        }
        bytes = memory >= 0 ? memory_of(ex->pid) : 0;
        memory += bytes > 0 ? bytes : 0;
        cpu_us = cpu_us_of(ex->pid);
        if (cpu_us > ex->cpu_us) {
            usage->executors_cpu_us += cpu_us - ex->cpu_us;
            ex->cpu_us = cpu_us;
        }
    }
    usage->memory_bytes = memory;
    usage->cpu_us = cpu_us_of(getpid()) + usage->executors_cpu_us;
}
