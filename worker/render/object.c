/* What taskforge-render.so exports. */
#include "page.h"

extern __attribute__((visibility("default"))) const tfw_render_t taskforge_render;

const tfw_render_t taskforge_render = {
    .abi = TFW_RENDER_ABI,
    .document = tfw_document_render,
    .text = tfw_plain_render,
    .chart = tfw_chart_render,
};
