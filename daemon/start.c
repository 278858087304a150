#include "start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "redis_tls.h"
#include "pg.h"
#include "redis_keys.h"

#define LIBRARY_BYTES_MAX 1048576

#define FIELD(name) offsetof(tfd_settings_t, name)

static const tf_setting_t table[] = {
    {"DATABASE_URL", TF_SETTING_TEXT, FIELD(database_url), NULL, 0, 0, "libpq URL or conninfo"},
    {"REDIS_URL", TF_SETTING_TEXT, FIELD(redis_url), NULL, 0, 0,
     "redis://host:port/db, rediss://host:port/db or unix:///path"},
    {"TASKFORGE_LOG_LEVEL", TF_SETTING_TEXT, FIELD(log_level), "info", 0, 0, "debug, info, warning or error"},
    {"TASKFORGE_REDIS_LIBRARY", TF_SETTING_TEXT, FIELD(redis_library), NULL, 0, 0, "path of taskforge.lua"},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static bool read_library(const char *path, tf_buf_t *out, char *error, size_t size)
{
    static const char first_line[] = "#!lua name=" TF_REDIS_LIBRARY;
    FILE *file = fopen(path, "re");
    bool unreadable;
    char *p;

    if (file == NULL) {
        snprintf(error, size, "TASKFORGE_REDIS_LIBRARY: %.200s: %s", path, strerror(errno));
        return false;
    }
    while ((p = tf_buf_reserve(out, 65536)) != NULL && out->len <= LIBRARY_BYTES_MAX) {
        size_t n = fread(p, 1, 65536, file);

        out->len += n;
        if (n < 65536) {
            break;
        }
    }
    unreadable = ferror(file) != 0;
    fclose(file);
    if (unreadable) {
        snprintf(error, size, "TASKFORGE_REDIS_LIBRARY: %.200s cannot be read", path);
        return false;
    }
    if (p == NULL || out->len > LIBRARY_BYTES_MAX || out->len < sizeof(first_line) - 1 ||
        memcmp(out->data, first_line, sizeof(first_line) - 1) != 0) {
        snprintf(error, size, "TASKFORGE_REDIS_LIBRARY: %.200s does not begin with \"%s\"", path, first_line);
        return false;
    }
    return true;
}

static bool check(tfd_settings_t *s, const char *logger, char *error, size_t error_size)
{
    char why[320];

    if (!tfd_pg_check_url(s->database_url, error, error_size)) {
        return false;
    }
    if (!tf_redis_url_parse(s->redis_url, &s->redis, why, sizeof(why)) ||
        !tf_redis_tls_open(&s->redis, why, sizeof(why))) {
        snprintf(error, error_size, "REDIS_URL: %s", why);
        return false;
    }
    if (!tf_log_init(logger, s->log_level)) {
        snprintf(error, error_size, "TASKFORGE_LOG_LEVEL: \"%.40s\" is not debug, info, warning or error",
                 s->log_level);
        return false;
    }
    return read_library(s->redis_library, &s->library, error, error_size);
}

bool tfd_settings_load(tfd_settings_t *settings, const char *path, const char *logger, char *error,
                       size_t error_size)
{
    memset(settings, 0, sizeof(*settings));
    if (!tf_settings_load(table, COUNT, settings, path, error, error_size)) {
        return false;
    }
    if (!check(settings, logger, error, error_size)) {
        tfd_settings_free(settings);
        return false;
    }
    return true;
}

void tfd_settings_free(tfd_settings_t *settings)
{
    tf_buf_free(&settings->library);
    tf_redis_url_free(&settings->redis);
    tf_settings_free(table, COUNT, settings);
}

static int usage(const char *program, FILE *out, int status)
{
    fprintf(out,
            "usage: %s [-c FILE] [-t] [-V]\n"
            "  -c FILE  settings, NAME=value lines; the environment wins over them\n"
            "  -t       check the settings and leave\n"
            "  -V       print the version and leave\n",
            program);
    return status;
}

int tfd_command_line(const char *program, int argc, char **argv, tfd_command_line_t *out)
{
    int option;

    *out = (tfd_command_line_t){NULL, false};
    while ((option = getopt(argc, argv, "c:thV")) != -1) {
        switch (option) {
        case 'c':
            out->path = optarg;
            break;
        case 't':
            out->check = true;
            break;
        case 'V':
            printf("%s " TF_VERSION "\n", program);
            return 0;
        case 'h':
            return usage(program, stdout, 0);
        default:
            return usage(program, stderr, 2);
        }
    }
    return optind == argc ? -1 : usage(program, stderr, 2);
}
