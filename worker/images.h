/* images.h: an image in another format or size. libvips and what it decodes with are in taskforge-images.so
 * (worker/images/), see shared_object.h. */
#ifndef TFW_IMAGES_H
#define TFW_IMAGES_H

#include "convert/format.h"

#define TFW_IMAGE_SIDE_MAX 16383 /* pixels of a width or height that is asked for: what WebP can have */

/* How an image is fitted into a width and a height of other proportions. */
typedef enum {
    TFW_FIT_INSIDE, /* as large as it can be without leaving them */
    TFW_FIT_COVER,  /* as small as it can be to fill them, the rest cut off on both sides */
    TFW_FIT_FILL    /* stretched */
} tfw_image_fit_t;

typedef struct {
    int width, height; /* 1 to TFW_IMAGE_SIDE_MAX; 0: as the other, or the image, has it */
    tfw_image_fit_t fit;
    int quality;         /* of JPEG and WebP, 1 to 100 */
    bool strip;          /* no metadata: neither place nor camera nor thumbnail */
    uint32_t background; /* 0xRRGGBB, behind what is transparent, where the format cannot keep that */
    int megapixels;      /* at most, of what is read and of what is made */
} tfw_image_options_t;

typedef struct {
    int width, height; /* of what was made */
    int pages;         /* of what was read: only the first is looked at */
} tfw_image_facts_t;

#define TFW_IMAGES_VERSION 1
#define TFW_IMAGES_FILE "taskforge-images.so"
#define TFW_IMAGES_SYMBOL "taskforge_images"

/* What the object exports. */
typedef struct {
    int version;

    /* from: what the content of in is. false: the conversion has failed. */
    bool (*convert)(tfw_convert_t *c, const tfw_input_t *in, tfw_format_t from, int out_fd, tfw_format_t to,
                    const tfw_image_options_t *options, tfw_image_facts_t *facts);
} tfw_images_t;

#endif
