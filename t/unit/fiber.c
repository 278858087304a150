/* Functions with stacks of their own: they take turns, keep what they have, and an overflow is caught. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fiber.h"

#pragma GCC diagnostic ignored "-Winfinite-recursion"

#define MANY 500

typedef struct {
    int turns, done;
    uint64_t sum;
} counter_t;

/* What lies on its stack survives the others' turns. */
static void count(void *data)
{
    counter_t *c = data;
    volatile uint64_t kept[64];

    for (int i = 0; i < 64; i++) {
        kept[i] = (uintptr_t)c + (uint64_t)i;
    }
    for (; c->done < c->turns; c->done++) {
        assert_non_null(tfw_fiber_current());
        tfw_fiber_yield();
        for (int i = 0; i < 64; i++) {
            c->sum += kept[i] == (uintptr_t)c + (uint64_t)i;
        }
    }
}

static void test_turns(void **state)
{
    tfw_fiber_t *fibers[MANY];
    counter_t counters[MANY] = {0};
    int alive = MANY;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        counters[i].turns = i % 7;
        fibers[i] = tfw_fiber_new(count, &counters[i]);
        assert_non_null(fibers[i]);
    }
    while (alive) {
        for (int i = 0; i < MANY; i++) {
            if (fibers[i] && !tfw_fiber_resume(fibers[i])) {
                fibers[i] = NULL;
                alive--;
            }
            assert_null(tfw_fiber_current());
        }
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(counters[i].done, i % 7);
        assert_int_equal(counters[i].sum, 64 * (i % 7));
    }
}

/* One after the other: stacks are used again. */
static void test_again(void **state)
{
    counter_t c = {.turns = 1};

    (void)state;
    for (int i = 0; i < 10000; i++) {
        tfw_fiber_t *fiber = tfw_fiber_new(count, &c);

        assert_non_null(fiber);
        c.done = 0;
        assert_true(tfw_fiber_resume(fiber));
        assert_false(tfw_fiber_resume(fiber));
    }
    assert_int_equal(c.sum, 64 * 10000);
}

static void fill(void *data)
{
    char room[TFW_FIBER_STACK / 2];

    memset(room, *(char *)data, sizeof(room));
    tfw_fiber_yield();
    *(char *)data = room[sizeof(room) - 1];
}

static void test_room(void **state)
{
    char value = 'x';
    tfw_fiber_t *fiber = tfw_fiber_new(fill, &value);

    (void)state;
    assert_true(tfw_fiber_resume(fiber));
    value = 'y';
    assert_false(tfw_fiber_resume(fiber));
    assert_int_equal(value, 'x');
}

/* 40 KB a step: it must not step over what guards the stack. */
__attribute__((noinline, no_sanitize("address"))) static int overflow(volatile int depth)
{
    volatile char room[40960];

    room[0] = (char)depth;
    return overflow(depth + 1) + room[0];
}

static void run_over(void *data)
{
    *(int *)data = overflow(0);
}

static void test_overflow(void **state)
{
    pid_t pid = fork();
    int status = 0, dummy;

    (void)state;
    if (pid == 0) {
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        tfw_fiber_new(count, NULL); /* a neighbour, below or above */
        tfw_fiber_resume(tfw_fiber_new(run_over, &dummy));
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
