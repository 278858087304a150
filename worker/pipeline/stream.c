#include "pipeline/stream.h"

tfw_outcome_t tfw_stream_out_of_memory(const tfw_stream_t *s)
{
    tfw_run_error(s->pipeline->run, "destination: out of memory");
    return TFW_RETRY;
}

tfw_outcome_t tfw_stream_put(tfw_destination_t *destination, json_t *record, int64_t number, int64_t line)
{
    tfw_stream_t *s = (tfw_stream_t *)destination;
    char why[300];

    if (!tfw_writer_put(s->writer, record, why, sizeof(why))) {
        return tfw_pipeline_refuse(s->pipeline, number, line, why) ? TFW_OK : TFW_PERMANENT;
    }
    s->pipeline->written++;
    return TFW_OK;
}

size_t tfw_stream_pending(const tfw_destination_t *destination)
{
    return tfw_writer_pending(((const tfw_stream_t *)destination)->writer);
}

tfw_outcome_t tfw_stream_load(tfw_stream_t *s, json_t **state)
{
    s->checkpoint = tfw_checkpoint_open(s->pipeline->run);
    return s->checkpoint && tfw_checkpoint_load(s->checkpoint, state) ? TFW_OK : TFW_RETRY;
}

tfw_outcome_t tfw_stream_begin(tfw_stream_t *s)
{
    const tfw_place_t *place = &s->pipeline->destination;

    s->writer = tfw_writer_new(place->format, place->gzip, place->columns);
    return s->writer ? TFW_OK : tfw_stream_out_of_memory(s);
}

tfw_outcome_t tfw_stream_save(tfw_stream_t *s, json_t *own, bool complete)
{
    json_t *state = tfw_pipeline_state(s->pipeline, own, complete);
    tfw_outcome_t outcome;

    if (!state) {
        return tfw_stream_out_of_memory(s);
    }
    outcome = tfw_checkpoint_save(s->checkpoint, state) ? TFW_OK : TFW_RETRY;
    json_decref(state);
    return outcome;
}

void tfw_stream_clear(tfw_stream_t *s)
{
    tfw_checkpoint_close(s->checkpoint);
    tfw_writer_free(s->writer);
    tf_buf_free(&s->bytes);
}
