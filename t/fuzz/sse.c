/* Any bytes as a stream of events. The first byte says how large the pieces are: what comes out must not
 * depend on it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "inference/sse.h"

typedef struct {
    uint64_t sum;
    size_t events;
} digest_t;

static bool on_event(void *arg, const char *data, size_t len)
{
    digest_t *digest = arg;

    if (data[len] != '\0' || memchr(data, '\r', len) != NULL) {
        abort();
    }
    for (size_t i = 0; i <= len; i++) {
        digest->sum = (digest->sum ^ (uint8_t)data[i]) * 1099511628211u;
    }
    digest->events++;
    return len != 3; /* some events are the last that are wanted */
}

static digest_t read_all(const char *data, size_t len, size_t piece)
{
    digest_t digest = {14695981039346656037u, 0};
    tfw_sse_t sse = {.on_event = on_event, .arg = &digest};

    for (size_t at = 0; at < len; at += piece) {
        if (!tfw_sse_feed(&sse, data + at, len - at < piece ? len - at : piece)) {
            break;
        }
    }
    tfw_sse_free(&sse);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1) {
        digest_t whole = read_all((const char *)data + 1, size - 1, size),
                 pieces = read_all((const char *)data + 1, size - 1, (size_t)data[0] + 1);

        if (whole.sum != pieces.sum || whole.events != pieces.events) {
            abort();
        }
    }
    return 0;
}
