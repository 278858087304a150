/* images.h of worker/images: what its files share. */
#ifndef TFW_IMAGES_PARTS_H
#define TFW_IMAGES_PARTS_H

#include <vips/vips.h>

#include "worker/images.h"

/* Fails with what libvips says. */
bool tfw_image_failed(tfw_convert_t *c, const char *what);

/* false: it has more pixels than it may; then the conversion has failed. */
bool tfw_image_size_ok(tfw_convert_t *c, double width, double height, int megapixels);

/* The first page, upright, not decoded yet. scale: of an SVG. NULL: the conversion has failed. */
VipsImage *tfw_image_load(tfw_convert_t *c, const tfw_input_t *in, tfw_format_t from,
                          const tfw_image_options_t *options, double scale);

/* In the colours of the web and in the size that is wanted. Takes image. NULL: the conversion has failed. */
VipsImage *tfw_image_shape(tfw_convert_t *c, VipsImage *image, const tfw_image_options_t *options);

/* How much larger an SVG is to be drawn, so that nothing needs to be made of its pixels but them smaller. */
double tfw_image_scale(int width, int height, const tfw_image_options_t *options);

bool tfw_image_save(tfw_convert_t *c, VipsImage *image, int fd, tfw_format_t to,
                    const tfw_image_options_t *options);

#endif
