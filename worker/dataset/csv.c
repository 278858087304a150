/* csv.c: see csv.h. A state machine walks one buffer. A record that reaches the buffer's end is moved to the
 * front and the machine goes on where it stood, so that no byte is looked at twice however small the reads
 * are. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "dataset/csv.h"

#define READ_SIZE 65536

typedef enum { FIELD_START, IN_PLAIN, IN_QUOTES, AFTER_QUOTE, AFTER_CR } state_t;

typedef enum { SCAN_RECORD, SCAN_MORE, SCAN_BAD } scan_t;

/* Offsets count from the record's first byte, so they survive the move. */
typedef struct {
    uint32_t start, end;
    bool doubled; /* holds doubled quotes */
} span_t;

struct tfw_csv_s {
    tfw_csv_read_fn read;
    void *read_data;
    char delimiter;
    bool special[256]; /* bytes that end a plain field, or must not be in one */
    uint64_t bytes_read;
    bool source_ended;
    bool started;
    bool whole; /* the bad record was read to its end */
    tfw_csv_status_t status;

    size_t record; /* buffer offsets: the record's first byte, */
    size_t pos;    /* the next byte to look at, */
    size_t end;    /* the end of what was read */

    state_t state;
    span_t span;        /* the field being scanned */
    int64_t line;       /* of the record's first byte */
    int64_t newlines;   /* inside the record so far */
    int64_t quote_line; /* where the open quote stands */
    size_t count;       /* fields of the record so far */
    size_t width;       /* fields of the first record; 0: none yet */

    char error[160];
    span_t spans[TFW_CSV_COLUMNS_MAX];
    tf_str_t fields[TFW_CSV_COLUMNS_MAX];
    char buf[TFW_CSV_RECORD_MAX];
};

tfw_csv_t *tfw_csv_new(tfw_csv_read_fn read, void *read_data)
{
    return tfw_csv_new_delimited(',', read, read_data);
}

tfw_csv_t *tfw_csv_new_delimited(char delimiter, tfw_csv_read_fn read, void *read_data)
{
    tfw_csv_t *csv = malloc(sizeof(*csv));

    if (csv == NULL) {
        return NULL;
    }
    /* not the arrays: their pages are touched when they are needed */
    memset(csv, 0, offsetof(tfw_csv_t, error) + 1);
    csv->read = read;
    csv->read_data = read_data;
    csv->delimiter = delimiter;
    csv->special[(unsigned char)delimiter] = csv->special['\n'] = csv->special['\r'] = csv->special['"'] =
        true;
    csv->status = TFW_CSV_RECORD;
    csv->line = 1;
    return csv;
}

void tfw_csv_free(tfw_csv_t *csv)
{
    free(csv);
}

const tf_str_t *tfw_csv_fields(const tfw_csv_t *csv, size_t *count)
{
    *count = csv->count;
    return csv->fields;
}

int64_t tfw_csv_line(const tfw_csv_t *csv)
{
    return csv->line;
}

void tfw_csv_resume(tfw_csv_t *csv, size_t width, int64_t line)
{
    csv->started = true;
    csv->width = width;
    csv->line = line;
}

bool tfw_csv_skip(tfw_csv_t *csv)
{
    if (csv->status != TFW_CSV_BAD || !csv->whole) {
        return false;
    }
    csv->status = TFW_CSV_RECORD;
    return true;
}

int64_t tfw_csv_next_line(const tfw_csv_t *csv)
{
    return csv->line + csv->newlines;
}

uint64_t tfw_csv_offset(const tfw_csv_t *csv)
{
    return csv->bytes_read - (csv->end - csv->pos);
}

uint64_t tfw_csv_bytes_read(const tfw_csv_t *csv)
{
    return csv->bytes_read;
}

const char *tfw_csv_error(const tfw_csv_t *csv)
{
    return csv->error;
}

__attribute__((format(printf, 3, 4))) static scan_t bad(tfw_csv_t *csv, int64_t line, const char *fmt, ...)
{
    va_list args;
    int n = snprintf(csv->error, sizeof(csv->error), "line %lld: ", (long long)line);

    va_start(args, fmt);
    vsnprintf(csv->error + n, sizeof(csv->error) - (size_t)n, fmt, args);
    va_end(args);
    csv->status = TFW_CSV_BAD;
    return SCAN_BAD;
}

