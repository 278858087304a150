/* test_fail: fails with "error", for good when "permanent" is true, asking for another attempt in
 * "retry_after" seconds when that is there. */
#include "handler.h"

static tfw_outcome_t fail_run(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    const char *error = json_string_value(json_object_get(payload, "error"));
    const json_t *retry_after = json_object_get(payload, "retry_after");

    tfw_run_error(run, "%s", error ? error : "as asked for");
    if (retry_after) {
        tfw_run_retry_after(run, json_integer_value(retry_after));
    }
    return json_is_true(json_object_get(payload, "permanent")) ? TFW_PERMANENT : TFW_RETRY;
}

TF_HANDLER(test_fail) = {
    .type = "test_fail",
    .description = "Fails.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 3,
    .timeout_seconds = 60,
    .retry = {2000, 60000, false},
    .run = fail_run,
};
