/* shape.c: colours and sizes. */
#include <math.h>

#include "images.h"

double tfw_image_scale(int width, int height, const tfw_image_options_t *options)
{
    double x = options->width ? (double)options->width / width : 0;
    double y = options->height ? (double)options->height / height : 0;

    if (x == 0 || y == 0) {
        return x == 0 && y == 0 ? 1 : x + y;
    }
    return options->fit == TFW_FIT_INSIDE ? fmin(x, y) : fmax(x, y);
}

/* Each step takes one image and makes the next. */
static bool next(VipsImage **image, VipsImage *made)
{
    g_object_unref(*image);
    *image = made;
    return made != NULL;
}

/* sRGB or grey, 8 bits. */
static bool to_srgb(VipsImage **image)
{
    VipsInterpretation kind = vips_image_get_interpretation(*image);
    bool cmyk = kind == VIPS_INTERPRETATION_CMYK,
         grey = kind == VIPS_INTERPRETATION_B_W || kind == VIPS_INTERPRETATION_GREY16;
    VipsImage *made = NULL;

    if ((cmyk || vips_image_get_typeof(*image, VIPS_META_ICC_NAME)) && !grey &&
        vips_icc_transform(*image, &made, "srgb", "embedded", TRUE, "input_profile", cmyk ? "cmyk" : "srgb",
                           "depth", 8, NULL) == 0) {
        return next(image, made);
    }
    vips_error_clear(); /* a profile that cannot be used is left aside */
    if (vips_colourspace(*image, &made, grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, NULL) !=
        0) {
        made = NULL;
    }
    return next(image, made);
}

/* Colours of what is transparent must not bleed into what is beside it. */
static bool resize(VipsImage **image, double x, double y)
{
    bool alpha = vips_image_hasalpha(*image);
    VipsImage *made = NULL;

    if (x == 1 && y == 1) {
        return true;
    }
    if (alpha && !next(image, vips_premultiply(*image, &made, NULL) == 0 ? made : NULL)) {
        return false;
    }
    made = NULL;
    if (!next(image, vips_resize(*image, &made, x, "vscale", y, NULL) == 0 ? made : NULL) || !alpha) {
        return *image != NULL;
    }
    made = NULL;
    if (!next(image, vips_unpremultiply(*image, &made, NULL) == 0 ? made : NULL)) {
        return false;
    }
    made = NULL;
    return next(image, vips_cast_uchar(*image, &made, NULL) == 0 ? made : NULL);
}

static bool crop(VipsImage **image, int width, int height)
{
    int w = vips_image_get_width(*image), h = vips_image_get_height(*image);
    VipsImage *made = NULL;

    width = width < w ? width : w;
    height = height < h ? height : h;
    if (width == w && height == h) {
        return true;
    }
    return next(image, vips_crop(*image, &made, (w - width) / 2, (h - height) / 2, width, height, NULL) == 0
                           ? made
                           : NULL);
}

/* To exactly so many pixels. */
static bool fit(tfw_convert_t *c, VipsImage **image, const tfw_image_options_t *options)
{
    double w = vips_image_get_width(*image), h = vips_image_get_height(*image);
    double scale = tfw_image_scale((int)w, (int)h, options);
    double width = fmax(1, round(w * scale)), height = fmax(1, round(h * scale));
    bool both = options->width && options->height;

    if (both && options->fit == TFW_FIT_FILL) {
        width = options->width;
        height = options->height;
    }
    if (!tfw_image_size_ok(c, width, height, options->megapixels)) {
        g_clear_object(image);
        return false;
    }
    return resize(image, width / w, height / h) &&
           (!both || options->fit != TFW_FIT_COVER || crop(image, options->width, options->height));
}

VipsImage *tfw_image_shape(tfw_convert_t *c, VipsImage *image, const tfw_image_options_t *options)
{
    if (to_srgb(&image) && fit(c, &image, options)) {
        return image;
    }
    if (c->outcome == TFW_OK) {
        tfw_image_failed(c, "the image cannot be converted");
    }
    return NULL;
}
