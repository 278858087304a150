/* convert.c: see convert.h. */
#include "convert/convert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "write_all.h"

#define OUTPUT_PIECE 65536 /* bytes */

bool tfw_convert_fail(tfw_convert_t *c, tfw_outcome_t outcome, const char *fmt, ...)
{
    va_list args;

    if (c->outcome == TFW_OK) {
        c->outcome = outcome;
        va_start(args, fmt);
        vsnprintf(c->error, sizeof(c->error), fmt, args);
        va_end(args);
        c->error[tf_utf8_span(c->error, strlen(c->error))] = '\0'; /* a character may have been cut */
    }
    return false;
}

bool tfw_convert_memory(tfw_convert_t *c)
{
    return tfw_convert_fail(c, TFW_RETRY, "out of memory");
}

bool tfw_convert_go_on(tfw_convert_t *c)
{
    if (c->outcome == TFW_OK && c->cancelled && c->cancelled(c->data)) {
        c->outcome = TFW_CANCELLED;
    }
    return c->outcome == TFW_OK;
}

void tfw_convert_progress(tfw_convert_t *c, uint64_t done, uint64_t all, int from, int to)
{
    double part = all > 0 && done < all ? (double)done / (double)all : 1;

    if (c->progress) {
        c->progress(c->data, from + (int)(part * (to - from)));
    }
}

static bool write_out(tfw_output_t *out)
{
    if (out->buf.failed) {
        return tfw_convert_memory(out->convert);
    }
    out->written += out->buf.len;
    if (out->written > out->convert->output_max) {
        return tfw_convert_fail(out->convert, TFW_PERMANENT, "the result is larger than %llu bytes",
                                (unsigned long long)out->convert->output_max);
    }
    if (!tfw_write_all(out->fd, out->buf.data, out->buf.len)) {
        return tfw_convert_fail(out->convert, TFW_RETRY, "cannot write: %s", strerror(errno));
    }
    out->buf.len = 0;
    return true;
}

bool tfw_output_drain(tfw_output_t *out)
{
    return out->buf.len < OUTPUT_PIECE && !out->buf.failed ? true : write_out(out);
}

bool tfw_output_end(tfw_output_t *out)
{
    return write_out(out);
}

void tfw_output_free(tfw_output_t *out)
{
    tf_buf_free(&out->buf);
}
