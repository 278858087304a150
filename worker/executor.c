#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"
#include "frame.h"
#include "io_loop.h"
#include "log.h"
#include "rlimits.h"
#include "slice.h"
#include "uuid.h"
#include "worker.h"

#define RESPAWN_DELAY_US 1000000
#define OUTPUT_LINES_PER_SECOND 20
#define CHILD_FD 3

static tfw_frame_buffer_t
    receive_buffer; /* one for all: the daemon has one thread, frames are handled at once */

bool tfw_executor_init(tfw_executor_t *ex, tfw_worker_t *worker, int index, int places)
{
    memset(ex, 0, sizeof(*ex));
    ex->worker = worker;
    ex->index = index;
    ex->places = places;
    ex->look_us = INT64_MAX;
    ex->fd = ex->far_fd = ex->output_fd = -1;
    TAILQ_INIT(&ex->jobs);
    ex->board = mmap(NULL, sizeof(*ex->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ex->board == MAP_FAILED) {
        ex->board = NULL;
    }
    if (places > 0) {
        ex->mask = tfw_frame_mask((uint32_t)places);
        ex->by_seq = calloc((size_t)ex->mask + 1, sizeof(tfw_job_t *));
    }
    return ex->board && (places == 0 || ex->by_seq);
}

void tfw_executor_free(tfw_executor_t *ex)
{
    if (ex->board) {
        munmap(ex->board, sizeof(*ex->board));
        ex->board = NULL;
    }
    free(ex->by_seq);
    ex->by_seq = NULL;
}

/* In the child: nothing of the daemon may be seen or touched from here on. */
static void child(tfw_executor_t *ex, pid_t daemon, int fd, int output_fd)
{
    const tfw_options_t *o = &ex->worker->options;
    tfw_executor_env_t env = {
        .fd = CHILD_FD,
        .places = (uint32_t)ex->places,
        .board = ex->board,
        .data_dir = o->data_dir,
        .result_max_bytes = o->result_max_bytes,
        .log_lines_max = o->log_lines_max,
        .database_url = o->shared.database_url,
        .redis_url = &o->shared.redis,
        .http = &o->http,
    };
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++) {
        signal(sig, SIG_DFL);
    }
    signal(SIGPIPE, SIG_IGN); /* libraries that write to sockets */
    /* The daemon's death takes its executors along, however it dies; if it is dead already, leave at once. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != daemon) {
        _exit(1);
    }
    setpgid(0, 0); /* Ctrl-C in a terminal is for the daemon alone */
    prctl(PR_SET_NAME, ex->places > 0 ? "tf-io-executor" : "tf-executor");
    if (dup2(null, 0) < 0 || dup2(output_fd, 1) < 0 || dup2(output_fd, 2) < 0) {
        _exit(1);
    }
    fd = fd == CHILD_FD ? fd : dup2(fd, CHILD_FD);
    if (fd != CHILD_FD || fcntl(CHILD_FD, F_SETFD, FD_CLOEXEC) != 0 ||
        close_range(CHILD_FD + 1, ~0u, 0) != 0) {
        _exit(1);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!tfw_limits_set(o, ex->places)) {
        perror("setrlimit");
        _exit(1);
    }
    tf_uuid_after_fork();
    (void)tf_slice_set(ex->places > 0 ? TF_SLICE_SHORT : TF_SLICE_DEFAULT); /* handlers compute */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    _exit(ex->places > 0 ? tfw_io_main(&env) : tfw_executor_main(&env));
}

/* What the process printed, as log lines: never mixed into the daemon's own. */
static void on_output(uv_poll_t *poll, int status, int events)
{
    tfw_executor_t *ex = poll->data;
    char text[2048], *line, *rest = text;
    ssize_t n = read(ex->output_fd, text, sizeof(text) - 1);
    int64_t second = tfw_monotonic_us() / 1000000;
    tfw_job_t *job = ex->places == 0 ? TAILQ_FIRST(&ex->jobs) : NULL;

    (void)status;
    (void)events;
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            uv_poll_stop(poll);
        }
        return;
    }
    text[n] = '\0';
    if (second != ex->output_second) {
        ex->output_second = second;
        ex->output_lines = 0;
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line && ex->output_lines < OUTPUT_LINES_PER_SECOND) {
            ex->output_lines++;
            tf_log(TF_LOG_WARNING, "executor_output", "i:executor_pid", (int64_t)ex->pid, "s:text", line,
                   job ? "u:job_id" : NULL, job ? job->row.id : NULL, NULL);
        }
    }
}

