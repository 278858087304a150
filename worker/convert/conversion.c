/* conversion.c: see conversion.h. */
#include "convert/conversion.h"

#include <string.h>

#include "convert/markdown.h"

#define SHEET_DEFAULT "Sheet1" /* of a workbook that is made */
#define TITLE_MAX 500          /* bytes */

/* ---- options ---- */

static bool reads_text_table(const tfw_conversion_t *v)
{
    return v->from == TFW_FORMAT_CSV || v->from == TFW_FORMAT_TSV;
}

static bool has_csv(const tfw_conversion_t *v)
{
    return v->from == TFW_FORMAT_CSV || v->to == TFW_FORMAT_CSV;
}

static bool has_sheets(const tfw_conversion_t *v)
{
    return v->from == TFW_FORMAT_XLSX || v->from == TFW_FORMAT_ODS || v->to == TFW_FORMAT_XLSX;
}

static bool has_title(const tfw_conversion_t *v)
{
    return v->to == TFW_FORMAT_HTML;
}

static bool set_delimiter(tfw_conversion_t *v, const json_t *value)
{
    const char *text = json_string_value(value);

    if (json_string_length(value) != 1 || (*text != '\t' && (*text < ' ' || *text > '~')) || *text == '"') {
        return false;
    }
    v->table_options.delimiter = *text;
    return true;
}

static bool set_numbers(tfw_conversion_t *v, const json_t *value)
{
    v->table_options.numbers = json_is_true(value);
    return json_is_boolean(value);
}

static bool set_sheet(tfw_conversion_t *v, const json_t *value)
{
    if (json_is_integer(value)) {
        v->table_options.sheet_number = (int)json_integer_value(value);
        return json_integer_value(value) >= 1 && json_integer_value(value) <= 10000 &&
               (v->from == TFW_FORMAT_XLSX || v->from == TFW_FORMAT_ODS);
    }
    v->table_options.sheet = (tf_str_t){json_string_value(value), json_string_length(value)};
    return json_string_length(value) >= 1 && json_string_length(value) <= TFW_TABLE_SHEET_NAME_MAX;
}

static bool set_title(tfw_conversion_t *v, const json_t *value)
{
    v->title = json_string_value(value);
    return json_string_length(value) >= 1 && json_string_length(value) <= TITLE_MAX;
}

static const struct {
    const char *name;
    bool (*goes)(const tfw_conversion_t *v);
    const char *with; /* what it goes with */
    bool (*set)(tfw_conversion_t *v, const json_t *value);
    const char *must_be;
} known_options[] = {
    {"delimiter", has_csv, "csv", set_delimiter, "one character of ASCII, not a quote"},
    {"numbers", reads_text_table, "input that is csv or tsv", set_numbers, "true or false"},
    {"sheet", has_sheets, "spreadsheets", set_sheet,
     "the name of a sheet (1 to 255 bytes), or the number, from 1, of one that is read"},
    {"title", has_title, "html", set_title, "a text of 1 to 500 bytes"},
};

static bool read_option(tfw_conversion_t *v, const char *name, const json_t *value)
{
    tfw_convert_t *c = &v->convert;
    size_t i;

    for (i = 0; i < sizeof(known_options) / sizeof(known_options[0]); i++) {
        if (strcmp(known_options[i].name, name) != 0) {
            continue;
        }
        if (!known_options[i].goes(v)) {
            return tfw_convert_fail(c, TFW_PERMANENT, "the option \"%s\" goes with %s, not with %s to %s",
                                    name, known_options[i].with, tfw_format_name(v->from),
                                    tfw_format_name(v->to));
        }
        return known_options[i].set(v, value) ||
               tfw_convert_fail(c, TFW_PERMANENT, "the option \"%s\" must be %s", name,
                                known_options[i].must_be);
    }
    return tfw_convert_fail(c, TFW_PERMANENT, "there is no option \"%.64s\"", name);
}

