/* load.c: images are read by the loader that their content asks for, and no other. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "images.h"

bool tfw_image_failed(tfw_convert_t *c, const char *what)
{
    const char *why = vips_error_buffer();

    tfw_convert_fail(c, TFW_PERMANENT, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
    vips_error_clear();
    return false;
}

bool tfw_image_size_ok(tfw_convert_t *c, double width, double height, int megapixels)
{
    if (width >= 1 && height >= 1 && width * height <= megapixels * 1e6) {
        return true;
    }
    return tfw_convert_fail(c, TFW_PERMANENT,
                            "an image of %.0f x %.0f pixels; at most %d megapixels are allowed", width,
                            height, megapixels);
}

/* Its header is read; pixels are when they are asked for. */
static VipsImage *open_with(VipsSource *source, tfw_format_t from, VipsAccess access, double scale)
{
    VipsImage *image = NULL;
    int failed;

    switch (from) {
    case TFW_FORMAT_PNG:
        failed = vips_pngload_source(source, &image, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
        break;
    case TFW_FORMAT_JPEG:
        failed = vips_jpegload_source(source, &image, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
        break;
    case TFW_FORMAT_WEBP:
        failed = vips_webpload_source(source, &image, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
        break;
    case TFW_FORMAT_GIF:
        failed = vips_gifload_source(source, &image, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
        break;
    case TFW_FORMAT_TIFF:
        failed = vips_tiffload_source(source, &image, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
        break;
    case TFW_FORMAT_SVG: /* without an address of its own: nothing that it refers to can be found */
        failed = vips_svgload_source(source, &image, "access", access, "scale", scale, NULL);
        break;
    default:
        vips_error("taskforge", "not an image");
        failed = -1;
    }
    return failed ? NULL : image;
}

static VipsImage *load(const tfw_input_t *in, tfw_format_t from, VipsAccess access, double scale)
{
    VipsSource *source = lseek(in->fd, 0, SEEK_SET) == 0 ? vips_source_new_from_descriptor(in->fd) : NULL;
    VipsImage *image = source ? open_with(source, from, access, scale) : NULL;

    g_clear_object(&source); /* the image keeps it */
    return image;
}

VipsImage *tfw_image_load(tfw_convert_t *c, const tfw_input_t *in, tfw_format_t from,
                          const tfw_image_options_t *options, double scale)
{
    VipsImage *image = load(in, from, VIPS_ACCESS_SEQUENTIAL, scale), *upright = NULL;

    if (image && !tfw_image_size_ok(c, vips_image_get_width(image), vips_image_get_height(image),
                                    options->megapixels)) {
        g_clear_object(&image);
        return NULL;
    }
    if (image && vips_image_get_orientation(image) > 1) { /* to turn it, all of it is needed */
        g_clear_object(&image);
        image = load(in, from, VIPS_ACCESS_RANDOM, scale);
        if (image && vips_autorot(image, &upright, NULL) == 0) {
            g_object_unref(image);
            return upright;
        }
        g_clear_object(&image);
    }
    if (!image) {
        tfw_image_failed(c, "the image cannot be read");
    }
    return image;
}
