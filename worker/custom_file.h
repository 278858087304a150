/* custom_file.h: one file of custom.h or connections.h: its members with their types and ranges checked. What
 * a function cannot take it complains about, and returns false. */
#ifndef TFW_CUSTOM_FILE_H
#define TFW_CUSTOM_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *path;
    const char *directory; /* absolute: its own, where other files that it names are looked for */
    char *error;
    size_t error_size;
} tfw_custom_file_t;

/* Calls load for every NAME.json of the directory, by name, until one returns false; directory is absolute
 * there. "": none is wanted. setting: what names the directory. false: error says why. */
bool tfw_custom_each(const char *setting, const char *directory,
                     bool (*load)(const char *directory, const char *name, const char *deny, char *error,
                                  size_t error_size),
                     const char *deny, char *error, size_t error_size);

#define TFW_CUSTOM_SUFFIX ".json"

/* error becomes "PATH: POINTER: ...". Returns false. */
bool tfw_custom_complain(const tfw_custom_file_t *file, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Every member of the object is among the names (ends with NULL). pointer: of the object, "" for the file's.
 */
bool tfw_custom_known(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                      const char *const *names);

/* A member of the object; *value stays as it is if there is none. Texts belong to the object. */
bool tfw_custom_int(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                    const char *name, int64_t min, int64_t max, int64_t *value);
bool tfw_custom_bool(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                     const char *name, bool *value);
bool tfw_custom_text(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                     const char *name, const char **value);
/* 0 to 86400 seconds, in milliseconds. */
bool tfw_custom_seconds(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                        const char *name, int64_t *ms);
/* NULL if there is none. */
bool tfw_custom_object(const tfw_custom_file_t *file, const char *pointer, const json_t *object,
                       const char *name, const json_t **value);

/* An absolute path as it is, any other below the file's directory; malloc, NULL: out of memory. */
char *tfw_custom_path(const tfw_custom_file_t *file, const char *path);

/* The file's text, at most max bytes; NUL-terminated, malloc. NULL: complained, at the pointer. */
char *tfw_custom_read(const tfw_custom_file_t *file, const char *pointer, const char *path, size_t max);

#endif
