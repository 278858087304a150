/* xlsx_workbook.c: relationships, the list of sheets, styles and shared strings of a workbook. See xlsx.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/xlsx.h"

#define SHARED_STRINGS_MAX 8000000
#define FORMATS_MAX 65536       /* as Excel has */
#define CUSTOM_FORMATS_MAX 4096 /* the same, and some */
#define ESCAPE_LEN 7            /* of _xHHHH_ */
#define ID_MAX 256              /* bytes of a relationship's id */

/* ---- relationships ---- */

typedef struct {
    tfw_xlsx_t *x;
    const char *id;   /* NULL: whichever is of the type */
    const char *type; /* how it ends */
    char *target;     /* TFW_PART_MAX; "": none yet */
    bool other_type;  /* the id is there, and of another type */
} relation_t;

static bool ends_with(tf_str_t text, const char *end)
{
    size_t len = strlen(end);

    return text.len >= len && memcmp(text.data + text.len - len, end, len) == 0;
}

static bool relation_start(void *data, const char *space, const char *name,
                           const tfw_xml_attributes_t *attributes)
{
    relation_t *r = data;
    tf_str_t target, type;

    if (strcmp(name, "Relationship") != 0 ||
        (r->id && !tfw_str_is(tfw_xml_attribute(attributes, NULL, "Id"), r->id))) {
        return true;
    }
    type = tfw_xml_attribute(attributes, NULL, "Type");
    target = tfw_xml_decoded(tfw_xml_attribute(attributes, NULL, "Target"), &r->x->scratch);
    if (!ends_with(type, r->type) || target.len == 0 || target.len >= TFW_PART_MAX) {
        r->other_type = r->id != NULL;
        return true;
    }
    memcpy(r->target, target.data, target.len);
    r->target[target.len] = '\0';
    return false;
}

static bool nothing(void *data, const char *space, const char *name)
{
    return true;
}

/* A target as the name of a part: from the root, or beside the part that has the relationships. */
static bool resolve(const char *source, const char *target, char part[TFW_PART_MAX])
{
    const char *slash = strrchr(source, '/');
    int n;

    if (*target == '/') {
        n = snprintf(part, TFW_PART_MAX, "%s", target + 1);
    } else {
        n = snprintf(part, TFW_PART_MAX, "%.*s%s", slash ? (int)(slash + 1 - source) : 0, source, target);
    }
    return n < TFW_PART_MAX;
}

/* The part to which a relationship of `source` leads ("": of the package); "" where there is none. */
static bool follow(tfw_xlsx_t *x, const char *source, const char *id, const char *type,
                   char part[TFW_PART_MAX])
{
    char rels[TFW_PART_MAX + 16], target[TFW_PART_MAX] = "";
    const char *slash = strrchr(source, '/'), *base = slash ? slash + 1 : source;
    relation_t relation = {x, id, type, target, false};
    tfw_xml_reader_t reader = {relation_start, nothing, NULL, &relation};

    part[0] = '\0';
    snprintf(rels, sizeof(rels), "%.*s_rels/%s.rels", (int)(base - source), source, base);
    if (!tfw_package_read(x->package, rels, &reader, 0, 0)) {
        return false;
    }
    if (relation.other_type && !*target) {
        return tfw_convert_fail(x->convert, TFW_PERMANENT, "the sheet is no worksheet (a chart?)");
    }
    if (*target && !resolve(source, target, part)) {
        return tfw_convert_fail(x->convert, TFW_PERMANENT, "the part %.100s names one that cannot be", rels);
    }
    return true;
}

/* ---- the list of sheets ---- */

typedef struct {
    tfw_xlsx_t *x;
    const tfw_table_options_t *options;
    tfw_table_facts_t *facts;
    int count;
    char id[ID_MAX]; /* "": not found yet */
} workbook_t;

