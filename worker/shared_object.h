/* shared_object.h: parts of the worker that it does not carry all the time: shared objects of our own beside
 * its binary, loaded by the first job of an executor that needs them. */
#ifndef TFW_SHARED_OBJECT_H
#define TFW_SHARED_OBJECT_H

#include <stddef.h>

/* The address of symbol, which begins with an int: the version of what the object offers. file: its name. It
 * stays loaded. NULL: error says why. */
const void *tfw_shared_object(const char *file, const char *symbol, int version, char *error,
                              size_t error_size);

#endif
