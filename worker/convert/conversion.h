/* conversion.h: one file into another: which conversion does it, and its options. */
#ifndef TFW_CONVERSION_H
#define TFW_CONVERSION_H

#include <jansson.h>

#include "convert/format.h"
#include "convert/table.h"
#include "images.h"
#include "render.h"

/* Who makes it fills all but what is said otherwise, with zeros for the rest. */
typedef struct {
    tfw_convert_t convert;
    const char *input; /* its path or URL */
    tfw_input_t in;
    const tfw_render_t *render; /* what makes a PDF; NULL: none is made */
    int out_fd;                 /* an empty regular file, open for reading and writing */
    tfw_format_t from, to;
    /* what tfw_conversion_options reads; texts belong to its argument */
    tfw_table_options_t table_options;
    tfw_image_options_t image_options; /* megapixels: whoever makes it */
    const char *title;                 /* of a document; NULL: its own */
    /* what is known afterwards */
    tfw_table_facts_t table;
    tfw_image_facts_t image;
    int pages; /* of a PDF */
} tfw_conversion_t;

/* Reads the options; NULL: none. false: the conversion has failed: one of them is wrong or does not go with
 * these formats, or there is no such conversion. */
bool tfw_conversion_options(tfw_conversion_t *conversion, const json_t *options);

/* false: the conversion has failed or was cancelled. */
bool tfw_conversion_run(tfw_conversion_t *conversion);

#endif
