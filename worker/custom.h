/* custom.h: job types that the settings define, each by a file NAME.json in TASKFORGE_HANDLERS_DIR
 * (docs/handlers.md): a command (exec.h) or an HTTP service (remote.h) is their handler. */
#ifndef TFW_CUSTOM_H
#define TFW_CUSTOM_H

#include <stdbool.h>
#include <stddef.h>

/* Reads every *.json of the directory ("": none is wanted) and adds their types to the catalogue. deny:
 * TASKFORGE_OUTGOING_DENY. What they hold stays as long as the process. false: error says which file, what in
 * it, and why. */
bool tfw_custom_load(const char *directory, const char *deny, char *error, size_t error_size);

#endif
