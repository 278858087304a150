/* dataset.h: a table as it comes in: CSV, TSV, JSON lines, an array of JSON objects, plain or gzip, from the
 * data directory, from http(s) or out of the payload. It is read row by row, as often as needed; its memory
 * does not grow with the rows. What goes wrong is said with tfw_run_error. */
#ifndef TFW_DATASET_H
#define TFW_DATASET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "handler.h"
#include "dataset/csv.h"
#include "dataset/value_type.h"

#define TFW_DATASET_NAME_MAX 255 /* bytes of what the payload calls it */

typedef enum {
    TFW_FORMAT_BY_NAME, /* .tsv, .tab, .jsonl, .ndjson, .json, each perhaps with .gz; else CSV */
    TFW_FORMAT_CSV,
    TFW_FORMAT_TSV,
    TFW_FORMAT_JSONL,
    TFW_FORMAT_JSON
} tfw_format_t;

/* Where it is: one of the first three. Texts belong to the payload. */
typedef struct {
    const char *dataset; /* in the data directory; without an extension: .csv */
    const char *url;
    const json_t *records; /* an array of objects */
    tfw_format_t format;
    int64_t rows; /* only the first so many; 0: all */
} tfw_source_t;

typedef struct {
    char *name; /* NUL-terminated; no NUL within */
    tfw_type_t type;
} tfw_column_t;

typedef struct tfw_dataset_s tfw_dataset_t;

/* Opens the file, fetches it, or takes the records. *dataset: NULL unless TFW_OK; tfw_dataset_free it. */
tfw_outcome_t tfw_dataset_open(tfw_run_t *run, const tfw_source_t *source, tfw_dataset_t **dataset);

/* NULL is fine. */
void tfw_dataset_free(tfw_dataset_t *dataset);

/* How results and errors call it: the file's path, the URL without its query, "records". */
const char *tfw_dataset_label(const tfw_dataset_t *dataset);

/* How the reading that comes next moves the progress, in percent. */
void tfw_dataset_progress(tfw_dataset_t *dataset, int from, int to);

/* Names of the columns, without their types: the first line, or for JSON all members of all rows in the order
 * in which they are met. Call once, or tfw_dataset_scan. The next row is the first one. */
tfw_outcome_t tfw_dataset_header(tfw_dataset_t *dataset);

/* The same with types: reads all rows, and begins anew. */
tfw_outcome_t tfw_dataset_scan(tfw_dataset_t *dataset);

const tfw_column_t *tfw_dataset_columns(const tfw_dataset_t *dataset, size_t *count);

/* Rows read so far; tfw_dataset_scan begins anew. */
int64_t tfw_dataset_rows(const tfw_dataset_t *dataset);

/* The next row: as many fields as columns, valid until the next call. *fields: NULL at the end. *types: of
 * each field; NULL: they are fields of a CSV file, in which an empty one is no value. */
tfw_outcome_t tfw_dataset_next(tfw_dataset_t *dataset, const tf_str_t **fields, const tfw_type_t **types);

/* Where the row just read stands, for errors: "line 7", "[6]". */
const char *tfw_dataset_place(tfw_dataset_t *dataset);

#endif
