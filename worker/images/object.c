/* object.c: what taskforge-images.so exports: one conversion from front to end. Whatever it is made of is
 * read and written while it is saved, a strip at a time. */
#include <sys/stat.h>
#include <unistd.h>

#include "images.h"

static bool save(VipsImage *image, VipsTarget *target, tfw_format_t to, const tfw_image_options_t *options)
{
    gboolean strip = options->strip;

    switch (to) {
    case TFW_FORMAT_PNG:
        return vips_pngsave_target(image, target, "strip", strip, NULL) == 0;
    case TFW_FORMAT_JPEG:
        return vips_jpegsave_target(image, target, "Q", options->quality, "optimize_coding", TRUE, "strip",
                                    strip, NULL) == 0;
    default:
        return vips_webpsave_target(image, target, "Q", options->quality, "strip", strip, NULL) == 0;
    }
}

/* JPEG has nothing transparent. */
static VipsImage *flatten(VipsImage *image, tfw_format_t to, uint32_t background)
{
    double colour[3] = {background >> 16 & 255, background >> 8 & 255, background & 255};
    double grey = (0.2126 * colour[0]) + (0.7152 * colour[1]) + (0.0722 * colour[2]);
    bool is_grey = vips_image_get_bands(image) < 3;
    VipsArrayDouble *array;
    VipsImage *made = NULL;
    int failed;

    if (to != TFW_FORMAT_JPEG || !vips_image_hasalpha(image)) {
        return g_object_ref(image);
    }
    array = vips_array_double_new(is_grey ? &grey : colour, is_grey ? 1 : 3);
    failed = vips_flatten(image, &made, "background", array, NULL);
    vips_area_unref(VIPS_AREA(array));
    return failed ? NULL : made;
}

bool tfw_image_save(tfw_convert_t *c, VipsImage *image, int fd, tfw_format_t to,
                    const tfw_image_options_t *options)
{
    VipsImage *flat = flatten(image, to, options->background);
    VipsTarget *target = flat ? vips_target_new_to_descriptor(fd) : NULL;
    struct stat st;
    bool ok = target && save(flat, target, to, options);

    g_clear_object(&target);
    g_clear_object(&flat);
    if (!tfw_convert_go_on(c)) {
        vips_error_clear();
        return false;
    }
    if (!ok) {
        return tfw_image_failed(c, "the image cannot be converted");
    }
    return (fstat(fd, &st) == 0 && (uint64_t)st.st_size <= c->output_max) ||
           tfw_convert_fail(c, TFW_PERMANENT, "the result is larger than %llu bytes",
                            (unsigned long long)c->output_max);
}

/* Called for every strip, in the thread that waits. */
static void on_eval(VipsImage *image, const VipsProgress *progress, tfw_convert_t *c)
{
    tfw_convert_progress(c, (uint64_t)progress->percent, 100, 0, 95);
    if (!tfw_convert_go_on(c)) {
        vips_image_set_kill(image, TRUE);
    }
}

static void ignore(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer data)
{
}

static bool begin(tfw_convert_t *c)
{
    static bool begun;

    if (begun) {
        return true;
    }
    if (VIPS_INIT("taskforge") != 0) {
        return tfw_image_failed(c, "libvips cannot begin");
    }
    g_log_set_handler("VIPS", G_LOG_LEVEL_MASK, ignore, NULL); /* what matters is in the error */
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    /* Nothing but what load.c calls is to read a file; of what libvips does not trust, librsvg alone: it is
     * written in Rust and looks at nothing outside of its file. */
    vips_block_untrusted_set(TRUE);
    vips_operation_block_set("VipsForeignLoadSvg", FALSE);
    begun = true;
    return true;
}

static bool convert(tfw_convert_t *c, const tfw_input_t *in, tfw_format_t from, int out_fd, tfw_format_t to,
                    const tfw_image_options_t *options, tfw_image_facts_t *facts)
{
    VipsImage *image = begin(c) ? tfw_image_load(c, in, from, options, 1) : NULL;
    bool ok;

    if (image && from == TFW_FORMAT_SVG) {
        int width = vips_image_get_width(image), height = vips_image_get_height(image);
        double scale = tfw_image_scale(width, height, options);

        g_clear_object(&image);
        if (tfw_image_size_ok(c, width * scale, height * scale, options->megapixels)) {
            image = tfw_image_load(c, in, from, options, scale);
        }
    }
    if (!image) {
        return false;
    }
    facts->pages = vips_image_get_n_pages(image);
    vips_image_set_progress(image, TRUE);
    g_signal_connect(image, "eval", G_CALLBACK(on_eval), c);
    image = tfw_image_shape(c, image, options);
    if (!image) {
        return false;
    }
    facts->width = vips_image_get_width(image);
    facts->height = vips_image_get_height(image);
    ok = tfw_image_save(c, image, out_fd, to, options);
    g_object_unref(image);
    return ok;
}

extern __attribute__((visibility("default"))) const tfw_images_t taskforge_images;

const tfw_images_t taskforge_images = {TFW_IMAGES_VERSION, convert};
