/* reader.h: records out of a stream of bytes: CSV (csv.h), TSV, JSON lines, or a JSON array of objects; plain
 * or gzip, which is seen from the first bytes. A record is a JSON object whose members stand in the order of
 * the columns; an empty field of CSV or TSV is null, every other a text. What is read is not kept: the memory
 * does not grow with the stream. */
#ifndef TFW_PIPELINE_READER_H
#define TFW_PIPELINE_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/place.h"

#define TFW_RECORD_MAX (1024 * 1024) /* bytes of a record's text */

typedef enum {
    TFW_READ_RECORD,
    TFW_READ_BAD, /* this record is not as it should be; those behind it can be read */
    TFW_READ_END,
    TFW_READ_BROKEN, /* nobody knows where the next record begins: no use trying again */
    TFW_READ_FAILED  /* the disk, memory */
} tfw_read_status_t;

typedef struct tfw_reader_s tfw_reader_t;

/* Reads fd, which is closed with the reader (or if this fails), from its start, which is byte `base` of the
 * stream. NULL: out of memory. */
tfw_reader_t *tfw_reader_new(int fd, tfw_format_t format, int64_t base);
void tfw_reader_free(tfw_reader_t *reader);

/* Goes on behind a record: where tfw_reader_position was. false: tfw_reader_error says why. */
bool tfw_reader_resume(tfw_reader_t *reader, const json_t *position);

/* *record: the caller's. */
tfw_read_status_t tfw_reader_next(tfw_reader_t *reader, json_t **record);

/* Behind the record read last: the caller's. NULL: out of memory. */
json_t *tfw_reader_position(const tfw_reader_t *reader);

/* Of the record read last, from 1. */
int64_t tfw_reader_line(const tfw_reader_t *reader);

/* Bytes of the file (of a gzip one as it is stored) that were read. */
int64_t tfw_reader_bytes_read(const tfw_reader_t *reader);

/* Why the last answer was neither a record nor the end. */
const char *tfw_reader_error(const tfw_reader_t *reader);

/* The content of fd, at its start, is gzip. */
bool tfw_reader_is_gzip(int fd);

#endif
