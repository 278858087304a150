/* test_crash: ends its own process in the way that the payload names: "abort", "segv", "overflow", "exit". */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "handler.h"

#pragma GCC diagnostic ignored "-Winfinite-recursion"

/* Not inlined, so that it has a frame of its own. */
__attribute__((noinline)) static int crash_by_overflow(volatile int depth)
{
    volatile char room[4096];

    room[0] = (char)depth;
    return crash_by_overflow(depth + 1) + room[0];
}

__attribute__((noinline)) static void crash_as_told(const char *how)
{
    volatile int *volatile nowhere = (volatile int *)16;

    if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "segv") == 0) {
        *nowhere = 1;
    } else if (strcmp(how, "overflow") == 0) {
        crash_by_overflow(0);
    } else {
        exit(7);
    }
}

static tfw_outcome_t crash_run(tfw_run_t *run)
{
    const char *how = json_string_value(json_object_get(tfw_run_payload(run), "how"));

    tfw_run_log(run, "info", "about to end by %s", how ? how : "exit");
    crash_as_told(how ? how : "exit");
    return TFW_OK;
}

TF_HANDLER(test_crash) = {
    .type = "test_crash",
    .description = "Ends its own process.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 1,
    .timeout_seconds = 60,
    .retry = {1000, 60000, false},
    .run = crash_run,
};
