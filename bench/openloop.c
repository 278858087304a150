/* openloop.c: an open-loop HTTP load generator. Requests are due at a fixed rate whatever the server does,
 * and a latency counts from the moment its request was due, not from the moment a connection was free to
 * carry it. A server that stalls therefore shows the whole stall (no coordinated omission). Prints one JSON
 * object.
 *
 * The marker @SENT_US@ in the body is replaced by the due time, 16 digits of microseconds since 1970, so that
 * later steps (started, finished) can be measured from the same moment with SQL. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "tool.h"

#define MARKER "@SENT_US@"
#define MARKER_DIGITS 16
#define CONNECTIONS_MAX 1024
#define HEADER_MAX 8192
#define DRAIN_SECONDS 10 /* how long late answers are waited for after the last request was due */

typedef enum { CONN_CONNECTING, CONN_IDLE, CONN_SENDING, CONN_HEADER, CONN_BODY } conn_state_t;

typedef struct conn_s {
    int fd;
    conn_state_t state;
    struct conn_s *next_idle;
    int64_t due_ns; /* of the request under way */
    char *request;
    size_t sent;
    char header[HEADER_MAX + 1];
    size_t header_len;
    size_t body_left;
    int status;
    bool close_after;
} conn_t;

typedef struct {
    struct sockaddr_in addr;
    const char *path;
    char *body;
    long rate;
    long seconds;
    long connections;
    long expected_status;
} options_t;

typedef struct {
    options_t opt;
    int epoll;
    int timer;
    conn_t *conns;
    conn_t *idle;
    char *request; /* template; the digits at marker_at are rewritten for every request */
    size_t request_len;
    size_t marker_at; /* 0: none */
    int64_t start_ns; /* monotonic, when request 0 is due */
    int64_t realtime_offset_ns;
    int64_t total, next, answered;
    int64_t ok, refused, broken;
    int first_refused_status;
    histogram_t latency; /* microseconds */
} load_t;

static void usage(void)
{
    fputs("usage: openloop -p PORT -u PATH [-b BODYFILE] [-a ADDRESS] [-r RATE] [-d SECONDS]\n"
          "                [-c CONNECTIONS] [-s STATUS]\n"
          "  -b  POST this file; without it GET\n"
          "  -a  IPv4 address of the server, default 127.0.0.1\n"
          "  -r  requests a second, default 1000\n"
          "  -d  seconds, default 10\n"
          "  -c  connections, default 32\n"
          "  -s  the status that counts as success, default 202\n",
          stderr);
    exit(2);
}

static int64_t due_ns(const load_t *load, int64_t i)
{
    return load->start_ns + i * 1000000000 / load->opt.rate;
}

static void conn_open(load_t *load, conn_t *c)
{
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        die("socket");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(c->fd, (struct sockaddr *)&load->opt.addr, sizeof(load->opt.addr)) < 0 &&
        errno != EINPROGRESS) {
        die("connect");
    }
    c->state = CONN_CONNECTING;
    c->header_len = 0;

    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
        die("epoll_ctl");
    }
}

static void conn_idle(load_t *load, conn_t *c)
{
    c->state = CONN_IDLE;
    c->next_idle = load->idle;
    load->idle = c;
}

static void idle_remove(load_t *load, conn_t *c)
{
    for (conn_t **p = &load->idle; *p; p = &(*p)->next_idle) {
        if (*p == c) {
            *p = c->next_idle;
            return;
        }
    }
}

/* The connection is gone. A request under way has no answer, which is not the same as a refusal. A server
 * that takes no connection at all ends the run: its numbers would mean nothing. */
static void conn_broken(load_t *load, conn_t *c)
{
    if (c->state == CONN_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof(error);
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        errno = error ? error : ECONNRESET;
        die("connect");
    }
    if (c->state == CONN_IDLE) {
        idle_remove(load, c);
    } else {
        load->broken++;
        load->answered++;
    }
    close(c->fd);
    conn_open(load, c);
}

static void conn_answered(load_t *load, conn_t *c)
{
    load->answered++;
    if (c->status == load->opt.expected_status) {
        load->ok++;
        histogram_add(&load->latency, (now_ns(CLOCK_MONOTONIC) - c->due_ns) / 1000);
    } else {
        load->refused++;
        if (load->first_refused_status == 0) {
            load->first_refused_status = c->status;
        }
    }
    if (c->close_after) {
        close(c->fd);
        conn_open(load, c);
    } else {
        c->header_len = 0;
        conn_idle(load, c);
    }
}

