#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "write_all.h"

typedef union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
} control_t;

/* Writes the body into a memfd; -1 with errno. */
static int body_to_memfd(const tfw_frame_out_t *frame)
{
    int fd = memfd_create("taskforge-frame", MFD_CLOEXEC);

    for (int i = 0; fd >= 0 && i < TFW_FRAME_BODY_PARTS; i++) {
        if (!tfw_write_all(fd, frame->body[i].iov_base, frame->body[i].iov_len)) {
            int saved = errno;

            close(fd);
            errno = saved;
            return -1;
        }
    }
    return fd;
}

/* Fills a message header for the frame. parts has room for 1 + TFW_FRAME_BODY_PARTS. memfd is -1 or has to be
 * closed after sending. false with errno. */
static bool compose(tfw_frame_out_t *frame, struct msghdr *message, struct iovec *parts, control_t *control,
                    int *memfd)
{
    memset(message, 0, sizeof(*message));
    *memfd = -1;
    frame->head.in_memfd = frame->head.body_len > TFW_FRAME_INLINE_MAX;
    parts[0] = (struct iovec){&frame->head, sizeof(frame->head)};
    message->msg_iov = parts;
    message->msg_iovlen = 1;
    if (frame->head.in_memfd) {
        struct cmsghdr *c;

        *memfd = body_to_memfd(frame);
        if (*memfd < 0) {
            return false;
        }
        memset(control, 0, sizeof(*control));
        message->msg_control = control;
        message->msg_controllen = sizeof(control->bytes);
        c = CMSG_FIRSTHDR(message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), memfd, sizeof(int));
        return true;
    }
    for (int i = 0; i < TFW_FRAME_BODY_PARTS; i++) {
        if (frame->body[i].iov_len) {
            parts[message->msg_iovlen++] = frame->body[i];
        }
    }
    return true;
}

bool tfw_frame_send(int fd, tfw_frame_out_t *frame)
{
    struct iovec parts[1 + TFW_FRAME_BODY_PARTS];
    struct msghdr message;
    control_t control;
    int memfd, saved;
    ssize_t n;

    if (!compose(frame, &message, parts, &control, &memfd)) {
        return false;
    }
    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    saved = errno;
    if (memfd >= 0) {
        close(memfd);
    }
    errno = saved;
    return n >= 0;
}

int tfw_frame_send_many(int fd, tfw_frame_out_t *frames, int count)
{
    struct iovec parts[TFW_FRAME_BATCH][1 + TFW_FRAME_BODY_PARTS];
    struct mmsghdr messages[TFW_FRAME_BATCH];
    control_t control[TFW_FRAME_BATCH];
    int memfds[TFW_FRAME_BATCH], composed = 0, sent, saved = 0;

    if (count > TFW_FRAME_BATCH) {
        count = TFW_FRAME_BATCH;
    }
    while (composed < count) {
        messages[composed].msg_len = 0;
        if (!compose(&frames[composed], &messages[composed].msg_hdr, parts[composed], &control[composed],
                     &memfds[composed])) {
            saved = errno;
            break;
        }
        composed++;
    }
    sent = 0;
    if (composed) {
        do {
            sent = sendmmsg(fd, messages, (unsigned)composed, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        saved = sent < 0 ? errno : 0;
    }
    for (int i = 0; i < composed; i++) {
        if (memfds[i] >= 0) {
            close(memfds[i]);
        }
    }
    if (sent > 0 || saved == EAGAIN || saved == ENOBUFS) {
        return sent > 0 ? sent : 0;
    }
    errno = saved;
    return saved ? -1 : 0;
}

/* The descriptor that came with a message, or -1. */
static int passed_fd(struct msghdr *message)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    }
    return fd;
}

/* Reads the body of a frame that came in a memfd. Never trusts the sender: an executor may have scribbled
 * over itself, so the body is copied rather than mapped. */
static bool read_body(tfw_frame_in_t *frame, int fd)
{
    size_t len = frame->head.body_len, have = 0;
    struct stat st;
    char *body;

    if (fd < 0 || !len || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != (off_t)len) {
        return false;
    }
    body = malloc(len);
    while (body && have < len) {
        ssize_t n = pread(fd, body + have, len - have, (off_t)have);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            free(body);
            return false;
        }
        have += (size_t)n;
    }
    frame->body = frame->owned = body;
    return body != NULL;
}

static bool accept_frame(tfw_frame_buffer_t *buffer, int i, tfw_frame_in_t *frame)
{
    struct msghdr *message = &buffer->headers[i].msg_hdr;
    size_t len = buffer->headers[i].msg_len;
    int fd = passed_fd(message);
    bool good = len >= sizeof(tfw_frame_t) && !(message->msg_flags & MSG_TRUNC);

    frame->head = buffer->heads[i];
    frame->body = buffer->bodies[i];
    frame->owned = NULL;
    if (good && frame->head.in_memfd) {
        good = read_body(frame, fd);
    } else if (good) {
        good = frame->head.body_len == len - sizeof(tfw_frame_t);
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

int tfw_frame_receive(int fd, tfw_frame_buffer_t *buffer, tfw_frame_in_t *frames, int count, bool wait)
{
    int n, good = 0;
    bool bad = false;

    for (int i = 0; i < count; i++) {
        struct msghdr *message = &buffer->headers[i].msg_hdr;

        buffer->parts[i][0] = (struct iovec){&buffer->heads[i], sizeof(tfw_frame_t)};
        buffer->parts[i][1] = (struct iovec){buffer->bodies[i], TFW_FRAME_INLINE_MAX};
        memset(message, 0, sizeof(*message));
        message->msg_iov = buffer->parts[i];
        message->msg_iovlen = 2;
        message->msg_control = buffer->control[i];
        message->msg_controllen = sizeof(buffer->control[i]);
        buffer->headers[i].msg_len = 0;
    }
    do {
        n = recvmmsg(fd, buffer->headers, (unsigned)count,
                     MSG_CMSG_CLOEXEC | (wait ? MSG_WAITFORONE : MSG_DONTWAIT), NULL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? 0 : -1;
    }
    for (int i = 0; i < n; i++) {
        if (buffer->headers[i].msg_len == 0) {
            break; /* end of stream */
        }
        if (bad || !accept_frame(buffer, i, &frames[good])) {
            bad = true;
            continue;
        }
        good++;
    }
    if (bad) {
        while (good) {
            tfw_frame_release(&frames[--good]);
        }
        errno = EPROTO;
        return -1;
    }
    errno = 0;
    return good;
}

void tfw_frame_release(tfw_frame_in_t *frame)
{
    free(frame->owned);
    frame->owned = NULL;
}
