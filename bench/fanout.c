/* fanout.c: how many WebSocket deliveries a second a server makes. Opens N subscribers, publishes blocks of
 * events through another socket and counts the text frames that arrive. A window bounds how many events are
 * published but on average not yet delivered, so nothing is lost to a full buffer and the rate is one the
 * server can keep up. Prints one JSON object; ok only if every subscriber got as many events as were
 * published.
 *
 * What is published is a file: the bytes of one publishing request that carries `-k` events (pipelined HTTP
 * POSTs to nchan, a Redis XADD for the relay). Answers of the publishing socket are read and dropped. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define SUBSCRIBERS_MAX 10000
#define INPUT_SIZE 16384              /* per subscriber; an event must fit */
#define SILENCE_SECONDS 10            /* no delivery for so long: give up */
#define EVENT_MARK "\"event\":\"job_" /* others (connected, resync, worker_...) are not counted */
#define EVENT_MARK_WITHIN 96          /* bytes from the start of the frame: seq may come first */

typedef struct {
    int fd;
    bool open; /* 101 was answered */
    bool lost;
    size_t len;
    int64_t events;
    char input[INPUT_SIZE];
} subscriber_t;

typedef struct {
    struct sockaddr_in addr;
    const char *path;
    const char *publish_socket;
    char *block;
    size_t block_len;
    int64_t block_events;
    long subscribers;
    long seconds;
    long window; /* events */
} options_t;

typedef struct {
    options_t opt;
    int epoll;
    int publisher;
    subscriber_t *subs;
    int64_t opened, lost;
    int64_t published, delivered;
    size_t block_sent; /* bytes of the block under way */
    int64_t last_delivery_ns;
} fanout_t;

static void usage(void)
{
    fputs("usage: fanout -p PORT -u PATH -s PUBLISHING_SOCKET -b BLOCKFILE [-k EVENTS_PER_BLOCK] [-n "
          "SUBSCRIBERS] "
          "[-d SECONDS] [-w WINDOW_EVENTS]\n",
          stderr);
    exit(2);
}

static void watch(fanout_t *f, int fd, uint32_t events, void *data)
{
    struct epoll_event ev = {.events = events, .data.ptr = data};
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        die("epoll_ctl");
    }
}

static void subscribe(fanout_t *f, subscriber_t *s)
{
    char request[1024];

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&f->opt.addr, sizeof(f->opt.addr)) < 0) {
        die("connect");
    }
    const char *header = getenv("BENCH_HEADER"); /* not an argument: it may be a secret */
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s%s"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGFza2ZvcmdlIGJlbmNoIQ==\r\n\r\n",
                     f->opt.path, header ? header : "", header ? "\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof(request) || send(s->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        die("subscribe");
    }
    watch(f, s->fd, EPOLLIN, s);
}

static void publisher_open(fanout_t *f)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(f->opt.publish_socket);

    if (len >= sizeof(un.sun_path)) {
        errno = ENAMETOOLONG;
        die(f->opt.publish_socket);
    }
    memcpy(un.sun_path, f->opt.publish_socket, len + 1);
    f->publisher = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->publisher < 0 || connect(f->publisher, (struct sockaddr *)&un, sizeof(un)) < 0) {
        die(f->opt.publish_socket);
    }
    watch(f, f->publisher, EPOLLIN | EPOLLOUT | EPOLLET, NULL);
}

/* Publishes as long as the window and the socket take it. */
static void publish(fanout_t *f, int64_t most)
{
    const options_t *opt = &f->opt;

    while (f->block_sent > 0 ||
           (f->published < most &&
            f->published - f->delivered / opt->subscribers + opt->block_events <= opt->window)) {
        ssize_t n =
            send(f->publisher, opt->block + f->block_sent, opt->block_len - f->block_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) {
            die("publish");
        }
        f->block_sent += (size_t)n;
        if (f->block_sent == opt->block_len) {
            f->block_sent = 0;
            f->published += opt->block_events;
        }
    }
}

static void drop_answers(fanout_t *f)
{
    char data[65536];
    ssize_t n;

    while ((n = recv(f->publisher, data, sizeof(data), 0)) > 0) {
    }
    if (n == 0 || errno != EAGAIN) {
        die("the publishing connection ended");
    }
}

/* Takes whole frames from the input (RFC 6455 section 5.2; a server does not mask) and keeps the rest. */
static void take_frames(fanout_t *f, subscriber_t *s)
{
    size_t at = 0;

    while (s->len - at >= 2) {
        const unsigned char *p = (const unsigned char *)s->input + at;
        size_t header = 2, size = p[1] & 0x7f;
        if (size == 126) {
            header = 4;
            size = s->len - at >= 4 ? (size_t)p[2] << 8 | p[3] : INPUT_SIZE;
        } else if (size == 127) {
            header = 10; /* 64 KB and more: no event is that long */
            size = INPUT_SIZE;
        }
        if (s->len - at < header + size) {
            break;
        }
        size_t look = size < EVENT_MARK_WITHIN ? size : EVENT_MARK_WITHIN;
        if ((p[0] & 0x0f) == 1 && memmem(p + header, look, EVENT_MARK, strlen(EVENT_MARK))) {
            s->events++;
            f->delivered++;
        }
        at += header + size;
    }
    memmove(s->input, s->input + at, s->len - at);
    s->len -= at;
}

