#include "exec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "exec_child.h"
#include "exec_lines.h"
#include "message.h"
#include "orphans.h"
#include "uuid.h"

#define LOOK_MS 50           /* how late a cancel may be noticed */
#define READ_BYTES 65536     /* at once */
#define OWN_VARIABLES 3      /* TASKFORGE_JOB_ID, _TYPE, _ATTEMPT */
#define OWN_VARIABLE_MAX 128 /* bytes */

typedef struct {
    tfw_run_t *run;
    const tfw_exec_t *exec;
    tfw_exec_child_t child;
    tf_buf_t output;
    tfw_exec_lines_t lines;
    bool too_much;    /* output */
    bool stopped;     /* it was asked to end */
    sigset_t outside; /* the signal mask around the run */
    int status;       /* of wait(2) */
} call_t;

static volatile sig_atomic_t terminated;

static void on_terminate(int signum)
{
    (void)signum;
    terminated = 1;
}

/* SIGTERM is for the command first. It comes in only while we wait, so that none is missed. */
static void hold_signals(call_t *call)
{
    struct sigaction action = {.sa_handler = on_terminate};
    sigset_t term;

    terminated = 0;
    sigemptyset(&action.sa_mask);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &call->outside);
    sigaction(SIGTERM, &action, NULL);
}

/* What the daemon sent while the command ran ends this executor now: the daemon knows what that means. */
static void release_signals(const call_t *call)
{
    signal(SIGTERM, SIG_DFL);
    if (terminated) {
        raise(SIGTERM);
    }
    sigprocmask(SIG_SETMASK, &call->outside, NULL);
}

/* Reads once; closes what has ended. Returns how many bytes. */
static size_t take(int *fd, char *into)
{
    ssize_t n = *fd >= 0 ? read(*fd, into, READ_BYTES) : -1;

    if (*fd >= 0 && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))) {
        close(*fd);
        *fd = -1;
    }
    return n > 0 ? (size_t)n : 0;
}

/* Returns whether there was anything. */
static bool take_output(call_t *call)
{
    char bytes[READ_BYTES];
    size_t n = take(&call->child.output, bytes);

    if (n && !call->too_much) {
        tf_buf_add(&call->output, bytes, n);
        if (call->output.failed) {
            call->too_much = true;
            kill(-call->child.pid, SIGKILL);
        }
    }
    return n > 0;
}

static bool take_errors(call_t *call)
{
    char bytes[READ_BYTES];
    size_t n = take(&call->child.errors, bytes);

    tfw_exec_lines_add(&call->lines, bytes, n);
    return n > 0;
}

static void stop_if_asked(call_t *call)
{
    if (!call->stopped && (terminated || tfw_run_cancelled(call->run))) {
        call->stopped = true;
        kill(-call->child.pid, SIGTERM);
    }
}

/* Until the command has ended. */
static void attend(call_t *call)
{
    struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    struct pollfd fds[3] = {
        {.fd = call->child.pid_fd, .events = POLLIN}, {.events = POLLIN}, {.events = POLLIN}};

    while (!(fds[0].revents & POLLIN)) {
        fds[1].fd = call->child.output;
        fds[2].fd = call->child.errors;
        if (ppoll(fds, 3, &look, &call->outside) <= 0) {
            fds[0].revents = fds[1].revents = fds[2].revents = 0;
        }
        stop_if_asked(call);
        if (fds[1].revents) {
            take_output(call);
        }
        if (fds[2].revents) {
            take_errors(call);
        }
    }
}

/* Its processes first: while it is a zombie, its group's number is nobody else's. */
static void bury(call_t *call)
{
    kill(-call->child.pid, SIGKILL);
    while (waitpid(call->child.pid, &call->status, 0) < 0 && errno == EINTR) {
    }
    tfw_orphans_end();
    while (take_output(call)) {
    }
    while (take_errors(call)) {
    }
    tfw_exec_lines_end(&call->lines);
    close(call->child.pid_fd);
    if (call->child.output >= 0) {
        close(call->child.output);
    }
    if (call->child.errors >= 0) {
        close(call->child.errors);
    }
}

