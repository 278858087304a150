#include "shared_object.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 4096

const void *tfw_shared_object(const char *file, const char *symbol, int version, char *error,
                              size_t error_size)
{
    char program[PATH_SIZE], path[PATH_SIZE + 128];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    const char *why;
    const int *found;
    void *object;

    if (n <= 0) {
        snprintf(error, error_size, "%s: where this program is cannot be told", file);
        return NULL;
    }
    program[n] = '\0';
    snprintf(path, sizeof(path), "%.*s%s", (int)(strrchr(program, '/') + 1 - program), program, file);
    object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        why = dlerror(); /* names the file */
        snprintf(error, error_size, "%s", why ? why : file);
        return NULL;
    }
    found = dlsym(object, symbol);
    if (!found || *found != version) {
        snprintf(error, error_size, "%s is not of this version", path);
        dlclose(object);
        return NULL;
    }
    return found;
}
