/* json_rows.c: see json_rows.h. Where a row ends is found by looking at quotes, brackets and line ends; what
 * is in it is jansson's. */
#include "dataset/json_rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define READ_SIZE 65536

/* What an array may hold next. */
typedef enum { BEFORE_ARRAY, FIRST_ELEMENT, ELEMENT, AFTER_ELEMENT, AFTER_ARRAY } place_t;

struct tfw_json_rows_s {
    tfw_json_rows_kind_t kind;
    tfw_csv_read_fn read;
    void *read_data;
    tfw_csv_status_t status;
    bool started, source_ended;
    size_t row, pos, end;   /* in buf: the first byte kept, the next to look at, the end of what was read */
    int64_t line, row_line; /* of pos; of the row's first byte */
    size_t column, row_column; /* bytes before pos, and before the row, on that line */
    place_t place;
    json_t *object;
    char error[256];
    char buf[TFW_JSON_ROW_MAX];
};

tfw_json_rows_t *tfw_json_rows_new(tfw_json_rows_kind_t kind, tfw_csv_read_fn read, void *read_data)
{
    tfw_json_rows_t *rows = malloc(sizeof(*rows));

    if (rows == NULL) {
        return NULL;
    }
    memset(rows, 0, offsetof(tfw_json_rows_t, buf)); /* pages of buf are touched when they are needed */
    rows->kind = kind;
    rows->read = read;
    rows->read_data = read_data;
    rows->status = TFW_CSV_RECORD;
    rows->line = 1;
    return rows;
}

void tfw_json_rows_free(tfw_json_rows_t *rows)
{
    if (rows != NULL) {
        json_decref(rows->object);
        free(rows);
    }
}

const json_t *tfw_json_row(const tfw_json_rows_t *rows)
{
    return rows->object;
}

int64_t tfw_json_rows_line(const tfw_json_rows_t *rows)
{
    return rows->row_line;
}

const char *tfw_json_rows_error(const tfw_json_rows_t *rows)
{
    return rows->error;
}

__attribute__((format(printf, 4, 5))) static bool bad(tfw_json_rows_t *rows, int64_t line, size_t column,
                                                      const char *fmt, ...)
{
    char what[160];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    /* what jansson says has a piece of the text in it */
    for (char *p = what; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20) {
            *p = ' ';
        }
    }
    snprintf(rows->error, sizeof(rows->error), "line %lld, column %zu: %s", (long long)line, column, what);
    rows->error[tf_utf8_span(rows->error, strlen(rows->error))] = '\0';
    rows->status = TFW_CSV_BAD;
    return false;
}

static bool bad_here(tfw_json_rows_t *rows, const char *what)
{
    return bad(rows, rows->line, rows->column + 1, "%s", what);
}

/* Reads on behind what is there. false: status is set, or there is no more (source_ended). */
static bool fill(tfw_json_rows_t *rows)
{
    size_t kept = rows->end - rows->row, room;
    ssize_t n;

    if (rows->source_ended) {
        return false;
    }
    if (rows->row > 0) {
        memmove(rows->buf, rows->buf + rows->row, kept);
        rows->pos -= rows->row;
        rows->end = kept;
        rows->row = 0;
    }
    room = sizeof(rows->buf) - rows->end;
    if (room == 0) {
        return bad(rows, rows->row_line, rows->row_column + 1, "a row of more than %d bytes",
                   TFW_JSON_ROW_MAX);
    }
    do {
        n = rows->read(rows->read_data, rows->buf + rows->end, room < READ_SIZE ? room : READ_SIZE);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        snprintf(rows->error, sizeof(rows->error), "cannot read: %s", strerror(errno));
        rows->status = TFW_CSV_READ_FAILED;
        return false;
    }
    rows->source_ended = n == 0;
    rows->end += (size_t)n;
    return n > 0;
}

/* true: buf[pos] is there. */
static bool have(tfw_json_rows_t *rows)
{
    return rows->pos < rows->end || fill(rows);
}

static void step(tfw_json_rows_t *rows)
{
    if (rows->buf[rows->pos++] == '\n') {
        rows->line++;
        rows->column = 0;
    } else {
        rows->column++;
    }
}

static void begin_row(tfw_json_rows_t *rows)
{
    rows->row = rows->pos;
    rows->row_line = rows->line;
    rows->row_column = rows->column;
}

