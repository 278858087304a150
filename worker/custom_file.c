#include "custom_file.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 86400

bool tfw_custom_complain(const tfw_custom_file_t *file, const char *pointer, const char *fmt, ...)
{
    int n = snprintf(file->error, file->error_size, "%s: %s%s", file->path, pointer, *pointer ? ": " : "");
    va_list args;

    if (n >= 0 && (size_t)n < file->error_size) {
        va_start(args, fmt);
        vsnprintf(file->error + n, file->error_size - (size_t)n, fmt, args);
        va_end(args);
    }
    return false;
}

/* The same for a member. */
static bool complain_of(const tfw_custom_file_t *file, const char *pointer, const char *name,
                        const char *what)
{
    return tfw_custom_complain(file, "", "%s/%s: %s", pointer, name, what);
}

bool tfw_custom_known(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                      const char *const *names)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        const char *const *name = names;

        while (*name && strcmp(*name, key) != 0) {
            name++;
        }
        if (!*name) {
            return tfw_custom_complain(file, "", "%s/%.64s: is not known here", pointer, key);
        }
    }
    return true;
}

bool tfw_custom_int(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                    const char *name, int64_t min, int64_t max, int64_t *value)
{
    const json_t *member = json_object_get(object, name);
    char what[80];

    if (!member) {
        return true;
    }
    if (!json_is_integer(member) || json_integer_value(member) < min || json_integer_value(member) > max) {
        snprintf(what, sizeof(what), "must be an integer from %lld to %lld", (long long)min, (long long)max);
        return complain_of(file, pointer, name, what);
    }
    *value = json_integer_value(member);
    return true;
}

bool tfw_custom_bool(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                     const char *name, bool *value)
{
    const json_t *member = json_object_get(object, name);

    if (member && !json_is_boolean(member)) {
        return complain_of(file, pointer, name, "must be true or false");
    }
    *value = member ? json_is_true(member) : *value;
    return true;
}

bool tfw_custom_text(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                     const char *name, const char **value)
{
    const json_t *member = json_object_get(object, name);

    if (member && (!json_is_string(member) || json_string_length(member) == 0 ||
                   strlen(json_string_value(member)) != json_string_length(member))) {
        return complain_of(file, pointer, name, "must be a text of at least one byte, without NUL");
    }
    *value = member ? json_string_value(member) : *value;
    return true;
}

bool tfw_custom_seconds(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                        const char *name, int64_t *ms)
{
    const json_t *member = json_object_get(object, name);
    double seconds = json_number_value(member);

    if (member && (!json_is_number(member) || !(seconds >= 0 && seconds <= SECONDS_MAX))) {
        return complain_of(file, pointer, name, "must be a number of seconds from 0 to 86400");
    }
    *ms = member ? (int64_t)llround(seconds * 1000) : *ms;
    return true;
}

bool tfw_custom_object(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                       const char *name, const json_t **value)
{
    *value = json_object_get(object, name);
    return !*value || json_is_object(*value) || complain_of(file, pointer, name, "must be an object");
}

char *tfw_custom_path(const tfw_custom_file_t *file, const char *path)
{
    char *out;

    if (*path == '/') {
        return strdup(path);
    }
    return asprintf(&out, "%s/%s", file->directory, path) < 0 ? NULL : out;
}

char *tfw_custom_read(const tfw_custom_file_t *file, const char *pointer, const char *path, size_t max)
{
    char *where = tfw_custom_path(file, path), *text = malloc(max + 2);
    FILE *in = where ? fopen(where, "re") : NULL;
    size_t n = in && text ? fread(text, 1, max + 1, in) : 0;
    bool ok = in && text && !ferror(in) && n <= max;

    if (ok) {
        text[n] = '\0';
        ok = strlen(text) == n;
    }
    if (!ok) {
        tfw_custom_complain(file, pointer, "%.200s: %s", path,
                            !in || ferror(in) ? strerror(errno)
                            : n > max         ? "too large"
                                              : "cannot be used: a NUL byte, or out of memory");
        free(text);
        text = NULL;
    }
    if (in) {
        fclose(in);
    }
    free(where);
    return text;
}

static int is_file(const struct dirent *entry)
{
    return fnmatch("*" TFW_CUSTOM_SUFFIX, entry->d_name, FNM_PERIOD) == 0;
}

bool tfw_custom_each(const char *setting, const char *directory,
                     bool (*load)(const char *directory, const char *name, const char *deny, char *error,
                                  size_t error_size),
                     const char *deny, char *error, size_t error_size)
{
    char absolute[PATH_MAX];
    struct dirent **entries;
    bool ok = true;
    int n;

    if (!*directory) {
        return true;
    }
    n = realpath(directory, absolute) ? scandir(absolute, &entries, is_file, alphasort) : -1;
    if (n < 0) {
        snprintf(error, error_size, "%s: %.200s: %s", setting, directory, strerror(errno));
        return false;
    }
    for (int i = 0; i < n; i++) {
        ok = ok && load(absolute, entries[i]->d_name, deny, error, error_size);
        free(entries[i]);
    }
    free(entries);
    return ok;
}
