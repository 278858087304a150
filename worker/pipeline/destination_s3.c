/* destination_s3.c: an object. Parts of an upload are sent as they fill up, and the state says which: batches
 * since the last part are read again by a run that takes over. What fits into one part is sent at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "pipeline/destination.h"
#include "pipeline/s3.h"
#include "pipeline/writer.h"
#include "sigv4.h"

#define PART_BYTES (8 * 1024 * 1024) /* S3 wants at least 5 MiB of all parts but the last */
#define PARTS_MAX 10000
#define JOB_HEADER "x-amz-meta-taskforge-job"

typedef struct {
    tfw_destination_t face; /* first: tfw_destination_t * is object_t * */
    tfw_pipeline_t *pipeline;
    tfw_checkpoint_t *checkpoint;
    tfw_writer_t *writer;
    char upload[1024]; /* "": none was begun */
    json_t *etags;     /* of the parts that were sent */
    tf_buf_t bytes;    /* of batches since then */
} object_t;

static tfw_outcome_t out_of_memory(const object_t *o)
{
    tfw_run_error(o->pipeline->run, "destination: out of memory");
    return TFW_RETRY;
}

static tfw_outcome_t put(tfw_destination_t *destination, json_t *record, int64_t number, int64_t line)
{
    object_t *o = (object_t *)destination;
    char why[300];

    if (!tfw_writer_put(o->writer, record, why, sizeof(why))) {
        return tfw_pipeline_refuse(o->pipeline, number, line, why) ? TFW_OK : TFW_PERMANENT;
    }
    o->pipeline->written++;
    return TFW_OK;
}

static size_t pending(const tfw_destination_t *destination)
{
    return tfw_writer_pending(((const object_t *)destination)->writer);
}

static tfw_outcome_t call(object_t *o, const tfw_s3_request_t *request, tfw_http_answer_t *answer)
{
    const tfw_place_t *place = &o->pipeline->destination;

    tfw_s3_call(o->pipeline, place, request, answer);
    /* what completes an upload may say 200 and then that it did not */
    if (answer->status >= 200 && answer->status < 300 &&
        (!answer->body.len || !memmem(answer->body.data, answer->body.len, "<Error>", 7))) {
        return TFW_OK;
    }
    return tfw_answer_failed(o->pipeline, place, request->method, answer);
}

/* "uploadId=..." as it stands in a query, behind `before`. */
static void add_upload(const object_t *o, tf_buf_t *query, const char *before)
{
    tf_buf_addf(query, "%suploadId=", before);
    tfw_sigv4_encode(query, o->upload, false);
    tf_buf_cstr(query);
}

static void job_header(const object_t *o, char *out, size_t size)
{
    snprintf(out, size, JOB_HEADER ": %s", o->pipeline->name);
}

static tfw_outcome_t begin_upload(object_t *o)
{
    char header[128];
    tfw_s3_request_t request = {.method = "POST", .query = "uploads=", .header = header, .body = ""};
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;

    job_header(o, header, sizeof(header));
    outcome = call(o, &request, &answer);
    if (outcome == TFW_OK &&
        (!tfw_xml_text(&answer.body, "UploadId", o->upload, sizeof(o->upload)) || !o->upload[0])) {
        o->upload[0] = '\0';
        tfw_run_error(o->pipeline->run, "destination: POST: the answer has no UploadId");
        outcome = TFW_RETRY;
    }
    tfw_http_answer_free(&answer);
    return outcome;
}

/* Sends what has gathered. */
static tfw_outcome_t send_part(object_t *o)
{
    tfw_s3_request_t request = {.method = "PUT", .body = o->bytes.data, .body_len = o->bytes.len};
    tf_buf_t query = TF_BUF_INIT;
    char number[64];
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;
    tf_str_t etag;

    if (json_array_size(o->etags) == PARTS_MAX) {
        tfw_run_error(o->pipeline->run, "destination: more than %d parts of %d bytes", PARTS_MAX, PART_BYTES);
        return TFW_PERMANENT;
    }
    snprintf(number, sizeof(number), "partNumber=%zu&", json_array_size(o->etags) + 1);
    add_upload(o, &query, number);
    request.query = tf_buf_cstr(&query);
    outcome = call(o, &request, &answer);
    etag = tfw_http_header(&answer, "etag");
    if (outcome == TFW_OK && json_array_append_new(o->etags, json_stringn(etag.data, etag.len)) != 0) {
        tfw_run_error(o->pipeline->run, "destination: PUT: the answer has no ETag");
        outcome = TFW_RETRY;
    }
    tfw_http_answer_free(&answer);
    tf_buf_free(&query);
    tf_buf_reset(&o->bytes);
    return outcome;
}

static tfw_outcome_t send_whole(object_t *o)
{
    char header[128];
    tfw_s3_request_t request = {.method = "PUT",
                                .query = "",
                                .header = header,
                                .body = o->bytes.data ? o->bytes.data : "",
                                .body_len = o->bytes.len};
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;

    job_header(o, header, sizeof(header));
    outcome = call(o, &request, &answer);
    tfw_http_answer_free(&answer);
    return outcome;
}

/* An upload that is not there any more was completed by an earlier run, if the object is this job's. */
static tfw_outcome_t see_object(object_t *o)
{
    tfw_s3_request_t request = {.method = "HEAD", .query = ""};
    tfw_http_answer_t answer;
    tfw_outcome_t outcome = call(o, &request, &answer);
    tf_str_t job = tfw_http_header(&answer, JOB_HEADER);

    if (outcome == TFW_OK &&
        (job.len != strlen(o->pipeline->name) || memcmp(job.data, o->pipeline->name, job.len) != 0)) {
        tfw_run_error(o->pipeline->run,
                      "destination: the upload is gone, and the object is not what it was to become");
        outcome = TFW_PERMANENT;
    }
    tfw_http_answer_free(&answer);
    return outcome;
}

