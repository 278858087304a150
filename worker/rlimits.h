/* rlimits.h: what one executor process may take (setrlimit(2)): a handler that runs wild gets ENOMEM or EFBIG
 * and fails its own job, and the host goes on. Soft limits: a command that asks for more (docs/handlers.md)
 * may have it. */
#ifndef TFW_RLIMITS_H
#define TFW_RLIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

/* Whether the settings make sense, and the system allows what they need. error says which does not. */
bool tfw_limits_check(const tfw_options_t *options, char *error, size_t error_size);

/* In an executor, before its first job. places: how many it runs at once. false with errno. */
bool tfw_limits_set(const tfw_options_t *options, int places);

/* In an I/O executor of so many places: bytes that one of its jobs may take; 0: no limit. */
int64_t tfw_limits_job_memory(uint32_t places);

/* A descriptor for tfw_limits_memory in this process; -1: errno. */
int tfw_limits_memory_open(void);

/* Bytes of the memory that RLIMIT_DATA counts, as this process has it now; -1: errno. */
int64_t tfw_limits_memory(int fd);

/* In a copy of an executor: it may have at most so much more memory than it has now. false with errno. */
bool tfw_limits_more(int64_t bytes);

#endif
