/* writer.h: records into a stream of bytes: CSV, TSV, JSON lines or a JSON array; plain or gzip. What is
 * written after a checkpoint begins at a place of its own (in gzip: a member), so that the stream can be cut
 * off there and gone on with. */
#ifndef TFW_PIPELINE_WRITER_H
#define TFW_PIPELINE_WRITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "pipeline/place.h"

typedef struct tfw_writer_s tfw_writer_t;

/* columns of CSV and TSV, in their order; NULL: those of the first record. NULL: out of memory. */
tfw_writer_t *tfw_writer_new(tfw_format_t format, bool gzip, const json_t *columns);
void tfw_writer_free(tfw_writer_t *writer);

/* Adds a record. false: nothing was added, and error says why it cannot be. */
bool tfw_writer_put(tfw_writer_t *writer, const json_t *record, char *error, size_t error_size);

/* Bytes that wait for tfw_writer_take, before they are compressed. */
size_t tfw_writer_pending(const tfw_writer_t *writer);

/* Moves what was put since the last call to the end of out; last: and what ends the stream. false: out of
 * memory. */
bool tfw_writer_take(tfw_writer_t *writer, tf_buf_t *out, bool last);

/* What a checkpoint must know of what was taken: the caller's; and back. */
json_t *tfw_writer_state(const tfw_writer_t *writer);
void tfw_writer_restore(tfw_writer_t *writer, const json_t *state);

#endif
