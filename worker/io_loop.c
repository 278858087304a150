#include "io_loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include "crash.h"
#include "fiber.h"
#include "held.h"
#include "rlimits.h"
#include "run_state.h"

#define EVENTS_PER_WAIT 64
#define REFUSED_MS 1000 /* then a job that there was no memory for may come again */

/* What is ready: the upper half says whose socket it is, the lower half is libcurl's descriptor or the seq of
 * the job that waits. The kinds of transfers come first. */
enum { SOURCE_JOB = TFW_TRANSFER_KINDS, SOURCE_DAEMON };
#define SOURCE(whose, which) ((uint64_t)(whose) << 32 | (uint32_t)(which))

/* A job. It runs, or waits for its transfer, a socket or a time. */
typedef struct io_job_s {
    tfw_run_t run; /* first: a run's pointer is its job's */
    tfw_frame_in_t frame;
    tfw_fiber_t *fiber;
    bool done;      /* what it waited for has happened */
    CURLcode code;  /* of its transfer */
    int64_t due_us; /* CLOCK_MONOTONIC: it has waited long enough */
    int64_t memory; /* bytes by which the process has grown while its code ran */
    TAILQ_ENTRY(io_job_s) timed;
} io_job_t;

/* One for the process, as handlers pass nothing but their run. */
static struct {
    const tfw_executor_env_t *env;
    tfw_frame_buffer_t *buffer;
    io_job_t **jobs; /* by the lower bits of seq: the daemon sees to it that those of live jobs differ */
    uint32_t mask;
    int epoll;
    CURLM *multis[TFW_TRANSFER_KINDS];
    TAILQ_HEAD(timed_s, io_job_s) timed; /* who waits for a time, soonest first */
    bool alive;
    int memory_fd;
    int64_t memory_most; /* bytes that one job may take; 0: no limit */
} io;

/* ---- jobs ---- */

static void live(void *data)
{
    io_job_t *job = data;

    if (!tfw_run_perform(&job->run)) {
        io.alive = false;
    }
}

static void job_free(io_job_t *job)
{
    tfw_frame_release(&job->frame);
    free(job);
}

static int64_t memory_now(void)
{
    return io.memory_most ? tfw_limits_memory(io.memory_fd) : 0;
}

/* A job waits, and keeps more than its share of the memory: before the others are told that there is none,
 * the process ends, and the daemon begins them again in another. What it keeps cannot be taken from it. */
static void end_greed(const io_job_t *job)
{
    if (io.memory_most && job->memory > io.memory_most) {
        _exit(TFW_IO_GREEDY); /* the board names it */
    }
}

/* The job's code runs until it waits, or has ended. */
static void resume(io_job_t *job)
{
    uint32_t before = tfw_run_blame(&job->run);
    int64_t had = memory_now();
    bool waits = tfw_fiber_resume(job->fiber);

    job->memory += memory_now() - had;
    job->memory = job->memory > 0 ? job->memory : 0; /* it frees what libcurl's callbacks took for it */
    if (waits) {
        end_greed(job);
    }
    tfw_run_blame_again(&job->run, before);
    if (!waits) {
        io.jobs[job->run.seq & io.mask] = NULL;
        tfw_run_end(&job->run);
        job_free(job);
    }
}

/* A job of the frame, whose body moves into it. NULL: out of memory. */
static io_job_t *job_new(tfw_frame_in_t *frame)
{
    io_job_t *job = calloc(1, sizeof(*job));

    if (!job) {
        return NULL;
    }
    job->frame = *frame;
    if (frame->owned) {
        frame->owned = NULL;
        return job;
    }
    job->frame.owned = malloc(frame->head.body_len + 1);
    if (!job->frame.owned) {
        free(job);
        return NULL;
    }
    memcpy(job->frame.owned, frame->body, frame->head.body_len);
    explicit_bzero((char *)frame->body, frame->head.body_len); /* a secret may be in it */
    job->frame.body = job->frame.owned;
    return job;
}

/* There is no memory for it now: that is no attempt of its. */
static bool refuse(uint32_t seq)
{
    tfw_frame_out_t answer = {.head = {.kind = TFW_FRAME_RESULT, .seq = seq}};

    answer.head.u.result.started_us = answer.head.u.result.finished_us = tfw_monotonic_us();
    answer.head.u.result.outcome = TFW_SNOOZE;
    answer.head.u.result.delay_ms = REFUSED_MS;
    return tfw_frame_send(io.env->fd, &answer);
}