/* The executor leads a group of its own, in which are the processes that its handlers start. */
static void send_signal(const tfw_executor_t *ex, int signum)
{
    if (kill(-ex->pid, signum) != 0) {
        kill(ex->pid, signum);
    }
}

/* Takes every frame that is there (most: that many batches of them). */
static void listen_to(tfw_executor_t *ex, int most)
{
    tfw_frame_in_t frames[TFW_FRAME_BATCH];
    int n;

    do {
        n = tfw_frame_receive(ex->fd, &receive_buffer, frames, TFW_FRAME_BATCH, false);
        if (n < 0) {
            /* It broke the protocol: its memory is not to be trusted. */
            tf_log(TF_LOG_ERROR, "executor_nonsense", "i:executor_pid", (int64_t)ex->pid, "s:reason",
                   strerror(errno), NULL);
            if (ex->pid > 0) {
                send_signal(ex, SIGKILL);
            }
            return;
        }
        for (int i = 0; i < n; i++) {
            tfw_attempt_frame(ex, &frames[i]);
            tfw_frame_release(&frames[i]);
        }
    } while (n == TFW_FRAME_BATCH && --most > 0);
}

void tfw_executor_listen(tfw_executor_t *ex)
{
    if (ex->pid > 0 && !ex->paused) {
        listen_to(ex, 8);
    }
}

static void on_frames(uv_poll_t *poll, int status, int events)
{
    tfw_executor_t *ex = poll->data;

    (void)events;
    if (status < 0) {
        uv_poll_stop(poll); /* SIGCHLD tells the rest */
        return;
    }
    if (tfw_journal_full(ex->worker)) {
        /* PostgreSQL cannot keep up with the log lines: let the handlers wait in send(2). */
        ex->paused = true;
        uv_poll_stop(poll);
        return;
    }
    listen_to(ex, 8);
}

