/* test_echo: its result is its payload. */
#include <stdlib.h>
#include <string.h>

#include "handler.h"

static tfw_outcome_t echo_run(tfw_run_t *run)
{
    char *text = json_dumps(tfw_run_payload(run), JSON_COMPACT);

    if (text == NULL) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    tfw_run_result(run, text, strlen(text));
    free(text);
    return TFW_OK;
}

TF_HANDLER(test_echo) = {
    .type = "test_echo",
    .description = "Says what it was told.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 3,
    .timeout_seconds = 60,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = echo_run,
};
