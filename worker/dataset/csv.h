/* csv.h: a strict reader of CSV (RFC 4180, UTF-8) that streams: its memory does not grow with the file.
 *
 * Fields are separated by commas, records end with LF or CRLF (the last one may lack it), a quoted field may
 * hold commas, line ends and doubled quotes. A byte order mark at the start is skipped. Every record must
 * have as many fields as the first. Spaces belong to the field. All else is an error with its line: a quote
 * inside an unquoted field, text after a closing quote, a bare CR, an unterminated quote, NUL, invalid UTF-8,
 * and what is over a limit. */
#ifndef TFW_CSV_H
#define TFW_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "job.h"

#define TFW_CSV_RECORD_MAX (1024 * 1024) /* bytes, line end included */
#define TFW_CSV_FIELD_MAX 65536          /* bytes as written, without the outer quotes */
#define TFW_CSV_COLUMNS_MAX 1024

/* Like read(2): bytes put into buf, 0 at the end, -1 with errno. EINTR is tried again by the caller of it. */
typedef ssize_t (*tfw_csv_read_fn)(void *data, void *buf, size_t size);

typedef enum {
    TFW_CSV_RECORD,     /* a record is in fields */
    TFW_CSV_END,        /* no more records */
    TFW_CSV_BAD,        /* the text is not as promised above; error says where */
    TFW_CSV_READ_FAILED /* read failed; error says why */
} tfw_csv_status_t;

typedef struct tfw_csv_s tfw_csv_t;

/* NULL: out of memory. Free with tfw_csv_free. */
tfw_csv_t *tfw_csv_new(tfw_csv_read_fn read, void *read_data);

/* The same with another byte between the fields, such as a tab. */
tfw_csv_t *tfw_csv_new_delimited(char delimiter, tfw_csv_read_fn read, void *read_data);

void tfw_csv_free(tfw_csv_t *csv);

/* Reads one record. After anything but TFW_CSV_RECORD the same answer comes again. */
tfw_csv_status_t tfw_csv_next(tfw_csv_t *csv);

/* The fields of the record just read, without quotes, valid until the next tfw_csv_next. An empty field has
 * len 0. */
const tf_str_t *tfw_csv_fields(const tfw_csv_t *csv, size_t *count);

/* The line the record just read began on, from 1. */
int64_t tfw_csv_line(const tfw_csv_t *csv);

/* Makes a new reader begin behind the first record of its text: at line `line`, with `width` fields a
 * record. */
void tfw_csv_resume(tfw_csv_t *csv, size_t width, int64_t line);

/* After TFW_CSV_BAD: if the record was read to its end (it has too few or too many fields, or bytes that are
 * no UTF-8), the next tfw_csv_next reads what follows it. false: nobody knows where that begins. */
bool tfw_csv_skip(tfw_csv_t *csv);

/* The line that the next record begins on. */
int64_t tfw_csv_next_line(const tfw_csv_t *csv);

/* Bytes of the source up to the end of the record just read. */
uint64_t tfw_csv_offset(const tfw_csv_t *csv);

/* Bytes read from the source so far. */
uint64_t tfw_csv_bytes_read(const tfw_csv_t *csv);

/* e.g. "line 7: 3 fields where the first line has 9"; "" without an error. */
const char *tfw_csv_error(const tfw_csv_t *csv);

#endif
