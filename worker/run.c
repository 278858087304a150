#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "catalogue.h"
#include "crash.h"
#include "frame.h"
#include "held.h"
#include "json_check.h"
#include "run_state.h"
#include "settings.h"
#include "submission.h"

#define PROGRESS_INTERVAL_US 100000
/* Bytes of the valid UTF-8 character at p (RFC 3629), 0 if there is none. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : (p[0] & 0xf0) == 0xe0       ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;

    if (n == 0 || n > left || p[0] == 0) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

size_t tfw_text_clean(char *text, size_t len, size_t max)
{
    size_t i = 0;

    while (i < len) {
        size_t n = utf8_len((unsigned char *)text + i, len - i);

        if (n == 0) {
            text[i] = '?';
            n = 1;
        }
        if (i + n > max) {
            break;
        }
        i += n;
    }
    return i;
}

const json_t *tfw_run_payload(tfw_run_t *run)
{
    if (!run->payload) {
        json_error_t error;

        run->payload = json_loadb(run->payload_text, run->payload_len, 0, &error);
        if (!json_is_object(run->payload)) {
            if (!run->trouble[0]) {
                snprintf(run->trouble, sizeof(run->trouble), "the payload cannot be read: %s",
                         run->payload ? "it is not an object" : error.text);
            }
            run->starved =
                run->starved || (!run->payload && json_error_code(&error) == json_error_out_of_memory);
            json_decref(run->payload);
            run->payload = json_object();
        }
    }
    return run->payload;
}

void tfw_run_result(tfw_run_t *run, const char *json, size_t len)
{
    char *copy = NULL;

    if ((int64_t)len > run->env->result_max_bytes) {
        snprintf(run->trouble, sizeof(run->trouble), "the result has %zu bytes; %lld are allowed", len,
                 (long long)run->env->result_max_bytes);
    } else {
        copy = malloc(len + 1);
        if (!copy) {
            run->starved = true;
            snprintf(run->trouble, sizeof(run->trouble), "out of memory for a result of %zu bytes", len);
        }
    }
    free(run->result);
    run->result = copy;
    if (copy) {
        memcpy(copy, json, len);
        run->result_len = len;
    }
}

void tfw_run_error(tfw_run_t *run, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(run->error, sizeof(run->error), fmt, args);
    va_end(args);
    if (n < 0) {
        n = 0;
    }
    run->error_len = (size_t)n < sizeof(run->error) ? (size_t)n : sizeof(run->error) - 1;
}

static void ask_for_delay(tfw_run_t *run, int64_t seconds, int64_t min)
{
    seconds = seconds < min ? min : seconds > TFW_DELAY_SECONDS_MAX ? TFW_DELAY_SECONDS_MAX : seconds;
    run->delay_ms = seconds * 1000;
}

void tfw_run_retry_after(tfw_run_t *run, int64_t seconds)
{
    ask_for_delay(run, seconds, 0);
}

tfw_outcome_t tfw_run_snooze(tfw_run_t *run, int64_t seconds)
{
    ask_for_delay(run, seconds, 1);
    return TFW_SNOOZE;
}

void tfw_run_progress(tfw_run_t *run, int percent)
{
    tfw_frame_out_t frame = {.head = {.kind = TFW_FRAME_PROGRESS, .seq = run->seq}};
    int64_t now = tfw_monotonic_us();

    percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    if (percent == run->progress || now - run->progress_sent_us < PROGRESS_INTERVAL_US) {
        return;
    }
    run->progress = percent;
    run->progress_sent_us = now;
    frame.head.u.progress.percent = percent;
    tfw_frame_send(run->env->fd, &frame);
}

static void send_log(tfw_run_t *run, const char *level, const char *text, size_t len)
{
    tfw_frame_out_t frame = {.head = {.kind = TFW_FRAME_LOG, .seq = run->seq}};

    frame.head.u.log.at_us = tfw_realtime_us();
    frame.head.u.log.level_len = (uint32_t)strlen(level);
    frame.head.body_len = (uint32_t)(strlen(level) + len);
    frame.body[0] = (struct iovec){(void *)level, strlen(level)};
    frame.body[1] = (struct iovec){(void *)text, len};
    tfw_frame_send(run->env->fd, &frame);
}

void tfw_run_log(tfw_run_t *run, const char *level, const char *fmt, ...)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    char text[TFW_LOG_LINE_MAX];
    const char *known = "info";
    va_list args;
    int n;

    if (run->log_lines > run->env->log_lines_max) {
        return;
    }
    run->log_lines++;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(level, levels[i]) == 0) {
            known = levels[i];
        }
    }
    if (run->log_lines > run->env->log_lines_max) {
        known = "warning";
        n = snprintf(text, sizeof(text), "more than %lld lines; the rest is not kept",
                     (long long)run->env->log_lines_max);
    } else {
        va_start(args, fmt);
        n = vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
    }
    if (n < 0) {
        return;
    }
    if ((size_t)n >= sizeof(text)) {
        n = sizeof(text) - 1;
    }
    send_log(run, known, text, tfw_text_clean(text, (size_t)n, sizeof(text)));
}

bool tfw_run_cancelled(tfw_run_t *run)
{
    return run->asked_to_stop ||
           atomic_load_explicit(&run->env->board->cancel_seq, memory_order_relaxed) == run->seq;
}

const char *tfw_run_secret(tfw_run_t *run)
{
    return run->secret ? run->secret : "";
}

const struct tfw_http_settings_s *tfw_run_http(tfw_run_t *run)
{
    return run->env->http;
}

const char *tfw_run_data_dir(tfw_run_t *run)
{
    return run->env->data_dir;
}

const char *tfw_run_payload_text(tfw_run_t *run, size_t *len)
{
    *len = run->payload_len;
    return run->payload_text;
}

const char *tfw_run_metadata_text(tfw_run_t *run, size_t *len)
{
    *len = run->job->u.job.metadata_len;
    return run->metadata;
}

const char *tfw_run_traceparent(tfw_run_t *run)
{
    return run->traceparent;
}

const uint8_t *tfw_run_id(tfw_run_t *run)
{
    return run->job->u.job.id;
}

const char *tfw_run_type(tfw_run_t *run)
{
    return run->handler->type;
}

int tfw_run_attempt(tfw_run_t *run)
{
    return run->job->u.job.attempt;
}

int tfw_run_max_retries(tfw_run_t *run)
{
    return run->job->u.job.max_retries;
}

const void *tfw_run_context(tfw_run_t *run)
{
    return run->handler->context;
}

size_t tfw_run_result_max(tfw_run_t *run)
{
    return (size_t)run->env->result_max_bytes;
}

tfw_fence_t tfw_run_fence(tfw_run_t *run)
{
    return (tfw_fence_t){.epoch = run->job->u.job.epoch,
                         .attempt = run->job->u.job.attempt,
                         .incarnation = run->job->u.job.incarnation};
}

const char *tfw_run_database_url(tfw_run_t *run)
{
    return run->env->database_url;
}

const tf_redis_url_t *tfw_run_redis_url(tfw_run_t *run)
{
    return run->env->redis_url;
}

int tfw_run_open_data(tfw_run_t *run, const char *relative_path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int dir = open(run->env->data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
    struct stat st;

    if (dir < 0) {
        tfw_run_error(run, "the data directory cannot be opened: %s", strerror(errno));
        return -1;
    }
    fd = (int)syscall(SYS_openat2, dir, relative_path, &how, sizeof(how));
    if (fd < 0 && errno == EXDEV) {
        tfw_run_error(run, "%s: leads out of the data directory", relative_path);
    } else if (fd < 0 && errno == ENOENT) {
        tfw_run_error(run, "%s: no such file in the data directory", relative_path);
    } else if (fd < 0) {
        tfw_run_error(run, "%s: %s", relative_path, strerror(errno));
    }
    close(dir);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        tfw_run_error(run, "%s: not a regular file", relative_path);
        close(fd);
        return -1;
    }
    return fd;
}

/* The handler's answer made consistent: a result that is JSON, an error that PostgreSQL takes. */
static tfw_outcome_t settle(tfw_run_t *run, tfw_outcome_t outcome)
{
    if ((outcome == TFW_OK || outcome == TFW_CANCELLED) && run->result && !run->trouble[0] &&
        !tf_json_check(run->result, run->result_len)) {
        char why[200];
        json_t *parsed = tf_json_parse_any(run->result, run->result_len, why, sizeof(why));

        if (!parsed) {
            snprintf(run->trouble, sizeof(run->trouble), "the handler's result is no JSON: %.200s", why);
        }
        json_decref(parsed);
    }
    if (outcome == TFW_SNOOZE && run->delay_ms < 0 && !run->trouble[0]) {
        snprintf(run->trouble, sizeof(run->trouble), "the handler did not say when to run again");
    }
    if (run->trouble[0]) {
        tfw_run_error(run, "%s", run->trouble);
        outcome = run->starved ? TFW_RETRY : TFW_PERMANENT;
    }
    if (outcome != TFW_OK && outcome != TFW_CANCELLED) {
        free(run->result);
        run->result = NULL;
    }
    if (outcome == TFW_OK || outcome == TFW_SNOOZE) {
        run->error_len = 0;
        return outcome;
    }
    if (!run->error_len) {
        tfw_run_error(run, outcome == TFW_CANCELLED ? "cancelled" : "the handler gave no reason");
    }
    run->error_len = tfw_text_clean(run->error, run->error_len, sizeof(run->error) - 1);
    return outcome;
}