/* Reads on behind what is there, after moving the unfinished record to the front. false: status is set. */
static bool fill(tfw_csv_t *csv)
{
    size_t kept = csv->end - csv->record, room;
    ssize_t n;

    if (csv->record > 0) {
        memmove(csv->buf, csv->buf + csv->record, kept);
        csv->pos -= csv->record;
        csv->end = kept;
        csv->record = 0;
    }
    room = sizeof(csv->buf) - csv->end;
    if (room == 0) {
        bad(csv, csv->line, "a record of more than %d bytes (is a quote missing?)", TFW_CSV_RECORD_MAX);
        return false;
    }
    do {
        n = csv->read(csv->read_data, csv->buf + csv->end, room < READ_SIZE ? room : READ_SIZE);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        snprintf(csv->error, sizeof(csv->error), "cannot read: %s", strerror(errno));
        csv->status = TFW_CSV_READ_FAILED;
        return false;
    }
    csv->source_ended = n == 0;
    csv->end += (size_t)n;
    csv->bytes_read += (uint64_t)n;
    return true;
}

/* Reads the first bytes and skips a byte order mark. */
static bool start(tfw_csv_t *csv)
{
    csv->started = true;
    while (csv->end < 3 && !csv->source_ended) {
        if (!fill(csv)) {
            return false;
        }
    }
    if (csv->end >= 3 && memcmp(csv->buf, "\xEF\xBB\xBF", 3) == 0) {
        csv->record = csv->pos = 3;
    }
    return true;
}

/* Closes the field at hand, whose last byte is before offset end. */
static bool end_field(tfw_csv_t *csv, size_t end)
{
    csv->span.end = (uint32_t)(end - csv->record);
    if (csv->span.end - csv->span.start > TFW_CSV_FIELD_MAX) {
        bad(csv, csv->line, "field %zu is longer than %d bytes", csv->count + 1, TFW_CSV_FIELD_MAX);
        return false;
    }
    if (csv->count == TFW_CSV_COLUMNS_MAX) {
        bad(csv, csv->line, "more than %d fields", TFW_CSV_COLUMNS_MAX);
        return false;
    }
    csv->spans[csv->count++] = csv->span;
    csv->state = FIELD_START;
    return true;
}

/* What may follow a field. p is the byte after it. */
static scan_t after_field(tfw_csv_t *csv, const char *p)
{
    csv->pos++;
    if (*p == '\n') {
        csv->newlines++;
        return SCAN_RECORD;
    }
    csv->state = *p == csv->delimiter ? FIELD_START : AFTER_CR;
    return SCAN_MORE;
}

static scan_t scan_plain(tfw_csv_t *csv)
{
    const bool *special = csv->special;
    const char *p = csv->buf + csv->pos, *end = csv->buf + csv->end;

    while (p < end && !special[(unsigned char)*p]) {
        p++;
    }
    csv->pos = (size_t)(p - csv->buf);
    if (p == end) {
        return SCAN_MORE;
    }
    if (*p == '"') {
        return bad(csv, csv->line + csv->newlines, "a quote inside an unquoted field (field %zu)",
                   csv->count + 1);
    }
    return end_field(csv, csv->pos) ? after_field(csv, p) : SCAN_BAD;
}

/* A quoted field up to its next quote. */
static void scan_quoted(tfw_csv_t *csv)
{
    const char *p = csv->buf + csv->pos, *end = csv->buf + csv->end;
    const char *quote = memchr(p, '"', (size_t)(end - p));
    const char *stop = quote != NULL ? quote : end;

    while (p < stop && (p = memchr(p, '\n', (size_t)(stop - p))) != NULL) {
        csv->newlines++;
        p++;
    }
    csv->pos = (size_t)(stop - csv->buf);
    if (quote != NULL) {
        csv->pos++;
        csv->state = AFTER_QUOTE;
    }
}

static scan_t scan_after_quote(tfw_csv_t *csv)
{
    const char *p = csv->buf + csv->pos;

    if (*p == '"') {
        csv->span.doubled = true;
        csv->pos++;
        csv->state = IN_QUOTES;
        return SCAN_MORE;
    }
    if (csv->special[(unsigned char)*p]) {
        return end_field(csv, csv->pos - 1) ? after_field(csv, p) : SCAN_BAD;
    }
    return bad(csv, csv->line + csv->newlines, "text after the closing quote of field %zu", csv->count + 1);
}

