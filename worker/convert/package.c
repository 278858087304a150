/* package.c: see package.h. libzip reads the container, libxml2's push parser the XML: it is fed piece by
 * piece, so that the bounds and the cancel are looked at in between. */
#include "convert/package.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#define ENTRIES_MAX 10000
#define PIECE 32768
#define RATIO_MAX 400                   /* what XML of a table packs to at best is around 50 */
#define RATIO_FREE (8u * 1024u * 1024u) /* bytes that no ratio is asked of */

struct tfw_package_s {
    tfw_convert_t *convert;
    zip_t *zip;
    uint64_t inflated; /* of all parts so far */
};

typedef struct {
    tfw_package_t *package;
    const char *part;
    const tfw_xml_reader_t *reader;
    xmlParserCtxtPtr parser;
    bool stopped; /* the reader has seen enough, or the conversion has failed */
} parse_t;

/* ---- the container ---- */

static void open_failed(tfw_convert_t *c, zip_error_t *error)
{
    switch (zip_error_code_zip(error)) {
    case ZIP_ER_MEMORY:
        tfw_convert_memory(c);
        break;
    case ZIP_ER_READ:
    case ZIP_ER_SEEK:
        tfw_convert_fail(c, TFW_RETRY, "cannot read: %s", zip_error_strerror(error));
        break;
    default:
        tfw_convert_fail(c, TFW_PERMANENT, "not a usable zip file: %s", zip_error_strerror(error));
    }
    zip_error_fini(error);
}

