/* noop: does nothing, and succeeds with the result null. What is left is the cost of TaskForge itself. */
#include "handler.h"

static tfw_outcome_t noop_run(tfw_run_t *run)
{
    return TFW_OK;
}

TF_HANDLER(noop) = {
    .type = "noop",
    .description = "Does nothing; the payload is not read and the result is null.",
    .payload_schema = "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\"}",
    .max_retries = 3,
    .timeout_seconds = 60,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = noop_run,
};
