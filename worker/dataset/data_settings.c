#include "dataset/data_settings.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dataset/dataset.h"
#include "handler.h"

tfw_data_settings_t tfw_data_settings;

#define AT(field) offsetof(tfw_data_settings_t, field)

static const tf_setting_t table[] = {
    {"TASKFORGE_DATA_DEFAULT_DATASET", TF_SETTING_TEXT, AT(default_dataset), "sales_q1", 0, 0,
     "dataset of a job that says only how many rows"},
    {"TASKFORGE_DATA_INPUT_MB", TF_SETTING_INT, AT(input_mb), "1024", 1, 1048576,
     "MB of a dataset that is downloaded, or in a gzip file"},
    {"TASKFORGE_DATA_MEMORY_MB", TF_SETTING_INT, AT(memory_mb), "256", 16, 1048576,
     "MB of memory that SQLite may use for a job"},
    {"TASKFORGE_DATA_DISK_MB", TF_SETTING_INT, AT(disk_mb), "1024", 1, 16777216,
     "MB of temporary files that SQLite may write for a job"},
};

/* Whether the path stays below the directory that it is taken from. */
static bool is_below(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        size_t len;

        part += part > path; /* the slash */
        len = strcspn(part, "/");
        if (len == 0 || (len <= 2 && strncmp(part, "..", len) == 0)) {
            return false;
        }
    }
    return true;
}

static bool check(char *error, size_t error_size)
{
    const char *name = tfw_data_settings.default_dataset;
    bool clean = *name != '\0' && strlen(name) <= TFW_DATASET_NAME_MAX;

    for (const char *c = name; *c; c++) {
        clean = clean && (unsigned char)*c >= ' ' && *c != 0x7F;
    }
    if (clean && is_below(name)) {
        return true;
    }
    snprintf(error, error_size,
             "TASKFORGE_DATA_DEFAULT_DATASET must be the name of a dataset in TASKFORGE_DATA_DIR, of 1 to %d "
             "bytes: a relative path without \"..\" and control characters",
             TFW_DATASET_NAME_MAX);
    return false;
}

TF_HANDLER_SETTINGS(data_processing) = {table, sizeof(table) / sizeof(table[0]), &tfw_data_settings, check};
