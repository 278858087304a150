#include "render.h"

#include "plugin.h"
#include "shared_object.h"

#define OBJECT "taskforge-render.so"
#define SYMBOL "taskforge_render"

const tfw_render_t *tfw_render(tfw_run_t *run)
{
    static const tfw_render_t *loaded;
    char error[512];

    if (!loaded) {
        loaded = tfw_shared_object(OBJECT, SYMBOL, TFW_RENDER_ABI, error, sizeof(error));
    }
    if (!loaded) {
        tfw_run_error(run, "%s", error);
    }
    return loaded;
}
