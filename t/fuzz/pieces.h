/* pieces.h: bytes that are read in pieces of a size, so that what is parsed breaks across reads everywhere;
 * and a checksum of what came out, which must not depend on that size. */
#ifndef T_FUZZ_PIECES_H
#define T_FUZZ_PIECES_H

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define SUM_BEGIN 14695981039346656037u /* FNV-1a */

typedef struct {
    const uint8_t *data;
    size_t len;
    size_t piece; /* bytes that one read gives at most */
} pieces_t;

/* A tfw_csv_read_fn of pieces_t. */
static inline ssize_t pieces_read(void *data, void *buf, size_t size)
{
    pieces_t *p = data;
    size_t n = p->len < p->piece ? p->len : p->piece;

    n = n < size ? n : size;
    if (n > 0) {
        memcpy(buf, p->data, n);
    }
    p->data += n;
    p->len -= n;
    return (ssize_t)n;
}

static inline uint64_t sum_add(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 1099511628211u;
}

static inline uint64_t sum_bytes(uint64_t sum, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum = sum_add(sum, (uint8_t)data[i]);
    }
    return sum;
}

#endif
