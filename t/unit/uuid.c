/* UUIDv7: shape, order (also when the clock steps back), forks, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "uuid.h"

/* The clock that uuid.c sees: the real one moved by this much. */
static int64_t clock_offset_seconds;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's begin with __ */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    struct timespec now;

    timespec_get(&now, TIME_UTC);
    ts->tv_sec = now.tv_sec + clock_offset_seconds;
    ts->tv_nsec = now.tv_nsec;
    return 0;
}

static int64_t milliseconds_of(const uint8_t id[16])
{
    int64_t ms = 0;
    int i;

    for (i = 0; i < 6; i++) {
        ms = ms << 8 | id[i];
    }
    return ms;
}

static void test_shape(void **state)
{
    uint8_t id[16];
    int64_t before = (int64_t)time(NULL) * 1000;
    int i;

    for (i = 0; i < 2000; i++) { /* more than one purchase of randomness */
        assert_true(tf_uuid7(id));
        assert_int_equal(id[6] >> 4, 7);
        assert_int_equal(id[8] >> 6, 2);
    }
    assert_in_range(milliseconds_of(id), before, before + 60000);
}

static void test_order(void **state)
{
    uint8_t previous[16] = {0}, id[16];
    int i;

    for (i = 0; i < 200000; i++) {
        assert_true(tf_uuid7(id));
        assert_true(memcmp(previous, id, 16) < 0);
        memcpy(previous, id, 16);
    }
}

static void test_clock_steps_back(void **state)
{
    uint8_t previous[16], id[16];
    int i;

    assert_true(tf_uuid7(previous));
    clock_offset_seconds = -3600;
    for (i = 0; i < 10000; i++) {
        assert_true(tf_uuid7(id));
        assert_true(memcmp(previous, id, 16) < 0);
        memcpy(previous, id, 16);
    }
    clock_offset_seconds = 0;
    assert_true(tf_uuid7(id));
    assert_true(memcmp(previous, id, 16) < 0);
}

/* A child that was told about the fork does not repeat its parent's randomness. */
static void test_fork(void **state)
{
    uint8_t mine[16], its[16];
    int fds[2], status;
    pid_t pid;

    assert_true(tf_uuid7(mine)); /* the pool is filled */
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        tf_uuid_after_fork();
        _exit(tf_uuid7(its) && write(fds[1], its, 16) == 16 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], its, 16), 16);
    close(fds[0]);
    close(fds[1]);
    assert_true(tf_uuid7(mine));
    assert_memory_not_equal(mine + 8, its + 8, 8);
}

static void test_text(void **state)
{
    static const char text[] = "01939d3e-7a2b-7c4d-8e5f-0123456789ab";
    static const char *const bad[] = {
        "",
        "01939d3e-7a2b-7c4d-8e5f-0123456789a",
        "01939d3e-7a2b-7c4d-8e5f-0123456789abc",
        "01939d3e-7a2b-7c4d-8e5f-0123456789ag",
        "01939d3e-7a2b-7c4d-8e5f_0123456789ab",
        "01939d3e07a2b-7c4d-8e5f-0123456789ab",
        "{1939d3e-7a2b-7c4d-8e5f-0123456789a}",
        "01939d3e7a2b7c4d8e5f0123456789ab",
        " 1939d3e-7a2b-7c4d-8e5f-0123456789ab",
        "0-939d3e-7a2b-7c4d-8e5f-0123456789ab",
        "01939d3e-7a2b-7c4d-8e5f-0123456789-b",
    };
    uint8_t id[16], upper[16];
    char out[TF_UUID_TEXT_LEN], shout[TF_UUID_TEXT_LEN];
    size_t i;

    assert_true(tf_uuid_parse(text, TF_UUID_TEXT_LEN, id));
    assert_int_equal(id[0], 0x01);
    assert_int_equal(id[15], 0xab);
    tf_uuid_format(id, out);
    assert_memory_equal(out, text, TF_UUID_TEXT_LEN);
    for (i = 0; i < TF_UUID_TEXT_LEN; i++) {
        shout[i] = (char)(text[i] >= 'a' && text[i] <= 'f' ? text[i] - 32 : text[i]);
    }
    assert_true(tf_uuid_parse(shout, TF_UUID_TEXT_LEN, upper));
    assert_memory_equal(upper, id, 16);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(tf_uuid_parse(bad[i], strlen(bad[i]), id));
    }
    for (i = 0; i < TF_UUID_TEXT_LEN; i++) { /* any one place spoilt */
        memcpy(out, text, sizeof(out));
        out[i] = 'x';
        assert_false(tf_uuid_parse(out, sizeof(out), id));
    }
}

static void test_floor(void **state)
{
    uint8_t low[16], high[16], id[16];
    int64_t ms;

    assert_true(tf_uuid7(id));
    ms = milliseconds_of(id);
    tf_uuid_floor(ms, low);
    tf_uuid_floor(ms + 1, high);
    assert_true(memcmp(low, id, 16) <= 0);
    assert_true(memcmp(id, high, 16) < 0);
    tf_uuid_floor(-5, low);
    tf_uuid_floor(0, high);
    assert_memory_equal(low, high, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape), cmocka_unit_test(test_order), cmocka_unit_test(test_clock_steps_back),
        cmocka_unit_test(test_fork),  cmocka_unit_test(test_text),  cmocka_unit_test(test_floor),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
