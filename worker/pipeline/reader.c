#include "pipeline/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "submission.h"

#define READ_SIZE 131072
#define RATIO_MAX 400         /* few tables pack to a hundredth */
#define RATIO_FREE (64 << 20) /* bytes that no ratio is asked of */
#define RATIO_LOOK 65536      /* bytes between two looks at it */

struct tfw_reader_s {
    gzFile file;
    tfw_format_t format;
    int64_t base;
    tfw_csv_t *csv;      /* of CSV */
    json_t *columns;     /* of CSV and TSV, once the first line was read */
    tf_buf_t text;       /* of the record, but of CSV */
    int64_t offset;      /* behind the record, but of CSV */
    int64_t csv_base;    /* where csv began to read */
    int64_t line, lines; /* of the record read last; that end before the next byte */
    bool inside;         /* of JSON: the array was opened */
    bool bomb;           /* it is packed more tightly than data are */
    unsigned taken;      /* bytes, one by one */
    char error[400];
    tf_str_t fields[TFW_COLUMNS_MAX]; /* of a line of TSV */
};

/* ---- bytes ---- */

__attribute__((format(printf, 3, 4))) static tfw_read_status_t fail(tfw_reader_t *r, tfw_read_status_t status,
                                                                    const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(r->error, sizeof(r->error), fmt, args);
    va_end(args);
    return status;
}

/* What is packed so tightly would go on until the job's time is up. */
static bool is_bomb(tfw_reader_t *r)
{
    z_off_t inflated = gztell(r->file);

    r->bomb = r->bomb || (inflated > RATIO_FREE && inflated / RATIO_MAX > gzoffset(r->file));
    return r->bomb;
}

/* The next byte; -1: why_ended. */
static int next_byte(tfw_reader_t *r)
{
    return ++r->taken % RATIO_LOOK == 0 && is_bomb(r) ? -1 : gzgetc(r->file);
}

/* What ended the stream: its end, a file that is cut off, the disk. */
static tfw_read_status_t why_ended(tfw_reader_t *r)
{
    int code;
    const char *text = gzerror(r->file, &code);

    if (r->bomb) {
        return fail(r, TFW_READ_BROKEN, "the gzip data inflate to more than %d times their size (a bomb?)",
                    RATIO_MAX);
    }
    switch (code) {
    case Z_OK:
    case Z_STREAM_END:
        return TFW_READ_END;
    case Z_BUF_ERROR:
        return fail(r, TFW_READ_BROKEN, "the gzip data is cut off");
    case Z_DATA_ERROR:
        return fail(r, TFW_READ_BROKEN, "the gzip data is damaged: %.200s", text);
    default:
        return fail(r, TFW_READ_FAILED, "cannot read: %.200s", code == Z_ERRNO ? strerror(errno) : text);
    }
}

static ssize_t read_for_csv(void *data, void *buf, size_t size)
{
    tfw_reader_t *r = data;
    int n = gzread(r->file, buf, (unsigned)size);

    if (n > 0 && !is_bomb(r)) {
        return n;
    }
    errno = EIO;
    return why_ended(r) == TFW_READ_END ? 0 : -1;
}

bool tfw_reader_is_gzip(int fd)
{
    unsigned char head[2];

    return pread(fd, head, sizeof(head), 0) == sizeof(head) && head[0] == 0x1f && head[1] == 0x8b;
}

tfw_reader_t *tfw_reader_new(int fd, tfw_format_t format, int64_t base)
{
    tfw_reader_t *r = calloc(1, sizeof(*r));

    if (r) {
        r->format = format;
        r->base = r->offset = r->csv_base = base;
        r->text.limit = TFW_RECORD_MAX;
        r->csv = format == TFW_FORMAT_CSV ? tfw_csv_new(read_for_csv, r) : NULL;
        r->file = gzdopen(fd, "rb");
    }
    if (!r || !r->file || (format == TFW_FORMAT_CSV && !r->csv)) {
        if (!r || !r->file) {
            close(fd);
        }
        tfw_reader_free(r);
        return NULL;
    }
    gzbuffer(r->file, READ_SIZE);
    return r;
}