bool tfw_conversion_options(tfw_conversion_t *v, const json_t *options)
{
    const char *name;
    json_t *value;

    if (!tfw_format_converts(v->from, v->to)) {
        return tfw_convert_fail(&v->convert, TFW_PERMANENT, "%s cannot be converted to %s",
                                tfw_format_name(v->from), tfw_format_name(v->to));
    }
    v->table_options = (tfw_table_options_t){.delimiter = ',', .numbers = true, .sheet_number = 1};
    json_object_foreach((json_t *)options, name, value)
    {
        if (!read_option(v, name, value)) {
            return false;
        }
    }
    return true;
}

/* ---- tables ---- */

static const tfw_table_read_fn table_sources[TFW_FORMATS] = {
    [TFW_FORMAT_CSV] = tfw_csv_table,   [TFW_FORMAT_TSV] = tfw_csv_table,
    [TFW_FORMAT_JSON] = tfw_json_table, [TFW_FORMAT_JSONL] = tfw_json_table,
    [TFW_FORMAT_XLSX] = tfw_xlsx_table, [TFW_FORMAT_ODS] = tfw_ods_table,
};

static bool is_json(tfw_format_t format)
{
    return format == TFW_FORMAT_JSON || format == TFW_FORMAT_JSONL;
}

static bool read_table(tfw_conversion_t *v, const tfw_sink_t *sink)
{
    tfw_table_options_t options = v->table_options;

    if (v->from == TFW_FORMAT_TSV) {
        options.delimiter = '\t';
    }
    return table_sources[v->from](&v->convert, &v->in, &options, sink, &v->table);
}

static bool to_csv(tfw_conversion_t *v)
{
    static const char tab = '\t';
    tfw_csv_sink_t sink;
    tfw_sink_t to;
    bool ok;

    tfw_csv_sink(&sink, &v->convert, v->out_fd, v->to == TFW_FORMAT_TSV ? tab : v->table_options.delimiter,
                 &to);
    ok = read_table(v, &to);
    tfw_csv_sink_free(&sink);
    return ok;
}

static bool to_json(tfw_conversion_t *v)
{
    tfw_json_sink_t sink;
    tfw_sink_t to;
    bool ok;

    if (is_json(v->from)) {
        return tfw_json_reshape(&v->convert, &v->in, v->out_fd, v->to == TFW_FORMAT_JSONL, &v->table);
    }
    tfw_json_sink(&sink, &v->convert, v->out_fd, v->to == TFW_FORMAT_JSONL, &to);
    ok = read_table(v, &to);
    tfw_json_sink_free(&sink);
    return ok;
}

static bool to_xlsx(tfw_conversion_t *v)
{
    bool named = v->table_options.sheet.data && v->from != TFW_FORMAT_ODS;
    tfw_xlsx_sink_t *sink;
    tfw_sink_t to;
    bool ok;

    sink = tfw_xlsx_sink(&v->convert, v->out_fd, named ? v->table_options.sheet.data : SHEET_DEFAULT, &to);
    ok = sink && read_table(v, &to);
    tfw_xlsx_sink_free(sink);
    return ok;
}

/* ---- documents ---- */

/* "docs/plan.md" is called plan where nothing else gives it a title. */
static void name_of(const char *input, char *name, size_t size)
{
    const char *slash = strrchr(input, '/'), *base = slash ? slash + 1 : input, *point = strrchr(base, '.');
    size_t len = point && point > base ? (size_t)(point - base) : strlen(base);

    len = len < size ? len : size - 1;
    memcpy(name, base, len);
    name[tf_utf8_span(name, len)] = '\0';
}

static bool to_html(tfw_conversion_t *v)
{
    char fallback[256];

    name_of(v->input, fallback, sizeof(fallback));
    return tfw_markdown_html(&v->convert, &v->in, v->out_fd, v->title, fallback);
}

bool tfw_conversion_run(tfw_conversion_t *v)
{
    switch (v->to) {
    case TFW_FORMAT_CSV:
    case TFW_FORMAT_TSV:
        return to_csv(v);
    case TFW_FORMAT_JSON:
    case TFW_FORMAT_JSONL:
        return to_json(v);
    case TFW_FORMAT_XLSX:
        return to_xlsx(v);
    case TFW_FORMAT_HTML:
        return to_html(v);
    default:
        return tfw_convert_fail(&v->convert, TFW_PERMANENT, "nothing is converted to %s",
                                tfw_format_name(v->to));
    }
}
