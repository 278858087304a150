/* json_table.c: JSON objects as a table, and tables as JSON objects. */
#include <stdlib.h>
#include <string.h>

#include "convert/json_elements.h"
#include "convert/table.h"
#include "json_slice.h"
#include "submission.h"

/* ---- reading ---- */

typedef struct {
    tfw_convert_t *convert;
    const tfw_sink_t *sink;
    tfw_table_facts_t *facts;
    json_t *columns; /* name: number, from 0 */
    tfw_row_t names; /* their texts */
    tfw_row_t row;
    tf_buf_t quoted; /* a key with its quotes */
} source_t;

/* The text of a string that is written with its quotes; *parsed is to be released when it was used. */
static tf_str_t string_text(tf_str_t quoted, json_t **parsed)
{
    char error[64];

    *parsed = NULL;
    if (memchr(quoted.data, '\\', quoted.len) == NULL) {
        return (tf_str_t){quoted.data + 1, quoted.len - 2};
    }
    *parsed = tf_json_parse_any(quoted.data, quoted.len, error, sizeof(error));
    return (tf_str_t){json_string_value(*parsed), json_string_length(*parsed)}; /* it was valid before */
}

/* The number of the column of that name; -1: there is none. */
static json_int_t column_of(source_t *s, tf_str_t key, json_t **parsed, tf_str_t *name)
{
    json_t *number;

    s->quoted.len = 0;
    tf_buf_addc(&s->quoted, '"');
    tf_buf_add(&s->quoted, key.data, key.len);
    tf_buf_addc(&s->quoted, '"');
    if (s->quoted.failed) {
        *parsed = NULL;
        *name = (tf_str_t){NULL, 0};
        return -1;
    }
    *name = string_text((tf_str_t){s->quoted.data, s->quoted.len}, parsed);
    number = name->data ? json_object_getn(s->columns, name->data, name->len) : NULL;
    return number ? json_integer_value(number) : -1;
}

static bool add_column(source_t *s, tf_str_t name)
{
    size_t count = s->facts->columns;

    if (name.data == NULL ||
        json_object_setn_new(s->columns, name.data, name.len, json_integer((json_int_t)count)) != 0) {
        return tfw_convert_memory(s->convert);
    }
    if (!tfw_row_set(&s->names, s->convert, count, TFW_CELL_TEXT, name)) {
        return false;
    }
    s->facts->columns++;
    return true;
}

static bool collect_columns(void *data, int64_t number, tf_str_t object)
{
    source_t *s = data;
    tf_json_slice_t slice;
    tf_str_t key, value, name;
    json_t *parsed;
    bool ok = tf_json_slice(&slice, object);

    while (ok && tf_json_slice_next(&slice, &key, &value)) {
        if (column_of(s, key, &parsed, &name) < 0) {
            ok = add_column(s, name);
        }
        json_decref(parsed);
    }
    return ok;
}

static bool set_cell(source_t *s, size_t column, tf_str_t value)
{
    tfw_cell_kind_t kind;
    json_t *parsed = NULL;
    bool ok;

    switch (*value.data) {
    case '"':
        kind = TFW_CELL_TEXT;
        value = string_text(value, &parsed);
        if (value.data == NULL) {
            return tfw_convert_memory(s->convert);
        }
        break;
    case '{':
    case '[':
        kind = TFW_CELL_JSON;
        break;
    case 't':
    case 'f':
        kind = TFW_CELL_BOOLEAN;
        break;
    case 'n':
        kind = TFW_CELL_NULL;
        value.len = 0;
        break;
    default:
        kind = TFW_CELL_NUMBER;
    }
    ok = tfw_row_set(&s->row, s->convert, column, kind, value);
    json_decref(parsed);
    return ok;
}

static bool push_row(void *data, int64_t number, tf_str_t object)
{
    source_t *s = data;
    tf_json_slice_t slice;
    tf_str_t key, value, name;
    json_t *parsed;
    json_int_t column;
    bool ok = tf_json_slice(&slice, object);

    tfw_row_clear(&s->row);
    while (ok && tf_json_slice_next(&slice, &key, &value)) {
        column = column_of(s, key, &parsed, &name);
        json_decref(parsed);
        /* without its column: the file was changed since its columns were looked at */
        ok = column >= 0 ? set_cell(s, (size_t)column, value)
                         : tfw_convert_fail(s->convert, TFW_RETRY, "the file was changed while it was read");
    }
    s->facts->rows++;
    return ok && s->sink->row(s->sink->data, tfw_row_cells(&s->row), s->facts->columns);
}

bool tfw_json_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                    const tfw_sink_t *sink, tfw_table_facts_t *facts)
{
    source_t *s = calloc(1, sizeof(*s));
    bool ok;

    if (s == NULL) {
        return tfw_convert_memory(c);
    }
    s->convert = c;
    s->sink = sink;
    s->facts = facts;
    s->columns = json_object();
    tfw_row_init(&s->names, TFW_CELL_NULL);
    tfw_row_init(&s->row, TFW_CELL_MISSING);
    ok = s->columns != NULL ? tfw_json_elements(c, in, 0, 45, collect_columns, s) : tfw_convert_memory(c);
    ok = ok && sink->begin(sink->data, tfw_row_cells(&s->names), facts->columns) &&
         tfw_json_elements(c, in, 45, 95, push_row, s) && sink->end(sink->data);
    json_decref(s->columns);
    tfw_row_free(&s->names);
    tfw_row_free(&s->row);
    tf_buf_free(&s->quoted);
    free(s);
    return ok;
}

