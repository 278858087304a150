/* config.h: the scheduler's settings (docs/internals.md "Settings"). */
#ifndef TFS_CONFIG_H
#define TFS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/start.h"

typedef struct {
    tfd_settings_t shared;
    int64_t kill_grace_seconds;
    int64_t lost_seconds;
    int64_t poison_limit;
    int64_t stuck_seconds;
    int64_t reconcile_seconds;
    int64_t reconcile_grace_ms;
    int64_t retention_days;
    int64_t retention_success_days; /* 0, and the next three: as retention_days */
    int64_t retention_failed_days;
    int64_t retention_dead_letter_days;
    int64_t retention_cancelled_days;
} tfs_config_t;

/* Reads and checks everything that can be checked without a server, and sets the log up. path: env file, or
 * NULL. false: error says which setting is wrong and why; nothing needs freeing then. */
bool tfs_config_load(tfs_config_t *config, const char *path, char *error, size_t error_size);
void tfs_config_free(tfs_config_t *config);

#endif