/* false: the kernel took only a part, or the connection broke; either way epoll says more. */
static bool conn_send(load_t *load, conn_t *c)
{
    while (c->sent < load->request_len) {
        ssize_t n = send(c->fd, c->request + c->sent, load->request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            return false;
        }
        c->sent += (size_t)n;
    }
    c->state = CONN_HEADER;
    return true;
}

static void conn_request(load_t *load, conn_t *c, int64_t due)
{
    c->due_ns = due;
    c->sent = 0;
    c->state = CONN_SENDING;
    memcpy(c->request, load->request, load->request_len);
    if (load->marker_at) {
        int64_t us = (due + load->realtime_offset_ns) / 1000;
        for (int i = MARKER_DIGITS - 1; i >= 0; i--, us /= 10) {
            c->request[load->marker_at + (size_t)i] = (char)('0' + us % 10);
        }
    }
    conn_send(load, c);
}

/* Reads status, Content-Length and Connection from a complete header; false: not an answer this tool
 * understands. */
static bool parse_header(conn_t *c, size_t header_size)
{
    bool has_length = false;

    if (strncmp(c->header, "HTTP/1.1 ", 9) != 0) {
        return false;
    }
    c->status = (int)strtol(c->header + 9, NULL, 10);
    c->close_after = false;
    for (char *line = strstr(c->header, "\r\n"); line && line + 2 < c->header + header_size - 2;
         line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            c->body_left = strtoul(line + 15, NULL, 10);
            has_length = true;
        } else if (strncasecmp(line, "Connection: close", 17) == 0) {
            c->close_after = true;
        }
    }
    return has_length;
}

/* Takes bytes of an answer; false: broken. */
static bool conn_take(load_t *load, conn_t *c, const char *data, size_t len)
{
    size_t had = c->header_len;

    if (c->state == CONN_HEADER) {
        size_t room = HEADER_MAX - had;
        size_t n = len < room ? len : room;
        memcpy(c->header + had, data, n);
        c->header_len += n;
        c->header[c->header_len] = '\0';
        char *end = strstr(c->header, "\r\n\r\n");
        if (!end) {
            return c->header_len < HEADER_MAX;
        }
        size_t header_size = (size_t)(end - c->header) + 4;
        if (!parse_header(c, header_size)) {
            return false;
        }
        len -= header_size - had;
        c->state = CONN_BODY;
    }
    if (c->state != CONN_BODY || len > c->body_left) {
        return false; /* bytes nobody asked for */
    }
    c->body_left -= len;
    if (c->body_left == 0) {
        conn_answered(load, c);
    }
    return true;
}

static void conn_event(load_t *load, conn_t *c, uint32_t events)
{
    char data[65536];

    if (c->state == CONN_CONNECTING && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP))) {
        conn_idle(load, c);
    }
    if (c->state == CONN_SENDING && (events & EPOLLOUT)) {
        conn_send(load, c);
    }
    for (;;) {
        int fd = c->fd;
        ssize_t n = recv(fd, data, sizeof(data), 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0 && errno == ENOTCONN && c->state == CONN_CONNECTING && !(events & (EPOLLERR | EPOLLHUP))) {
            return;
        }
        if (n <= 0 || !conn_take(load, c, data, (size_t)n)) {
            conn_broken(load, c);
            return;
        }
        if (c->fd != fd || c->state == CONN_CONNECTING) {
            return;
        }
    }
}

/* Sends everything that is due while a connection is free, and sets the timer for the next. */
static void send_due(load_t *load)
{
    int64_t now = now_ns(CLOCK_MONOTONIC);

    while (load->next < load->total && load->idle && due_ns(load, load->next) <= now) {
        conn_t *c = load->idle;
        load->idle = c->next_idle;
        conn_request(load, c, due_ns(load, load->next));
        load->next++;
    }
    if (load->next < load->total) {
        int64_t due = due_ns(load, load->next);
        struct itimerspec at = {.it_value = {due / 1000000000, due % 1000000000}};
        /* A timer of the past would fire at once, for ever, while no connection is free. */
        if (load->idle) {
            timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &at, NULL);
        }
    }
}

static void poll_once(load_t *load, int timeout_ms)
{
    struct epoll_event events[256];
    uint64_t ticks;

    int n = epoll_wait(load->epoll, events, 256, timeout_ms);
    if (n < 0 && errno != EINTR) {
        die("epoll_wait");
    }
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr) {
            conn_event(load, events[i].data.ptr, events[i].events);
        } else if (read(load->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN) {
            die("timer");
        }
    }
}

