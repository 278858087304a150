#include "dataset/fetch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "http_call.h"
#include "write_all.h"

#define TIMEOUT_MS (3600 * 1000) /* the job's own limit comes first */
#define REDIRECTS 5

enum { OK = 200, REQUEST_TIMEOUT = 408, TOO_EARLY = 425, TOO_MANY = 429, SERVER_ERROR = 500 };

typedef struct {
    int fd;
    int error; /* errno of the write that failed */
} target_t;

static bool on_body(void *data, const tfw_http_answer_t *answer, const char *bytes, size_t len)
{
    target_t *target = data;

    if (answer->status != OK) {
        return true;
    }
    if (!tfw_write_all(target->fd, bytes, len)) {
        target->error = errno;
        return false;
    }
    return true;
}

static tfw_outcome_t judge(tfw_run_t *run, const char *url, const tfw_http_answer_t *answer,
                           const target_t *target, int64_t max)
{
    int shown = (int)strcspn(url, "?"), status = answer->status;

    if (answer->cancelled) {
        return TFW_CANCELLED;
    }
    if (target->error != 0) {
        tfw_run_error(run, "%.*s: cannot write a temporary file: %s", shown, url, strerror(target->error));
        return TFW_RETRY;
    }
    if (status == 0) {
        tfw_run_error(run, "%.*s: %s", shown, url, answer->error);
        return answer->refused ? TFW_PERMANENT : TFW_RETRY;
    }
    if (status != OK) {
        tfw_run_error(run, "%.*s: HTTP %d", shown, url, status);
        if (answer->retry_after_seconds >= 0) {
            tfw_run_retry_after(run, answer->retry_after_seconds);
        }
        return status >= SERVER_ERROR || status == REQUEST_TIMEOUT || status == TOO_EARLY ||
                       status == TOO_MANY
                   ? TFW_RETRY
                   : TFW_PERMANENT;
    }
    if (answer->cut) {
        tfw_run_error(run, "%.*s: more than %lld MB (TASKFORGE_DATA_INPUT_MB)", shown, url,
                      (long long)(max >> 20));
        return TFW_PERMANENT;
    }
    tfw_run_log(run, "info", "fetched %.*s, %zu bytes in %lld ms", shown, url, answer->body_read,
                (long long)(answer->duration_us / 1000));
    return TFW_OK;
}

tfw_outcome_t tfw_fetch(tfw_run_t *run, const char *url, int64_t max, int *fd)
{
    target_t target = {.fd = tfw_run_temp_file(run)};
    tfw_http_request_t request = {.url = url,
                                  .timeout_ms = TIMEOUT_MS,
                                  .redirects = REDIRECTS,
                                  .read_max = (size_t)max,
                                  .on_body = on_body,
                                  .data = &target};
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;

    *fd = -1;
    if (target.fd < 0) {
        return TFW_RETRY;
    }
    tfw_http_call(run, &request, &answer);
    outcome = judge(run, url, &answer, &target, max);
    tfw_http_answer_free(&answer);
    if (outcome != TFW_OK) {
        close(target.fd);
        return outcome;
    }
    *fd = target.fd;
    return TFW_OK;
}
