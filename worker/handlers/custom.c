/* custom: a job of a type of nobody's own. Whatever its payload is, it is taken as data. */
#include "dataset/data_processing.h"

/* A payload that names data, or has some. */
static bool has_data(const json_t *payload)
{
    const json_t *records = json_object_get(payload, "records");

    for (size_t i = 0; i < json_array_size(records); i++) {
        if (!json_is_object(json_array_get(records, i))) {
            return false;
        }
    }
    return json_is_array(records) || json_is_string(json_object_get(payload, "dataset"));
}

static tfw_outcome_t custom_run(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    tfw_outcome_t outcome;
    json_t *one;

    if (has_data(payload)) {
        return tfw_data_process(run, payload, true);
    }
    one = json_pack("{s:[O]}", "records", payload);
    if (one == NULL) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    outcome = tfw_data_process(run, one, true);
    json_decref(one);
    return outcome;
}

TF_HANDLER(custom) = {
    .type = "custom",
    .description =
        "Any payload: a dataset or records are processed as by data_processing, all else is one record.",
    .payload_schema = "{\"$schema\":\"https://json-schema.org/draft/2020-12/"
                      "schema\",\"type\":\"object\",\"description\":\"as of "
                      "data_processing, or anything: an object is a record\"}",
    .max_retries = 3,
    .timeout_seconds = 300,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = custom_run,
};