void tfw_executor_resume(tfw_executor_t *ex)
{
    if (ex->paused) {
        ex->paused = false;
        ex->heard_us = tfw_monotonic_us();
        uv_poll_start(ex->poll, UV_READABLE, on_frames);
    }
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static uv_poll_t *watch(tfw_executor_t *ex, int fd, uv_poll_cb cb)
{
    uv_poll_t *poll = malloc(sizeof(*poll));

    if (!poll || uv_poll_init(&ex->worker->loop, poll, fd) != 0) {
        free(poll);
        return NULL;
    }
    poll->data = ex;
    uv_poll_start(poll, UV_READABLE, cb);
    return poll;
}

static void unwatch(uv_poll_t **poll, int *fd)
{
    if (*poll) {
        uv_poll_stop(*poll);
        uv_close((uv_handle_t *)*poll, free_handle);
        *poll = NULL;
    }
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void close_all(tfw_executor_t *ex)
{
    unwatch(&ex->poll, &ex->fd);
    unwatch(&ex->output_poll, &ex->output_fd);
    if (ex->far_fd >= 0) {
        close(ex->far_fd);
        ex->far_fd = -1;
    }
}

static bool open_channels(tfw_executor_t *ex, int *output_write)
{
    int pair[2], output[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    ex->fd = pair[0];
    ex->far_fd = pair[1];
    if (pipe2(output, O_CLOEXEC) != 0) {
        return false;
    }
    ex->output_fd = output[0];
    *output_write = output[1];
    fcntl(ex->output_fd, F_SETFL, O_NONBLOCK);
    ex->poll = watch(ex, ex->fd, on_frames);
    ex->output_poll = watch(ex, ex->output_fd, on_output);
    return ex->poll && ex->output_poll;
}

bool tfw_executor_spawn(tfw_executor_t *ex)
{
    pid_t daemon = getpid();
    int output = -1;
    sigset_t all, old;

    atomic_store(&ex->board->running, 0);
    atomic_store(&ex->board->cancel_seq, 0);
    ex->board->crash_depth = 0;
    ex->doom = TFW_DOOM_NONE;
    ex->kill_at_us = 0;
    ex->cancel_seq = ex->blamed = 0;
    ex->look_us = INT64_MAX;
    ex->slow = ex->paused = ex->leaving = false;
    ex->spawned_us = tfw_monotonic_us();
    ex->cpu_us = 0;
    if (open_channels(ex, &output)) {
        /* No signal may run one of libuv's handlers in the child: they write into a pipe that both share. */
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &old);
        ex->pid = fork();
        if (ex->pid == 0) {
            child(ex, daemon, ex->far_fd, output);
        }
        if (ex->pid > 0) {
            setpgid(ex->pid, ex->pid); /* here too: whoever is first */
        }
        sigprocmask(SIG_SETMASK, &old, NULL);
    } else {
        ex->pid = -1;
    }
    if (ex->pid < 0) {
        tf_log(TF_LOG_ERROR, "executor_not_started", "i:executor", (int64_t)ex->index, "s:reason",
               strerror(errno), NULL);
        ex->pid = 0;
        ex->respawn_at_us = ex->spawned_us + RESPAWN_DELAY_US;
        close_all(ex);
    }
    if (output >= 0) {
        close(output);
    }
    return ex->pid > 0;
}

static void compose_job(tfw_executor_t *ex, tfw_job_t *job, tfw_frame_out_t *frame)
{
    do {
        ex->last_seq++; /* 0 means nobody on the board */
    } while (ex->last_seq == 0 || (ex->by_seq && ex->by_seq[ex->last_seq & ex->mask]));
    job->seq = ex->last_seq;
    memset(frame, 0, sizeof(*frame));
    frame->head.kind = TFW_FRAME_JOB;
    frame->head.seq = job->seq;
    frame->head.body_len =
        (uint32_t)(job->row.payload.len + job->row.metadata.len + job->row.traceparent.len + job->secret.len);
    memcpy(frame->head.u.job.id, job->row.id, sizeof(job->row.id));
    frame->head.u.job.incarnation = ex->worker->registration.incarnation;
    frame->head.u.job.epoch = job->row.epoch;
    frame->head.u.job.attempt = job->row.attempt;
    frame->head.u.job.handler = (uint32_t)job->handler;
    frame->head.u.job.max_retries = job->row.max_retries;
    frame->head.u.job.metadata_len = (uint32_t)job->row.metadata.len;
    frame->head.u.job.traceparent_len = (uint32_t)job->row.traceparent.len;
    frame->head.u.job.secret_len = (uint32_t)job->secret.len;
    frame->body[0] = (struct iovec){(void *)job->row.payload.data, job->row.payload.len};
    frame->body[1] = (struct iovec){(void *)job->row.metadata.data, job->row.metadata.len};
    frame->body[2] = (struct iovec){(void *)job->row.traceparent.data, job->row.traceparent.len};
    frame->body[3] = (struct iovec){(void *)job->secret.data, job->secret.len};
}

/* The job's time runs from now. */
static void begins(tfw_executor_t *ex, tfw_job_t *job)
{
    job->started_us = tfw_monotonic_us();
    job->deadline_us = job->started_us + tfw_attempt_timeout_us(job);
    if (job->deadline_us < ex->look_us) {
        ex->look_us = job->deadline_us;
    }
}

static void is_sent(tfw_executor_t *ex, tfw_job_t *job)
{
    TAILQ_INSERT_TAIL(&ex->jobs, job, link);
    job->cancel_asked = job->timed_out = job->told = false;
    if (ex->by_seq) {
        ex->by_seq[job->seq & ex->mask] = job;
    }
    ex->payload_bytes += (int64_t)job->row.payload.len;
    if (ex->njobs++ == 0 || ex->places > 0) {
        begins(ex, job);
    }
}

tfw_job_t *tfw_executor_job(const tfw_executor_t *ex, uint32_t seq)
{
    tfw_job_t *job = ex->by_seq ? ex->by_seq[seq & ex->mask] : TAILQ_FIRST(&ex->jobs);

    return job && job->seq == seq ? job : NULL;
}

void tfw_executor_remove(tfw_executor_t *ex, tfw_job_t *job)
{
    tfw_job_t *first;

    TAILQ_REMOVE(&ex->jobs, job, link);
    ex->njobs--;
    ex->payload_bytes -= (int64_t)job->row.payload.len;
    if (ex->by_seq) {
        ex->by_seq[job->seq & ex->mask] = NULL;
        return;
    }
    first = TAILQ_FIRST(&ex->jobs);
    ex->slow = false;
    if (ex->cancel_seq == job->seq) {
        ex->cancel_seq = 0;
    }
    if (first) {
        begins(ex, first);
    }
}

void tfw_executor_tell(tfw_executor_t *ex, tfw_job_t *job)
{
    tfw_frame_out_t frame = {.head = {.kind = TFW_FRAME_STOP, .seq = job->seq}};

    if (ex->places == 0) {
        ex->cancel_seq = job->seq;
        atomic_store(&ex->board->cancel_seq, job->seq);
        job->told = true;
    } else {
        job->told = tfw_frame_send_many(ex->fd, &frame, 1) == 1;
    }
}

void tfw_executor_ask_to_stop(tfw_executor_t *ex, tfw_job_t *job, int64_t grace_ms)
{
    job->deadline_us = tfw_monotonic_us() + grace_ms * 1000;
    ex->look_us = 0; /* look at all of them */
    tfw_executor_tell(ex, job);
}

int tfw_executor_send(tfw_executor_t *ex, tfw_jobs_t *from, int most)
{
    tfw_frame_out_t frames[TFW_FRAME_BATCH];
    int total = 0, n, sent;

    do {
        tfw_job_t *job = TAILQ_FIRST(from);

        for (n = 0; job && n < TFW_FRAME_BATCH && total + n < most; n++) {
            compose_job(ex, job, &frames[n]);
            job = TAILQ_NEXT(job, link);
        }
        sent = n ? tfw_frame_send_many(ex->fd, frames, n) : 0;
        if (sent < 0 && errno != EPIPE) {
            tf_log(TF_LOG_ERROR, "executor_send_failed", "i:executor_pid", (int64_t)ex->pid, "s:reason",
                   strerror(errno), NULL);
        }
        for (int i = 0; i < sent; i++) {
            job = TAILQ_FIRST(from);
            TAILQ_REMOVE(from, job, link);
            is_sent(ex, job);
        }
        total += sent > 0 ? sent : 0;
    } while (n > 0 && sent == n && total < most);
    return total;
}

int tfw_executor_take_back(tfw_executor_t *ex, tfw_jobs_t *to)
{
    tfw_frame_in_t frames[TFW_FRAME_BATCH];
    int n, taken = 0;

    if (ex->places > 0) {
        return 0;
    }
    while ((n = tfw_frame_receive(ex->far_fd, &receive_buffer, frames, TFW_FRAME_BATCH, false)) > 0) {
        for (int i = 0; i < n; i++) {
            tfw_job_t *job;

            TAILQ_FOREACH(job, &ex->jobs, link)
            {
                if (job->seq == frames[i].head.seq) {
                    break;
                }
            }
            tfw_frame_release(&frames[i]);
            if (job) {
                TAILQ_REMOVE(&ex->jobs, job, link);
                ex->njobs--;
                ex->payload_bytes -= (int64_t)job->row.payload.len;
                TAILQ_INSERT_TAIL(to, job, link);
                taken++;
            }
        }
    }
    return taken;
}

void tfw_executor_kill(tfw_executor_t *ex, tfw_doom_t doom, int64_t grace_ms)
{
    if (ex->pid <= 0) {
        return;
    }
    ex->doom = doom;
    if (grace_ms > 0) {
        send_signal(ex, SIGTERM);
        ex->kill_at_us = tfw_monotonic_us() + grace_ms * 1000;
    } else {
        send_signal(ex, SIGKILL);
        ex->kill_at_us = 0;
    }
}

void tfw_executor_kill_overdue(tfw_executor_t *ex, int64_t now_us)
{
    if (ex->pid > 0 && ex->kill_at_us && now_us >= ex->kill_at_us) {
        ex->kill_at_us = 0;
        send_signal(ex, SIGKILL);
    }
}

void tfw_executor_end(tfw_executor_t *ex)
{
    if (ex->pid > 0 && !ex->leaving) {
        ex->leaving = true;
        ex->doom = TFW_DOOM_GIVE_BACK;
        shutdown(ex->fd, SHUT_WR);
    }
}

bool tfw_executor_reap(tfw_executor_t *ex, int *status)
{
    siginfo_t info = {.si_pid = 0};

    if (ex->pid <= 0 || waitid(P_PID, (id_t)ex->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != ex->pid) {
        return false;
    }
    /* While it is a zombie its number is nobody else's. */
    kill(-ex->pid, SIGKILL);
    return waitpid(ex->pid, status, 0) == ex->pid;
}

void tfw_executor_bury(tfw_executor_t *ex)
{
    int64_t now = tfw_monotonic_us();

    ex->pid = 0;
    listen_to(ex, 1 << 20);
    if (ex->output_poll) {
        on_output(ex->output_poll, 0, UV_READABLE);
    }
    close_all(ex);
    /* One that dies as soon as it is born must not be born a thousand times a second. */
    ex->respawn_at_us = now - ex->spawned_us < RESPAWN_DELAY_US ? now + RESPAWN_DELAY_US / 4 : now;
}
