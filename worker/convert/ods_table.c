/* ods_table.c: a sheet of a spreadsheet in OpenDocument (OASIS, part 3) as a table. All sheets are in one
 * part, content.xml, one after the other; runs of equal cells and rows are written once, with how often. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/package.h"
#include "convert/sheet.h"
#include "dataset/number.h"

#define REPEATED_MAX 16777216 /* of what is empty; anything else has narrower bounds */

typedef enum { NO_VALUE, AS_TEXT, AS_NUMBER, AS_BOOLEAN, AS_DATE, AS_TIME } value_kind_t;

typedef struct {
    tfw_convert_t *convert;
    const tfw_table_options_t *options;
    tfw_table_facts_t *facts;
    tfw_sheet_t sheet;
    int tables;  /* begun so far, those within others excepted */
    int nesting; /* tables around us */
    bool chosen; /* the table at hand is the one */
    bool found;
    size_t column;         /* of the cell at hand */
    int64_t row_repeated;  /* the row at hand */
    int64_t cell_repeated; /* 0: we are in no cell */
    value_kind_t kind;
    int skipping;   /* elements around us whose text is not the cell's */
    int paragraphs; /* of the cell so far */
    bool in_text;   /* within one of them */
    tf_buf_t value; /* of the attribute */
    tf_buf_t text;
    tf_buf_t number;
    tf_buf_t scratch; /* of tfw_xml_decoded */
} source_t;

static bool is(const char *space, const char *wanted_space, const char *name, const char *wanted)
{
    return strcmp(name, wanted) == 0 && strstr(space, wanted_space) != NULL;
}

static bool start_table(source_t *s, const tfw_xml_attributes_t *attributes)
{
    tf_str_t name = tfw_xml_decoded(tfw_xml_attribute(attributes, ":table:", "name"), &s->scratch);
    tf_str_t wanted = s->options->sheet;

    if (s->nesting++ > 0) {
        return true;
    }
    s->tables++;
    s->chosen = wanted.data ? name.len == wanted.len && memcmp(name.data, wanted.data, wanted.len) == 0
                            : s->tables == s->options->sheet_number;
    if (s->chosen && name.data) {
        snprintf(s->facts->sheet, sizeof(s->facts->sheet), "%.*s", (int)name.len, name.data);
        s->facts->sheet[tf_utf8_span(s->facts->sheet, strlen(s->facts->sheet))] = '\0';
    }
    s->found = s->found || s->chosen;
    return true;
}

static value_kind_t kind_of(tf_str_t type)
{
    return tfw_str_is(type, "float") || tfw_str_is(type, "percentage") || tfw_str_is(type, "currency")
               ? AS_NUMBER
           : tfw_str_is(type, "boolean") ? AS_BOOLEAN
           : tfw_str_is(type, "date")    ? AS_DATE
           : tfw_str_is(type, "time")    ? AS_TIME
           : type.data                   ? AS_TEXT
                                         : NO_VALUE;
}

static bool start_cell(source_t *s, const tfw_xml_attributes_t *attributes)
{
    static const char *const names[] = {
        [AS_NUMBER] = "value",    [AS_BOOLEAN] = "boolean-value", [AS_DATE] = "date-value",
        [AS_TIME] = "time-value", [AS_TEXT] = "string-value",     [NO_VALUE] = "string-value"};
    tf_str_t value;

    s->cell_repeated = tfw_xml_number(attributes, ":table:", "number-columns-repeated", REPEATED_MAX, 1);
    s->cell_repeated = s->cell_repeated > 0 ? s->cell_repeated : 1;
    s->kind = kind_of(tfw_xml_attribute(attributes, ":office:", "value-type"));
    value = tfw_xml_decoded(tfw_xml_attribute(attributes, ":office:", names[s->kind]), &s->scratch);
    s->value.len = s->text.len = 0;
    s->paragraphs = 0;
    s->in_text = false;
    if (value.len > TFW_TABLE_CELL_MAX) {
        return tfw_convert_fail(s->convert, TFW_PERMANENT, "row %lld: a cell is longer than %d bytes",
                                (long long)s->sheet.row_number + 1, TFW_TABLE_CELL_MAX);
    }
    if (value.len > 0) {
        tf_buf_add(&s->value, value.data, value.len);
    }
    return true;
}

