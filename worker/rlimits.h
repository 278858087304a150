/* rlimits.h: what one executor process may take (setrlimit(2)): a handler that runs wild gets ENOMEM or EFBIG
 * and fails its own job, and the host goes on. Soft limits: a command that asks for more (docs/handlers.md)
 * may have it. */
#ifndef TFW_RLIMITS_H
#define TFW_RLIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

/* Whether the settings make sense, and the system allows what they need. error says which does not. */
bool tfw_limits_check(const tfw_options_t *options, char *error, size_t error_size);

/* In an executor, before its first job. places: how many it runs at once. false with errno. */
bool tfw_limits_set(const tfw_options_t *options, int places);

#endif