static void options(options_t *opt, int argc, char **argv)
{
    int c;
    const char *address = "127.0.0.1";

    *opt = (options_t){.rate = 1000, .seconds = 10, .connections = 32, .expected_status = 202};
    opt->addr.sin_family = AF_INET;
    while ((c = getopt(argc, argv, "a:p:u:b:r:d:c:s:")) != -1) {
        switch (c) {
        case 'a':
            address = optarg;
            break;
        case 'p':
            opt->addr.sin_port = htons((uint16_t)number(optarg, 1, 65535));
            break;
        case 'u':
            opt->path = optarg;
            break;
        case 'b':
            opt->body = read_file(optarg, NULL);
            break;
        case 'r':
            opt->rate = number(optarg, 1, 1000000);
            break;
        case 'd':
            opt->seconds = number(optarg, 1, 3600);
            break;
        case 'c':
            opt->connections = number(optarg, 1, CONNECTIONS_MAX);
            break;
        case 's':
            opt->expected_status = number(optarg, 100, 599);
            break;
        default:
            usage();
        }
    }
    if (optind != argc || !opt->addr.sin_port || !opt->path ||
        inet_pton(AF_INET, address, &opt->addr.sin_addr) != 1) {
        usage();
    }
}

static void build_get(load_t *load)
{
    const char *header = getenv("BENCH_HEADER");
    int len = asprintf(&load->request, "GET %s HTTP/1.1\r\nHost: bench\r\n%s%s\r\n", load->opt.path,
                       header ? header : "", header ? "\r\n" : "");
    if (len < 0) {
        die("memory");
    }
    load->request_len = (size_t)len;
}

static void build_post(load_t *load)
{
    const options_t *opt = &load->opt;
    char *marker = strstr(opt->body, MARKER);
    size_t head = marker ? (size_t)(marker - opt->body) : strlen(opt->body);
    const char *tail = marker ? marker + strlen(MARKER) : "";
    size_t body_len = head + strlen(tail) + (marker ? MARKER_DIGITS : 0);

    const char *header = getenv("BENCH_HEADER"); /* not an argument: it may be a secret */
    int len = asprintf(
        &load->request,
        "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n%s%sContent-Length: %zu\r\n\r\n"
        "%.*s%s%s",
        opt->path, header ? header : "", header ? "\r\n" : "", body_len, (int)head, opt->body,
        marker ? "0000000000000000" : "", tail);
    if (len < 0) {
        die("memory");
    }
    load->request_len = (size_t)len;
    load->marker_at = marker ? load->request_len - strlen(tail) - MARKER_DIGITS : 0;
}

static void open_all(load_t *load)
{
    load->conns = calloc((size_t)load->opt.connections, sizeof(conn_t));
    if (!load->conns) {
        die("memory");
    }
    for (long i = 0; i < load->opt.connections; i++) {
        load->conns[i].request = malloc(load->request_len);
        if (!load->conns[i].request) {
            die("memory");
        }
        conn_open(load, &load->conns[i]);
    }
    for (;;) {
        long waiting = 0;
        for (long i = 0; i < load->opt.connections; i++) {
            waiting += load->conns[i].state == CONN_CONNECTING;
        }
        if (waiting == 0) {
            return;
        }
        poll_once(load, 1000);
    }
}

static void report(load_t *load)
{
    printf("{\"due\":%lld,\"ok\":%lld,\"refused\":%lld,\"first_refused_status\":%d,\"broken\":%lld,"
           "\"unanswered\":%lld,"
           "\"rate\":%ld,\"seconds\":%ld,\"connections\":%ld,\"latency_us\":",
           (long long)load->total, (long long)load->ok, (long long)load->refused, load->first_refused_status,
           (long long)load->broken, (long long)(load->total - load->answered), load->opt.rate,
           load->opt.seconds, load->opt.connections);
    histogram_print(&load->latency);
    puts("}");
}

int main(int argc, char **argv)
{
    load_t *load = calloc(1, sizeof(*load));
    if (!load) {
        die("memory");
    }
    options(&load->opt, argc, argv);
    if (load->opt.body) {
        build_post(load);
    } else {
        build_get(load);
    }
    prctl(PR_SET_TIMERSLACK, 1UL); /* the default rounds a wake-up by 50 us */
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (load->epoll < 0 || load->timer < 0 || epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &ev) < 0) {
        die("epoll");
    }
    open_all(load);

    load->total = (int64_t)load->opt.rate * load->opt.seconds;
    load->realtime_offset_ns = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
    load->start_ns = now_ns(CLOCK_MONOTONIC) + 10000000;
    int64_t end_ns = due_ns(load, load->total) + DRAIN_SECONDS * 1000000000LL;
    while (load->answered < load->total && now_ns(CLOCK_MONOTONIC) < end_ns) {
        send_due(load);
        poll_once(load, 100);
    }
    report(load);
    return load->ok == load->total ? 0 : 1;
}
