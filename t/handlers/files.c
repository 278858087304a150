/* test_files: stores "files" of its job: {"name", "content_type", "text", "bytes"}, of which "bytes" is how
 * long the file is made with letters (xorshift, by its name) after the text. "hold": waits before that until
 * the file "go" is in the data directory. "fail": then it is to be tried again, at once, in its first
 * attempt. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

#define HOLD_SECONDS 60

static bool put(int fd, const void *data, size_t len)
{
    return write(fd, data, len) == (ssize_t)len;
}

static bool fill(int fd, const char *text, json_int_t bytes)
{
    char block[65536];
    uint32_t x = 2463534242U;

    if (!put(fd, text, strlen(text))) {
        return false;
    }
    for (json_int_t left = bytes - (json_int_t)strlen(text); left > 0; left -= (json_int_t)sizeof(block)) {
        for (size_t i = 0; i < sizeof(block); i++) {
            x ^= x << 13, x ^= x >> 17, x ^= x << 5;
            block[i] = (char)('a' + x % 26);
        }
        if (!put(fd, block, left < (json_int_t)sizeof(block) ? (size_t)left : sizeof(block))) {
            return false;
        }
    }
    return true;
}

static bool store(tfw_run_t *run, const json_t *file)
{
    const char *text = json_string_value(json_object_get(file, "text")),
               *type = json_string_value(json_object_get(file, "content_type"));
    int fd = tfw_run_temp_file(run);
    bool ok = fd >= 0 && fill(fd, text ? text : "", json_integer_value(json_object_get(file, "bytes")));

    ok = ok && tfw_run_file(run, json_string_value(json_object_get(file, "name")),
                            type ? type : "text/plain; charset=utf-8", fd);
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static void hold(tfw_run_t *run)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/go", tfw_run_data_dir(run));
    for (int i = 0; i < HOLD_SECONDS * 50 && access(path, F_OK) != 0; i++) {
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
}

static tfw_outcome_t files_run(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run), *file;
    size_t i;

    if (json_is_true(json_object_get(payload, "hold"))) {
        hold(run);
    }
    json_array_foreach(json_object_get(payload, "files"), i, file)
    {
        if (!store(run, file)) {
            tfw_run_log(run, "info", "refused");
            return TFW_PERMANENT;
        }
    }
    if (json_is_true(json_object_get(payload, "fail")) && tfw_run_attempt(run) == 1) {
        tfw_run_error(run, "as asked for");
        return TFW_RETRY;
    }
    return TFW_OK;
}

TF_HANDLER(test_files) = {
    .type = "test_files",
    .description = "Stores files.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 3,
    .timeout_seconds = 120,
    .retry = {0, TF_RETRY_MAX_MS, false},
    .run = files_run,
};
