/* config.h: the scheduler's settings (docs/internals.md "Settings"). */
#ifndef TFS_CONFIG_H
#define TFS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "settings.h"

typedef struct {
    char *database_url;
    char *redis_url;
    char *log_level;
    char *redis_library; /* path */
    int64_t lost_seconds;
    int64_t poison_limit;
    int64_t reconcile_seconds;
    int64_t reconcile_grace_ms;
    int64_t retention_days;
} tfs_config_t;

/* Reads and checks everything that can be checked without a server: the settings (path: env file, or NULL),
 * both URLs, the function library's file. Fills redis_url and library as well; the caller frees all three.
 * false: error says which setting is wrong and why; nothing needs freeing then. */
bool tfs_config_load(tfs_config_t *config, tf_redis_url_t *redis_url, tf_buf_t *library, const char *path,
                     char *error, size_t error_size);
void tfs_config_free(tfs_config_t *config);

#endif
