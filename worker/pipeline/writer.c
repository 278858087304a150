#include "pipeline/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "json_value.h"
#include "pipeline/value.h"

#define GZIP_BITS (15 + 16) /* zlib: the largest window, a gzip header */
#define MEMORY_LEVEL 8      /* zlib's default */

struct tfw_writer_s {
    tfw_format_t format;
    bool gzip;
    json_t *columns; /* of CSV and TSV; NULL: not known yet */
    bool begun;      /* the first bytes are written or in text: the header, or the array's bracket */
    bool any;        /* there was a record */
    tf_buf_t text;   /* not taken yet */
};

tfw_writer_t *tfw_writer_new(tfw_format_t format, bool gzip, const json_t *columns)
{
    tfw_writer_t *w = calloc(1, sizeof(*w));

    if (w) {
        w->format = format;
        w->gzip = gzip;
        w->columns = columns ? json_copy((json_t *)columns) : NULL;
    }
    return w;
}

void tfw_writer_free(tfw_writer_t *w)
{
    if (w) {
        json_decref(w->columns);
        tf_buf_free(&w->text);
        free(w);
    }
}

size_t tfw_writer_pending(const tfw_writer_t *w)
{
    return w->text.len;
}

/* One field of CSV (RFC 4180) or TSV. false: TSV has no way to write it. */
static bool put_field(tfw_writer_t *w, const json_t *value)
{
    size_t from = w->text.len, len;
    const char *text;

    tfw_value_write(&w->text, value);
    if (w->text.failed) {
        return true; /* whoever takes it is told */
    }
    len = w->text.len - from;
    text = w->text.data + from;
    if (w->format == TFW_FORMAT_TSV) {
        return !len || (!memchr(text, '\t', len) && !memchr(text, '\n', len) && !memchr(text, '\r', len));
    }
    if (len && (memchr(text, ',', len) || memchr(text, '"', len) || memchr(text, '\n', len) ||
                memchr(text, '\r', len))) {
        char *copy = strndup(text, len);

        w->text.len = from;
        tf_buf_addc(&w->text, '"');
        for (size_t i = 0; copy && i < len; i++) {
            if (copy[i] == '"') {
                tf_buf_addc(&w->text, '"');
            }
            tf_buf_addc(&w->text, copy[i]);
        }
        tf_buf_addc(&w->text, '"');
        w->text.failed = w->text.failed || !copy;
        free(copy);
    }
    return true;
}

static bool put_line(tfw_writer_t *w, const json_t *record, char *error, size_t error_size)
{
    char separator = w->format == TFW_FORMAT_CSV ? ',' : '\t';
    size_t n = json_array_size(w->columns);

    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(w->columns, i),
                     *value = record ? json_object_get(record, json_string_value(name)) : name;

        if (i > 0) {
            tf_buf_addc(&w->text, separator);
        }
        if (!put_field(w, value)) {
            snprintf(error, error_size, "column \"%.100s\": TSV cannot hold tabs and line ends",
                     json_string_value(name));
            return false;
        }
    }
    tf_buf_addc(&w->text, '\n');
    return true;
}

/* All members of the record must have a column. */
static bool fits(const tfw_writer_t *w, const json_t *record, char *error, size_t error_size)
{
    const char *name = tfw_record_surplus(record, w->columns);

    if (name) {
        snprintf(error, error_size, "the destination has no column \"%.100s\"", name);
    }
    return !name;
}

static bool begin(tfw_writer_t *w, char *error, size_t error_size)
{
    if (w->begun) {
        return true;
    }
    if (w->columns && !put_line(w, NULL, error, error_size)) {
        w->text.len = 0; /* nothing else is there yet */
        return false;
    }
    if (w->format == TFW_FORMAT_JSON) {
        tf_buf_adds(&w->text, "[");
    }
    w->begun = true;
    return true;
}

static bool is_table(const tfw_writer_t *w)
{
    return w->format == TFW_FORMAT_CSV || w->format == TFW_FORMAT_TSV;
}

bool tfw_writer_put(tfw_writer_t *w, const json_t *record, char *error, size_t error_size)
{
    size_t before;
    bool ok = true;

    if (is_table(w) && !w->columns) {
        w->columns = tfw_record_names(record);
    }
    if (!begin(w, error, error_size) || (w->columns && !fits(w, record, error, error_size))) {
        return false;
    }
    before = w->text.len;
    if (is_table(w)) {
        ok = put_line(w, record, error, error_size);
    } else {
        if (w->format == TFW_FORMAT_JSON) {
            tf_buf_adds(&w->text, w->any ? ",\n" : "\n");
        }
        tf_json_value(&w->text, record);
        if (w->format == TFW_FORMAT_JSONL) {
            tf_buf_addc(&w->text, '\n');
        }
    }
    if (!ok) {
        w->text.len = before;
    }
    w->any = w->any || ok;
    return ok;
}

/* One gzip member. */
static bool compress_to(tf_buf_t *out, const tf_buf_t *text)
{
    z_stream z = {0};
    uLong room;
    char *to;
    bool ok;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY)) {
        return false;
    }
    room = deflateBound(&z, text->len);
    to = tf_buf_reserve(out, room);
    z.next_in = (Bytef *)(text->data ? text->data : "");
    z.avail_in = (uInt)text->len;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)room;
    ok = to && deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->len += ok ? room - z.avail_out : 0;
    deflateEnd(&z);
    return ok;
}

bool tfw_writer_take(tfw_writer_t *w, tf_buf_t *out, bool last)
{
    char error[200];
    bool ok;

    if (last) {
        (void)begin(w, error, sizeof(error));
        tf_buf_adds(&w->text, w->format != TFW_FORMAT_JSON ? "" : w->any ? "\n]\n" : "]\n");
    }
    if (w->text.failed) {
        return false;
    }
    if (w->gzip && (w->text.len > 0 || last)) {
        ok = compress_to(out, &w->text);
    } else {
        tf_buf_add(out, w->text.data, w->text.len);
        ok = true;
    }
    tf_buf_reset(&w->text);
    return ok && !out->failed;
}

json_t *tfw_writer_state(const tfw_writer_t *w)
{
    return json_pack("{sb sb sO*}", "begun", w->begun, "any", w->any, "columns", w->columns);
}

void tfw_writer_restore(tfw_writer_t *w, const json_t *state)
{
    json_t *columns = json_object_get(state, "columns");

    w->begun = json_is_true(json_object_get(state, "begun"));
    w->any = json_is_true(json_object_get(state, "any"));
    if (columns) {
        json_decref(w->columns);
        w->columns = json_incref(columns);
    }
}
