/* stream.h: what destinations share that turn records into one stream of bytes (writer.h) and keep the
 * pipeline's state in the job's checkpoint. */
#ifndef TFW_PIPELINE_STREAM_H
#define TFW_PIPELINE_STREAM_H

#include "checkpoint.h"
#include "pipeline/destination.h"
#include "pipeline/writer.h"

typedef struct {
    tfw_destination_t face; /* first: tfw_destination_t * is tfw_stream_t * */
    tfw_pipeline_t *pipeline;
    tfw_checkpoint_t *checkpoint;
    tfw_writer_t *writer;
    tf_buf_t bytes; /* taken from the writer, and not sent on yet */
} tfw_stream_t;

/* put and pending of such a destination. */
tfw_outcome_t tfw_stream_put(tfw_destination_t *destination, json_t *record, int64_t number, int64_t line);
size_t tfw_stream_pending(const tfw_destination_t *destination);

/* What an earlier run has saved last, the caller's; NULL: nothing. */
tfw_outcome_t tfw_stream_load(tfw_stream_t *stream, json_t **state);

/* The writer, as the pipeline's destination wants it. */
tfw_outcome_t tfw_stream_begin(tfw_stream_t *stream);

/* Saves the pipeline's state. own: the destination's part of it, taken over; NULL: out of memory. */
tfw_outcome_t tfw_stream_save(tfw_stream_t *stream, json_t *own, bool complete);

/* Sets the run's error. */
tfw_outcome_t tfw_stream_out_of_memory(const tfw_stream_t *stream);

/* What it holds, not itself. */
void tfw_stream_clear(tfw_stream_t *stream);

#endif
