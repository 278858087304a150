#include "render.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

#define OBJECT "taskforge-render.so"
#define SYMBOL "taskforge_render"

/* Beside the program itself. */
static bool path_of(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - sizeof(OBJECT));
    char *slash;

    if (n <= 0) {
        return false;
    }
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (!slash) {
        return false;
    }
    memcpy(slash + 1, OBJECT, sizeof(OBJECT));
    return true;
}

const tfw_render_t *tfw_render(tfw_run_t *run)
{
    static const tfw_render_t *loaded;
    char path[4096];
    void *object;

    if (loaded) {
        return loaded;
    }
    if (!path_of(path, sizeof(path))) {
        tfw_run_error(run, OBJECT ": where this program is cannot be told");
        return NULL;
    }
    object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        const char *why = dlerror(); /* names the file */

        tfw_run_error(run, "%s", why ? why : OBJECT " cannot be loaded");
        return NULL;
    }
    loaded = dlsym(object, SYMBOL);
    if (!loaded || loaded->abi != TFW_RENDER_ABI) {
        loaded = NULL;
        dlclose(object);
        tfw_run_error(run, "%s is not of this version", path);
    }
    return loaded;
}
