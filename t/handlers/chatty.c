/* test_chatty: logs "lines" lines, then waits until the file "until" is in the data directory. */
#include <time.h>
#include <unistd.h>

#include "handler.h"

static tfw_outcome_t chatty_run(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    json_int_t lines = json_integer_value(json_object_get(payload, "lines"));
    const char *until = json_string_value(json_object_get(payload, "until"));
    struct timespec slice = {0, 20000000};
    int fd;

    for (json_int_t i = 1; i <= lines; i++) {
        tfw_run_log(run, "info", "line %lld", (long long)i);
    }
    while ((fd = tfw_run_open_data(run, until)) < 0) {
        if (tfw_run_cancelled(run)) {
            return TFW_CANCELLED;
        }
        nanosleep(&slice, NULL);
    }
    close(fd);
    return TFW_OK;
}

TF_HANDLER(test_chatty) = {
    .type = "test_chatty",
    .description = "Talks, then waits.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 0,
    .timeout_seconds = 600,
    .retry = {1000, 60000, false},
    .run = chatty_run,
};
