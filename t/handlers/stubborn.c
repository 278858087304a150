/* test_stubborn: hears neither cancel nor SIGTERM, and has a child of its own that does not, either. "child":
 * its pid, in the log. */
#include <signal.h>
#include <unistd.h>

#include "handler.h"

static tfw_outcome_t stubborn_run(tfw_run_t *run)
{
    pid_t child;

    (void)tfw_run_payload(run);
    signal(SIGTERM, SIG_IGN);
    child = fork();
    if (child == 0) {
        alarm(300); /* where a test forgets it */
    } else {
        tfw_run_log(run, "info", "child %d", (int)child);
    }
    for (;;) {
        pause();
    }
    return TFW_OK;
}

TF_HANDLER(test_stubborn) = {
    .type = "test_stubborn",
    .description = "Can be ended by SIGKILL alone.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 1,
    .timeout_seconds = 600,
    .retry = {60000, 60000, false},
    .run = stubborn_run,
};
