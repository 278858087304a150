/* csv_table.c: CSV as a table, and tables as CSV (RFC 4180, lines end with LF). */
#include <string.h>
#include <unistd.h>

#include "convert/table.h"
#include "dataset/csv.h"

typedef struct {
    tfw_convert_t *convert;
    const tfw_input_t *in;
    off_t at;
} reader_t;

static ssize_t read_file(void *data, void *buf, size_t size)
{
    reader_t *r = data;
    ssize_t n = pread(r->in->fd, buf, size, r->at);

    r->at += n > 0 ? n : 0;
    tfw_convert_progress(r->convert, (uint64_t)r->at, r->in->size, 0, 95);
    return n;
}

static void cells_of(const tf_str_t *fields, size_t count, bool numbers, tfw_cell_t *cells)
{
    size_t i;

    for (i = 0; i < count; i++) {
        cells[i].text = fields[i];
        cells[i].kind = fields[i].len == 0                          ? TFW_CELL_NULL
                        : numbers && tfw_table_is_number(fields[i]) ? TFW_CELL_NUMBER
                                                                    : TFW_CELL_TEXT;
    }
}

static bool push(tfw_convert_t *c, tfw_csv_t *csv, bool numbers, const tfw_sink_t *sink,
                 tfw_table_facts_t *facts)
{
    tfw_cell_t cells[TFW_CSV_COLUMNS_MAX];
    tfw_csv_status_t status;
    const tf_str_t *fields;
    size_t count;
    bool first = true;

    while ((status = tfw_csv_next(csv)) == TFW_CSV_RECORD) {
        if (!tfw_convert_go_on(c)) {
            return false;
        }
        fields = tfw_csv_fields(csv, &count);
        cells_of(fields, count, numbers && !first, cells);
        if (first ? !sink->begin(sink->data, cells, count) : !sink->row(sink->data, cells, count)) {
            return false;
        }
        facts->columns = count;
        facts->rows += !first;
        first = false;
    }
    if (status != TFW_CSV_END) {
        return tfw_convert_fail(c, status == TFW_CSV_READ_FAILED ? TFW_RETRY : TFW_PERMANENT, "%s",
                                tfw_csv_error(csv));
    }
    if (first) {
        return tfw_convert_fail(c, TFW_PERMANENT,
                                "the file is empty; a first line with the column names is needed");
    }
    return sink->end(sink->data);
}

bool tfw_csv_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                   const tfw_sink_t *sink, tfw_table_facts_t *facts)
{
    reader_t reader = {c, in, 0};
    tfw_csv_t *csv = tfw_csv_new_delimited(options->delimiter, read_file, &reader);
    bool ok;

    if (csv == NULL) {
        return tfw_convert_memory(c);
    }
    ok = push(c, csv, options->numbers, sink, facts);
    tfw_csv_free(csv);
    return ok;
}

/* ---- writing ---- */

static void add_field(tfw_csv_sink_t *s, tf_str_t text)
{
    const char *p = text.data, *end = p + text.len, *quote;
    size_t i;

    for (i = 0; i < text.len && text.data[i] != s->delimiter && text.data[i] != '"' && text.data[i] != '\n' &&
                text.data[i] != '\r';
         i++) {
    }
    if (i == text.len) {
        tf_buf_add(&s->out.buf, text.data, text.len);
        return;
    }
    tf_buf_addc(&s->out.buf, '"');
    while ((quote = memchr(p, '"', (size_t)(end - p))) != NULL) {
        tf_buf_add(&s->out.buf, p, (size_t)(quote + 1 - p));
        tf_buf_addc(&s->out.buf, '"');
        p = quote + 1;
    }
    tf_buf_add(&s->out.buf, p, (size_t)(end - p));
    tf_buf_addc(&s->out.buf, '"');
}

static bool csv_row(void *data, const tfw_cell_t *cells, size_t count)
{
    tfw_csv_sink_t *s = data;
    size_t i;

    for (i = 0; i < count; i++) {
        if (i > 0) {
            tf_buf_addc(&s->out.buf, s->delimiter);
        }
        if (cells[i].text.len > 0) {
            add_field(s, cells[i].text);
        } else if (count == 1) {
            tf_buf_adds(&s->out.buf, "\"\""); /* an empty line would be no row to most readers */
        }
    }
    if (count > 0) {
        tf_buf_addc(&s->out.buf, '\n');
    }
    return tfw_output_drain(&s->out);
}

static bool csv_end(void *data)
{
    tfw_csv_sink_t *s = data;

    return tfw_output_end(&s->out);
}

void tfw_csv_sink(tfw_csv_sink_t *sink, tfw_convert_t *c, int fd, char delimiter, tfw_sink_t *to)
{
    *sink = (tfw_csv_sink_t){.out = {.convert = c, .fd = fd}, .delimiter = delimiter};
    *to = (tfw_sink_t){csv_row, csv_row, csv_end, sink};
}

void tfw_csv_sink_free(tfw_csv_sink_t *sink)
{
    tfw_output_free(&sink->out);
}
