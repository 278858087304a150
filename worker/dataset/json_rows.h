/* json_rows.h: a reader of JSON objects, one row each, that streams: its memory does not grow with the file.
 *
 * JSON lines (also called ndjson): an object on each line, empty lines are skipped. Or an array of objects,
 * over any number of lines. UTF-8; a byte order mark at the start is skipped. All else is an error with its
 * line and column: what is no JSON (RFC 8259), a row that is no object, a member twice in a row, and what is
 * over a limit. */
#ifndef TFW_JSON_ROWS_H
#define TFW_JSON_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataset/csv.h"

#define TFW_JSON_ROW_MAX (1024 * 1024) /* bytes of a row */

typedef enum { TFW_JSON_LINES, TFW_JSON_ARRAY } tfw_json_rows_kind_t;

typedef struct tfw_json_rows_s tfw_json_rows_t;

/* NULL: out of memory. Free with tfw_json_rows_free (NULL is fine). */
tfw_json_rows_t *tfw_json_rows_new(tfw_json_rows_kind_t kind, tfw_csv_read_fn read, void *read_data);
void tfw_json_rows_free(tfw_json_rows_t *rows);

/* The next row, in tfw_json_row. The answers are those of a CSV file; after anything but TFW_CSV_RECORD the
 * same answer comes again. */
tfw_csv_status_t tfw_json_rows_next(tfw_json_rows_t *rows);

/* The row just read: an object, valid until the next call. */
const json_t *tfw_json_row(const tfw_json_rows_t *rows);

/* The line the row just read began on, from 1. */
int64_t tfw_json_rows_line(const tfw_json_rows_t *rows);

/* e.g. "line 7, column 12: '}' expected near end of file"; "" without an error. */
const char *tfw_json_rows_error(const tfw_json_rows_t *rows);

#endif
