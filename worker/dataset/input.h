/* input.h: the bytes of a dataset: a file as it is or, when it begins like one, what is in a gzip file (RFC
 * 1952, of one or several members). */
#ifndef TFW_INPUT_H
#define TFW_INPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct tfw_input_s tfw_input_t;

/* fd: a regular file, read from its beginning; stays the caller's. inflated_max: bytes that a gzip file may
 * hold. NULL: out of memory. Free with tfw_input_free (NULL is fine). */
tfw_input_t *tfw_input_new(int fd, uint64_t inflated_max);
void tfw_input_free(tfw_input_t *input);

/* Like read(2); data is a tfw_input_t *, so that readers can have it as their source. */
ssize_t tfw_input_read(void *data, void *buf, size_t size);

/* From the beginning again. */
void tfw_input_rewind(tfw_input_t *input);

/* Bytes of the file that were read, and that it had when it was opened. */
uint64_t tfw_input_bytes_read(const tfw_input_t *input);
uint64_t tfw_input_size(const tfw_input_t *input);

/* Why tfw_input_read failed, when that is the file's fault: broken gzip, too much of it. "": it is not. */
const char *tfw_input_error(const tfw_input_t *input);

#endif