void tfw_reader_free(tfw_reader_t *r)
{
    if (r) {
        if (r->file) {
            gzclose_r(r->file);
        }
        tfw_csv_free(r->csv);
        json_decref(r->columns);
        tf_buf_free(&r->text);
        free(r);
    }
}

int64_t tfw_reader_line(const tfw_reader_t *r)
{
    return r->line;
}

int64_t tfw_reader_bytes_read(const tfw_reader_t *r)
{
    return gzoffset(r->file);
}

const char *tfw_reader_error(const tfw_reader_t *r)
{
    return r->error;
}

static int64_t lines_so_far(const tfw_reader_t *r)
{
    return r->csv ? tfw_csv_next_line(r->csv) - 1 : r->lines;
}

json_t *tfw_reader_position(const tfw_reader_t *r)
{
    int64_t offset = r->csv ? r->csv_base + (int64_t)tfw_csv_offset(r->csv) : r->offset;

    return json_pack("{sI sI sO*}", "offset", (json_int_t)offset, "lines", (json_int_t)lines_so_far(r),
                     "columns", r->columns);
}

bool tfw_reader_resume(tfw_reader_t *r, const json_t *position)
{
    int64_t offset = json_integer_value(json_object_get(position, "offset"));

    r->columns = json_incref(json_object_get(position, "columns"));
    r->lines = json_integer_value(json_object_get(position, "lines"));
    r->inside = offset > 0;
    if (offset > r->base && gzseek(r->file, offset - r->base, SEEK_SET) < 0) {
        if (why_ended(r) == TFW_READ_END) {
            fail(r, TFW_READ_FAILED, "is shorter than it was");
        }
        return false;
    }
    r->offset = r->csv_base = offset;
    if (r->csv && r->columns) {
        tfw_csv_resume(r->csv, json_array_size(r->columns), r->lines + 1);
    }
    return true;
}

/* ---- CSV and TSV ---- */

/* The names of the first line. false: error says what is wrong with them. */
static bool take_columns(tfw_reader_t *r, const tf_str_t *names, size_t count)
{
    json_t *seen = json_object();

    r->columns = json_array();
    for (size_t i = 0; i < count && !r->error[0]; i++) {
        json_t *name = json_stringn(names[i].data, names[i].len);

        if (!name || names[i].len == 0) {
            fail(r, TFW_READ_BROKEN, "line 1: column %zu has no name", i + 1);
        } else if (json_object_get(seen, json_string_value(name))) {
            fail(r, TFW_READ_BROKEN, "line 1: two columns are called \"%.60s\"", json_string_value(name));
        } else if (json_object_set(seen, json_string_value(name), name) != 0 ||
                   json_array_append(r->columns, name) != 0) {
            fail(r, TFW_READ_BROKEN, "out of memory");
        }
        json_decref(name);
    }
    json_decref(seen);
    return !r->error[0];
}

static tfw_read_status_t make_record(tfw_reader_t *r, const tf_str_t *fields, json_t **record)
{
    *record = json_object();
    for (size_t i = 0; i < json_array_size(r->columns); i++) {
        json_t *value = fields[i].len ? json_stringn_nocheck(fields[i].data, fields[i].len) : json_null();

        if (json_object_set_new_nocheck(*record, json_string_value(json_array_get(r->columns, i)), value)) {
            json_decref(*record);
            *record = NULL;
            return fail(r, TFW_READ_FAILED, "out of memory");
        }
    }
    return TFW_READ_RECORD;
}

static tfw_read_status_t csv_status(tfw_reader_t *r, tfw_csv_status_t got)
{
    if (got == TFW_CSV_END) {
        return TFW_READ_END;
    }
    if (got == TFW_CSV_READ_FAILED) {
        return why_ended(r); /* it has said more about it */
    }
    r->line = tfw_csv_line(r->csv);
    return fail(r, tfw_csv_skip(r->csv) ? TFW_READ_BAD : TFW_READ_BROKEN, "%s", tfw_csv_error(r->csv));
}

