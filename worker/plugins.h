/* plugins.h: job types from shared objects (plugin.h says what is in them). */
#ifndef TFW_PLUGINS_H
#define TFW_PLUGINS_H

#include <stdbool.h>
#include <stddef.h>

/* Loads every *.so of the directory ("": none is wanted), in the order of their names, and adds their types
 * to the catalogue. They stay as long as the process. false: error says which file and why. */
bool tfw_plugins_load(const char *directory, char *error, size_t error_size);

#endif
