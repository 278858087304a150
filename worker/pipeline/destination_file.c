/* destination_file.c: a file below the output directory. Its state is the length up to which it holds what
 * was committed; what a run has written behind it is cut off by the next one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "pipeline/destination.h"
#include "pipeline/output.h"
#include "pipeline/writer.h"

typedef struct {
    tfw_destination_t face; /* first: tfw_destination_t * is file_t * */
    tfw_pipeline_t *pipeline;
    tfw_checkpoint_t *checkpoint;
    tfw_output_t output;
    tfw_writer_t *writer;
    off_t length; /* bytes that are committed */
    tf_buf_t bytes;
} file_t;

static tfw_outcome_t out_of_memory(const file_t *f)
{
    tfw_run_error(f->pipeline->run, "destination: out of memory");
    return TFW_RETRY;
}

static tfw_outcome_t put(tfw_destination_t *destination, json_t *record, int64_t number, int64_t line)
{
    file_t *f = (file_t *)destination;
    char why[300];

    if (!tfw_writer_put(f->writer, record, why, sizeof(why))) {
        return tfw_pipeline_refuse(f->pipeline, number, line, why) ? TFW_OK : TFW_PERMANENT;
    }
    f->pipeline->written++;
    return TFW_OK;
}

static size_t pending(const tfw_destination_t *destination)
{
    return tfw_writer_pending(((const file_t *)destination)->writer);
}

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
    json_t *state, *own;
    bool saved;

    tf_buf_reset(&f->bytes);
    if (!tfw_writer_take(f->writer, &f->bytes, last)) {
        return out_of_memory(f);
    }
    if (!write_all(f->output.fd, &f->bytes, f->length)) {
        tfw_run_error(f->pipeline->run, "destination: %s: %s", f->pipeline->destination.path,
                      strerror(errno));
        return TFW_RETRY;
    }
    f->length += (off_t)f->bytes.len;
    own = json_pack("{sI so}", "length", (json_int_t)f->length, "writer", tfw_writer_state(f->writer));
    state = tfw_pipeline_state(f->pipeline, own, last);
    saved = state ? tfw_checkpoint_save(f->checkpoint, state) : out_of_memory(f) == TFW_OK;
    json_decref(state);
    if (!saved) {
        return TFW_RETRY;
    }
    return last ? tfw_output_finish(&f->output, f->pipeline) : TFW_OK;
}

static void abandon(tfw_destination_t *destination)
{
    tfw_output_abandon(&((file_t *)destination)->output);
}

static void release(tfw_destination_t *destination)
{
    file_t *f = (file_t *)destination;

    tfw_output_close(&f->output);
    tfw_checkpoint_close(f->checkpoint);
    tfw_writer_free(f->writer);
    tf_buf_free(&f->bytes);
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
        tfw_run_log(f->pipeline->run, "warning",
                    "what an earlier run has written is not here any more: starting anew");
        json_decref(*state);
        *state = NULL;
        f->length = 0;
    }
    if (ftruncate(f->output.fd, f->length) != 0) {
        tfw_run_error(f->pipeline->run, "destination: %s", strerror(errno));
        return TFW_RETRY;
    }
    if (*state) {
        tfw_writer_restore(f->writer, json_object_get(own, "writer"));
    }
    return TFW_OK;
}

tfw_outcome_t tfw_file_destination_open(tfw_pipeline_t *p, tfw_destination_t **destination, json_t **state)
{
    const tfw_place_t *place = &p->destination;
    file_t *f = calloc(1, sizeof(*f));
    tfw_outcome_t outcome;

    if (!f) {
        tfw_run_error(p->run, "out of memory");
        return TFW_RETRY;
    }
    f->face = (tfw_destination_t){put, pending, commit, abandon, release};
    f->pipeline = p;
    *destination = &f->face;
    outcome = tfw_output_open(&f->output, p, place->path);
    if (outcome != TFW_OK) {
        return outcome;
    }
    f->checkpoint = tfw_checkpoint_open(p->run);
    if (!f->checkpoint || !tfw_checkpoint_load(f->checkpoint, state)) {
        return TFW_RETRY;
    }
    if (json_is_true(json_object_get(*state, "complete"))) {
        return tfw_output_finish(&f->output, p);
    }
    outcome = tfw_output_begin(&f->output, p);
    if (outcome != TFW_OK) {
        return outcome;
    }
    f->writer = tfw_writer_new(place->format, place->gzip, place->columns);
    return f->writer ? go_on(f, state) : out_of_memory(f);
}
