/* data_settings.h: the settings of data_processing and custom. */
#ifndef TFW_DATA_SETTINGS_H
#define TFW_DATA_SETTINGS_H

#include <stdint.h>

typedef struct {
    char *default_dataset;
    int64_t input_mb;  /* of a dataset that is downloaded, or in a gzip file */
    int64_t memory_mb; /* SQLite's, of one job */
    int64_t disk_mb;   /* SQLite's temporary files, of one job */
} tfw_data_settings_t;

extern tfw_data_settings_t tfw_data_settings;

#endif
