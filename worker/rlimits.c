#include "rlimits.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io_loop.h"

#define MEGABYTE (1 << 20)
#define OWN_FILES 64      /* of an executor, whatever its jobs have open */
#define RESULT_FRAME 4096 /* beside the result: the file that carries it holds an error too */

/* Sanitizers keep notes of all memory in memory. */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_LIMITED false
#else
#define MEMORY_IS_LIMITED true
#endif

static int64_t files_of(int64_t places)
{
    return OWN_FILES + places * TFW_IO_JOB_FILES;
}

static bool check_files(const tfw_options_t *options, char *error, size_t error_size)
{
    int64_t needed = files_of(options->io_concurrency);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < (rlim_t)needed) {
        snprintf(error, error_size,
                 "TASKFORGE_IO_CONCURRENCY: %lld jobs at once need up to %lld open files; the system allows "
                 "this process %llu (ulimit -Hn)",
                 (long long)options->io_concurrency, (long long)needed, (unsigned long long)limit.rlim_max);
        return false;
    }
    return true;
}

bool tfw_limits_check(const tfw_options_t *options, char *error, size_t error_size)
{
    int64_t least_mb = (options->result_max_bytes + RESULT_FRAME) / MEGABYTE + 1;

    if (options->executor_file_mb && options->executor_file_mb < least_mb) {
        snprintf(error, error_size,
                 "TASKFORGE_EXECUTOR_FILE_MB: %lld is too little for results of TASKFORGE_RESULT_MAX_BYTES; "
                 "at least %lld",
                 (long long)options->executor_file_mb, (long long)least_mb);
        return false;
    }
    return options->io_concurrency == 0 || check_files(options, error, error_size);
}

static bool set_soft(int resource, int64_t value)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) != 0) {
        return false;
    }
    limit.rlim_cur = (rlim_t)value < limit.rlim_max ? (rlim_t)value : limit.rlim_max;
    return setrlimit(resource, &limit) == 0;
}

/* At least so many. */
static bool allow_files(int64_t needed)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
           (limit.rlim_cur >= (rlim_t)needed || set_soft(RLIMIT_NOFILE, needed));
}

bool tfw_limits_set(const tfw_options_t *options, int places)
{
    int64_t memory = options->executor_memory_mb * MEGABYTE;

    if (places > 0) {
        memory += (int64_t)places * TFW_IO_JOB_BYTES;
    }
    signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
    return set_soft(RLIMIT_CORE, 0) &&
           (!options->executor_file_mb || set_soft(RLIMIT_FSIZE, options->executor_file_mb * MEGABYTE)) &&
           (!options->executor_memory_mb || !MEMORY_IS_LIMITED || set_soft(RLIMIT_DATA, memory)) &&
           (places == 0 || allow_files(files_of(places)));
}

int64_t tfw_limits_job_memory(uint32_t places)
{
    struct rlimit limit;
    int64_t memory;

    if (!MEMORY_IS_LIMITED || getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return 0;
    }
    memory = (int64_t)limit.rlim_cur - (int64_t)places * TFW_IO_JOB_BYTES;
    return memory > 0 ? TFW_IO_JOB_SHARE(memory) : 0; /* else the system allows less than the stacks */
}

#define STATM_DATA 5 /* spaces before the field; proc(5): data and stack, in pages */

int tfw_limits_memory_open(void)
{
    return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

int64_t tfw_limits_memory(int fd)
{
    char text[128];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    const char *at = text;

    if (n <= 0) {
        return -1;
    }
    text[n] = '\0';
    for (int i = 0; i < STATM_DATA && at; i++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at ? strtoll(at, NULL, 10) * sysconf(_SC_PAGESIZE) : -1;
}

bool tfw_limits_more(int64_t bytes)
{
    int fd = MEMORY_IS_LIMITED ? tfw_limits_memory_open() : -1;
    int64_t now = fd >= 0 ? tfw_limits_memory(fd) : -1;

    if (fd >= 0) {
        close(fd);
    }
    return !MEMORY_IS_LIMITED || (now >= 0 && set_soft(RLIMIT_DATA, now + bytes));
}
