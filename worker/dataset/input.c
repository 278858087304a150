#include "dataset/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_SIZE 65536
#define GZIP_ONLY (16 + MAX_WBITS) /* for inflateInit2 */

typedef enum { UNKNOWN, PLAIN, GZIP } kind_t;

struct tfw_input_s {
    int fd;
    uint64_t size, at, inflated, inflated_max;
    kind_t kind;
    bool inflating, ended;
    z_stream gzip;
    char error[128];
    unsigned char buf[BUFFER_SIZE]; /* compressed bytes */
};

tfw_input_t *tfw_input_new(int fd, uint64_t inflated_max)
{
    tfw_input_t *input = malloc(sizeof(*input));
    struct stat st;

    if (input == NULL) {
        return NULL;
    }
    memset(input, 0, offsetof(tfw_input_t, buf));
    input->fd = fd;
    input->size = fstat(fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    input->inflated_max = inflated_max;
    return input;
}

static void stop_inflating(tfw_input_t *input)
{
    if (input->inflating) {
        inflateEnd(&input->gzip);
        input->inflating = false;
    }
}

void tfw_input_free(tfw_input_t *input)
{
    if (input != NULL) {
        stop_inflating(input);
        free(input);
    }
}

void tfw_input_rewind(tfw_input_t *input)
{
    stop_inflating(input);
    input->at = input->inflated = 0;
    input->ended = false;
    input->error[0] = '\0';
}

uint64_t tfw_input_bytes_read(const tfw_input_t *input)
{
    return input->at;
}

uint64_t tfw_input_size(const tfw_input_t *input)
{
    return input->size;
}

const char *tfw_input_error(const tfw_input_t *input)
{
    return input->error;
}

static ssize_t read_file(tfw_input_t *input, void *buf, size_t size)
{
    ssize_t n;

    do {
        n = pread(input->fd, buf, size, (off_t)input->at);
    } while (n < 0 && errno == EINTR);
    input->at += n > 0 ? (uint64_t)n : 0;
    return n;
}

/* -1 with errno and, if text is not NULL, the file's fault. */
static ssize_t fail(tfw_input_t *input, int error, const char *text)
{
    if (text != NULL) {
        snprintf(input->error, sizeof(input->error), "%s", text);
    }
    errno = error;
    return -1;
}

/* More compressed bytes. false: none are left, or *failed. */
static bool refill(tfw_input_t *input, bool *failed)
{
    ssize_t n = read_file(input, input->buf, sizeof(input->buf));

    *failed = n < 0;
    input->gzip.next_in = input->buf;
    input->gzip.avail_in = n > 0 ? (uInt)n : 0;
    return n > 0;
}

static bool start_inflating(tfw_input_t *input)
{
    memset(&input->gzip, 0, sizeof(input->gzip));
    input->inflating = inflateInit2(&input->gzip, GZIP_ONLY) == Z_OK;
    return input->inflating;
}

/* A member has ended: is there another one? Zero bytes behind the last are padding (of tapes), as gzip(1) has
 * it. false: no; error is set if what follows is something else. */
static bool next_member(tfw_input_t *input, bool *failed)
{
    z_stream *gzip = &input->gzip;

    *failed = false;
    for (;;) {
        while (gzip->avail_in > 0 && *gzip->next_in == 0) {
            gzip->next_in++;
            gzip->avail_in--;
        }
        if (gzip->avail_in > 0) {
            return inflateReset(gzip) == Z_OK;
        }
        if (!refill(input, failed)) {
            return false;
        }
    }
}

static ssize_t read_gzip(tfw_input_t *input, void *buf, size_t size)
{
    z_stream *gzip = &input->gzip;
    bool failed = false;
    size_t got;
    int status;

    if (!input->inflating && !start_inflating(input)) {
        return fail(input, ENOMEM, NULL);
    }
    gzip->next_out = buf;
    gzip->avail_out = (uInt)size;
    while (gzip->avail_out == size && !input->ended) {
        if (gzip->avail_in == 0 && !refill(input, &failed)) {
            return failed ? -1 : fail(input, EBADMSG, "the gzip file is cut off");
        }
        status = inflate(gzip, Z_NO_FLUSH);
        if (status == Z_STREAM_END) {
            input->ended = !next_member(input, &failed);
            if (failed) {
                return -1;
            }
        } else if (status == Z_MEM_ERROR) {
            return fail(input, ENOMEM, NULL);
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            snprintf(input->error, sizeof(input->error), "the gzip file is broken: %s",
                     gzip->msg != NULL ? gzip->msg : "a dictionary is asked for");
            return fail(input, EBADMSG, NULL);
        }
    }
    got = size - gzip->avail_out;
    input->inflated += got;
    if (input->inflated > input->inflated_max) {
        snprintf(input->error, sizeof(input->error),
                 "there are more than %llu MB in the gzip file (TASKFORGE_DATA_INPUT_MB)",
                 (unsigned long long)(input->inflated_max >> 20));
        return fail(input, EFBIG, NULL);
    }
    return (ssize_t)got;
}

ssize_t tfw_input_read(void *data, void *buf, size_t size)
{
    tfw_input_t *input = data;
    unsigned char magic[2];
    ssize_t n;

    if (input->kind == UNKNOWN) {
        n = read_file(input, magic, sizeof(magic));
        if (n < 0) {
            return n;
        }
        input->kind = n == 2 && magic[0] == 0x1f && magic[1] == 0x8b ? GZIP : PLAIN;
        input->at = 0;
    }
    return input->kind == GZIP ? read_gzip(input, buf, size) : read_file(input, buf, size);
}
