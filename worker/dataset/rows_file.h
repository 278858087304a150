/* rows_file.h: rows as a file of the job (worker/files.h): CSV after RFC 4180, or JSON lines. */
#ifndef TFW_ROWS_FILE_H
#define TFW_ROWS_FILE_H

#include "handler.h"

typedef struct {
    tfw_run_t *run;
    bool csv; /* else JSON lines */
    int fd;
    tf_buf_t buf; /* what is not written yet */
    int64_t size;
} tfw_rows_file_t;

/* A file without a name; to be closed also when that failed. */
tfw_outcome_t tfw_rows_file_open(tfw_rows_file_t *file, tfw_run_t *run, bool csv);
void tfw_rows_file_close(tfw_rows_file_t *file);

/* Adds a field of a CSV file; first: of its row. */
void tfw_rows_file_field(tfw_rows_file_t *file, bool first, const char *text, size_t len);

/* Ends a row; whatever was put into buf before is it. */
tfw_outcome_t tfw_rows_file_end_row(tfw_rows_file_t *file);

/* Stores it, and adds the member "file":{"name","size"} to the open object in out. */
tfw_outcome_t tfw_rows_file_store(tfw_rows_file_t *file, tf_buf_t *out);

#endif
