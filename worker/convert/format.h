/* format.h: the formats of files, and which of them a file has, by what is in it. */
#ifndef TFW_FORMAT_H
#define TFW_FORMAT_H

#include "convert/convert.h"

typedef enum {
    TFW_FORMAT_NONE,
    TFW_FORMAT_PNG,
    TFW_FORMAT_JPEG,
    TFW_FORMAT_WEBP,
    TFW_FORMAT_GIF,
    TFW_FORMAT_TIFF,
    TFW_FORMAT_SVG,
    TFW_FORMAT_CSV,
    TFW_FORMAT_TSV,
    TFW_FORMAT_JSON,
    TFW_FORMAT_JSONL,
    TFW_FORMAT_XLSX,
    TFW_FORMAT_ODS,
    TFW_FORMAT_MARKDOWN,
    TFW_FORMAT_TEXT,
    TFW_FORMAT_HTML,
    TFW_FORMAT_PDF,
    TFW_FORMATS
} tfw_format_t;

typedef enum { TFW_FAMILY_NONE, TFW_FAMILY_IMAGE, TFW_FAMILY_TABLE, TFW_FAMILY_DOCUMENT } tfw_family_t;

const char *tfw_format_name(tfw_format_t format);         /* "jpeg" */
const char *tfw_format_extension(tfw_format_t format);    /* "jpg" */
const char *tfw_format_content_type(tfw_format_t format); /* "image/jpeg" */
tfw_family_t tfw_format_family(tfw_format_t format);

/* By name or extension, in any case: "jpeg", "JPG". TFW_FORMAT_NONE: unknown. */
tfw_format_t tfw_format_parse(const char *name, size_t len);

/* By the extension of a path or of the path of a URL. */
tfw_format_t tfw_format_of_path(const char *path);

/* By a media type, parameters allowed. */
tfw_format_t tfw_format_of_content_type(const char *type);

/* What a file becomes where nobody says it: an image png (a PNG jpeg), CSV and TSV json, other tables csv,
 * Markdown html, a text pdf. TFW_FORMAT_NONE: it cannot become anything. */
tfw_format_t tfw_format_usual(tfw_format_t from);

/* Whether from can become to. */
bool tfw_format_converts(tfw_format_t from, tfw_format_t to);

/* The format of a file: what its content says; among the formats that are plain text, what the hint says.
 * hint: TFW_FORMAT_NONE: there is none. whose: who gives the hint, for errors ("the extension").
 * TFW_FORMAT_NONE: the conversion has failed. */
tfw_format_t tfw_format_detect(tfw_convert_t *c, const tfw_input_t *in, tfw_format_t hint, const char *whose);

#endif
