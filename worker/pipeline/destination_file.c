/* destination_file.c: a file below the output directory. Its state is the length up to which it holds what
 * was committed; what a run has written behind it is cut off by the next one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/output.h"
#include "pipeline/stream.h"

typedef struct {
    tfw_stream_t stream; /* first: tfw_destination_t * is file_t * */
    tfw_output_t output;
    off_t length; /* bytes that are committed */
} file_t;

static bool write_all(int fd, const tf_buf_t *bytes, off_t at)
{
    for (size_t done = 0; done < bytes->len;) {
        ssize_t n = pwrite(fd, bytes->data + done, bytes->len - done, at + (off_t)done);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return fdatasync(fd) == 0;
}

static tfw_outcome_t commit(tfw_destination_t *destination, bool last)
{
    file_t *f = (file_t *)destination;
    tfw_stream_t *stream = &f->stream;
    tfw_outcome_t outcome;

    tf_buf_reset(&stream->bytes);
    if (!tfw_writer_take(stream->writer, &stream->bytes, last)) {
        return tfw_stream_out_of_memory(stream);
    }
    if (!write_all(f->output.fd, &stream->bytes, f->length)) {
        tfw_run_error(stream->pipeline->run, "destination: %s: %s", stream->pipeline->destination.path,
                      strerror(errno));
        return TFW_RETRY;
    }
    f->length += (off_t)stream->bytes.len;
    outcome = tfw_stream_save(
        stream,
        json_pack("{sI so}", "length", (json_int_t)f->length, "writer", tfw_writer_state(stream->writer)),
        last);
    return outcome == TFW_OK && last ? tfw_output_finish(&f->output, stream->pipeline) : outcome;
}

static void abandon(tfw_destination_t *destination)
{
    tfw_output_abandon(&((file_t *)destination)->output);
}

static void release(tfw_destination_t *destination)
{
    file_t *f = (file_t *)destination;

    tfw_output_close(&f->output);
    tfw_stream_clear(&f->stream);
    free(f);
}

/* Cuts the file off where the state says; where it is not as long, it is another machine's or lost, and all
 * is done anew. */
static tfw_outcome_t go_on(file_t *f, json_t **state)
{
    const json_t *own = json_object_get(*state, "destination");
    struct stat st;

    f->length = (off_t)json_integer_value(json_object_get(own, "length"));
    if (fstat(f->output.fd, &st) != 0) {
        st.st_size = -1;
    }
    if (*state && st.st_size < f->length) {
        tfw_run_log(f->stream.pipeline->run, "warning",
                    "what an earlier run has written is not here any more: starting anew");
        json_decref(*state);
        *state = NULL;
        f->length = 0;
    }
    if (ftruncate(f->output.fd, f->length) != 0) {
        tfw_run_error(f->stream.pipeline->run, "destination: %s", strerror(errno));
        return TFW_RETRY;
    }
    if (*state) {
        tfw_writer_restore(f->stream.writer, json_object_get(own, "writer"));
    }
    return TFW_OK;
}

tfw_outcome_t tfw_file_destination_open(tfw_pipeline_t *p, tfw_destination_t **destination, json_t **state)
{
    file_t *f = calloc(1, sizeof(*f));
    tfw_outcome_t outcome;

    if (!f) {
        tfw_run_error(p->run, "out of memory");
        return TFW_RETRY;
    }
    f->stream.face = (tfw_destination_t){tfw_stream_put, tfw_stream_pending, commit, abandon, release};
    f->stream.pipeline = p;
    *destination = &f->stream.face;
    outcome = tfw_output_open(&f->output, p, p->destination.path);
    if (outcome == TFW_OK) {
        outcome = tfw_stream_load(&f->stream, state);
    }
    if (outcome != TFW_OK) {
        return outcome;
    }
    if (json_is_true(json_object_get(*state, "complete"))) {
        return tfw_output_finish(&f->output, p);
    }
    outcome = tfw_output_begin(&f->output, p);
    if (outcome == TFW_OK) {
        outcome = tfw_stream_begin(&f->stream);
    }
    return outcome == TFW_OK ? go_on(f, state) : outcome;
}