static bool add_text(source_t *s, tf_str_t text)
{
    if (s->text.len + text.len > TFW_TABLE_CELL_MAX) {
        return tfw_convert_fail(s->convert, TFW_PERMANENT, "row %lld: a cell is longer than %d bytes",
                                (long long)s->sheet.row_number + 1, TFW_TABLE_CELL_MAX);
    }
    tf_buf_add(&s->text, text.data, text.len);
    return !s->text.failed || tfw_convert_memory(s->convert);
}

/* An element within a cell. */
static bool start_within(source_t *s, const char *space, const char *name,
                         const tfw_xml_attributes_t *attributes)
{
    int64_t spaces;

    if (s->skipping > 0 || !strstr(space, ":text:") || strcmp(name, "note") == 0 ||
        strcmp(name, "ruby-text") == 0) {
        s->skipping++; /* comments, pictures, footnotes */
        return true;
    }
    if (strcmp(name, "p") == 0) {
        s->in_text = true;
        return s->paragraphs++ == 0 || add_text(s, (tf_str_t){"\n", 1});
    }
    if (strcmp(name, "tab") == 0) {
        return add_text(s, (tf_str_t){"\t", 1});
    }
    if (strcmp(name, "line-break") == 0) {
        return add_text(s, (tf_str_t){"\n", 1});
    }
    if (strcmp(name, "s") == 0) {
        for (spaces = tfw_xml_number(attributes, ":text:", "c", TFW_TABLE_CELL_MAX, 1); spaces > 0;
             spaces--) {
            if (!add_text(s, (tf_str_t){" ", 1})) {
                return false;
            }
        }
    }
    return true;
}

static bool on_start(void *data, const char *space, const char *name, const tfw_xml_attributes_t *attributes)
{
    source_t *s = data;

    if (s->chosen && s->cell_repeated > 0 && s->nesting == 1 && !is(space, ":table:", name, "table")) {
        return start_within(s, space, name, attributes);
    }
    if (is(space, ":table:", name, "table")) {
        return start_table(s, attributes);
    }
    if (!s->chosen || s->nesting != 1) {
        return true;
    }
    if (is(space, ":table:", name, "table-row")) {
        s->row_repeated = tfw_xml_number(attributes, ":table:", "number-rows-repeated", REPEATED_MAX, 1);
        s->row_repeated = s->row_repeated > 0 ? s->row_repeated : 1;
        s->column = 0;
        return true;
    }
    if (is(space, ":table:", name, "table-cell") || is(space, ":table:", name, "covered-table-cell")) {
        return start_cell(s, attributes);
    }
    return true;
}

static bool on_text(void *data, tf_str_t text)
{
    source_t *s = data;

    return !s->chosen || s->cell_repeated == 0 || !s->in_text || s->skipping > 0 || s->nesting != 1 ||
           add_text(s, text);
}

/* PT26H30M05.5S as 26:30:05.500; the text as it is where it is nothing of that kind. */
static tf_str_t duration(tf_str_t text, char out[TFW_ISO_SIZE])
{
    unsigned hours, minutes;
    double seconds;
    char copy[48];
    int used = 0;

    if (text.len >= sizeof(copy)) {
        return text;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "PT%6uH%2uM%9lfS%n", &hours, &minutes, &seconds, &used) != 3 ||
        (size_t)used != text.len || minutes > 59 || !(seconds >= 0 && seconds < 60)) {
        return text;
    }
    return tfw_sheet_date((hours * 3600.0 + minutes * 60.0 + seconds) / 86400, TFW_SERIAL_TIME, false, out)
               ? (tf_str_t){out, strlen(out)}
               : text;
}

