#include "rlimits.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#define MEGABYTE (1 << 20)
#define RESULT_FRAME 4096 /* beside the result: the file that carries it holds an error too */

/* Sanitizers keep notes of all memory in memory. */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_LIMITED false
#else
#define MEMORY_IS_LIMITED true
#endif

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
    return true;
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

bool tfw_limits_set(const tfw_options_t *options)
{
    signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
    return set_soft(RLIMIT_CORE, 0) &&
           (!options->executor_file_mb || set_soft(RLIMIT_FSIZE, options->executor_file_mb * MEGABYTE)) &&
           (!options->executor_memory_mb || !MEMORY_IS_LIMITED ||
            set_soft(RLIMIT_DATA, options->executor_memory_mb * MEGABYTE));
}