/* The last part of the frame, moved out of the buffer that the next frames come into. */
static char *take_secret(const tfw_frame_in_t *frame)
{
    size_t len = frame->head.u.job.secret_len;
    char *at = (char *)frame->body + frame->head.body_len - len, *secret = len ? strndup(at, len) : NULL;

    explicit_bzero(at, len);
    return secret;
}

static void forget_secret(char *secret)
{
    if (secret) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
}

bool tfw_run_begin(tfw_run_t *run, const tfw_executor_env_t *env, tfw_frame_in_t *frame)
{
    size_t metadata_len = frame->head.u.job.metadata_len, traceparent_len = frame->head.u.job.traceparent_len,
           behind = metadata_len + traceparent_len + frame->head.u.job.secret_len;

    if (frame->head.kind != TFW_FRAME_JOB || frame->head.u.job.handler >= tfw_catalogue_count() ||
        behind > frame->head.body_len) {
        return false;
    }
    memset(run, 0, offsetof(tfw_run_t, error));
    run->error[0] = run->trouble[0] = '\0';
    run->env = env;
    run->job = &frame->head;
    run->seq = frame->head.seq;
    run->delay_ms = -1;
    run->handler = tfw_catalogue_at(frame->head.u.job.handler);
    run->payload_text = frame->body;
    run->payload_len = frame->head.body_len - behind;
    run->metadata = metadata_len ? frame->body + run->payload_len : NULL;
    run->traceparent =
        traceparent_len ? strndup(frame->body + run->payload_len + metadata_len, traceparent_len) : NULL;
    run->secret = take_secret(frame);
    if (frame->head.u.job.secret_len && !run->secret) {
        run->starved = true;
        snprintf(run->trouble, sizeof(run->trouble), "out of memory for the job's secret");
    }
    run->started_us = tfw_monotonic_us();
    return true;
}

