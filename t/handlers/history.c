/* test_history: writes when it starts, goes on and ends, with its fence, into the file "history" of the data
 * directory (which the test made). "ms": how long it takes; "deaf": true: not even a cancel ends it early.
 * "do": "ok", "permanent", or, in the first "times" attempts: "fail", "crash" by "signal"; "snooze": once an
 * epoch, for a second. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "handler.h"
#include "uuid.h"

#define SLICE_MS 20
#define BEAT_MS 200

typedef struct {
    tfw_run_t *run;
    tfw_fence_t fence;
    char id[TF_UUID_TEXT_LEN + 1];
    int fd;
} teller_t;

/* One write(2) a line: those of many processes do not mix. */
static void tell(const teller_t *teller, const char *what, const char *outcome)
{
    struct timespec now;
    char line[320];
    int n;

    clock_gettime(CLOCK_MONOTONIC, &now);
    n = snprintf(line, sizeof(line),
                 "{\"kind\":\"%s\",\"id\":\"%s\",\"epoch\":%d,\"attempt\":%d,\"incarnation\":%" PRId64
                 ",\"pid\":%d,\"at\":%lld.%06ld,\"outcome\":\"%s\"}\n",
                 what, teller->id, (int)teller->fence.epoch, (int)teller->fence.attempt,
                 teller->fence.incarnation, (int)getpid(), (long long)now.tv_sec, now.tv_nsec / 1000,
                 outcome);
    if (n < 0 || (size_t)n >= sizeof(line) || write(teller->fd, line, (size_t)n) != n) {
        abort(); /* what is not written down proves nothing */
    }
}

/* false: a cancel came. */
static bool pass_time(const teller_t *teller, json_int_t ms, bool deaf)
{
    struct timespec slice = {0, SLICE_MS * 1000000};

    for (json_int_t passed = 0; passed < ms; passed += SLICE_MS) {
        if (!deaf && tfw_run_cancelled(teller->run)) {
            return false;
        }
        nanosleep(&slice, NULL);
        if (passed % BEAT_MS == 0) {
            tell(teller, "beat", "");
        }
    }
    return true;
}

static bool first_in_epoch(const teller_t *teller)
{
    char path[512];
    int fd;

    snprintf(path, sizeof(path), "%s/%s.%d", tfw_run_data_dir(teller->run), teller->id,
             (int)teller->fence.epoch);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static tfw_outcome_t act(const teller_t *teller, const json_t *payload)
{
    const char *deed = json_string_value(json_object_get(payload, "do"));
    bool early = teller->fence.attempt <= json_integer_value(json_object_get(payload, "times"));

    deed = deed ? deed : "ok";
    if (strcmp(deed, "permanent") == 0) {
        tell(teller, "end", "permanent");
        tfw_run_error(teller->run, "for good, as asked for");
        return TFW_PERMANENT;
    }
    if (strcmp(deed, "fail") == 0 && early) {
        tell(teller, "end", "retry");
        tfw_run_error(teller->run, "as asked for");
        return TFW_RETRY;
    }
    if (strcmp(deed, "crash") == 0 && early) {
        tell(teller, "end", "crash");
        raise((int)json_integer_value(json_object_get(payload, "signal")));
    }
    if (strcmp(deed, "snooze") == 0 && first_in_epoch(teller)) {
        tell(teller, "end", "snooze");
        return tfw_run_snooze(teller->run, 1);
    }
    tell(teller, "end", "ok");
    return TFW_OK;
}

static tfw_outcome_t history_run(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    teller_t teller = {.run = run, .fence = tfw_run_fence(run)};
    tfw_outcome_t outcome = TFW_CANCELLED;
    char path[512];

    tf_uuid_format(tfw_run_id(run), teller.id);
    snprintf(path, sizeof(path), "%s/history", tfw_run_data_dir(run));
    teller.fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (teller.fd < 0) {
        tfw_run_error(run, "the data directory has no history");
        return TFW_PERMANENT;
    }
    tell(&teller, "start", "");
    if (pass_time(&teller, json_integer_value(json_object_get(payload, "ms")),
                  json_is_true(json_object_get(payload, "deaf")))) {
        outcome = act(&teller, payload);
    } else {
        tell(&teller, "end", "cancelled");
    }
    close(teller.fd);
    return outcome;
}

TF_HANDLER(test_history) = {
    .type = "test_history",
    .description = "Writes down when it runs.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 3,
    .timeout_seconds = 60,
    .retry = {200, 1000, false},
    .run = history_run,
};
