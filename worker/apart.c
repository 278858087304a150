#include "apart.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places.h"
#include "rlimits.h"
#include "slice.h"
#include "transfer.h"

#define PATIENCE_MS 300000 /* for what takes no processor time and does not end */
#define NO_MEMORY 3        /* exit status */

#if defined(__SANITIZE_ADDRESS__)
#define SLOWER 10 /* than without a sanitizer */
#else
#define SLOWER 1
#endif

/* Memory that both processes share. What is read of it here was written by a process that may have been
 * broken. */
struct tfw_apart_s {
    int64_t cpu_us; /* that it may take for all of it */
    char step[128];
    size_t len, max;
    char answer[];
};

/* ---- in the process ---- */

static int64_t cpu_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

void tfw_apart_step(tfw_apart_t *apart, int64_t cpu_ms, const char *fmt, ...)
{
    int64_t us = cpu_ms * 1000 * SLOWER, left_us = apart->cpu_us - cpu_us();
    struct itimerval timer = {.it_interval = {0, 0}};
    va_list args;

    va_start(args, fmt);
    vsnprintf(apart->step, sizeof(apart->step), fmt, args);
    va_end(args);
    us = us < left_us ? us : left_us;
    us = us > 1 ? us : 1;
    timer.it_value.tv_sec = us / 1000000;
    timer.it_value.tv_usec = us % 1000000;
    setitimer(ITIMER_PROF, &timer, NULL); /* SIGPROF ends it */
}

static _Noreturn void child(const tfw_apart_work_t *work, tfw_apart_t *apart, pid_t executor)
{
    tf_buf_t answer = {.limit = apart->max};

    for (int sig = 1; sig < NSIG; sig++) {
        signal(sig, SIG_DFL); /* the executor's would write to what the daemon reads */
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != executor || close_range(3, ~0u, 0) != 0 ||
        !tfw_limits_more(work->memory_bytes)) {
        _exit(1);
    }
    prctl(PR_SET_NAME, "tf-apart");
    (void)tf_slice_set(TF_SLICE_DEFAULT); /* it computes */
    tfw_apart_step(apart, work->cpu_ms, "%s", "");
    work->work(work->data, apart, &answer);
    if (answer.failed) {
        _exit(NO_MEMORY);
    }
    if (answer.len) {
        memcpy(apart->answer, answer.data, answer.len);
    }
    apart->len = answer.len;
    _exit(0);
}

/* ---- here ---- */

/* Waits until the process has ended. false: it was cancelled, or had to be killed as it did not. */
static bool wait_for(tfw_run_t *run, pid_t pid, int *status, bool *cancelled)
{
    int fd = pidfd_open(pid, 0);
    bool ended = fd >= 0 && tfw_transfer_wait(run, fd, POLLIN, PATIENCE_MS, cancelled);
    pid_t got;

    if (!ended) {
        kill(pid, SIGKILL);
    }
    if (fd >= 0) {
        close(fd);
    }
    do {
        got = waitpid(pid, status, 0);
    } while (got < 0 && errno == EINTR);
    return got == pid && ended;
}

static tfw_apart_end_t judge(tfw_apart_t *apart, const tfw_apart_work_t *work, int status, char *error,
                             size_t error_size)
{
    bool slow = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF,
         memory = WIFEXITED(status) && WEXITSTATUS(status) == NO_MEMORY;
    const char *step = apart->step, *gap = *step ? " " : "";

    apart->step[sizeof(apart->step) - 1] = '\0';
    if (slow) {
        snprintf(error, error_size, "%s%stakes too much time", step, gap);
    } else if (memory) {
        snprintf(error, error_size, "%s%stakes more than %lld MB of memory", step, gap,
                 (long long)work->memory_bytes >> 20);
    } else if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));

        snprintf(error, error_size, "%s%sended its process by signal %d (SIG%s)", step, gap, WTERMSIG(status),
                 name ? name : "?");
    } else if (WEXITSTATUS(status) != 0 || apart->len > work->answer_max) {
        snprintf(error, error_size, "a process for it could not be prepared");
    } else {
        return TFW_APART_DONE;
    }
    return slow || memory ? TFW_APART_TOO_MUCH : TFW_APART_FAILED;
}

static tfw_apart_end_t run_it(tfw_run_t *run, const tfw_apart_work_t *work, tfw_apart_t *apart,
                              tf_buf_t *answer, char *error, size_t error_size)
{
    pid_t executor = getpid(), pid;
    bool cancelled = false;
    tfw_apart_end_t end;
    int status;

    /* Not _Fork(2): other threads look names up, and may hold malloc's locks now. What libuv does in the
     * child for the loop that was the daemon's closes two descriptors; no descriptor is needed there. */
    pid = fork();
    if (pid == 0) {
        child(work, apart, executor);
    }
    if (pid < 0) {
        snprintf(error, error_size, "a process for it cannot be started: %s", strerror(errno));
        return TFW_APART_FAILED;
    }
    if (!wait_for(run, pid, &status, &cancelled)) {
        snprintf(error, error_size, "the process for it did not end");
        return cancelled ? TFW_APART_CANCELLED : TFW_APART_FAILED;
    }
    end = judge(apart, work, status, error, error_size);
    if (end == TFW_APART_DONE) {
        tf_buf_add(answer, apart->answer, apart->len);
        if (answer->failed) {
            snprintf(error, error_size, "out of memory");
            return TFW_APART_FAILED;
        }
    }
    return end;
}

tfw_apart_end_t tfw_apart(tfw_run_t *run, const tfw_apart_work_t *work, tf_buf_t *answer, char *error,
                          size_t error_size)
{
    static tfw_places_t places = TFW_PLACES_INIT(places);
    size_t size = sizeof(tfw_apart_t) + work->answer_max;
    tfw_apart_end_t end = TFW_APART_FAILED;
    tfw_apart_t *apart;

    *error = '\0';
    if (!tfw_places_take(&places, TFW_APART_AT_ONCE, run)) {
        return TFW_APART_CANCELLED;
    }
    /* pages that nobody writes to cost nothing */
    apart = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (apart == MAP_FAILED) {
        snprintf(error, error_size, "a process for it cannot be started: %s", strerror(errno));
    } else {
        apart->cpu_us = work->cpu_ms * 1000 * SLOWER;
        apart->max = work->answer_max;
        end = run_it(run, work, apart, answer, error, error_size);
        munmap(apart, size);
    }
    tfw_places_leave(&places);
    return end;
}
