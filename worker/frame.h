/* frame.h: what travels between the daemon and an executor over a SOCK_SEQPACKET pair: one message is one
 * frame, its body inline or, when it is large, in a memfd that is passed along. Both ends are the same
 * program. */
#ifndef TFW_FRAME_H
#define TFW_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define TFW_FRAME_INLINE_MAX 16384 /* bytes of body; more goes into a memfd */
#define TFW_FRAME_BODY_PARTS 4
#define TFW_FRAME_BATCH 32 /* frames per system call */

typedef enum {
    TFW_FRAME_JOB = 1,
    TFW_FRAME_RESULT,
    TFW_FRAME_PROGRESS,
    TFW_FRAME_LOG,
    TFW_FRAME_STOP /* to an I/O executor: the job shall end; no body */
} tfw_frame_kind_t;

typedef struct {
    uint32_t kind;
    uint32_t seq;      /* of the job within its executor */
    uint32_t body_len; /* bytes */
    uint32_t in_memfd; /* the body is in the descriptor that came along */
    union {
        struct {
            uint8_t id[16];
            int64_t incarnation; /* with epoch and attempt: the fence */
            int32_t epoch;
            int32_t attempt;
            int32_t max_retries;
            uint32_t handler; /* index in the catalogue */
            uint32_t metadata_len;
            uint32_t traceparent_len;
            uint32_t secret_len;
        } job; /* body: payload, metadata, traceparent, what tfw_run_secret gives */
        struct {
            int64_t started_us; /* CLOCK_MONOTONIC */
            int64_t finished_us;
            int64_t delay_ms; /* until the next attempt, as the handler asked for it; -1: it did not */
            uint32_t outcome; /* tfw_outcome_t */
            uint32_t error_len;
        } result; /* body: error, then the result's JSON */
        struct {
            int32_t percent;
        } progress; /* no body */
        struct {
            int64_t at_us; /* since 1970 */
            uint32_t level_len;
        } log; /* body: level, then message */
    } u;
} tfw_frame_t;

/* A frame with the pieces of its body, to be sent. */
typedef struct {
    tfw_frame_t head;
    struct iovec body[TFW_FRAME_BODY_PARTS]; /* lengths add up to head.body_len; the rest has length 0 */
} tfw_frame_out_t;

/* An executor with places for so many jobs at once has them in a table: its daemon gives no two of them a seq
 * with the same bits here. */
static inline uint32_t tfw_frame_mask(uint32_t places)
{
    uint32_t mask = 1;

    while (mask < places) {
        mask = 2 * mask + 1;
    }
    return mask;
}

/* Sends one frame, waiting if the socket is full. false with errno. */
bool tfw_frame_send(int fd, tfw_frame_out_t *frame);

/* Sends up to count frames without waiting; returns how many went, -1 with errno for a failure other than a
 * full socket. */
int tfw_frame_send_many(int fd, tfw_frame_out_t *frames, int count);

/* A received frame. body points into the receive buffer or, for one from a memfd, to `owned`. */
typedef struct {
    tfw_frame_t head;
    const char *body;
    char *owned; /* freed by tfw_frame_release */
} tfw_frame_in_t;

/* Room for TFW_FRAME_BATCH frames; large, so it exists once per process. */
typedef struct {
    struct mmsghdr headers[TFW_FRAME_BATCH];
    struct iovec parts[TFW_FRAME_BATCH][2];
    tfw_frame_t heads[TFW_FRAME_BATCH];
    char control[TFW_FRAME_BATCH][CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t))));
    char bodies[TFW_FRAME_BATCH][TFW_FRAME_INLINE_MAX];
} tfw_frame_buffer_t;

/* Receives up to count (at most TFW_FRAME_BATCH) frames into frames, which are valid until the next receive
 * into the same buffer. Waits for the first if wait is true. Returns how many, 0: none there, or the other
 * end has closed (errno 0 then, EAGAIN otherwise); -1 with errno, EPROTO when what came is no frame. Each
 * frame must be released. */
int tfw_frame_receive(int fd, tfw_frame_buffer_t *buffer, tfw_frame_in_t *frames, int count, bool wait);

void tfw_frame_release(tfw_frame_in_t *frame);

#endif