static bool workbook_start(void *data, const char *space, const char *name,
                           const tfw_xml_attributes_t *attributes)
{
    workbook_t *w = data;
    tf_str_t sheet, id, wanted = w->options->sheet;

    if (strcmp(name, "workbookPr") == 0) {
        tf_str_t flag = tfw_xml_attribute(attributes, NULL, "date1904");

        w->x->base_1904 = tfw_str_is(flag, "1") || tfw_str_is(flag, "true");
    }
    if (strcmp(name, "sheet") != 0) {
        return true;
    }
    w->count++;
    sheet = tfw_xml_decoded(tfw_xml_attribute(attributes, NULL, "name"), &w->x->scratch);
    id = tfw_xml_attribute(attributes, "relationships", "id");
    if (wanted.data ? sheet.len != wanted.len || memcmp(sheet.data, wanted.data, wanted.len) != 0
                    : w->count != w->options->sheet_number) {
        return true;
    }
    if (id.len > 0 && id.len < ID_MAX && sheet.len <= TFW_TABLE_SHEET_NAME_MAX) {
        memcpy(w->id, id.data, id.len);
        w->id[id.len] = '\0';
        snprintf(w->facts->sheet, sizeof(w->facts->sheet), "%.*s", (int)sheet.len,
                 sheet.data ? sheet.data : "");
    }
    return true;
}

static bool find_sheet(tfw_xlsx_t *x, const tfw_table_options_t *options, tfw_table_facts_t *facts)
{
    workbook_t w = {.x = x, .options = options, .facts = facts};
    tfw_xml_reader_t reader = {workbook_start, nothing, NULL, &w};

    if (!tfw_package_read(x->package, x->workbook, &reader, 0, 0)) {
        return false;
    }
    if (!*w.id && options->sheet.data) {
        return tfw_convert_fail(x->convert, TFW_PERMANENT, "there is no sheet \"%.*s\" (it has %d)",
                                (int)options->sheet.len, options->sheet.data, w.count);
    }
    if (!*w.id) {
        return tfw_convert_fail(x->convert, TFW_PERMANENT, "there is no sheet %d (it has %d)",
                                options->sheet_number, w.count);
    }
    return follow(x, x->workbook, w.id, "/worksheet", x->sheet) &&
           (*x->sheet ||
            tfw_convert_fail(x->convert, TFW_PERMANENT, "the sheet \"%s\" is not there", facts->sheet));
}

/* ---- styles ---- */

typedef struct {
    tfw_xlsx_t *x;
    bool in_cell_formats;
    struct {
        int64_t id;
        tfw_serial_t kind;
    } custom[CUSTOM_FORMATS_MAX];
    size_t custom_count;
} styles_t;

static tfw_serial_t format_of(const styles_t *s, int64_t id)
{
    size_t i;

    for (i = 0; i < s->custom_count; i++) {
        if (s->custom[i].id == id) {
            return s->custom[i].kind;
        }
    }
    return tfw_sheet_builtin_format(id);
}

static bool styles_start(void *data, const char *space, const char *name,
                         const tfw_xml_attributes_t *attributes)
{
    styles_t *s = data;
    tfw_xlsx_t *x = s->x;

    if (strcmp(name, "numFmt") == 0 && s->custom_count < CUSTOM_FORMATS_MAX) {
        tf_str_t code = tfw_xml_attribute(attributes, NULL, "formatCode");

        s->custom[s->custom_count].id = tfw_xml_number(attributes, NULL, "numFmtId", INT32_MAX, -1);
        s->custom[s->custom_count++].kind = code.data ? tfw_sheet_format(code) : TFW_SERIAL_NUMBER;
    } else if (strcmp(name, "cellXfs") == 0) {
        s->in_cell_formats = true;
    } else if (strcmp(name, "xf") == 0 && s->in_cell_formats) {
        if (x->format_count == FORMATS_MAX) {
            return tfw_convert_fail(x->convert, TFW_PERMANENT, "there are more than %d styles", FORMATS_MAX);
        }
        x->formats[x->format_count++] =
            (uint8_t)format_of(s, tfw_xml_number(attributes, NULL, "numFmtId", INT32_MAX, 0));
    }
    return true;
}

static bool styles_end(void *data, const char *space, const char *name)
{
    styles_t *s = data;

    if (strcmp(name, "cellXfs") == 0) {
        s->in_cell_formats = false;
    }
    return true;
}

static bool read_styles(tfw_xlsx_t *x)
{
    char part[TFW_PART_MAX];
    styles_t *s;
    tfw_xml_reader_t reader = {styles_start, styles_end, NULL, NULL};
    bool ok;

    if (!follow(x, x->workbook, NULL, "/styles", part)) {
        return false;
    }
    if (!*part || !tfw_package_has(x->package, part)) {
        return true; /* then nothing is a date */
    }
    reader.data = s = calloc(1, sizeof(*s));
    x->formats = malloc(FORMATS_MAX);
    if (!s || !x->formats) {
        free(s);
        return tfw_convert_memory(x->convert);
    }
    s->x = x;
    ok = tfw_package_read(x->package, part, &reader, 0, 0);
    free(s);
    return ok;
}