/* What the cell holds. */
static tfw_cell_kind_t value_of(source_t *s, tf_str_t *value, char iso[TFW_ISO_SIZE])
{
    double number;

    *value = (tf_str_t){s->value.data, s->value.len};
    if (s->value.len == 0) {
        *value = (tf_str_t){s->text.data, s->text.len};
        return TFW_CELL_TEXT;
    }
    if (s->kind == AS_NUMBER && tfw_number_parse(value->data, value->len, &number)) {
        tf_buf_reset(&s->number);
        tf_json_double(&s->number, number);
        *value = (tf_str_t){s->number.data, s->number.len};
        return TFW_CELL_NUMBER;
    }
    if (s->kind == AS_BOOLEAN && (tfw_str_is(*value, "true") || tfw_str_is(*value, "false"))) {
        return TFW_CELL_BOOLEAN;
    }
    if (s->kind == AS_TIME) {
        *value = duration(*value, iso);
    }
    return TFW_CELL_TEXT;
}

static bool end_cell(source_t *s)
{
    char iso[TFW_ISO_SIZE];
    tf_str_t value;
    tfw_cell_kind_t kind = value_of(s, &value, iso);
    int64_t repeated = s->cell_repeated;
    size_t column;

    s->cell_repeated = 0;
    if (s->value.failed || s->number.failed) {
        return tfw_convert_memory(s->convert);
    }
    /* a run that is not empty ends at the last column there may be, or is refused there */
    for (column = s->column; value.len > 0 && column < s->column + (size_t)repeated; column++) {
        if (!tfw_sheet_cell(&s->sheet, column, kind, value)) {
            return false;
        }
    }
    s->column += (size_t)repeated;
    return true;
}

static bool on_end(void *data, const char *space, const char *name)
{
    source_t *s = data;

    if (is(space, ":table:", name, "table")) {
        s->chosen = --s->nesting > 0 && s->chosen;
        return true;
    }
    if (!s->chosen || s->nesting != 1) {
        return true;
    }
    if (s->skipping > 0) {
        s->skipping--;
    } else if (is(space, ":text:", name, "p")) {
        s->in_text = false;
    } else if (is(space, ":table:", name, "table-cell") || is(space, ":table:", name, "covered-table-cell")) {
        return end_cell(s);
    } else if (is(space, ":table:", name, "table-row")) {
        return tfw_convert_go_on(s->convert) && tfw_sheet_end_row(&s->sheet, s->row_repeated);
    }
    return true;
}

static bool read_content(source_t *s, tfw_package_t *package, int from, int to)
{
    tfw_xml_reader_t reader = {on_start, on_end, on_text, s};

    s->tables = s->nesting = s->skipping = 0;
    s->cell_repeated = 0;
    s->chosen = false;
    return tfw_package_read(package, "content.xml", &reader, from, to);
}

static bool no_sheet(const source_t *s)
{
    const tfw_table_options_t *options = s->options;

    return options->sheet.data
               ? tfw_convert_fail(s->convert, TFW_PERMANENT, "there is no sheet \"%.*s\" (it has %d)",
                                  (int)options->sheet.len, options->sheet.data, s->tables)
               : tfw_convert_fail(s->convert, TFW_PERMANENT, "there is no sheet %d (it has %d)",
                                  options->sheet_number, s->tables);
}

bool tfw_ods_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                   const tfw_sink_t *sink, tfw_table_facts_t *facts)
{
    source_t *s = calloc(1, sizeof(*s));
    tfw_package_t *package;
    bool ok = false;

    if (!s) {
        return tfw_convert_memory(c);
    }
    s->convert = c;
    s->options = options;
    s->facts = facts;
    package = tfw_package_open(c, in);
    tfw_sheet_init(&s->sheet, c, sink, facts);
    if (package && read_content(s, package, 0, 45) && (s->found || no_sheet(s))) {
        tfw_sheet_measured(&s->sheet);
        ok = read_content(s, package, 45, 95) && tfw_sheet_end(&s->sheet);
    }
    tfw_package_close(package);
    tfw_sheet_free(&s->sheet);
    tf_buf_free(&s->value);
    tf_buf_free(&s->text);
    tf_buf_free(&s->number);
    tf_buf_free(&s->scratch);
    free(s);
    return ok;
}