bool tfw_run_perform(tfw_run_t *run)
{
    tfw_frame_out_t answer = {.head = {.kind = TFW_FRAME_RESULT, .seq = run->seq}};
    tfw_outcome_t outcome = settle(run, run->trouble[0] ? TFW_RETRY : run->handler->run(run));

    answer.head.u.result.started_us = run->started_us;
    answer.head.u.result.finished_us = tfw_monotonic_us();
    answer.head.u.result.outcome = (uint32_t)outcome;
    answer.head.u.result.delay_ms = run->delay_ms;
    answer.head.u.result.error_len = (uint32_t)run->error_len;
    answer.body[0] = (struct iovec){run->error, run->error_len};
    answer.body[1] = (struct iovec){run->result, run->result ? run->result_len : 0};
    answer.head.body_len = (uint32_t)(answer.body[0].iov_len + answer.body[1].iov_len);
    return tfw_frame_send(run->env->fd, &answer);
}

void tfw_run_end(tfw_run_t *run)
{
    json_decref(run->payload);
    free(run->traceparent);
    forget_secret(run->secret);
    free(run->result);
}

uint32_t tfw_run_blame(const tfw_run_t *run)
{
    tfw_board_t *board = run->env->board;
    uint32_t before = atomic_load_explicit(&board->running, memory_order_relaxed);

    if (before != run->seq) {
        atomic_store_explicit(&board->started_us, tfw_monotonic_us(), memory_order_relaxed);
        atomic_store_explicit(&board->running, run->seq, memory_order_release);
    }
    return before;
}

void tfw_run_blame_again(const tfw_run_t *run, uint32_t seq)
{
    atomic_store_explicit(&run->env->board->running, seq, memory_order_release);
}

/* false: the daemon is gone, or sends nonsense. */
static bool run_job(const tfw_executor_env_t *env, tfw_frame_in_t *frame)
{
    tfw_run_t run;
    bool sent;

    if (!tfw_run_begin(&run, env, frame)) {
        return false;
    }
    atomic_store_explicit(&env->board->started_us, run.started_us, memory_order_relaxed);
    atomic_store_explicit(&env->board->running, run.seq, memory_order_release);
    sent = tfw_run_perform(&run);
    atomic_store_explicit(&env->board->running, 0, memory_order_release);
    tfw_run_end(&run);
    return sent;
}

int tfw_executor_main(const tfw_executor_env_t *env)
{
    tfw_frame_buffer_t *buffer = malloc(sizeof(*buffer));
    bool alive = buffer != NULL;

    tfw_crash_watch(env->board);
    /* One frame at a time: what is still in the socket can be taken back by the daemon when a job turns out
     * slow. */
    while (alive) {
        tfw_frame_in_t frame;
        int n = tfw_frame_receive(env->fd, buffer, &frame, 1, true);

        if (n <= 0) {
            break;
        }
        alive = run_job(env, &frame);
        tfw_frame_release(&frame);
    }
    free(buffer);
    return alive ? 0 : 1;
}