/* false: the daemon is gone, or sends nonsense. */
static bool begin_job(tfw_frame_in_t *frame)
{
    io_job_t **place = &io.jobs[frame->head.seq & io.mask], *job;

    if (*place) {
        return false;
    }
    job = job_new(frame);
    if (!job) {
        return refuse(frame->head.seq);
    }
    if (!tfw_run_begin(&job->run, io.env, &job->frame)) {
        job_free(job);
        return false;
    }
    job->fiber = tfw_fiber_new(live, job);
    if (!job->fiber) {
        tfw_run_end(&job->run);
        job_free(job);
        return refuse(frame->head.seq);
    }
    *place = job;
    resume(job);
    return true;
}

/* A job that has ended meanwhile needs not be stopped. */
static void stop_job(uint32_t seq)
{
    io_job_t *job = io.jobs[seq & io.mask];

    if (job && job->run.seq == seq && !job->run.asked_to_stop) {
        job->run.asked_to_stop = true;
        resume(job);
    }
}

static void take_frames(void)
{
    tfw_frame_in_t frames[TFW_FRAME_BATCH];
    int n = tfw_frame_receive(io.env->fd, io.buffer, frames, TFW_FRAME_BATCH, false);

    if (n < 0 || (n == 0 && errno != EAGAIN)) {
        io.alive = false;
    }
    for (int i = 0; i < n; i++) {
        if (frames[i].head.kind == TFW_FRAME_STOP) {
            stop_job(frames[i].head.seq);
        } else if (!begin_job(&frames[i])) {
            io.alive = false;
        }
        tfw_frame_release(&frames[i]);
    }
}

/* ---- transfers ---- */

/* libcurl says what it waits for at a socket. */
static int on_interest(CURL *curl, curl_socket_t fd, int what, void *data, void *known)
{
    tfw_transfer_kind_t kind = (tfw_transfer_kind_t)(intptr_t)data;
    struct epoll_event event = {.data.u64 = SOURCE(kind, fd)};

    (void)curl;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(io.epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(io.epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0 &&
        epoll_ctl(io.epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) {
        return 0; /* the transfer's time limit ends it */
    }
    curl_multi_assign(io.multis[kind], fd, &io);
    return 0;
}

/* What libcurl has finished goes on. */
static void collect(tfw_transfer_kind_t kind)
{
    const CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(io.multis[kind], &left)) != NULL) {
        io_job_t *job = NULL;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
        if (message->msg == CURLMSG_DONE && job) {
            job->code = message->data.result;
            job->done = true;
            resume(job);
        }
    }
}

static void transfer_ready(uint64_t source, uint32_t events)
{
    CURLM *multi = io.multis[source >> 32];
    int ready = (events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) ? CURL_CSELECT_OUT : 0),
        running;

    curl_multi_socket_action(multi, (curl_socket_t)(uint32_t)source, ready, &running);
}

/* Lets libcurl do what is due. */
static void turn_transfers(tfw_transfer_kind_t kind)
{
    CURLM *multi = io.multis[kind];
    long due_ms = -1;
    int running;

    curl_multi_timeout(multi, &due_ms);
    if (due_ms == 0) {
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    collect(kind);
}

CURLcode tfw_io_transfer(tfw_run_t *run, CURL *curl, tfw_transfer_kind_t kind, bool *cancelled)
{
    io_job_t *job = (io_job_t *)run;

    *cancelled = run->asked_to_stop;
    if (*cancelled) {
        return CURLE_ABORTED_BY_CALLBACK;
    }
    curl_easy_setopt(curl, CURLOPT_PRIVATE, job);
    if (curl_multi_add_handle(io.multis[kind], curl) != CURLM_OK) {
        return CURLE_OUT_OF_MEMORY;
    }
    job->done = false;
    tfw_fiber_yield();
    curl_easy_setopt(curl, CURLOPT_PRIVATE, NULL);
    *cancelled = !job->done;
    return job->done ? job->code : CURLE_ABORTED_BY_CALLBACK;
}

/* ---- sockets and times ---- */

/* Most wait for about as long as the others: the place is near the end. */
static void wait_until(io_job_t *job, int64_t due_us)
{
    io_job_t *before = TAILQ_LAST(&io.timed, timed_s);

    job->due_us = due_us;
    while (before && before->due_us > due_us) {
        before = TAILQ_PREV(before, timed_s, timed);
    }
    if (before) {
        TAILQ_INSERT_AFTER(&io.timed, before, job, timed);
    } else {
        TAILQ_INSERT_HEAD(&io.timed, job, timed);
    }
}

bool tfw_io_wait(tfw_run_t *run, int socket, short events, int64_t timeout_ms)
{
    io_job_t *job = (io_job_t *)run;
    struct epoll_event event = {.data.u64 = SOURCE(SOURCE_JOB, run->seq)};

    event.events = (events & POLLIN ? EPOLLIN : 0u) | (events & POLLOUT ? EPOLLOUT : 0u);
    if (run->asked_to_stop || (socket >= 0 && epoll_ctl(io.epoll, EPOLL_CTL_ADD, socket, &event) != 0)) {
        return false;
    }
    wait_until(job, tfw_monotonic_us() + timeout_ms * 1000);
    job->done = false;
    tfw_fiber_yield();
    TAILQ_REMOVE(&io.timed, job, timed);
    if (socket >= 0) {
        epoll_ctl(io.epoll, EPOLL_CTL_DEL, socket, NULL);
    }
    return job->done;
}

void tfw_io_wake(tfw_run_t *run)
{
    io_job_t *job = (io_job_t *)run;

    TAILQ_REMOVE(&io.timed, job, timed);
    job->due_us = 0;
    TAILQ_INSERT_HEAD(&io.timed, job, timed);
}

static void job_ready(uint32_t seq)
{
    io_job_t *job = io.jobs[seq & io.mask];

    if (job && job->run.seq == seq && !job->done) {
        job->done = true;
        resume(job);
    }
}

/* Those whose time is over by now go on; who waits anew comes after them. */
static void turn_timed(void)
{
    int64_t now = tfw_monotonic_us();
    io_job_t *job;

    while ((job = TAILQ_FIRST(&io.timed)) != NULL && job->due_us <= now) {
        resume(job);
    }
}

/* ---- the loop ---- */

static bool watch_daemon(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SOURCE(SOURCE_DAEMON, 0)};

    io.epoll = epoll_create1(EPOLL_CLOEXEC);
    return io.epoll >= 0 && epoll_ctl(io.epoll, EPOLL_CTL_ADD, io.env->fd, &event) == 0;
}

