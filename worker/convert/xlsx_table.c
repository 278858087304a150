/* xlsx_table.c: a sheet of a workbook in Office Open XML as a table. */
#include <stdlib.h>
#include <string.h>

#include "convert/xlsx.h"
#include "dataset/number.h"

typedef struct {
    tfw_xlsx_t x;
    tfw_sheet_t sheet;
    int64_t row;   /* from 1 */
    size_t column; /* of the cell at hand, from 0 */
    size_t next;   /* column at least */
    char type[12]; /* of the cell: "s", "b", "str", ... */
    int64_t style;
    int phonetics;
    bool in_cell;
    bool in_value;
    tf_buf_t value;
    tf_buf_t number;
} source_t;

/* "BC12" is column 54, from 0. false: it is no reference. */
static bool column_of(tf_str_t reference, size_t *column)
{
    size_t i, value = 0;

    for (i = 0; i < reference.len && reference.data[i] >= 'A' && reference.data[i] <= 'Z'; i++) {
        if (i == 4) {
            return false;
        }
        value = 26 * value + (size_t)(reference.data[i] - 'A') + 1;
    }
    *column = value - 1;
    return i > 0;
}

static bool bad_cell(source_t *s, const char *why)
{
    char letters[8];

    tfw_table_letters(s->column, letters);
    return tfw_convert_fail(s->x.convert, TFW_PERMANENT, "cell %s%lld: %s", letters, (long long)s->row, why);
}

static bool start_row(source_t *s, const tfw_xml_attributes_t *attributes)
{
    int64_t row = tfw_xml_number(attributes, NULL, "r", INT32_MAX, s->row + 1);

    if (row <= s->row) {
        return tfw_convert_fail(s->x.convert, TFW_PERMANENT, "row %lld stands behind row %lld",
                                (long long)row, (long long)s->row);
    }
    s->sheet.row_number = row - 1; /* rows may be left out */
    s->row = row;
    s->next = 0;
    return true;
}

static bool start_cell(source_t *s, const tfw_xml_attributes_t *attributes)
{
    tf_str_t reference = tfw_xml_attribute(attributes, NULL, "r");
    tf_str_t type = tfw_xml_attribute(attributes, NULL, "t");

    s->column = s->next;
    if (reference.data && !column_of(reference, &s->column)) {
        return bad_cell(s, "its reference is none");
    }
    if (s->column < s->next) {
        return bad_cell(s, "stands behind one that comes later");
    }
    s->next = s->column + 1;
    s->style = tfw_xml_number(attributes, NULL, "s", INT32_MAX, 0);
    s->type[0] = '\0';
    if (type.len > 0 && type.len < sizeof(s->type)) {
        memcpy(s->type, type.data, type.len);
        s->type[type.len] = '\0';
    }
    s->value.len = 0;
    s->in_cell = true;
    return true;
}

static bool on_start(void *data, const char *space, const char *name, const tfw_xml_attributes_t *attributes)
{
    source_t *s = data;

    if (strcmp(name, "row") == 0) {
        return start_row(s, attributes);
    }
    if (strcmp(name, "c") == 0) {
        return start_cell(s, attributes);
    }
    if (strcmp(name, "rPh") == 0) {
        s->phonetics++;
    } else if (strcmp(name, "v") == 0 || strcmp(name, "t") == 0) {
        s->in_value = s->in_cell && s->phonetics == 0;
    }
    return true;
}

static bool on_text(void *data, tf_str_t text)
{
    source_t *s = data;

    if (s->in_value) {
        tf_buf_add(&s->value, text.data, text.len);
        if (s->value.len > TFW_TABLE_CELL_MAX) {
            return bad_cell(s, "is too long");
        }
    }
    return !s->value.failed || tfw_convert_memory(s->x.convert);
}

