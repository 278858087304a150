/* format.c: see format.h. */
#include "convert/format.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "convert/package.h"

#define LOOK_AT 4096 /* bytes */

typedef struct {
    const char *name, *extension, *other; /* other: one more name or extension; NULL: none */
    const char *content_type;
    tfw_family_t family;
    bool plain; /* text without a sign of its own */
} format_t;

static const format_t formats[TFW_FORMATS] = {
    [TFW_FORMAT_NONE] = {"", "", NULL, "", TFW_FAMILY_NONE, false},
    [TFW_FORMAT_PNG] = {"png", "png", NULL, "image/png", TFW_FAMILY_IMAGE, false},
    [TFW_FORMAT_JPEG] = {"jpeg", "jpg", "jpe", "image/jpeg", TFW_FAMILY_IMAGE, false},
    [TFW_FORMAT_WEBP] = {"webp", "webp", NULL, "image/webp", TFW_FAMILY_IMAGE, false},
    [TFW_FORMAT_GIF] = {"gif", "gif", NULL, "image/gif", TFW_FAMILY_IMAGE, false},
    [TFW_FORMAT_TIFF] = {"tiff", "tif", NULL, "image/tiff", TFW_FAMILY_IMAGE, false},
    [TFW_FORMAT_SVG] = {"svg", "svg", NULL, "image/svg+xml", TFW_FAMILY_IMAGE, false},
    [TFW_FORMAT_CSV] = {"csv", "csv", NULL, "text/csv", TFW_FAMILY_TABLE, true},
    [TFW_FORMAT_TSV] = {"tsv", "tsv", "tab", "text/tab-separated-values", TFW_FAMILY_TABLE, true},
    [TFW_FORMAT_JSON] = {"json", "json", NULL, "application/json", TFW_FAMILY_TABLE, true},
    [TFW_FORMAT_JSONL] = {"jsonl", "jsonl", "ndjson", "application/x-ndjson", TFW_FAMILY_TABLE, true},
    [TFW_FORMAT_XLSX] = {"xlsx", "xlsx", NULL,
                         "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                         TFW_FAMILY_TABLE, false},
    [TFW_FORMAT_ODS] = {"ods", "ods", NULL, "application/vnd.oasis.opendocument.spreadsheet",
                        TFW_FAMILY_TABLE, false},
    [TFW_FORMAT_MARKDOWN] = {"markdown", "md", "mkd", "text/markdown", TFW_FAMILY_DOCUMENT, true},
    [TFW_FORMAT_TEXT] = {"text", "txt", NULL, "text/plain", TFW_FAMILY_DOCUMENT, true},
    [TFW_FORMAT_HTML] = {"html", "html", "htm", "text/html", TFW_FAMILY_DOCUMENT, false},
    [TFW_FORMAT_PDF] = {"pdf", "pdf", NULL, "application/pdf", TFW_FAMILY_DOCUMENT, false},
};

const char *tfw_format_name(tfw_format_t format)
{
    return formats[format].name;
}

const char *tfw_format_extension(tfw_format_t format)
{
    return formats[format].extension;
}

const char *tfw_format_content_type(tfw_format_t format)
{
    return formats[format].content_type;
}

tfw_family_t tfw_format_family(tfw_format_t format)
{
    return formats[format].family;
}

static bool same(const char *name, const char *text, size_t len)
{
    return name && strlen(name) == len && strncasecmp(name, text, len) == 0;
}

tfw_format_t tfw_format_parse(const char *name, size_t len)
{
    for (int i = 1; i < TFW_FORMATS; i++) {
        if (same(formats[i].name, name, len) || same(formats[i].extension, name, len) ||
            same(formats[i].other, name, len)) {
            return (tfw_format_t)i;
        }
    }
    return TFW_FORMAT_NONE;
}

tfw_format_t tfw_format_of_path(const char *path)
{
    size_t len = strcspn(path, "?#"), from = len;

    while (from > 0 && path[from - 1] != '.' && path[from - 1] != '/') {
        from--;
    }
    return from > 0 && path[from - 1] == '.' ? tfw_format_parse(path + from, len - from) : TFW_FORMAT_NONE;
}

tfw_format_t tfw_format_of_content_type(const char *type)
{
    size_t len = strcspn(type, "; ");

    for (int i = 1; i < TFW_FORMATS; i++) {
        if (same(formats[i].content_type, type, len)) {
            return (tfw_format_t)i;
        }
    }
    return TFW_FORMAT_NONE;
}

tfw_format_t tfw_format_usual(tfw_format_t from)
{
    switch (from) {
    case TFW_FORMAT_PNG:
        return TFW_FORMAT_JPEG;
    case TFW_FORMAT_CSV:
    case TFW_FORMAT_TSV:
        return TFW_FORMAT_JSON;
    case TFW_FORMAT_MARKDOWN:
        return TFW_FORMAT_HTML;
    case TFW_FORMAT_TEXT:
        return TFW_FORMAT_PDF;
    default:
        break;
    }
    switch (formats[from].family) {
    case TFW_FAMILY_IMAGE:
        return TFW_FORMAT_PNG;
    case TFW_FAMILY_TABLE:
        return TFW_FORMAT_CSV;
    default:
        return TFW_FORMAT_NONE;
    }
}

bool tfw_format_converts(tfw_format_t from, tfw_format_t to)
{
    switch (formats[from].family) {
    case TFW_FAMILY_IMAGE:
        return to == TFW_FORMAT_PNG || to == TFW_FORMAT_JPEG || to == TFW_FORMAT_WEBP;
    case TFW_FAMILY_TABLE:
        return from != to && formats[to].family == TFW_FAMILY_TABLE && to != TFW_FORMAT_ODS;
    case TFW_FAMILY_DOCUMENT:
        return (from == TFW_FORMAT_MARKDOWN && to == TFW_FORMAT_HTML) ||
               ((from == TFW_FORMAT_MARKDOWN || from == TFW_FORMAT_TEXT) && to == TFW_FORMAT_PDF);
    default:
        return false;
    }
}

/* ---- what is in a file ---- */

static bool begins(const char *bytes, size_t len, const char *with, size_t with_len)
{
    return len >= with_len && memcmp(bytes, with, with_len) == 0;
}

#define BEGINS(bytes, len, text) begins(bytes, len, text, sizeof(text) - 1)

/* Files with a sign of their own that are none of ours. */
static const char *known_stranger(const char *b, size_t len)
{
    return BEGINS(b, len, "\xD0\xCF\x11\xE0")         ? "an Office file of the old kind, or an encrypted one"
           : BEGINS(b, len, "\x1F\x8B")               ? "a gzip file"
           : BEGINS(b, len, "BM")                     ? "a BMP image"
           : len > 8 && memcmp(b + 4, "ftyp", 4) == 0 ? "a HEIF image or a film"
                                                      : NULL;
}

static tfw_format_t by_signature(const char *b, size_t len)
{
    return BEGINS(b, len, "\x89PNG\r\n\x1A\n")                                    ? TFW_FORMAT_PNG
           : BEGINS(b, len, "\xFF\xD8\xFF")                                       ? TFW_FORMAT_JPEG
           : BEGINS(b, len, "GIF87a") || BEGINS(b, len, "GIF89a")                 ? TFW_FORMAT_GIF
           : BEGINS(b, len, "RIFF") && len >= 12 && memcmp(b + 8, "WEBP", 4) == 0 ? TFW_FORMAT_WEBP
           : BEGINS(b, len, "II*\0") || BEGINS(b, len, "MM\0*")                   ? TFW_FORMAT_TIFF
           : BEGINS(b, len, "%PDF-")                                              ? TFW_FORMAT_PDF
                                                                                  : TFW_FORMAT_NONE;
}

/* Behind the next `mark`; end: it is not there. */
static const char *behind(const char *p, const char *end, const char *mark)
{
    const char *found = memmem(p, (size_t)(end - p), mark, strlen(mark));

    return found ? found + strlen(mark) : end;
}

/* The first element of what may be XML or HTML. */
static tfw_format_t by_element(const char *p, const char *end)
{
    while (p < end) {
        size_t left = (size_t)(end - p);

        if (isspace((unsigned char)*p)) {
            p++;
        } else if (BEGINS(p, left, "<?")) {
            p = behind(p, end, "?>");
        } else if (BEGINS(p, left, "<!--")) {
            p = behind(p, end, "-->");
        } else if (left > 14 && strncasecmp(p, "<!doctype html", 14) == 0) {
            return TFW_FORMAT_HTML;
        } else if (BEGINS(p, left, "<!DOCTYPE")) {
            const char *subset = memchr(p, '[', left), *close = memchr(p, '>', left);

            p = subset && close && subset < close ? behind(subset, end, "]>") : behind(p, end, ">");
        } else if (BEGINS(p, left, "<svg:svg") || BEGINS(p, left, "<svg")) {
            return TFW_FORMAT_SVG;
        } else {
            return left > 5 && strncasecmp(p, "<html", 5) == 0 ? TFW_FORMAT_HTML : TFW_FORMAT_NONE;
        }
    }
    return TFW_FORMAT_NONE;
}

static tfw_format_t in_zip(tfw_convert_t *c, const tfw_input_t *in)
{
    tfw_package_t *package = tfw_package_open(c, in);
    char type[96];
    tfw_format_t format = TFW_FORMAT_NONE;

    if (!package) {
        return TFW_FORMAT_NONE;
    }
    if (tfw_package_start_of(package, "mimetype", type, sizeof(type))) {
        if (strncmp(type, formats[TFW_FORMAT_ODS].content_type,
                    strlen(formats[TFW_FORMAT_ODS].content_type)) == 0) {
            format = TFW_FORMAT_ODS;
        } else {
            tfw_convert_fail(c, TFW_PERMANENT, "the content is an OpenDocument file, but not a spreadsheet");
        }
    } else if (tfw_package_has(package, "xl/workbook.xml")) {
        format = TFW_FORMAT_XLSX;
    } else {
        tfw_convert_fail(c, TFW_PERMANENT, "the content is %s",
                         tfw_package_has(package, "word/document.xml")
                             ? "a text document (docx), which cannot be converted"
                             : "a zip file that is no spreadsheet");
    }
    tfw_package_close(package);
    return format;
}

/* A text without a sign of its own: its hint, or what can be guessed. */
static tfw_format_t plain(tfw_convert_t *c, const char *p, const char *end, tfw_format_t hint)
{
    if (formats[hint].plain) {
        return hint;
    }
    while (p < end && isspace((unsigned char)*p)) {
        p++;
    }
    if (hint == TFW_FORMAT_NONE && p < end && (*p == '[' || *p == '{')) {
        return *p == '[' ? TFW_FORMAT_JSON : TFW_FORMAT_JSONL;
    }
    if (hint == TFW_FORMAT_NONE) {
        tfw_convert_fail(c, TFW_PERMANENT,
                         "the content is text, which does not say of what format: \"from\" must");
    }
    return TFW_FORMAT_NONE;
}

tfw_format_t tfw_format_detect(tfw_convert_t *c, const tfw_input_t *in, tfw_format_t hint, const char *whose)
{
    char bytes[LOOK_AT];
    ssize_t n = pread(in->fd, bytes, sizeof(bytes), 0);
    size_t len = n > 0 ? (size_t)n : 0, valid, skip;
    tfw_format_t found;
    const char *what;

    if (n < 0) {
        tfw_convert_fail(c, TFW_RETRY, "cannot read: %s", strerror(errno));
        return TFW_FORMAT_NONE;
    }
    skip = BEGINS(bytes, len, "\xEF\xBB\xBF") ? 3 : 0;
    valid = tf_utf8_span(bytes, len);
    found = by_signature(bytes, len);
    found = found ? found : by_element(bytes + skip, bytes + len);
    what = found ? formats[found].name : NULL;
    if (!found && (BEGINS(bytes, len, "PK\3\4") || BEGINS(bytes, len, "PK\5\6"))) {
        found = in_zip(c, in);
        what = formats[found].name;
        if (!found) {
            return TFW_FORMAT_NONE;
        }
    } else if (!found && (valid == len || (len == LOOK_AT && len - valid < 4))) { /* a character is cut */
        what = "text";
        found = plain(c, bytes + skip, bytes + len, hint);
    } else if (!found) {
        what = known_stranger(bytes, len);
    }
    if (hint && found != hint) {
        tfw_convert_fail(c, TFW_PERMANENT, "%s says %s, the content is %s", whose, formats[hint].name,
                         what ? what : "binary data of no known kind");
        return TFW_FORMAT_NONE;
    }
    if (!found) {
        tfw_convert_fail(c, TFW_PERMANENT, "the content is %s, which cannot be converted",
                         what ? what : "binary data of no known kind");
    }
    return found;
}
