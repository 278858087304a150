#include "sse.h"

#include <string.h>

#define MARK "\xef\xbb\xbf" /* U+FEFF */

/* An empty line: the event is whole. */
static bool dispatch(tfw_sse_t *sse)
{
    bool wanted = true;

    if (sse->any) {
        const char *data = tf_buf_cstr(&sse->data);

        wanted = !sse->data.failed && sse->on_event(sse->arg, data, sse->data.len);
    }
    sse->any = false;
    sse->data.len = 0;
    return wanted;
}

/* "data: text"; other fields (event, id, retry) and comments mean nothing here. */
static bool take_line(tfw_sse_t *sse)
{
    const char *line = sse->line.data, *value;
    size_t len = sse->line.len, name_len;

    if (!sse->begun && len >= strlen(MARK) && memcmp(line, MARK, strlen(MARK)) == 0) {
        line += strlen(MARK);
        len -= strlen(MARK);
    }
    sse->begun = true;
    if (len == 0) {
        return dispatch(sse);
    }
    value = memchr(line, ':', len);
    name_len = value ? (size_t)(value - line) : len;
    if (name_len == strlen("data") && memcmp(line, "data", name_len) == 0) {
        size_t skip = value ? name_len + 1 : name_len;

        skip += skip < len && line[skip] == ' ';
        if (sse->any) {
            tf_buf_addc(&sse->data, '\n');
        }
        tf_buf_add(&sse->data, line + skip, len - skip);
        sse->any = true;
    }
    return !sse->data.failed;
}

bool tfw_sse_feed(tfw_sse_t *sse, const char *bytes, size_t len)
{
    const char *end = bytes + len;

    sse->line.limit = sse->data.limit = TFW_SSE_MAX;
    while (bytes < end) {
        const char *stop = bytes;

        if (sse->after_cr && *bytes == '\n') {
            bytes++;
            sse->after_cr = false;
            continue;
        }
        sse->after_cr = false;
        while (stop < end && *stop != '\r' && *stop != '\n') {
            stop++;
        }
        tf_buf_add(&sse->line, bytes, (size_t)(stop - bytes));
        if (sse->line.failed) {
            return false;
        }
        if (stop < end) {
            sse->after_cr = *stop++ == '\r';
            if (!take_line(sse)) {
                return false;
            }
            sse->line.len = 0;
        }
        bytes = stop;
    }
    return true;
}

void tfw_sse_free(tfw_sse_t *sse)
{
    tf_buf_free(&sse->line);
    tf_buf_free(&sse->data);
}