/* ---- shared strings ---- */

typedef struct {
    tfw_xlsx_t *x;
    size_t began;  /* of the string at hand, in x->strings */
    bool in_text;  /* <t> */
    int phonetics; /* <rPh> around us: how it is pronounced, not what is written */
    size_t room;   /* entries of x->string_ends */
} strings_t;

static bool strings_start(void *data, const char *space, const char *name,
                          const tfw_xml_attributes_t *attributes)
{
    strings_t *s = data;

    if (strcmp(name, "si") == 0) {
        s->began = s->x->strings.len;
    } else if (strcmp(name, "rPh") == 0) {
        s->phonetics++;
    } else if (strcmp(name, "t") == 0) {
        s->in_text = s->phonetics == 0;
    }
    return true;
}

static bool end_string(strings_t *s)
{
    tfw_xlsx_t *x = s->x;

    if (x->string_count == SHARED_STRINGS_MAX) {
        return tfw_convert_fail(x->convert, TFW_PERMANENT, "there are more than %d shared strings",
                                SHARED_STRINGS_MAX);
    }
    if (x->string_count == s->room) {
        size_t room = s->room ? 2 * s->room : 1024;
        size_t *more = realloc(x->string_ends, room * sizeof(*more));

        if (!more) {
            return tfw_convert_memory(x->convert);
        }
        x->string_ends = more;
        s->room = room;
    }
    if (x->strings.len > s->began) {
        x->strings.len = s->began + tfw_xlsx_unescape(x->strings.data + s->began, x->strings.len - s->began);
    }
    x->string_ends[x->string_count++] = x->strings.len;
    return x->strings.failed ? tfw_convert_memory(x->convert) : true;
}

static bool strings_end(void *data, const char *space, const char *name)
{
    strings_t *s = data;

    if (strcmp(name, "t") == 0) {
        s->in_text = false;
    } else if (strcmp(name, "rPh") == 0) {
        s->phonetics--;
    } else if (strcmp(name, "si") == 0) {
        return end_string(s);
    }
    return true;
}

static bool strings_text(void *data, tf_str_t text)
{
    strings_t *s = data;

    if (s->in_text) {
        tf_buf_add(&s->x->strings, text.data, text.len);
    }
    return !s->x->strings.failed || tfw_convert_memory(s->x->convert);
}

static bool read_strings(tfw_xlsx_t *x)
{
    char part[TFW_PART_MAX];
    strings_t s = {.x = x};
    tfw_xml_reader_t reader = {strings_start, strings_end, strings_text, &s};

    if (!follow(x, x->workbook, NULL, "/sharedStrings", part)) {
        return false;
    }
    return !*part || !tfw_package_has(x->package, part) || tfw_package_read(x->package, part, &reader, 0, 20);
}

static int hex(char digit)
{
    return isdigit((unsigned char)digit)  ? digit - '0'
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

/* The character of _xHHHH_ where that is one of ASCII other than NUL; -1: it stays as it is. */
static int escaped(const char *p, size_t left)
{
    int value = 0, i;

    if (left < ESCAPE_LEN || p[0] != '_' || p[1] != 'x' || p[6] != '_') {
        return -1;
    }
    for (i = 2; i < 6; i++) {
        if (hex(p[i]) < 0) {
            return -1;
        }
        value = 16 * value + hex(p[i]);
    }
    return value > 0 && value < 128 ? value : -1;
}

size_t tfw_xlsx_unescape(char *text, size_t len)
{
    size_t from, to = 0;

    for (from = 0; from < len; to++) {
        int character = escaped(text + from, len - from);

        if (character >= 0) {
            text[to] = (char)character;
            from += ESCAPE_LEN;
        } else {
            text[to] = text[from++];
        }
    }
    return to;
}

bool tfw_xlsx_open(tfw_xlsx_t *x, const tfw_table_options_t *options, tfw_table_facts_t *facts)
{
    if (!follow(x, "", NULL, "/officeDocument", x->workbook)) {
        return false;
    }
    if (!*x->workbook) {
        return tfw_convert_fail(x->convert, TFW_PERMANENT, "the file names no workbook");
    }
    return find_sheet(x, options, facts) && read_styles(x) && read_strings(x);
}

void tfw_xlsx_free(tfw_xlsx_t *x)
{
    free(x->formats);
    free(x->string_ends);
    tf_buf_free(&x->scratch);
    tf_buf_free(&x->strings);
}