/* To the next byte that is not white space. false: there is none. */
static bool skip_space(tfw_json_rows_t *rows)
{
    for (;;) {
        begin_row(rows);
        if (!have(rows)) {
            return false;
        }
        switch (rows->buf[rows->pos]) {
        case ' ':
        case '\t':
        case '\r':
        case '\n':
            step(rows);
            break;
        default:
            return true;
        }
    }
}

static bool start(tfw_json_rows_t *rows)
{
    rows->started = true;
    while (rows->end < 3 && fill(rows)) {
    }
    if (rows->end >= 3 && memcmp(rows->buf, "\xEF\xBB\xBF", 3) == 0) {
        rows->row = rows->pos = 3;
    }
    return rows->status == TFW_CSV_RECORD;
}

/* To the end of the line. */
static bool scan_line(tfw_json_rows_t *rows)
{
    while (have(rows)) {
        char *from = rows->buf + rows->pos, *stop = memchr(from, '\n', rows->end - rows->pos);

        rows->pos = stop != NULL ? (size_t)(stop - rows->buf) : rows->end;
        rows->column += rows->pos - (size_t)(from - rows->buf);
        if (stop != NULL) {
            return true;
        }
    }
    return rows->status == TFW_CSV_RECORD;
}

/* To the end of an object. */
static bool scan_object(tfw_json_rows_t *rows)
{
    bool quoted = false, escaped = false;
    size_t depth = 0;

    while (have(rows)) {
        char c = rows->buf[rows->pos];

        step(rows);
        if (quoted) {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return true;
        }
    }
    return rows->status == TFW_CSV_RECORD &&
           bad(rows, rows->row_line, rows->row_column + 1, "the object that begins here does not end");
}

/* The bytes from row to pos as an object. */
static bool parse(tfw_json_rows_t *rows)
{
    json_error_t error;

    rows->object = json_loadb(rows->buf + rows->row, rows->pos - rows->row,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (rows->object == NULL) {
        size_t before = error.line <= 1 ? rows->row_column : 0;

        return bad(rows, rows->row_line + (error.line > 1 ? error.line - 1 : 0),
                   before + (error.column > 0 ? (size_t)error.column : 1), "%s", error.text);
    }
    if (!json_is_object(rows->object)) {
        return bad(rows, rows->row_line, rows->row_column + 1, "a row must be an object");
    }
    return true;
}

/* To the first byte of the array's next element. false: there is none, or status is set. */
static bool next_element(tfw_json_rows_t *rows)
{
    while (skip_space(rows)) {
        char c = rows->buf[rows->pos];

        switch (rows->place) {
        case BEFORE_ARRAY:
            if (c != '[') {
                return bad_here(rows, "an array of objects must begin with [");
            }
            rows->place = FIRST_ELEMENT;
            break;
        case FIRST_ELEMENT:
        case ELEMENT:
            if (c == '{') {
                rows->place = AFTER_ELEMENT;
                return true;
            }
            if (c != ']' || rows->place == ELEMENT) {
                return bad_here(rows, "a row must be an object");
            }
            rows->place = AFTER_ARRAY;
            break;
        case AFTER_ELEMENT:
            if (c != ',' && c != ']') {
                return bad_here(rows, "a comma or ] must follow a row");
            }
            rows->place = c == ',' ? ELEMENT : AFTER_ARRAY;
            break;
        case AFTER_ARRAY:
            return bad_here(rows, "something follows the array");
        }
        step(rows);
    }
    if (rows->status == TFW_CSV_RECORD && rows->place != AFTER_ARRAY) {
        return bad_here(rows, rows->place == BEFORE_ARRAY ? "the file is empty; an array of objects is needed"
                                                          : "the array does not end");
    }
    return false;
}

tfw_csv_status_t tfw_json_rows_next(tfw_json_rows_t *rows)
{
    bool found;

    json_decref(rows->object);
    rows->object = NULL;
    if (rows->status != TFW_CSV_RECORD || (!rows->started && !start(rows))) {
        return rows->status;
    }
    found = rows->kind == TFW_JSON_ARRAY ? next_element(rows) : skip_space(rows);
    if (found) {
        found = (rows->kind == TFW_JSON_ARRAY ? scan_object(rows) : scan_line(rows)) && parse(rows);
    } else if (rows->status == TFW_CSV_RECORD) {
        rows->status = TFW_CSV_END;
    }
    if (!found && rows->object != NULL) {
        json_decref(rows->object);
        rows->object = NULL;
    }
    return rows->status;
}
