/* sse.h: a stream of server-sent events (WHATWG HTML, 9.2.6), in pieces of any size. */
#ifndef TFW_SSE_H
#define TFW_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define TFW_SSE_MAX (1 << 20) /* bytes of one line, and of the data of one event */

/* Zeroed but for the callback, it is at the beginning of a stream. */
typedef struct {
    /* The data of one event, its lines joined with LF; NUL-terminated behind len. false: no more are wanted.
     */
    bool (*on_event)(void *arg, const char *data, size_t len);
    void *arg;
    tf_buf_t line, data;
    bool any;      /* the event has data, be it empty */
    bool after_cr; /* an LF that comes now belongs to the line end before */
    bool begun;    /* behind a byte order mark, if there was one */
} tfw_sse_t;

/* The next bytes. false: no more are wanted, a line or an event is too long, or out of memory. */
bool tfw_sse_feed(tfw_sse_t *sse, const char *bytes, size_t len);

/* What no empty line has ended is no event, and is forgotten. */
void tfw_sse_free(tfw_sse_t *sse);

#endif
