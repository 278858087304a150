#include "exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "write_all.h"

/* What the child says when it does not come as far as execve. */
typedef struct {
    int error; /* errno */
    char step[24];
} failure_t;

enum { INPUT, OUTPUT_READ, OUTPUT_WRITE, ERRORS_READ, ERRORS_WRITE, STATUS_READ, STATUS_WRITE, FDS };

static const struct {
    int resource;
    const char *name;
} resources[TFW_EXEC_LIMITS] = {
    [TFW_EXEC_CPU_SECONDS] = {RLIMIT_CPU, "RLIMIT_CPU"},
    [TFW_EXEC_MEMORY] = {RLIMIT_AS, "RLIMIT_AS"},
    [TFW_EXEC_FILE] = {RLIMIT_FSIZE, "RLIMIT_FSIZE"},
    [TFW_EXEC_FILES] = {RLIMIT_NOFILE, "RLIMIT_NOFILE"},
    [TFW_EXEC_PROCESSES] = {RLIMIT_NPROC, "RLIMIT_NPROC"},
};

static void close_fds(int fds[FDS], int from)
{
    for (int i = from; i < FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

/* The message is a file in memory: nobody has to feed the command, and nobody waits if it does not read. */
static int message_fd(const char *message, size_t len)
{
    int fd = memfd_create("taskforge-job", MFD_CLOEXEC);

    if (fd >= 0 && !tfw_write_all(fd, message, len)) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    if (fd >= 0) {
        lseek(fd, 0, SEEK_SET);
    }
    return fd;
}

static bool open_fds(int fds[FDS], const char *message, size_t len)
{
    for (int i = 0; i < FDS; i++) {
        fds[i] = -1;
    }
    fds[INPUT] = message_fd(message, len);
    return fds[INPUT] >= 0 && pipe2(&fds[OUTPUT_READ], O_CLOEXEC) == 0 &&
           pipe2(&fds[ERRORS_READ], O_CLOEXEC) == 0 && pipe2(&fds[STATUS_READ], O_CLOEXEC) == 0 &&
           fcntl(fds[OUTPUT_READ], F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(fds[ERRORS_READ], F_SETFL, O_NONBLOCK) == 0;
}

/* Lowers one limit. A CPU limit that is reached is SIGXCPU, and SIGKILL a second later. */
static bool set_limit(int resource, int64_t value)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)value;

    if (getrlimit(resource, &limit) != 0) {
        return false;
    }
    if (limit.rlim_max == RLIM_INFINITY || wanted < limit.rlim_max) {
        limit.rlim_max = resource == RLIMIT_CPU ? wanted + 1 : wanted;
    }
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    return setrlimit(resource, &limit) == 0;
}

static _Noreturn void give_up(int fd, const char *step)
{
    failure_t failure = {.error = errno};

    snprintf(failure.step, sizeof(failure.step), "%s", step);
    if (write(fd, &failure, sizeof(failure)) < 0) {
        _exit(126);
    }
    _exit(127);
}

static _Noreturn void become(const tfw_exec_t *exec, const int fds[FDS], pid_t executor, char **environment)
{
    sigset_t none;

    /* It dies with its executor, however that dies. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != executor) {
        _exit(127);
    }
    setpgid(0, 0);
    for (int sig = 1; sig < NSIG; sig++) {
        signal(sig, SIG_DFL); /* execve resets what is handled, not what is ignored */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(fds[INPUT], 0) < 0 || dup2(fds[OUTPUT_WRITE], 1) < 0 || dup2(fds[ERRORS_WRITE], 2) < 0 ||
        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0) {
        give_up(fds[STATUS_WRITE], "descriptors");
    }
    /* its own limit of memory takes the place of the executor's (limits.h) */
    if (exec->limits[TFW_EXEC_MEMORY] && !set_limit(RLIMIT_DATA, exec->limits[TFW_EXEC_MEMORY])) {
        give_up(fds[STATUS_WRITE], "RLIMIT_DATA");
    }
    for (int i = 0; i < TFW_EXEC_LIMITS; i++) {
        if (exec->limits[i] && !set_limit(resources[i].resource, exec->limits[i])) {
            give_up(fds[STATUS_WRITE], resources[i].name);
        }
    }
    if (chdir(exec->directory) != 0) {
        give_up(fds[STATUS_WRITE], "its directory");
    }
    execve(exec->argv[0], exec->argv, environment);
    give_up(fds[STATUS_WRITE], "");
}

/* Whether the command runs by now; the pipe is closed by execve. */
static bool has_become(int status_fd, const tfw_exec_t *exec, char *error, size_t error_size)
{
    failure_t failure;
    ssize_t n;

    do {
        n = read(status_fd, &failure, sizeof(failure));
    } while (n < 0 && errno == EINTR);
    if (n == sizeof(failure)) {
        snprintf(error, error_size, "%.300s cannot be run: %s%s%s", exec->argv[0], failure.step,
                 *failure.step ? ": " : "", strerror(failure.error));
    }
    return n == 0;
}

bool tfw_exec_start(const tfw_exec_t *exec, const char *message, size_t len, char **environment,
                    tfw_exec_child_t *child, char *error, size_t error_size)
{
    pid_t executor = getpid();
    int fds[FDS];
    bool ok = false;

    snprintf(error, error_size, "%.300s was ended before it began", exec->argv[0]);
    /* Not fork(2): libuv's handler of that closes descriptors by the numbers that were its own in the daemon.
     */
    child->pid = open_fds(fds, message, len) ? _Fork() : -1;
    if (child->pid == 0) {
        become(exec, fds, executor, environment);
    }
    if (child->pid > 0) {
        setpgid(child->pid, child->pid); /* here too: whoever is first */
        close(fds[STATUS_WRITE]);
        fds[STATUS_WRITE] = -1;
        ok = has_become(fds[STATUS_READ], exec, error, error_size);
        child->pid_fd = ok ? pidfd_open(child->pid, 0) : -1;
        if (!ok || child->pid_fd < 0) {
            kill(child->pid, SIGKILL);
            waitpid(child->pid, NULL, 0);
        }
    }
    if (child->pid < 0 || (ok && child->pid_fd < 0)) {
        snprintf(error, error_size, "%.300s cannot be started: %s", exec->argv[0], strerror(errno));
        ok = false;
    }
    child->output = fds[OUTPUT_READ];
    child->errors = fds[ERRORS_READ];
    if (ok) {
        fds[OUTPUT_READ] = fds[ERRORS_READ] = -1;
    }
    close_fds(fds, 0);
    return ok;
}