static void take_handshake(fanout_t *f, subscriber_t *s)
{
    char *end = memmem(s->input, s->len, "\r\n\r\n", 4);
    if (!end) {
        return;
    }
    if (s->len < 12 || memcmp(s->input, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "fanout: the upgrade was refused: %.*s\n", 12, s->input);
        exit(1);
    }
    size_t header = (size_t)(end - s->input) + 4;
    memmove(s->input, s->input + header, s->len - header);
    s->len -= header;
    s->open = true;
    f->opened++;
}

static void subscriber_event(fanout_t *f, subscriber_t *s)
{
    ssize_t n = recv(s->fd, s->input + s->len, sizeof(s->input) - s->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) { /* closed, or an input that no frame ends (recv of 0 bytes) */
        s->lost = true;
        f->lost++;
        close(s->fd);
        return;
    }
    s->len += (size_t)n;
    if (!s->open) {
        take_handshake(f, s);
    }
    if (s->open) {
        int64_t before = f->delivered;
        take_frames(f, s);
        if (f->delivered != before) {
            f->last_delivery_ns = now_ns(CLOCK_MONOTONIC);
        }
    }
}

static void poll_once(fanout_t *f, int timeout_ms)
{
    struct epoll_event events[512];

    int n = epoll_wait(f->epoll, events, 512, timeout_ms);
    if (n < 0 && errno != EINTR) {
        die("epoll_wait");
    }
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr) {
            subscriber_event(f, events[i].data.ptr);
        } else if (events[i].events & (EPOLLIN | EPOLLHUP)) {
            drop_answers(f);
        }
    }
}

static void options(options_t *opt, int argc, char **argv)
{
    int c;

    *opt = (options_t){.block_events = 1, .subscribers = 500, .seconds = 5, .window = 512};
    opt->addr.sin_family = AF_INET;
    opt->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while ((c = getopt(argc, argv, "p:u:s:b:k:n:d:w:")) != -1) {
        switch (c) {
        case 'p':
            opt->addr.sin_port = htons((uint16_t)number(optarg, 1, 65535));
            break;
        case 'u':
            opt->path = optarg;
            break;
        case 's':
            opt->publish_socket = optarg;
            break;
        case 'b':
            opt->block = read_file(optarg, &opt->block_len);
            break;
        case 'k':
            opt->block_events = number(optarg, 1, 1000);
            break;
        case 'n':
            opt->subscribers = number(optarg, 1, SUBSCRIBERS_MAX);
            break;
        case 'd':
            opt->seconds = number(optarg, 1, 600);
            break;
        case 'w':
            opt->window = number(optarg, 1, 100000);
            break;
        default:
            usage();
        }
    }
    if (optind != argc || !opt->addr.sin_port || !opt->path || !opt->publish_socket || !opt->block_len ||
        opt->window < opt->block_events) {
        usage();
    }
}

/* true when everything that was published has arrived everywhere. */
static bool run_until(fanout_t *f, int64_t most, int64_t end_ns)
{
    f->last_delivery_ns = now_ns(CLOCK_MONOTONIC);
    for (;;) {
        int64_t now = now_ns(CLOCK_MONOTONIC);
        publish(f, now < end_ns ? most : f->published);
        if (f->block_sent == 0 && (f->published >= most || now >= end_ns) &&
            f->delivered >= f->published * f->opt.subscribers) {
            return true;
        }
        if (f->lost > 0 || now - f->last_delivery_ns > SILENCE_SECONDS * 1000000000LL) {
            return false;
        }
        poll_once(f, 100);
    }
}

int main(int argc, char **argv)
{
    fanout_t *f = calloc(1, sizeof(*f));
    struct rlimit files = {SUBSCRIBERS_MAX + 64, SUBSCRIBERS_MAX + 64};
    bool ok;

    if (!f) {
        die("memory");
    }
    options(&f->opt, argc, argv);
    setrlimit(RLIMIT_NOFILE, &files); /* where refused, socket() says so */
    f->subs = calloc((size_t)f->opt.subscribers, sizeof(*f->subs));
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!f->subs || f->epoll < 0) {
        die("memory");
    }
    for (long i = 0; i < f->opt.subscribers; i++) {
        subscribe(f, &f->subs[i]);
        if (i % 64 == 63) {
            poll_once(f, 0);
        }
    }
    int64_t give_up = now_ns(CLOCK_MONOTONIC) + SILENCE_SECONDS * 1000000000LL;
    while (f->opened < f->opt.subscribers && f->lost == 0 && now_ns(CLOCK_MONOTONIC) < give_up) {
        poll_once(f, 100);
    }
    publisher_open(f);

    /* One block first: it also waits for subscribers that are open but not yet registered behind a proxy. */
    ok = f->opened == f->opt.subscribers && run_until(f, f->opt.block_events, INT64_MAX);
    int64_t first = f->delivered, start = now_ns(CLOCK_MONOTONIC);
    ok = ok && run_until(f, INT64_MAX, start + f->opt.seconds * 1000000000LL);
    int64_t elapsed = f->last_delivery_ns - start;
    for (long i = 0; i < f->opt.subscribers; i++) {
        ok = ok && f->subs[i].events == f->published;
    }
    printf(
        "{\"ok\":%s,\"subscribers\":%ld,\"opened\":%lld,\"lost\":%lld,\"published\":%lld,\"delivered\":%lld,"
        "\"per_second\":%.0f}\n",
        ok ? "true" : "false", f->opt.subscribers, (long long)f->opened, (long long)f->lost,
        (long long)f->published, (long long)f->delivered,
        elapsed > 0 ? (double)(f->delivered - first) * 1e9 / (double)elapsed : 0.0);
    return ok ? 0 : 1;
}
