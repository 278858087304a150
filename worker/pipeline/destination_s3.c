/* destination_s3.c: an object. Parts of an upload are sent as they fill up, and the state says which: batches
 * since the last part are read again by a run that takes over. What fits into one part is sent at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/s3.h"
#include "pipeline/stream.h"
#include "sigv4.h"

#define PART_BYTES (8 * 1024 * 1024) /* S3 wants at least 5 MiB of all parts but the last */
#define PARTS_MAX 10000
#define JOB_HEADER "x-amz-meta-taskforge-job"

typedef struct {
    tfw_stream_t stream; /* first: tfw_destination_t * is object_t *. bytes: since the last part */
    char upload[1024];   /* "": none was begun */
    json_t *etags;       /* of the parts that were sent */
} object_t;

static tfw_outcome_t call(object_t *o, const tfw_s3_request_t *request, tfw_http_answer_t *answer)
{
    const tfw_place_t *place = &o->stream.pipeline->destination;

    tfw_s3_call(o->stream.pipeline, place, request, answer);
    /* what completes an upload may say 200 and then that it did not */
    if (answer->status >= 200 && answer->status < 300 &&
        (!answer->body.len || !memmem(answer->body.data, answer->body.len, "<Error>", 7))) {
        return TFW_OK;
    }
    return tfw_answer_failed(o->stream.pipeline, place, request->method, answer);
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
    snprintf(out, size, JOB_HEADER ": %s", o->stream.pipeline->name);
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
        tfw_run_error(o->stream.pipeline->run, "destination: POST: the answer has no UploadId");
        outcome = TFW_RETRY;
    }
    tfw_http_answer_free(&answer);
    return outcome;
}

/* Sends what has gathered. */
static tfw_outcome_t send_part(object_t *o)
{
    tfw_s3_request_t request = {
        .method = "PUT", .body = o->stream.bytes.data, .body_len = o->stream.bytes.len};
    tf_buf_t query = TF_BUF_INIT;
    char number[64];
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;
    tf_str_t etag;

    if (json_array_size(o->etags) == PARTS_MAX) {
        tfw_run_error(o->stream.pipeline->run, "destination: more than %d parts of %d bytes", PARTS_MAX,
                      PART_BYTES);
        return TFW_PERMANENT;
    }
    snprintf(number, sizeof(number), "partNumber=%zu&", json_array_size(o->etags) + 1);
    add_upload(o, &query, number);
    request.query = tf_buf_cstr(&query);
    outcome = call(o, &request, &answer);
    etag = tfw_http_header(&answer, "etag");
    if (outcome == TFW_OK && json_array_append_new(o->etags, json_stringn(etag.data, etag.len)) != 0) {
        tfw_run_error(o->stream.pipeline->run, "destination: PUT: the answer has no ETag");
        outcome = TFW_RETRY;
    }
    tfw_http_answer_free(&answer);
    tf_buf_free(&query);
    tf_buf_reset(&o->stream.bytes);
    return outcome;
}

static tfw_outcome_t send_whole(object_t *o)
{
    char header[128];
    tfw_s3_request_t request = {.method = "PUT",
                                .query = "",
                                .header = header,
                                .body = o->stream.bytes.data ? o->stream.bytes.data : "",
                                .body_len = o->stream.bytes.len};
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

    if (outcome == TFW_OK && (job.len != strlen(o->stream.pipeline->name) ||
                              memcmp(job.data, o->stream.pipeline->name, job.len) != 0)) {
        tfw_run_error(o->stream.pipeline->run,
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
        return tfw_stream_out_of_memory(&o->stream);
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
                            tfw_writer_state(o->stream.writer));

    return tfw_stream_save(&o->stream, own, complete);
}

static tfw_outcome_t commit(tfw_destination_t *destination, bool last)
{
    object_t *o = (object_t *)destination;
    tfw_outcome_t outcome = TFW_OK;

    if (!tfw_writer_take(o->stream.writer, &o->stream.bytes, last)) {
        return tfw_stream_out_of_memory(&o->stream);
    }
    if (last && !o->upload[0]) {
        outcome = send_whole(o);
        return outcome == TFW_OK ? save(o, true) : outcome;
    }
    if (o->stream.bytes.len < PART_BYTES && !(last && o->stream.bytes.len > 0)) {
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
    if (tfw_run_cancelled(o->stream.pipeline->run)) { /* nothing is sent for a job that is to stop */
        tfw_run_log(o->stream.pipeline->run, "warning", "the parts that were sent stay in an upload");
        return;
    }
    add_upload(o, &query, "");
    request.query = tf_buf_cstr(&query);
    tfw_s3_call(o->stream.pipeline, &o->stream.pipeline->destination, &request, &answer);
    if (answer.status != 204 && answer.status != 200) {
        tfw_run_log(o->stream.pipeline->run, "warning", "the upload could not be aborted: %s",
                    answer.status ? "the server refuses" : answer.error);
    }
    tfw_http_answer_free(&answer);
    tf_buf_free(&query);
}

static void release(tfw_destination_t *destination)
{
    object_t *o = (object_t *)destination;

    tfw_stream_clear(&o->stream);
    json_decref(o->etags);
    free(o);
}

static tfw_outcome_t go_on(object_t *o, const json_t *state)
{
    const json_t *own = json_object_get(state, "destination");
    const char *upload = json_string_value(json_object_get(own, "upload"));
    json_t *etags = json_object_get(own, "etags");

    snprintf(o->upload, sizeof(o->upload), "%s", upload ? upload : "");
    o->etags = etags ? json_deep_copy(etags) : json_array();
    tfw_writer_restore(o->stream.writer, json_object_get(own, "writer"));
    if (!o->etags) {
        return tfw_stream_out_of_memory(&o->stream);
    }
    return json_is_true(json_object_get(state, "complete")) && o->upload[0] ? complete_upload(o) : TFW_OK;
}

tfw_outcome_t tfw_s3_destination_open(tfw_pipeline_t *p, tfw_destination_t **destination, json_t **state)
{
    object_t *o = calloc(1, sizeof(*o));
    tfw_outcome_t outcome;

    if (!o) {
        tfw_run_error(p->run, "out of memory");
        return TFW_RETRY;
    }
    o->stream.face = (tfw_destination_t){tfw_stream_put, tfw_stream_pending, commit, abandon, release};
    o->stream.pipeline = p;
    *destination = &o->stream.face;
    outcome = tfw_stream_load(&o->stream, state);
    if (outcome == TFW_OK) {
        outcome = tfw_stream_begin(&o->stream);
    }
    return outcome == TFW_OK ? go_on(o, *state) : outcome;
}
