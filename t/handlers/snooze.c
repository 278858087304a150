/* test_snooze: logs a line, and asks to be run "seconds" later until the file "until" is in the data
 * directory. */
#include <unistd.h>

#include "handler.h"

static tfw_outcome_t snooze_run(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    int fd = tfw_run_open_data(run, json_string_value(json_object_get(payload, "until")));

    tfw_run_log(run, "info", fd >= 0 ? "it is there" : "not yet");
    if (fd < 0) {
        return tfw_run_snooze(run, json_integer_value(json_object_get(payload, "seconds")));
    }
    close(fd);
    return TFW_OK;
}

TF_HANDLER(test_snooze) = {
    .type = "test_snooze",
    .description = "Waits for a file without keeping an executor busy.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 0,
    .timeout_seconds = 60,
    .retry = {1000, 60000, false},
    .run = snooze_run,
};