tfw_package_t *tfw_package_open(tfw_convert_t *c, const tfw_input_t *in)
{
    tfw_package_t *package = calloc(1, sizeof(*package));
    int fd = dup(in->fd), code = 0;
    zip_error_t error;

    if (!package || fd < 0 || lseek(fd, 0, SEEK_SET) != 0) {
        tfw_convert_fail(c, TFW_RETRY, "cannot open: %s", strerror(errno));
        free(package);
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    package->convert = c;
    package->zip = zip_fdopen(fd, ZIP_CHECKCONS, &code); /* takes fd if it succeeds */
    if (!package->zip) {
        zip_error_init_with_code(&error, code);
        open_failed(c, &error);
        close(fd);
        free(package);
        return NULL;
    }
    if (zip_get_num_entries(package->zip, 0) > ENTRIES_MAX) {
        tfw_convert_fail(c, TFW_PERMANENT, "the zip file has more than %d entries", ENTRIES_MAX);
        tfw_package_close(package);
        return NULL;
    }
    return package;
}

void tfw_package_close(tfw_package_t *package)
{
    if (package) {
        zip_discard(package->zip);
        free(package);
    }
}

bool tfw_package_has(const tfw_package_t *package, const char *part)
{
    return zip_name_locate(package->zip, part, 0) >= 0;
}

/* NULL: the conversion has failed. */
static zip_file_t *open_part(tfw_package_t *package, const char *part, zip_stat_t *st)
{
    zip_file_t *file;

    if (zip_stat(package->zip, part, 0, st) != 0 || !(st->valid & ZIP_STAT_COMP_SIZE)) {
        tfw_convert_fail(package->convert, TFW_PERMANENT, "the part %.100s is missing", part);
        return NULL;
    }
    if ((st->valid & ZIP_STAT_ENCRYPTION_METHOD) && st->encryption_method != ZIP_EM_NONE) {
        tfw_convert_fail(package->convert, TFW_PERMANENT, "the part %.100s is encrypted", part);
        return NULL;
    }
    file = zip_fopen_index(package->zip, st->index, 0);
    if (!file) {
        tfw_convert_fail(package->convert, TFW_PERMANENT, "the part %.100s cannot be read: %s", part,
                         zip_strerror(package->zip));
    }
    return file;
}

/* The next bytes of a part, of which inflated came before; 0 at its end, -1: the conversion has failed. */
static zip_int64_t read_part(tfw_package_t *package, const zip_stat_t *st, zip_file_t *file, char *buf,
                             uint64_t *inflated)
{
    tfw_convert_t *c = package->convert;
    zip_int64_t n = zip_fread(file, buf, PIECE);

    if (n < 0) {
        tfw_convert_fail(c, TFW_PERMANENT, "the part %.100s is broken: %s", st->name,
                         zip_file_strerror(file));
        return -1;
    }
    *inflated += (uint64_t)n;
    package->inflated += (uint64_t)n;
    if (*inflated > RATIO_FREE && *inflated / RATIO_MAX > st->comp_size) {
        tfw_convert_fail(c, TFW_PERMANENT,
                         "the part %.100s inflates to more than %d times its packed size (a zip bomb?)",
                         st->name, RATIO_MAX);
        return -1;
    }
    if (package->inflated > c->unpacked_max) {
        tfw_convert_fail(c, TFW_PERMANENT, "the zip file holds more than %llu bytes",
                         (unsigned long long)c->unpacked_max);
        return -1;
    }
    return n;
}

bool tfw_package_start_of(tfw_package_t *package, const char *part, char *text, size_t size)
{
    zip_file_t *file = zip_fopen(package->zip, part, 0);
    zip_int64_t n = file ? zip_fread(file, text, size - 1) : -1;

    if (file) {
        zip_fclose(file);
    }
    text[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

/* ---- the XML ---- */

bool tfw_str_is(tf_str_t text, const char *word)
{
    return text.data && text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

tf_str_t tfw_xml_attribute(const tfw_xml_attributes_t *attributes, const char *space, const char *name)
{
    int i;

    for (i = 0; i < attributes->count; i++) {
        /* local name, prefix, namespace, value, its end */
        const char *const *a = (const char *const *)attributes->list + (size_t)5 * (size_t)i;

        if (strcmp(a[0], name) == 0 && (!space || (a[2] && strstr(a[2], space)))) {
            return (tf_str_t){a[3], (size_t)(a[4] - a[3])};
        }
    }
    return (tf_str_t){NULL, 0};
}

tf_str_t tfw_xml_decoded(tf_str_t value, tf_buf_t *scratch)
{
    static const char ampersand[] = "&#38;"; /* libxml2's, which leaves no other reference as it is */
    const char *p = value.data, *end, *found;

    if (!p || !memmem(p, value.len, ampersand, sizeof(ampersand) - 1)) {
        return value;
    }
    end = p + value.len;
    tf_buf_reset(scratch);
    while ((found = memmem(p, (size_t)(end - p), ampersand, sizeof(ampersand) - 1)) != NULL) {
        tf_buf_add(scratch, p, (size_t)(found + 1 - p));
        p = found + sizeof(ampersand) - 1;
    }
    tf_buf_add(scratch, p, (size_t)(end - p));
    return (tf_str_t){scratch->data, scratch->failed ? 0 : scratch->len};
}

int64_t tfw_xml_number(const tfw_xml_attributes_t *attributes, const char *space, const char *name,
                       int64_t max, int64_t fallback)
{
    tf_str_t text = tfw_xml_attribute(attributes, space, name);
    int64_t value = 0;
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || value > INT64_MAX / 10 - 9) {
            return fallback;
        }
        value = 10 * value + (text.data[i] - '0');
    }
    return text.len > 0 && value <= max ? value : fallback;
}

static void stop(parse_t *p)
{
    p->stopped = true;
    xmlStopParser(p->parser);
}

static void on_start(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *space,
                     int namespaces, const xmlChar **namespace_list, int count, int defaulted,
                     const xmlChar **list)
{
    parse_t *p = data;
    tfw_xml_attributes_t attributes = {list, count};

    if (!p->stopped && !p->reader->start(p->reader->data, space ? (const char *)space : "",
                                         (const char *)name, &attributes)) {
        stop(p);
    }
}

static void on_end(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *space)
{
    parse_t *p = data;

    if (!p->stopped &&
        !p->reader->end(p->reader->data, space ? (const char *)space : "", (const char *)name)) {
        stop(p);
    }
}

static void on_text(void *data, const xmlChar *text, int len)
{
    parse_t *p = data;

    if (!p->stopped && p->reader->text &&
        !p->reader->text(p->reader->data, (tf_str_t){(const char *)text, (size_t)len})) {
        stop(p);
    }
}

/* The beginning of <!DOCTYPE, before anything in it is looked at. No spreadsheet has one. */
static void on_doctype(void *data, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    parse_t *p = data;

    tfw_convert_fail(p->package->convert, TFW_PERMANENT,
                     "the part %.100s has a document type declaration, which is refused", p->part);
    stop(p);
}

static void xml_failed(const parse_t *p)
{
    const xmlError *error = xmlCtxtGetLastError(p->parser);
    const char *message = error && error->message ? error->message : "not well-formed";

    if (error && error->code == XML_ERR_NO_MEMORY) {
        tfw_convert_memory(p->package->convert);
        return;
    }
    tfw_convert_fail(p->package->convert, TFW_PERMANENT, "the part %.100s is not XML: line %d: %.*s", p->part,
                     error ? error->line : 0, (int)strcspn(message, "\n"), message);
}

static bool feed(parse_t *p, zip_file_t *file, const zip_stat_t *st, int from, int to)
{
    tfw_convert_t *c = p->package->convert;
    uint64_t inflated = 0;
    char *buf = malloc(PIECE);
    zip_int64_t n;
    int failed = 0;

    if (!buf) {
        return tfw_convert_memory(c);
    }
    do {
        n = tfw_convert_go_on(c) ? read_part(p->package, st, file, buf, &inflated) : -1;
        if (n >= 0) {
            failed = xmlParseChunk(p->parser, buf, (int)n, n == 0);
        }
        if (st->valid & ZIP_STAT_SIZE) {
            tfw_convert_progress(c, inflated, st->size, from, to);
        }
    } while (n > 0 && !failed && !p->stopped);
    if (n >= 0 && failed && !p->stopped) {
        xml_failed(p);
    }
    free(buf);
    return c->outcome == TFW_OK;
}

bool tfw_package_read(tfw_package_t *package, const char *part, const tfw_xml_reader_t *reader, int from,
                      int to)
{
    parse_t parse = {.package = package, .part = part, .reader = reader};
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .internalSubset = on_doctype,
                         .startElementNs = on_start,
                         .endElementNs = on_end,
                         .characters = on_text,
                         .cdataBlock = on_text,
                         .ignorableWhitespace = on_text};
    zip_stat_t st;
    zip_file_t *file = open_part(package, part, &st);
    bool ok;

    if (!file) {
        return false;
    }
    parse.parser = xmlCreatePushParserCtxt(&sax, &parse, NULL, 0, NULL);
    if (parse.parser) {
        xmlCtxtUseOptions(parse.parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
        ok = feed(&parse, file, &st, from, to);
        xmlFreeParserCtxt(parse.parser);
    } else {
        ok = tfw_convert_memory(package->convert);
    }
    zip_fclose(file);
    return ok;
}
