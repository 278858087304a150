#include "dataset/data_settings.h"

#include <stddef.h>

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

TF_HANDLER_SETTINGS(data_processing) = {table, sizeof(table) / sizeof(table[0]), &tfw_data_settings, NULL};
