/* s3.h: requests to an object store that speaks S3. */
#ifndef TFW_PIPELINE_S3_H
#define TFW_PIPELINE_S3_H

#include "http_call.h"
#include "pipeline/pipeline.h"

typedef struct {
    const char *method;
    const char *query;  /* as tfw_sigv4_t has it */
    const char *header; /* one more, "name: value"; NULL: none */
    const char *body;   /* NULL: none */
    size_t body_len;
    size_t read_max; /* bytes of the answer; what is not passed on is kept, up to 64 KiB */
    bool (*on_body)(void *data, const tfw_http_answer_t *answer, const char *bytes, size_t len);
    void *data;
} tfw_s3_request_t;

/* Makes a request for the object of that place. The answer is to be freed. */
void tfw_s3_call(tfw_pipeline_t *pipeline, const tfw_place_t *place, const tfw_s3_request_t *request,
                 tfw_http_answer_t *answer);

/* What an answer that is not the one hoped for means; sets the error, which says what was tried ("GET") and
 * of what place, and what an S3 error document says. */
tfw_outcome_t tfw_answer_failed(tfw_pipeline_t *pipeline, const tfw_place_t *place, const char *what,
                                const tfw_http_answer_t *answer);

/* The text between <name> and </name>, with the five entities decoded. false: not there, or too long. */
bool tfw_xml_text(const tf_buf_t *body, const char *name, char *out, size_t size);

#endif