static tfw_read_status_t next_csv(tfw_reader_t *r, json_t **record)
{
    tfw_csv_status_t got = tfw_csv_next(r->csv);
    const tf_str_t *fields;
    size_t count;

    if (got == TFW_CSV_RECORD && !r->columns) {
        fields = tfw_csv_fields(r->csv, &count);
        if (!take_columns(r, fields, count)) {
            return TFW_READ_BROKEN;
        }
        got = tfw_csv_next(r->csv);
    }
    if (got != TFW_CSV_RECORD) {
        tfw_read_status_t status = csv_status(r, got);

        return status == TFW_READ_BAD && !r->columns ? TFW_READ_BROKEN : status;
    }
    r->line = tfw_csv_line(r->csv);
    return make_record(r, tfw_csv_fields(r->csv, &count), record);
}

/* A line into text, without its end. The text of one that is too long is not whole, but the line is read. */
static tfw_read_status_t next_line(tfw_reader_t *r)
{
    int c;

    tf_buf_reset(&r->text);
    for (c = next_byte(r); c != -1 && c != '\n'; c = next_byte(r)) {
        tf_buf_addc(&r->text, (char)c);
    }
    r->line = ++r->lines;
    r->offset = r->base + gztell(r->file);
    if (c == -1 && (r->text.len == 0 || why_ended(r) != TFW_READ_END)) {
        return why_ended(r);
    }
    if (r->text.failed) {
        return fail(r, TFW_READ_BAD, "line %lld: more than %d bytes", (long long)r->line, TFW_RECORD_MAX);
    }
    if (r->text.len && r->text.data[r->text.len - 1] == '\r') {
        r->text.len--;
    }
    if (r->line == 1 && r->text.len >= 3 && memcmp(r->text.data, "\xEF\xBB\xBF", 3) == 0) {
        r->text.len -= 3;
        memmove(r->text.data, r->text.data + 3, r->text.len);
    }
    if (!tf_utf8_valid(r->text.data, r->text.len)) {
        return fail(r, TFW_READ_BAD, "line %lld: not valid UTF-8", (long long)r->line);
    }
    return TFW_READ_RECORD;
}

/* Fields of the line; more than there is room for are counted. */
static size_t split(const tf_buf_t *text, tf_str_t *fields)
{
    const char *at = text->data, *end = at + text->len;
    size_t n = 0;

    for (;;) {
        const char *stop = at < end ? memchr(at, '\t', (size_t)(end - at)) : NULL;

        if (n < TFW_COLUMNS_MAX) {
            fields[n] = (tf_str_t){at, (size_t)((stop ? stop : end) - at)};
        }
        n++;
        if (!stop) {
            return n;
        }
        at = stop + 1;
    }
}

static tfw_read_status_t next_tsv(tfw_reader_t *r, json_t **record)
{
    tf_str_t *fields = r->fields;
    tfw_read_status_t got = next_line(r);
    size_t count;

    if (got == TFW_READ_RECORD && !r->columns) {
        count = split(&r->text, fields);
        if (count > TFW_COLUMNS_MAX) {
            return fail(r, TFW_READ_BROKEN, "line 1: more than %d columns", TFW_COLUMNS_MAX);
        }
        if (!take_columns(r, fields, count)) {
            return TFW_READ_BROKEN;
        }
        got = next_line(r);
    }
    if (got != TFW_READ_RECORD) {
        return got == TFW_READ_BAD && !r->columns ? TFW_READ_BROKEN : got;
    }
    count = split(&r->text, fields);
    if (count != json_array_size(r->columns)) {
        return fail(r, TFW_READ_BAD, "line %lld: %zu fields where the first line has %zu", (long long)r->line,
                    count, json_array_size(r->columns));
    }
    return make_record(r, fields, record);
}

