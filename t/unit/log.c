/* The log: one JSON object a line, whole whatever goes into it, in one write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "log.h"

static char path[] = "/tmp/tf-log-XXXXXX";
static char written[65536];
static size_t written_len;

/* Standard error goes to a file while it runs; what came is in written. */
#define CAPTURE(call)                                                                                        \
    do {                                                                                                     \
        int capture_file_ = open(path, O_RDWR | O_TRUNC), capture_saved_ = dup(2);                           \
        assert_true(capture_file_ >= 0 && dup2(capture_file_, 2) == 2);                                      \
        call;                                                                                                \
        dup2(capture_saved_, 2);                                                                             \
        close(capture_saved_);                                                                               \
        written_len = (size_t)pread(capture_file_, written, sizeof(written) - 1, 0);                         \
        written[written_len] = '\0';                                                                         \
        close(capture_file_);                                                                                \
    } while (0)

static int set_up(void **state)
{
    int fd = mkstemp(path);

    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    return unlink(path);
}

/* What was written is one line with one object. */
static json_t *line(void)
{
    json_t *json;

    assert_true(written_len > 0 && strchr(written, '\n') == written + written_len - 1);
    json = json_loadb(written, written_len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static const char *text(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void test_pairs(void **state)
{
    static const uint8_t id[16] = {1, 2, 3};
    json_t *json;

    assert_true(tf_log_init("worker", "info"));
    CAPTURE(tf_log(TF_LOG_WARNING, "job_done", "s:queue", "a\"b\n\xFF", "s:none", NULL, "i:count", INT64_MIN,
                   "d:seconds", 0.25, "u:job_id", id, "u:no_id", NULL, "b:ok", 5, NULL));
    json = line();
    assert_string_equal(text(json, "level"), "warning");
    assert_string_equal(text(json, "logger"), "worker");
    assert_string_equal(text(json, "event"), "job_done");
    assert_int_equal(strlen(text(json, "ts")), strlen("2026-11-22T13:00:00.000000Z"));
    assert_string_equal(text(json, "queue"), "a\"b\n\xEF\xBF\xBD");
    assert_true(json_is_null(json_object_get(json, "none")));
    assert_true(json_integer_value(json_object_get(json, "count")) == INT64_MIN);
    assert_true(json_real_value(json_object_get(json, "seconds")) == 0.25);
    assert_string_equal(text(json, "job_id"), "01020300-0000-0000-0000-000000000000");
    assert_true(json_is_null(json_object_get(json, "no_id")));
    assert_true(json_is_true(json_object_get(json, "ok")));
    json_decref(json);
}

static void test_levels(void **state)
{
    assert_false(tf_log_init("worker", "verbose"));
    assert_false(tf_log_init("worker", "INFO"));
    assert_true(tf_log_init("scheduler", "error"));
    CAPTURE(tf_log(TF_LOG_WARNING, "quiet", NULL));
    assert_int_equal(written_len, 0);
    assert_false(tf_log_enabled(TF_LOG_WARNING));
    assert_true(tf_log_enabled(TF_LOG_ERROR));
    assert_true(tf_log_init("scheduler", "debug"));
    CAPTURE(tf_log(TF_LOG_DEBUG, "loud", NULL));
    json_decref(line());
}

/* A line has at most 8 KB and is whole JSON even when a value does not fit. */
static void test_long_values(void **state)
{
    static char huge[20000];
    size_t len;
    json_t *json;

    assert_true(tf_log_init("worker", "info"));
    for (len = 7900; len < 8300; len++) {
        memset(huge, 'x', len);
        huge[len] = '\0';
        CAPTURE(tf_log(TF_LOG_INFO, "big", "i:before", (int64_t)1, "s:huge", huge, NULL));
        json = line();
        assert_true(written_len <= 8192);
        assert_int_equal(json_integer_value(json_object_get(json, "before")), 1);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_values),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
