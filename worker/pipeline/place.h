/* place.h: where the records of a pipeline come from or go to, as its payload names it. */
#ifndef TFW_PIPELINE_PLACE_H
#define TFW_PIPELINE_PLACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "connections.h"
#include "dataset/csv.h"

#define TFW_PLACE_CHECKPOINTS "taskforge_checkpoints" /* a table of ours, beside those that are written */
#define TFW_PLACE_PATH_MAX 1023                       /* bytes of a path, a URL or a key */
#define TFW_COLUMNS_MAX TFW_CSV_COLUMNS_MAX

typedef enum { TFW_PLACE_FILE, TFW_PLACE_HTTP, TFW_PLACE_S3, TFW_PLACE_TABLE } tfw_place_kind_t;

typedef enum { TFW_FORMAT_CSV, TFW_FORMAT_TSV, TFW_FORMAT_JSONL, TFW_FORMAT_JSON } tfw_format_t;

typedef struct {
    tfw_place_kind_t kind;
    tfw_format_t format;               /* not of a table */
    bool gzip;                         /* the name ends with .gz */
    char path[TFW_PLACE_PATH_MAX + 1]; /* of the file, the URL, or the object's key */
    char bucket[64];
    char table[132];                    /* "schema.name" or "name" */
    const tfw_connection_t *connection; /* of an object or a table */
    const json_t *columns;              /* of a destination, checked; NULL: not said. The payload's */
    const json_t *key;                  /* columns that a table is updated by; NULL: rows are only added */
    const char *label;                  /* for messages: "source" or "destination" */
} tfw_place_t;

/* Reads member `label` of a payload: "source", or "destination", which may not be http and has columns and
 * key. false: error says what is wrong with it. */
bool tfw_place_parse(const json_t *value, const char *label, tfw_place_t *place, char *error,
                     size_t error_size);

/* A list of 1 to 1,024 different names; error begins with `where`. */
bool tfw_columns_check(const json_t *list, const char *where, char *error, size_t error_size);

#endif
