/* convert.h: what all conversions of files share: how they fail, what they read and what they write. Nothing
 * in worker/convert/ knows of jobs: the handler does (worker/handlers/file_conversion.c). */
#ifndef TFW_CONVERT_H
#define TFW_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "plugin.h"

/* One conversion. Who makes it fills the first four members. */
typedef struct {
    bool (*cancelled)(void *data);             /* asked every few milliseconds */
    void (*progress)(void *data, int percent); /* 0 to 100 */
    void *data;
    uint64_t output_max;   /* bytes of what is written */
    uint64_t unpacked_max; /* bytes of what a compressed file holds */
    tfw_outcome_t outcome; /* TFW_OK: nothing has gone wrong yet */
    char error[512];       /* one line of UTF-8 */
} tfw_convert_t;

/* Keeps the first failure. Returns false, for return tfw_convert_fail(...). */
bool tfw_convert_fail(tfw_convert_t *c, tfw_outcome_t outcome, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

bool tfw_convert_memory(tfw_convert_t *c); /* fails for want of memory */

/* To be called in every loop; cheap. false: the conversion has failed or is cancelled. */
bool tfw_convert_go_on(tfw_convert_t *c);

/* done of all, as a part of the percents from..to. */
void tfw_convert_progress(tfw_convert_t *c, uint64_t done, uint64_t all, int from, int to);

/* A regular file that is read; the descriptor is the caller's. */
typedef struct {
    int fd;
    uint64_t size; /* bytes */
} tfw_input_t;

/* A file that is written, from its start. */
typedef struct {
    tfw_convert_t *convert;
    int fd;
    uint64_t written;
    tf_buf_t buf; /* what is added to it is written by the next call of tfw_output_drain */
} tfw_output_t;

/* Writes what has gathered, if that is much. false: the conversion has failed. */
bool tfw_output_drain(tfw_output_t *out);

/* Writes the rest. */
bool tfw_output_end(tfw_output_t *out);

void tfw_output_free(tfw_output_t *out);

#endif