static tfw_outcome_t complete_upload(object_t *o)
{
    tfw_s3_request_t request = {.method = "POST"};
    tf_buf_t query = TF_BUF_INIT, body = TF_BUF_INIT;
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;
    bool gone;

    tf_buf_adds(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < json_array_size(o->etags); i++) {
        tf_buf_addf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                    json_string_value(json_array_get(o->etags, i)));
    }
    tf_buf_adds(&body, "</CompleteMultipartUpload>");
    add_upload(o, &query, "");
    if (body.failed || query.failed) {
        tf_buf_free(&body);
        tf_buf_free(&query);
        return out_of_memory(o);
    }
    request.query = query.data;
    request.body = body.data;
    request.body_len = body.len;
    outcome = call(o, &request, &answer);
    gone = answer.status == 404;
    tfw_http_answer_free(&answer);
    tf_buf_free(&body);
    tf_buf_free(&query);
    return gone ? see_object(o) : outcome;
}

static tfw_outcome_t save(object_t *o, bool complete)
{
    json_t *own = json_pack("{ss sO so}", "upload", o->upload, "etags", o->etags, "writer",
                            tfw_writer_state(o->writer)),
           *state = tfw_pipeline_state(o->pipeline, own, complete);
    tfw_outcome_t outcome = !state                                      ? out_of_memory(o)
                            : tfw_checkpoint_save(o->checkpoint, state) ? TFW_OK
                                                                        : TFW_RETRY;

    json_decref(state);
    return outcome;
}

static tfw_outcome_t commit(tfw_destination_t *destination, bool last)
{
    object_t *o = (object_t *)destination;
    tfw_outcome_t outcome = TFW_OK;

    if (!tfw_writer_take(o->writer, &o->bytes, last)) {
        return out_of_memory(o);
    }
    if (last && !o->upload[0]) {
        outcome = send_whole(o);
        return outcome == TFW_OK ? save(o, true) : outcome;
    }
    if (o->bytes.len < PART_BYTES && !(last && o->bytes.len > 0)) {
        return last ? (save(o, true) == TFW_OK ? complete_upload(o) : TFW_RETRY) : TFW_OK;
    }
    if (!o->upload[0]) {
        outcome = begin_upload(o);
    }
    if (outcome == TFW_OK) {
        outcome = send_part(o);
    }
    if (outcome == TFW_OK) {
        outcome = save(o, last);
    }
    return outcome == TFW_OK && last ? complete_upload(o) : outcome;
}

/* Parts of an upload that nobody completes would be paid for. */
static void abandon(tfw_destination_t *destination)
{
    object_t *o = (object_t *)destination;
    tfw_s3_request_t request = {.method = "DELETE"};
    tf_buf_t query = TF_BUF_INIT;
    tfw_http_answer_t answer;

    if (!o->upload[0]) {
        return;
    }
    if (tfw_run_cancelled(o->pipeline->run)) { /* nothing is sent for a job that is to stop */
        tfw_run_log(o->pipeline->run, "warning", "the parts that were sent stay in an upload");
        return;
    }
    add_upload(o, &query, "");
    request.query = tf_buf_cstr(&query);
    tfw_s3_call(o->pipeline, &o->pipeline->destination, &request, &answer);
    if (answer.status != 204 && answer.status != 200) {
        tfw_run_log(o->pipeline->run, "warning", "the upload could not be aborted: %s",
                    answer.status ? "the server refuses" : answer.error);
    }
    tfw_http_answer_free(&answer);
    tf_buf_free(&query);
}

static void release(tfw_destination_t *destination)
{
    object_t *o = (object_t *)destination;

    tfw_checkpoint_close(o->checkpoint);
    tfw_writer_free(o->writer);
    json_decref(o->etags);
    tf_buf_free(&o->bytes);
    free(o);
}

static tfw_outcome_t go_on(object_t *o, const json_t *state)
{
    const json_t *own = json_object_get(state, "destination");
    const char *upload = json_string_value(json_object_get(own, "upload"));
    json_t *etags = json_object_get(own, "etags");

    snprintf(o->upload, sizeof(o->upload), "%s", upload ? upload : "");
    o->etags = etags ? json_deep_copy(etags) : json_array();
    tfw_writer_restore(o->writer, json_object_get(own, "writer"));
    if (!o->etags) {
        return out_of_memory(o);
    }
    return json_is_true(json_object_get(state, "complete")) && o->upload[0] ? complete_upload(o) : TFW_OK;
}

tfw_outcome_t tfw_s3_destination_open(tfw_pipeline_t *p, tfw_destination_t **destination, json_t **state)
{
    const tfw_place_t *place = &p->destination;
    object_t *o = calloc(1, sizeof(*o));

    if (!o) {
        tfw_run_error(p->run, "out of memory");
        return TFW_RETRY;
    }
    o->face = (tfw_destination_t){put, pending, commit, abandon, release};
    o->pipeline = p;
    *destination = &o->face;
    o->checkpoint = tfw_checkpoint_open(p->run);
    if (!o->checkpoint || !tfw_checkpoint_load(o->checkpoint, state)) {
        return TFW_RETRY;
    }
    o->writer = tfw_writer_new(place->format, place->gzip, place->columns);
    return o->writer ? go_on(o, *state) : out_of_memory(o);
}
