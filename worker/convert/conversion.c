/* conversion.c: see conversion.h. */
#include "convert/conversion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "convert/markdown.h"
#include "shared_object.h"

#define SHEET_DEFAULT "Sheet1" /* of a workbook that is made */
#define TITLE_MAX 500          /* bytes */
#define PAGES_MAX 2000         /* of a PDF */
#define QUALITY_DEFAULT 82     /* of JPEG and WebP */

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
    return v->to == TFW_FORMAT_HTML || v->to == TFW_FORMAT_PDF;
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

static bool is_image(const tfw_conversion_t *v)
{
    return tfw_format_family(v->from) == TFW_FAMILY_IMAGE;
}

static bool has_quality(const tfw_conversion_t *v)
{
    return v->to == TFW_FORMAT_JPEG || v->to == TFW_FORMAT_WEBP;
}

static bool is_jpeg(const tfw_conversion_t *v)
{
    return v->to == TFW_FORMAT_JPEG;
}

static bool in_range(const json_t *value, int max, int *to)
{
    *to = (int)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 1 && json_integer_value(value) <= max;
}

static bool set_width(tfw_conversion_t *v, const json_t *value)
{
    return in_range(value, TFW_IMAGE_SIDE_MAX, &v->image_options.width);
}

static bool set_height(tfw_conversion_t *v, const json_t *value)
{
    return in_range(value, TFW_IMAGE_SIDE_MAX, &v->image_options.height);
}

static bool set_quality(tfw_conversion_t *v, const json_t *value)
{
    return in_range(value, 100, &v->image_options.quality);
}

static bool set_strip(tfw_conversion_t *v, const json_t *value)
{
    v->image_options.strip = json_is_true(value);
    return json_is_boolean(value);
}

static bool set_fit(tfw_conversion_t *v, const json_t *value)
{
    static const char *const names[] = {
        [TFW_FIT_INSIDE] = "inside", [TFW_FIT_COVER] = "cover", [TFW_FIT_FILL] = "fill"};
    const char *text = json_string_value(value);
    size_t i;

    for (i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            v->image_options.fit = (tfw_image_fit_t)i;
            return true;
        }
    }
    return false;
}

static bool set_background(tfw_conversion_t *v, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    if (len != 7 || *text != '#' || strspn(text + 1, "0123456789abcdefABCDEF") != len - 1) {
        return false;
    }
    v->image_options.background = (uint32_t)strtoul(text + 1, NULL, 16);
    return true;
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
    {"width", is_image, "images", set_width, "1 to 16383 pixels"},
    {"height", is_image, "images", set_height, "1 to 16383 pixels"},
    {"fit", is_image, "images", set_fit, "inside, cover or fill"},
    {"quality", has_quality, "jpeg and webp", set_quality, "1 to 100"},
    {"strip", is_image, "images", set_strip, "true or false"},
    {"background", is_jpeg, "jpeg", set_background, "a colour such as #ffffff"},
    {"title", has_title, "html and pdf", set_title, "a text of 1 to 500 bytes"},
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

    if (!v->to) {
        return tfw_convert_fail(&v->convert, TFW_PERMANENT, "%s cannot be converted",
                                tfw_format_name(v->from));
    }
    if (!tfw_format_converts(v->from, v->to)) {
        return tfw_convert_fail(&v->convert, TFW_PERMANENT, "%s cannot be converted to %s",
                                tfw_format_name(v->from), tfw_format_name(v->to));
    }
    v->table_options = (tfw_table_options_t){.delimiter = ',', .numbers = true, .sheet_number = 1};
    v->image_options.fit = TFW_FIT_INSIDE;
    v->image_options.quality = QUALITY_DEFAULT;
    v->image_options.strip = true;
    v->image_options.background = 0xFFFFFF;
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

static char delimiter_of(const tfw_conversion_t *v, tfw_format_t format)
{
    if (format == TFW_FORMAT_TSV) {
        return '\t';
    }
    return v->table_options.delimiter;
}

static bool read_table(tfw_conversion_t *v, const tfw_sink_t *sink)
{
    tfw_table_options_t options = v->table_options;

    options.delimiter = delimiter_of(v, v->from);
    return table_sources[v->from](&v->convert, &v->in, &options, sink, &v->table);
}

static bool to_csv(tfw_conversion_t *v)
{
    tfw_csv_sink_t sink;
    tfw_sink_t to;
    bool ok;

    tfw_csv_sink(&sink, &v->convert, v->out_fd, delimiter_of(v, v->to), &to);
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

static bool may_go_on(void *data)
{
    return tfw_convert_go_on(data);
}

/* A text in a font of fixed width. */
static bool text_pdf(tfw_conversion_t *v, int text_fd)
{
    tfw_render_job_t job = {.go_on = may_go_on,
                            .data = &v->convert,
                            .pages_max = PAGES_MAX,
                            .bytes_max = (int64_t)v->convert.output_max};
    char fallback[256];
    bool ok;

    name_of(v->input, fallback, sizeof(fallback));
    ok = v->render->text(&job, text_fd, v->title ? v->title : fallback, v->out_fd);
    v->pages = job.pages;
    if (!ok && !job.cancelled) {
        tfw_convert_fail(&v->convert, TFW_PERMANENT, "%s", job.error);
    }
    return ok && v->convert.outcome == TFW_OK;
}

static bool to_pdf(tfw_conversion_t *v)
{
    int text_fd;
    bool ok;

    if (v->from != TFW_FORMAT_MARKDOWN) {
        return text_pdf(v, v->in.fd);
    }
    text_fd = memfd_create("text", MFD_CLOEXEC);
    if (text_fd < 0) {
        return tfw_convert_fail(&v->convert, TFW_RETRY, "cannot make a temporary file: %s", strerror(errno));
    }
    ok = tfw_markdown_text(&v->convert, &v->in, text_fd) && text_pdf(v, text_fd);
    close(text_fd);
    return ok;
}

static bool to_html(tfw_conversion_t *v)
{
    char fallback[256];

    name_of(v->input, fallback, sizeof(fallback));
    return tfw_markdown_html(&v->convert, &v->in, v->out_fd, v->title, fallback);
}

/* ---- images ---- */

static bool to_image(tfw_conversion_t *v)
{
    static const tfw_images_t *images; /* stays loaded */
    char error[256];

    if (!images) {
        images =
            tfw_shared_object(TFW_IMAGES_FILE, TFW_IMAGES_SYMBOL, TFW_IMAGES_VERSION, error, sizeof(error));
    }
    return images
               ? images->convert(&v->convert, &v->in, v->from, v->out_fd, v->to, &v->image_options, &v->image)
               : tfw_convert_fail(&v->convert, TFW_RETRY, "%s", error);
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
    case TFW_FORMAT_PDF:
        return to_pdf(v);
    case TFW_FORMAT_PNG:
    case TFW_FORMAT_JPEG:
    case TFW_FORMAT_WEBP:
        return to_image(v);
    default:
        return tfw_convert_fail(&v->convert, TFW_PERMANENT, "nothing is converted to %s",
                                tfw_format_name(v->to));
    }
}
