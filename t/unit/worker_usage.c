/* What a worker takes, measured with a real process in the place of an executor: its memory while it has it,
 * its processor time also when it is gone. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "usage.h"
#include "worker.h"

#define MEMORY (64 << 20)
#define WORK_US 100000

/* Takes memory and processor time, says so, and waits for its end. */
static pid_t start(int say)
{
    pid_t pid = fork();

    if (pid == 0) {
        char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED) {
            _exit(1);
        }
        memset(memory, 'x', MEMORY);
        while (clock() < (clock_t)WORK_US * (CLOCKS_PER_SEC / 1000000)) {
        }
        (void)!write(say, memory, 1);
        pause();
        _exit(0);
    }
    return pid;
}

static void executors_are_in_it_as_long_as_they_live(void **state)
{
    static tfw_worker_t worker;
    static tfw_executor_t executors[2];
    tfw_usage_t usage = {0};
    int64_t memory, cpu_us, seen_us;
    int pair[2];
    char byte;

    (void)state;
    worker.pool.executors = executors; /* the first of them does not run */
    worker.pool.count = 2;
    tfw_usage_measure(&usage, &worker);
    memory = usage.memory_bytes;
    cpu_us = usage.cpu_us;
    assert_true(memory > 0 && cpu_us > 0);
    for (int turn = 1; turn <= 2; turn++) {
        assert_int_equal(pipe(pair), 0);
        executors[1].pid = start(pair[1]);
        executors[1].cpu_us = 0;
        assert_true(executors[1].pid > 0);
        close(pair[1]);
        assert_int_equal(read(pair[0], &byte, 1), 1);
        close(pair[0]);
        tfw_usage_measure(&usage, &worker);
        seen_us = usage.executors_cpu_us;
        tfw_usage_measure(&usage, &worker);
        assert_true(usage.executors_cpu_us - seen_us < WORK_US / 2); /* what was seen does not count again */
        assert_true(usage.memory_bytes >= memory + MEMORY);
        assert_true(usage.cpu_us >= cpu_us + turn * WORK_US);
        kill(executors[1].pid, SIGKILL);
        assert_int_equal(waitpid(executors[1].pid, NULL, 0), executors[1].pid);
        executors[1].pid = 0;
        tfw_usage_measure(&usage, &worker);
        assert_true(usage.memory_bytes < memory + MEMORY);
        assert_true(usage.cpu_us >= cpu_us + turn * WORK_US);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executors_are_in_it_as_long_as_they_live),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