/* ---- JSON ---- */

/* The text as a record. */
static tfw_read_status_t parse(tfw_reader_t *r, json_t **record)
{
    char why[200];

    *record = tf_json_parse(r->text.data, r->text.len, why, sizeof(why));
    if (!*record) {
        return fail(r, TFW_READ_BAD, "line %lld: %.200s", (long long)r->line, why);
    }
    if (!json_is_object(*record)) {
        json_decref(*record);
        *record = NULL;
        return fail(r, TFW_READ_BAD, "line %lld: not a JSON object", (long long)r->line);
    }
    return TFW_READ_RECORD;
}

static bool blank(const tf_buf_t *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] != ' ' && text->data[i] != '\t') {
            return false;
        }
    }
    return true;
}

static tfw_read_status_t next_jsonl(tfw_reader_t *r, json_t **record)
{
    tfw_read_status_t got;

    do {
        got = next_line(r);
    } while (got == TFW_READ_RECORD && blank(&r->text));
    return got == TFW_READ_RECORD ? parse(r, record) : got;
}

/* The next byte that is no white space; -1: the end. */
static int next_token(tfw_reader_t *r)
{
    int c;

    do {
        c = next_byte(r);
        r->lines += c == '\n';
    } while (c == ' ' || c == '\t' || c == '\n' || c == '\r');
    return c;
}

/* An element of the array, from its first byte on, into text: up to where its brackets are closed. What is
 * within is looked at by the parser. */
static bool read_element(tfw_reader_t *r, int c)
{
    int depth = 0;
    bool quoted = false, escaped = false;

    tf_buf_reset(&r->text);
    r->line = r->lines + 1;
    do {
        tf_buf_addc(&r->text, (char)c);
        r->lines += c == '\n';
        if (quoted) {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            quoted = c == '"';
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        }
    } while ((depth > 0 || quoted) && !r->text.failed && (c = next_byte(r)) != -1);
    return depth == 0 && !quoted && !r->text.failed;
}

static tfw_read_status_t next_json(tfw_reader_t *r, json_t **record)
{
    tfw_read_status_t ended;
    int c = next_token(r);

    if (!r->inside) {
        if (c != '[') {
            return fail(r, TFW_READ_BROKEN, "not a JSON array of objects");
        }
        r->inside = true;
        c = next_token(r);
    } else if (c == ',') {
        c = next_token(r);
        if (c == ']') {
            return fail(r, TFW_READ_BROKEN, "line %lld: a comma before the end of the array",
                        (long long)r->lines + 1);
        }
    } else if (c == '{') {
        return fail(r, TFW_READ_BROKEN, "line %lld: a comma is missing", (long long)r->lines + 1);
    }
    if (c == ']') {
        return next_token(r) == -1 ? TFW_READ_END : fail(r, TFW_READ_BROKEN, "something follows the array");
    }
    if (c == '{' && read_element(r, c)) {
        r->offset = r->base + gztell(r->file);
        return parse(r, record);
    }
    ended = why_ended(r);
    if (ended != TFW_READ_END) {
        return ended;
    }
    if (r->text.failed) {
        return fail(r, TFW_READ_BROKEN, "line %lld: a record of more than %d bytes", (long long)r->line,
                    TFW_RECORD_MAX);
    }
    return fail(r, TFW_READ_BROKEN, "line %lld: %s", (long long)r->lines + 1,
                c == -1 || c == '{' ? "the array is not closed" : "not an object");
}

tfw_read_status_t tfw_reader_next(tfw_reader_t *r, json_t **record)
{
    r->error[0] = '\0';
    *record = NULL;
    switch (r->format) {
    case TFW_FORMAT_CSV:
        return next_csv(r, record);
    case TFW_FORMAT_TSV:
        return next_tsv(r, record);
    case TFW_FORMAT_JSONL:
        return next_jsonl(r, record);
    default:
        return next_json(r, record);
    }
}