static bool shared_string(source_t *s, tf_str_t index)
{
    const tfw_xlsx_t *x = &s->x;
    size_t i, number = 0, from;

    for (i = 0; i < index.len; i++) {
        if (index.data[i] < '0' || index.data[i] > '9' || number > x->string_count) {
            return bad_cell(s, "names no shared string");
        }
        number = 10 * number + (size_t)(index.data[i] - '0');
    }
    if (index.len == 0) {
        return true;
    }
    if (number >= x->string_count) {
        return bad_cell(s, "names a shared string that is not there");
    }
    from = number > 0 ? x->string_ends[number - 1] : 0;
    return tfw_sheet_cell(&s->sheet, s->column, TFW_CELL_TEXT,
                          (tf_str_t){x->strings.data + from, x->string_ends[number] - from});
}

static bool number_cell(source_t *s, tf_str_t text)
{
    const tfw_xlsx_t *x = &s->x;
    tfw_serial_t kind =
        (size_t)s->style < x->format_count ? (tfw_serial_t)x->formats[s->style] : TFW_SERIAL_NUMBER;
    char iso[TFW_ISO_SIZE];
    double value;

    if (!tfw_number_parse(text.data, text.len, &value)) {
        return tfw_sheet_cell(&s->sheet, s->column, TFW_CELL_TEXT, text);
    }
    if (tfw_sheet_date(value, kind, x->base_1904, iso)) {
        return tfw_sheet_cell(&s->sheet, s->column, TFW_CELL_TEXT, (tf_str_t){iso, strlen(iso)});
    }
    tf_buf_reset(&s->number);
    tf_json_double(&s->number, value);
    return tfw_sheet_cell(&s->sheet, s->column, TFW_CELL_NUMBER, (tf_str_t){s->number.data, s->number.len});
}

static bool end_cell(source_t *s)
{
    tf_str_t text = {s->value.data, s->value.len};

    s->in_cell = false;
    if (text.len == 0) {
        return true;
    }
    if (strcmp(s->type, "s") == 0) {
        return shared_string(s, text);
    }
    if (strcmp(s->type, "b") == 0) {
        bool on = tfw_str_is(text, "1") || tfw_str_is(text, "true");

        text = on ? (tf_str_t){"true", 4} : (tf_str_t){"false", 5};
        return tfw_sheet_cell(&s->sheet, s->column, TFW_CELL_BOOLEAN, text);
    }
    if (!*s->type || strcmp(s->type, "n") == 0) {
        return number_cell(s, text);
    }
    text.len = tfw_xlsx_unescape(s->value.data, s->value.len); /* texts, errors such as #N/A, dates */
    return tfw_sheet_cell(&s->sheet, s->column, TFW_CELL_TEXT, text);
}

static bool on_end(void *data, const char *space, const char *name)
{
    source_t *s = data;

    if (strcmp(name, "v") == 0 || strcmp(name, "t") == 0) {
        s->in_value = false;
    } else if (strcmp(name, "rPh") == 0) {
        s->phonetics--;
    } else if (strcmp(name, "c") == 0) {
        return end_cell(s);
    } else if (strcmp(name, "row") == 0) {
        return tfw_convert_go_on(s->x.convert) && tfw_sheet_end_row(&s->sheet, 1);
    }
    return true;
}

static bool read_sheet(source_t *s, int from, int to)
{
    tfw_xml_reader_t reader = {on_start, on_end, on_text, s};

    s->row = 0;
    return tfw_package_read(s->x.package, s->x.sheet, &reader, from, to);
}

bool tfw_xlsx_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                    const tfw_sink_t *sink, tfw_table_facts_t *facts)
{
    source_t *s = calloc(1, sizeof(*s));
    bool ok = false;

    if (!s) {
        return tfw_convert_memory(c);
    }
    s->x.convert = c;
    s->x.package = tfw_package_open(c, in);
    tfw_sheet_init(&s->sheet, c, sink, facts);
    if (s->x.package && tfw_xlsx_open(&s->x, options, facts) && read_sheet(s, 20, 50)) {
        tfw_sheet_measured(&s->sheet);
        ok = read_sheet(s, 50, 95) && tfw_sheet_end(&s->sheet);
    }
    tfw_package_close(s->x.package);
    tfw_xlsx_free(&s->x);
    tfw_sheet_free(&s->sheet);
    tf_buf_free(&s->value);
    tf_buf_free(&s->number);
    free(s);
    return ok;
}