/* sysexits.h; "": none of them. */
static const char *status_name(int status)
{
    static const char *const names[] = {"EX_USAGE",    "EX_DATAERR",     "EX_NOINPUT",  "EX_NOUSER",
                                        "EX_NOHOST",   "EX_UNAVAILABLE", "EX_SOFTWARE", "EX_OSERR",
                                        "EX_OSFILE",   "EX_CANTCREAT",   "EX_IOERR",    "EX_TEMPFAIL",
                                        "EX_PROTOCOL", "EX_NOPERM",      "EX_CONFIG"};

    return status >= EX__BASE && status <= EX__MAX ? names[status - EX__BASE] : "";
}

static tfw_outcome_t fail(call_t *call)
{
    const char *last = tfw_exec_lines_last(&call->lines), *colon = *last ? ": " : "";
    int code = WEXITSTATUS(call->status);

    if (WIFSIGNALED(call->status)) {
        const char *name = sigabbrev_np(WTERMSIG(call->status));

        tfw_run_error(call->run, "the command was killed by signal %d (SIG%s)%s%s", WTERMSIG(call->status),
                      name ? name : "?", colon, last);
        return TFW_RETRY;
    }
    tfw_run_error(call->run, "the command exited with status %d%s%s%s%s%s", code,
                  *status_name(code) ? " (" : "", status_name(code), *status_name(code) ? ")" : "", colon,
                  last);
    return call->exec->permanent[code] ? TFW_PERMANENT : TFW_RETRY;
}

static tfw_outcome_t judge(call_t *call)
{
    if (call->too_much) {
        tfw_run_error(call->run, "the command wrote more than %zu bytes to its standard output",
                      tfw_run_result_max(call->run));
        return TFW_PERMANENT;
    }
    if (call->stopped) {
        return TFW_CANCELLED;
    }
    if (!WIFEXITED(call->status) || WEXITSTATUS(call->status) != 0) {
        return fail(call);
    }
    tfw_message_result(call->run, call->output.data, call->output.len);
    return TFW_OK;
}

/* The environment of the settings and our own variables; malloc. NULL: out of memory. */
static char **compose_environment(call_t *call, char own[OWN_VARIABLES][OWN_VARIABLE_MAX])
{
    const tfw_exec_t *exec = call->exec;
    char **environment = malloc(((size_t)exec->nenvironment + OWN_VARIABLES + 1) * sizeof(*environment));
    char id[TF_UUID_TEXT_LEN];

    tf_uuid_format(tfw_run_id(call->run), id);
    snprintf(own[0], OWN_VARIABLE_MAX, "TASKFORGE_JOB_ID=%.*s", TF_UUID_TEXT_LEN, id);
    snprintf(own[1], OWN_VARIABLE_MAX, "TASKFORGE_JOB_TYPE=%s", tfw_run_type(call->run));
    snprintf(own[2], OWN_VARIABLE_MAX, "TASKFORGE_JOB_ATTEMPT=%d", tfw_run_attempt(call->run));
    if (environment) {
        memcpy(environment, exec->environment, (size_t)exec->nenvironment * sizeof(*environment));
        for (int i = 0; i < OWN_VARIABLES; i++) {
            environment[exec->nenvironment + i] = own[i];
        }
        environment[exec->nenvironment + OWN_VARIABLES] = NULL;
    }
    return environment;
}

static bool start(call_t *call)
{
    char own[OWN_VARIABLES][OWN_VARIABLE_MAX], why[512] = "out of memory";
    char **environment = compose_environment(call, own);
    tf_buf_t message = TF_BUF_INIT;
    bool ok;

    tfw_message_write(&message, call->run);
    ok = environment && !message.failed &&
         tfw_exec_start(call->exec, message.data, message.len, environment, &call->child, why, sizeof(why));
    if (!ok) {
        tfw_run_error(call->run, "%s", why);
    }
    tf_buf_free(&message);
    free(environment);
    return ok;
}

tfw_outcome_t tfw_exec_run(tfw_run_t *run)
{
    call_t call = {.run = run, .exec = tfw_run_context(run), .output = TF_BUF_INIT};
    tfw_outcome_t outcome = TFW_RETRY; /* another worker may have the command */

    call.output.limit = tfw_run_result_max(run);
    tfw_exec_lines_init(&call.lines, run);
    tfw_orphans_adopt();
    hold_signals(&call);
    if (start(&call)) {
        attend(&call);
        bury(&call);
        outcome = judge(&call);
    }
    release_signals(&call);
    tf_buf_free(&call.output);
    return outcome;
}
