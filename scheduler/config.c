#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pg.h"
#include "redis_keys.h"

#define LIBRARY_BYTES_MAX 1048576

#define FIELD(name) offsetof(tfs_config_t, name)

static const tf_setting_t table[] = {
    {"DATABASE_URL", TF_SETTING_TEXT, FIELD(database_url), NULL, 0, 0, "PostgreSQL URL"},
    {"REDIS_URL", TF_SETTING_TEXT, FIELD(redis_url), NULL, 0, 0, "redis://host:port/db or unix:///path"},
    {"TASKFORGE_LOG_LEVEL", TF_SETTING_TEXT, FIELD(log_level), "info", 0, 0, "debug, info, warning or error"},
    {"TASKFORGE_REDIS_LIBRARY", TF_SETTING_TEXT, FIELD(redis_library), NULL, 0, 0, "path of taskforge.lua"},
    {"TASKFORGE_LOST_SECONDS", TF_SETTING_INT, FIELD(lost_seconds), "20", 1, 86400,
     "seconds without a heartbeat after which a worker is lost"},
    {"TASKFORGE_POISON_LIMIT", TF_SETTING_INT, FIELD(poison_limit), "3", 1, 1000,
     "lost workers after which a job is dead"},
    {"TASKFORGE_RECONCILE_SECONDS", TF_SETTING_INT, FIELD(reconcile_seconds), "5", 1, 3600,
     "seconds between two comparisons of PostgreSQL and Redis"},
    {"TASKFORGE_RECONCILE_GRACE_MS", TF_SETTING_INT, FIELD(reconcile_grace_ms), "2000", 0, 600000,
     "milliseconds from commit to XADD, and of clock skew, that are no loss"},
    {"TASKFORGE_RETENTION_DAYS", TF_SETTING_INT, FIELD(retention_days), "30", 1, 36500,
     "days that ended jobs are kept"},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static bool read_library(const char *path, tf_buf_t *out, char *error, size_t size)
{
    static const char first_line[] = "#!lua name=" TF_REDIS_LIBRARY;
    FILE *file = fopen(path, "re");
    char *p;

    if (file == NULL) {
        snprintf(error, size, "TASKFORGE_REDIS_LIBRARY: %s: %s", path, strerror(errno));
        return false;
    }
    while ((p = tf_buf_reserve(out, 65536)) != NULL && out->len <= LIBRARY_BYTES_MAX) {
        size_t n = fread(p, 1, 65536, file);

        out->len += n;
        if (n == 0) {
            break;
        }
    }
    fclose(file);
    if (p == NULL || out->len > LIBRARY_BYTES_MAX || out->len < sizeof(first_line) - 1 ||
        memcmp(out->data, first_line, sizeof(first_line) - 1) != 0) {
        snprintf(error, size, "TASKFORGE_REDIS_LIBRARY: %s does not begin with \"%s\"", path, first_line);
        return false;
    }
    return true;
}

bool tfs_config_load(tfs_config_t *config, tf_redis_url_t *redis_url, tf_buf_t *library, const char *path,
                     char *error, size_t error_size)
{
    char why[200];

    memset(config, 0, sizeof(*config));
    memset(redis_url, 0, sizeof(*redis_url));
    *library = (tf_buf_t)TF_BUF_INIT;
    if (!tf_settings_load(table, COUNT, config, path, error, error_size) ||
        !tfs_pg_check_url(config->database_url, error, error_size)) {
        goto failed;
    }
    if (!tf_redis_url_parse(config->redis_url, redis_url, why, sizeof(why))) {
        snprintf(error, error_size, "REDIS_URL: %s", why);
        goto failed;
    }
    if (!read_library(config->redis_library, library, error, error_size)) {
        goto failed;
    }
    return true;

failed:
    tf_redis_url_free(redis_url);
    tf_buf_free(library);
    tfs_config_free(config);
    return false;
}

void tfs_config_free(tfs_config_t *config)
{
    tf_settings_free(table, COUNT, config);
}
