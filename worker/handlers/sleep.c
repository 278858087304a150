/* sleep: waits as long as the payload says, with progress, and stops soon after a cancel. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "handler.h"

#define SLEEP_SECONDS_MAX 3600
#define SLEEP_SLICE_SECONDS 0.1 /* how late a cancel may be noticed */

static double monotonic_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void sleep_at_most(double seconds)
{
    struct timespec ts;

    ts.tv_sec = (time_t)seconds;
    ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
    /* A signal ends the slice early, which is what its sender wants. */
    nanosleep(&ts, NULL);
}

/* The field's name as a JSON string: whatever it holds, the error stays one line of valid text. */
static void complain_unknown(tfw_run_t *run, const char *key)
{
    tf_buf_t name = TF_BUF_INIT;

    tf_json_str(&name, key, strnlen(key, 64));
    tfw_run_error(run, "payload: unknown field %s; sleep knows only \"seconds\"", tf_buf_cstr(&name));
    tf_buf_free(&name);
}

/* The payload's seconds, or -1 with the reason set. */
static double payload_seconds(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    const json_t *seconds = json_object_get(payload, "seconds");
    const char *key;
    json_t *value;
    double number;

    json_object_foreach((json_t *)payload, key, value)
    {
        if (strcmp(key, "seconds") != 0) {
            complain_unknown(run, key);
            return -1;
        }
    }
    if (!json_is_number(seconds)) {
        tfw_run_error(run, "payload: \"seconds\" must be a number from 0 to %d", SLEEP_SECONDS_MAX);
        return -1;
    }
    number = json_number_value(seconds);
    if (!(number >= 0 && number <= SLEEP_SECONDS_MAX)) {
        tfw_run_error(run, "payload: \"seconds\" must be from 0 to %d", SLEEP_SECONDS_MAX);
        return -1;
    }
    return number;
}

static tfw_outcome_t sleep_run(tfw_run_t *run)
{
    double seconds = payload_seconds(run);
    double start = monotonic_seconds();
    double left;
    tf_buf_t result = TF_BUF_INIT;

    if (seconds < 0) {
        return TFW_PERMANENT;
    }
    while ((left = start + seconds - monotonic_seconds()) > 0) {
        if (tfw_run_cancelled(run)) {
            return TFW_CANCELLED;
        }
        tfw_run_progress(run, (int)(100 * (seconds - left) / seconds));
        sleep_at_most(fmin(left, SLEEP_SLICE_SECONDS));
    }

    tf_buf_addc(&result, '{');
    tf_json_kdouble(&result, "seconds", seconds);
    tf_buf_addc(&result, '}');
    tfw_run_result(run, tf_buf_cstr(&result), result.len);
    tf_buf_free(&result);
    return TFW_OK;
}

TF_HANDLER(sleep) = {
    .type = "sleep",
    .description = "Waits for a number of seconds and reports progress.",
    .payload_schema = "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
                      "\"properties\":{\"seconds\":{\"type\":\"number\",\"minimum\":0,\"maximum\":3600}},"
                      "\"required\":[\"seconds\"],\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = 3700,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = sleep_run,
};