/* ---- writing ---- */

/* A name that no column before has. taken: the names so far. */
static bool unique_name(tf_buf_t *name, tf_str_t wanted, size_t column, json_t *taken)
{
    size_t turn;

    for (turn = 1;; turn++) {
        name->len = 0;
        if (wanted.len > 0) {
            tf_buf_add(name, wanted.data, wanted.len);
        } else {
            tf_buf_addf(name, "column_%zu", column + 1);
        }
        if (turn > 1) {
            tf_buf_addf(name, "_%zu", turn);
        }
        if (name->failed) {
            return false;
        }
        if (json_object_getn(taken, name->data, name->len) == NULL) {
            return json_object_setn_new(taken, name->data, name->len, json_true()) == 0;
        }
    }
}

static bool json_begin(void *data, const tfw_cell_t *names, size_t count)
{
    tfw_json_sink_t *s = data;
    json_t *taken = json_object();
    tf_buf_t name = TF_BUF_INIT;
    bool ok = taken != NULL;
    size_t i;

    s->ends = calloc(count + 1, sizeof(*s->ends));
    for (i = 0; i < count && ok && s->ends; i++) {
        ok = unique_name(&name, names[i].text, i, taken);
        if (ok) {
            tf_json_str(&s->keys, name.data, name.len);
            tf_buf_addc(&s->keys, ':');
            s->ends[i] = s->keys.len;
        }
    }
    json_decref(taken);
    tf_buf_free(&name);
    if (!ok || !s->ends || s->keys.failed) {
        return tfw_convert_memory(s->out.convert);
    }
    if (!s->lines) {
        tf_buf_addc(&s->out.buf, '[');
    }
    return true;
}

static void add_value(tf_buf_t *out, const tfw_cell_t *cell)
{
    switch (cell->kind) {
    case TFW_CELL_TEXT:
        tf_json_str(out, cell->text.data, cell->text.len);
        break;
    case TFW_CELL_NUMBER:
    case TFW_CELL_BOOLEAN:
    case TFW_CELL_JSON:
        tf_buf_add(out, cell->text.data, cell->text.len);
        break;
    case TFW_CELL_MISSING:
    case TFW_CELL_NULL:
        tf_buf_adds(out, "null");
        break;
    }
}

/* What stands before an object: each is on a line of its own, in an array too. */
static void begin_object(tfw_json_sink_t *s)
{
    if (!s->lines) {
        tf_buf_adds(&s->out.buf, s->rows > 0 ? ",\n" : "\n");
    }
    s->rows++;
}

static bool json_row(void *data, const tfw_cell_t *cells, size_t count)
{
    tfw_json_sink_t *s = data;
    size_t i, from = 0;
    bool first = true;

    begin_object(s);
    tf_buf_addc(&s->out.buf, '{');
    for (i = 0; i < count; i++) {
        if (cells[i].kind != TFW_CELL_MISSING) {
            if (!first) {
                tf_buf_addc(&s->out.buf, ',');
            }
            tf_buf_add(&s->out.buf, s->keys.data + from, s->ends[i] - from);
            add_value(&s->out.buf, &cells[i]);
            first = false;
        }
        from = s->ends[i];
    }
    tf_buf_addc(&s->out.buf, '}');
    if (s->lines) {
        tf_buf_addc(&s->out.buf, '\n');
    }
    return tfw_output_drain(&s->out);
}

static bool json_end(void *data)
{
    tfw_json_sink_t *s = data;

    if (!s->lines) {
        tf_buf_adds(&s->out.buf, s->rows > 0 ? "\n]\n" : "]\n");
    }
    return tfw_output_end(&s->out);
}

void tfw_json_sink(tfw_json_sink_t *sink, tfw_convert_t *c, int fd, bool lines, tfw_sink_t *to)
{
    *sink = (tfw_json_sink_t){.out = {.convert = c, .fd = fd}, .lines = lines};
    *to = (tfw_sink_t){json_begin, json_row, json_end, sink};
}

void tfw_json_sink_free(tfw_json_sink_t *sink)
{
    tfw_output_free(&sink->out);
    tf_buf_free(&sink->keys);
    free(sink->ends);
}

/* ---- from one form of JSON to the other ---- */

/* Without the white space between its parts. */
static void add_compact(tf_buf_t *out, tf_str_t text)
{
    bool string = false, escaped = false;
    size_t i;

    for (i = 0; i < text.len; i++) {
        char byte = text.data[i];

        if (string || (byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n')) {
            tf_buf_addc(out, byte);
        }
        if (!escaped && byte == '"') {
            string = !string;
        }
        escaped = string && !escaped && byte == '\\';
    }
}

static bool reshape_object(void *data, int64_t number, tf_str_t object)
{
    tfw_json_sink_t *s = data;

    begin_object(s);
    add_compact(&s->out.buf, object);
    if (s->lines) {
        tf_buf_addc(&s->out.buf, '\n');
    }
    return tfw_output_drain(&s->out);
}

bool tfw_json_reshape(tfw_convert_t *c, const tfw_input_t *in, int out_fd, bool lines,
                      tfw_table_facts_t *facts)
{
    tfw_json_sink_t sink;
    tfw_sink_t to;
    bool ok;

    tfw_json_sink(&sink, c, out_fd, lines, &to);
    ok = to.begin(to.data, NULL, 0) && tfw_json_elements(c, in, 0, 95, reshape_object, &sink) &&
         to.end(to.data);
    facts->rows = sink.rows;
    tfw_json_sink_free(&sink);
    return ok;
}
