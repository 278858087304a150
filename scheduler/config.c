#include "config.h"

#include <string.h>

#define FIELD(name) offsetof(tfs_config_t, name)

static const tf_setting_t table[] = {
    {"TASKFORGE_LOST_SECONDS", TF_SETTING_INT, FIELD(lost_seconds), "20", 1, 86400,
     "seconds without a heartbeat after which a worker is lost"},
    {"TASKFORGE_KILL_GRACE_SECONDS", TF_SETTING_INT, FIELD(kill_grace_seconds), "5", 0, 3600,
     "seconds that workers give a job after its timeout"},
    {"TASKFORGE_POISON_LIMIT", TF_SETTING_INT, FIELD(poison_limit), "3", 1, 1000,
     "lost workers after which a job is dead"},
    {"TASKFORGE_STUCK_SECONDS", TF_SETTING_INT, FIELD(stuck_seconds), "30", 1, 86400,
     "seconds without asking for jobs, while some wait, after which a worker is called stuck"},
    {"TASKFORGE_RECONCILE_SECONDS", TF_SETTING_INT, FIELD(reconcile_seconds), "5", 1, 3600,
     "seconds between two comparisons of PostgreSQL and Redis"},
    {"TASKFORGE_RECONCILE_GRACE_MS", TF_SETTING_INT, FIELD(reconcile_grace_ms), "2000", 0, 600000,
     "milliseconds from commit to XADD, and of clock skew, that are no loss"},
    {"TASKFORGE_RETENTION_DAYS", TF_SETTING_INT, FIELD(retention_days), "30", 1, 36500,
     "days that ended jobs are kept"},
    {"TASKFORGE_RETENTION_SUCCESS_DAYS", TF_SETTING_INT, FIELD(retention_success_days), "0", 0, 36500,
     "days that jobs are kept after SUCCESS, 0: as all others"},
    {"TASKFORGE_RETENTION_FAILED_DAYS", TF_SETTING_INT, FIELD(retention_failed_days), "0", 0, 36500,
     "days that jobs are kept after FAILED, 0: as all others"},
    {"TASKFORGE_RETENTION_DEAD_LETTER_DAYS", TF_SETTING_INT, FIELD(retention_dead_letter_days), "0", 0, 36500,
     "days that jobs are kept after DEAD_LETTER, 0: as all others"},
    {"TASKFORGE_RETENTION_CANCELLED_DAYS", TF_SETTING_INT, FIELD(retention_cancelled_days), "0", 0, 36500,
     "days that jobs are kept after CANCELLED, 0: as all others"},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

bool tfs_config_load(tfs_config_t *config, const char *path, char *error, size_t error_size)
{
    memset(config, 0, sizeof(*config));
    if (!tfd_settings_load(&config->shared, path, "scheduler", error, error_size)) {
        return false;
    }
    if (!tf_settings_load(table, COUNT, config, path, error, error_size)) {
        tfs_config_free(config);
        return false;
    }
    return true;
}

void tfs_config_free(tfs_config_t *config)
{
    tf_settings_free(table, COUNT, config);
    tfd_settings_free(&config->shared);
}