static bool make_multis(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return false;
    }
    for (intptr_t i = 0; i < TFW_TRANSFER_KINDS; i++) {
        io.multis[i] = tfw_transfer_multi((tfw_transfer_kind_t)i);
        if (!io.multis[i]) {
            return false;
        }
        curl_multi_setopt(io.multis[i], CURLMOPT_SOCKETFUNCTION, on_interest);
        curl_multi_setopt(io.multis[i], CURLMOPT_SOCKETDATA, (void *)i);
        curl_multi_setopt(io.multis[i], CURLMOPT_MAXCONNECTS, (long)io.env->places);
    }
    return true;
}

/* Hundreds of names may be looked up at once, in a thread each. */
static void small_threads(void)
{
    pthread_attr_t attributes;

    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, TFW_IO_THREAD_STACK);
        pthread_setattr_default_np(&attributes);
        pthread_attr_destroy(&attributes);
    }
}

static bool prepare(const tfw_executor_env_t *env)
{
    io.env = env;
    io.mask = tfw_frame_mask(env->places);
    io.jobs = calloc((size_t)io.mask + 1, sizeof(io_job_t *));
    TAILQ_INIT(&io.timed);
    io.buffer = malloc(sizeof(*io.buffer));
    io.memory_most = tfw_limits_job_memory(env->places);
    io.memory_fd = io.memory_most ? tfw_limits_memory_open() : -1;
    small_threads();
    return io.jobs && io.buffer && (io.memory_fd >= 0 || !io.memory_most) && watch_daemon() && make_multis();
}

static void dispatch(const struct epoll_event *event)
{
    switch (event->data.u64 >> 32) {
    case SOURCE_DAEMON:
        take_frames();
        break;
    case SOURCE_JOB:
        job_ready((uint32_t)event->data.u64);
        break;
    default:
        transfer_ready(event->data.u64, event->events);
    }
}

/* Milliseconds until something is due; -1: nothing is, whatever happens wakes the loop. */
static long idle_ms(void)
{
    const io_job_t *first = TAILQ_FIRST(&io.timed);
    int64_t left_us = first ? first->due_us - tfw_monotonic_us() : 0;
    long least = first ? (long)(left_us > 0 ? (left_us + 999) / 1000 : 0) : -1;

    for (int kind = 0; kind < TFW_TRANSFER_KINDS; kind++) {
        long ms = -1;

        curl_multi_timeout(io.multis[kind], &ms);
        least = ms >= 0 && (least < 0 || ms < least) ? ms : least;
    }
    return least;
}

int tfw_io_main(const tfw_executor_env_t *env)
{
    struct epoll_event events[EVENTS_PER_WAIT];

    tfw_crash_watch(env->board);
    io.alive = prepare(env);
    if (!io.alive) {
        return 1;
    }
    while (io.alive) {
        int n;

        turn_timed();
        for (int kind = 0; kind < TFW_TRANSFER_KINDS; kind++) {
            turn_transfers((tfw_transfer_kind_t)kind);
        }
        n = epoll_wait(io.epoll, events, EVENTS_PER_WAIT, (int)idle_ms());
        for (int i = 0; i < n && io.alive; i++) {
            dispatch(&events[i]);
        }
    }
    return 0;
}