/* Goes over what is in the buffer until a record is complete. */
static scan_t scan(tfw_csv_t *csv)
{
    scan_t result = SCAN_MORE;

    while (csv->pos < csv->end && result == SCAN_MORE) {
        switch (csv->state) {
        case FIELD_START:
            csv->span.doubled = false;
            if (csv->buf[csv->pos] == '"') {
                csv->quote_line = csv->line + csv->newlines;
                csv->state = IN_QUOTES;
                csv->pos++;
            } else {
                csv->state = IN_PLAIN;
            }
            csv->span.start = (uint32_t)(csv->pos - csv->record);
            break;
        case IN_PLAIN:
            result = scan_plain(csv);
            break;
        case IN_QUOTES:
            scan_quoted(csv);
            break;
        case AFTER_QUOTE:
            result = scan_after_quote(csv);
            break;
        case AFTER_CR:
            if (csv->buf[csv->pos] != '\n') {
                return bad(csv, csv->line + csv->newlines, "a carriage return without a line feed");
            }
            csv->pos++;
            csv->newlines++;
            result = SCAN_RECORD;
            break;
        }
    }
    return result;
}

/* The source has ended: is there a last record without a line end? */
static scan_t scan_at_end(tfw_csv_t *csv)
{
    if (csv->pos == csv->record) {
        csv->status = TFW_CSV_END;
        return SCAN_MORE;
    }
    switch (csv->state) {
    case FIELD_START: /* after a comma */
        csv->span.start = (uint32_t)(csv->pos - csv->record);
        csv->span.doubled = false;
        return end_field(csv, csv->pos) ? SCAN_RECORD : SCAN_BAD;
    case IN_PLAIN:
        return end_field(csv, csv->pos) ? SCAN_RECORD : SCAN_BAD;
    case AFTER_QUOTE:
        return end_field(csv, csv->pos - 1) ? SCAN_RECORD : SCAN_BAD;
    case IN_QUOTES:
        return bad(csv, csv->quote_line, "a quote is opened and never closed");
    case AFTER_CR:
        break;
    }
    return bad(csv, csv->line + csv->newlines, "a carriage return without a line feed");
}

static size_t undouble(char *s, size_t len)
{
    size_t from, to;

    for (from = to = 0; from < len; from++, to++) {
        s[to] = s[from];
        if (s[from] == '"') {
            from++;
        }
    }
    return to;
}

/* The record is whole: checks it and makes fields of its spans. */
static bool finish(tfw_csv_t *csv)
{
    char *record = csv->buf + csv->record;
    size_t len = csv->pos - csv->record, i, at;
    int64_t line = csv->line;
    span_t *span;

    at = tf_utf8_span(record, len);
    if (at < len) {
        for (i = 0; i < at; i++) {
            line += record[i] == '\n';
        }
        if (record[at] == '\0') {
            bad(csv, line, "a NUL byte");
        } else {
            bad(csv, line, "byte 0x%02X is not valid UTF-8", (unsigned char)record[at]);
        }
        return false;
    }
    if (csv->width == 0) {
        csv->width = csv->count;
    }
    if (csv->count != csv->width) {
        bad(csv, csv->line, "%zu field%s where the first line has %zu", csv->count,
            csv->count == 1 ? "" : "s", csv->width);
        return false;
    }
    for (i = 0; i < csv->count; i++) {
        span = &csv->spans[i];
        csv->fields[i].data = record + span->start;
        csv->fields[i].len = span->end - span->start;
        if (span->doubled) {
            csv->fields[i].len = undouble(record + span->start, csv->fields[i].len);
        }
    }
    return true;
}

tfw_csv_status_t tfw_csv_next(tfw_csv_t *csv)
{
    scan_t result;

    if (csv->status != TFW_CSV_RECORD || (!csv->started && !start(csv))) {
        return csv->status;
    }
    csv->record = csv->pos;
    csv->line += csv->newlines;
    csv->newlines = 0;
    csv->count = 0;
    csv->state = FIELD_START;

    while ((result = scan(csv)) == SCAN_MORE) {
        if (csv->source_ended) {
            result = scan_at_end(csv);
            break;
        }
        if (!fill(csv)) {
            return csv->status;
        }
    }
    csv->whole = result == SCAN_RECORD;
    if (csv->whole) {
        finish(csv);
    }
    return csv->status;
}
