/* start.h: how a daemon starts: its command line, and the settings that both have (docs/internals.md
 * "Settings"). */
#ifndef TFD_START_H
#define TFD_START_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "settings.h"

typedef struct {
    char *database_url;
    char *redis_url;
    char *log_level;
    char *redis_library; /* path */

    /* derived */
    tf_redis_url_t redis;
    tf_buf_t library; /* the file's text */
} tfd_settings_t;

/* Reads and checks everything that can be checked without a server, and sets the log up. path: env file, or
 * NULL. logger: see tf_log_init. false: error says which setting is wrong and why; nothing needs freeing
 * then. */
bool tfd_settings_load(tfd_settings_t *settings, const char *path, const char *logger, char *error,
                       size_t error_size);
void tfd_settings_free(tfd_settings_t *settings);

typedef struct {
    const char *path; /* -c; NULL: none */
    bool check;       /* -t */
} tfd_command_line_t;

/* [-c FILE] [-t] [-V] [-h]. program: "taskforge-worker". Returns -1 to go on, else the status to leave with:
 * the version, the usage or a complaint has been printed. */
int tfd_command_line(const char *program, int argc, char **argv, tfd_command_line_t *out);

#endif
