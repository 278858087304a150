#include "plugins.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"

#define SYMBOL "taskforge_plugin"

static bool load(const char *path, char *error, size_t error_size)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const tfw_plugin_t *plugin = object ? dlsym(object, SYMBOL) : NULL;

    if (!object) {
        const char *why = dlerror(); /* names the file, mostly */

        snprintf(error, error_size, "plug-in %.200s: %.300s", path, why ? why : "cannot be loaded");
        return false;
    }
    if (!plugin) {
        snprintf(error, error_size, "plug-in %.200s: does not export " SYMBOL, path);
        return false;
    }
    if (plugin->abi != TFW_PLUGIN_ABI) {
        snprintf(error, error_size,
                 "plug-in %.200s: was compiled for version %d of the interface; this worker has version %d",
                 path, plugin->abi, TFW_PLUGIN_ABI);
        return false;
    }
    for (const tfw_handler_t *const *h = plugin->handlers; *h; h++) {
        if (!tfw_catalogue_add(*h, path, error, error_size)) {
            return false;
        }
    }
    return true;
}

static int is_object(const struct dirent *entry)
{
    return fnmatch("*.so", entry->d_name, FNM_PERIOD) == 0;
}

bool tfw_plugins_load(const char *directory, char *error, size_t error_size)
{
    struct dirent **entries;
    bool ok = true;
    int n;

    if (!*directory) {
        return true;
    }
    n = scandir(directory, &entries, is_object, alphasort);
    if (n < 0) {
        snprintf(error, error_size, "TASKFORGE_PLUGIN_DIR: %.200s: %s", directory, strerror(errno));
        return false;
    }
    for (int i = 0; i < n; i++) {
        char path[4096];

        /* with a slash in it, so that dlopen does not look elsewhere */
        snprintf(path, sizeof(path), "%s%s/%s", *directory == '/' ? "" : "./", directory, entries[i]->d_name);
        ok = ok && load(path, error, error_size);
        free(entries[i]);
    }
    free(entries);
    return ok;
}
