/* Any bytes as a table: a spreadsheet whose container is whole and whose parts are the bytes, a container
 * that is the bytes, or JSON. Every row is as wide as the first, all texts are UTF-8, and what is made of it
 * as JSON is JSON. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zip.h>

#include "convert/table.h"
#include "submission.h"

#define MAIN                                                                                                 \
    "<workbook xmlns:r=\"x/relationships\"><sheets><sheet name=\"s\" r:id=\"s\"/></sheets></workbook>"
#define RELATION(id, type, target) "<Relationship Id=\"" id "\" Type=\"x/" type "\" Target=\"" target "\"/>"
#define RELATIONS(list) "<Relationships>" list "</Relationships>"

typedef struct {
    tfw_sink_t json; /* where rows go on to */
    bool begun;
    size_t width;
} checker_t;

static void check(const tfw_cell_t *cells, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (!tf_utf8_valid(cells[i].text.data ? cells[i].text.data : "", cells[i].text.len)) {
            abort();
        }
    }
}

static bool begin(void *data, const tfw_cell_t *names, size_t count)
{
    checker_t *k = data;

    if (k->begun || count > TFW_TABLE_COLUMNS_MAX) {
        abort();
    }
    check(names, count);
    k->begun = true;
    k->width = count;
    return k->json.begin(k->json.data, names, count);
}

static bool row(void *data, const tfw_cell_t *cells, size_t count)
{
    checker_t *k = data;

    if (!k->begun || count != k->width) {
        abort();
    }
    check(cells, count);
    return k->json.row(k->json.data, cells, count);
}

static bool end(void *data)
{
    checker_t *k = data;

    return k->json.end(k->json.data);
}

static void add(zip_t *zip, const char *name, const void *bytes, size_t len)
{
    if (zip_file_add(zip, name, zip_source_buffer(zip, bytes, len, 0), 0) < 0) {
        abort();
    }
}

/* A spreadsheet with one part that is the bytes. */
static void write_package(int fd, int kind, const uint8_t *data, size_t len)
{
    static const char top[] = RELATIONS(RELATION("r", "officeDocument", "xl/workbook.xml"));
    static const char below[] = RELATIONS(RELATION("s", "worksheet", "s.xml") RELATION("t", "styles", "t.xml")
                                              RELATION("u", "sharedStrings", "u.xml"));
    static const char cells[] = "<s><row><c t=\"s\"><v>0</v></c><c s=\"1\"><v>45322.5</v></c></row></s>";
    static const char styles[] = "<s><cellXfs><xf/><xf numFmtId=\"22\"/></cellXfs></s>";
    static const char strings[] = "<s><si><t>a</t></si></s>";
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, NULL);
    zip_t *zip = zip_open_from_source(source, ZIP_TRUNCATE, NULL);
    char piece[4096];
    zip_int64_t n;

    if (!zip) {
        abort();
    }
    zip_source_keep(source);
    if (kind == 0) {
        add(zip, "content.xml", data, len);
    } else {
        add(zip, "_rels/.rels", top, sizeof(top) - 1);
        add(zip, "xl/_rels/workbook.xml.rels", below, sizeof(below) - 1);
        add(zip, "xl/workbook.xml", kind == 1 ? (const void *)data : MAIN, kind == 1 ? len : strlen(MAIN));
        add(zip, "xl/s.xml", kind == 2 ? (const void *)data : cells, kind == 2 ? len : sizeof(cells) - 1);
        add(zip, "xl/t.xml", kind == 3 ? (const void *)data : styles, kind == 3 ? len : sizeof(styles) - 1);
        add(zip, "xl/u.xml", kind == 4 ? (const void *)data : strings, kind == 4 ? len : sizeof(strings) - 1);
    }
    if (zip_close(zip) != 0 || zip_source_open(source) != 0) {
        abort();
    }
    while ((n = zip_source_read(source, piece, sizeof(piece))) > 0) {
        if (write(fd, piece, (size_t)n) != n) {
            abort();
        }
    }
    zip_source_close(source);
    zip_source_free(source);
}

/* What was made, if all went well. */
static void check_json(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = malloc((size_t)size + 1), error[256];
    json_t *parsed;

    if (!text || pread(fd, text, (size_t)size, 0) != size) {
        abort();
    }
    parsed = tf_json_parse(text, (size_t)size, error, sizeof(error));
    if (!parsed) {
        abort();
    }
    json_decref(parsed);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tfw_table_read_fn readers[] = {tfw_ods_table,  tfw_xlsx_table, tfw_xlsx_table,
                                                tfw_xlsx_table, tfw_xlsx_table, tfw_ods_table,
                                                tfw_xlsx_table, tfw_json_table};
    const tfw_table_options_t options = {.delimiter = ',', .sheet_number = 1};
    tfw_convert_t convert = {.output_max = 1 << 20, .unpacked_max = 1 << 20};
    tfw_table_facts_t facts = {0};
    checker_t checker = {.begun = false};
    tfw_sink_t sink = {begin, row, end, &checker};
    tfw_json_sink_t json;
    tfw_input_t in;
    int kind, out;
    bool ok;

    if (size == 0) {
        return 0;
    }
    kind = data[0] % 8;
    in.fd = memfd_create("in", MFD_CLOEXEC);
    out = memfd_create("out", MFD_CLOEXEC);
    if (kind < 5) {
        write_package(in.fd, kind, data + 1, size - 1);
    } else if (write(in.fd, data + 1, size - 1) != (ssize_t)size - 1) {
        abort();
    }
    in.size = (uint64_t)lseek(in.fd, 0, SEEK_END);
    tfw_json_sink(&json, &convert, out, false, &checker.json);
    ok = readers[kind](&convert, &in, &options, &sink, &facts);
    if (ok != (convert.outcome == TFW_OK) || (!ok && !*convert.error) ||
        !tf_utf8_valid(convert.error, strlen(convert.error))) {
        abort();
    }
    if (ok) {
        check_json(out);
    }
    tfw_json_sink_free(&json);
    close(in.fd);
    close(out);
    return 0;
}
