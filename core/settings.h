/* settings.h: settings of the daemons: an env file (KEY=value lines), the environment wins over the file. */
#ifndef TF_SETTINGS_H
#define TF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { TF_SETTING_TEXT, TF_SETTING_INT, TF_SETTING_BOOL } tf_setting_kind_t;

/* One row of a program's table of settings. The field at `offset` of the target struct is a char * (malloc),
 * an int64_t or a bool. */
typedef struct {
    const char *name; /* e.g. TASKFORGE_WORKER_CONCURRENCY */
    tf_setting_kind_t kind;
    size_t offset;
    const char *fallback; /* NULL: required */
    int64_t min, max;     /* of TF_SETTING_INT */
    const char *help;     /* unit included */
} tf_setting_t;

/* Fills target. path NULL: the environment alone. Names that are not in the table are ignored: one file
 * serves every program. On error false, and error holds e.g. "taskforge.env:12: TASKFORGE_WORKER_CONCURRENCY:
 * \"x\" is not an integer from 1 to 1024". Values of names ending in _URL, _KEY, _PASSWORD and _SECRET are
 * never printed. A text of such a name may also come as NAME_FILE: its value is then the first line of that
 * file. Of both in one place the environment takes NAME, the file the last one. */
bool tf_settings_load(const tf_setting_t *table, size_t count, void *target, const char *path, char *error,
                      size_t error_size);
void tf_settings_free(const tf_setting_t *table, size_t count, void *target);

/* "redis://[[user]:password@]host[:port][/db]", "unix:///path/to.sock[?db=n]", and for TLS "rediss://" like
 * the first with "?cacert=file&cert=file&key=file", each of them optional. All texts are malloc'd; free with
 * tf_redis_url_free. */
typedef struct tf_redis_url_s {
    char *socket_path; /* NULL for TCP */
    char *host;
    int port;
    int db;
    char *user;     /* NULL: default */
    char *password; /* NULL: no AUTH */
    bool tls;       /* and of that alone: */
    char *cacert;   /* PEM; NULL: the system's authorities */
    char *cert;     /* of the client; NULL: none */
    char *key;
    struct ssl_ctx_st *tls_context; /* made by tf_redis_tls_open */
} tf_redis_url_t;

bool tf_redis_url_parse(const char *url, tf_redis_url_t *out, char *error, size_t error_size);
void tf_redis_url_free(tf_redis_url_t *url);

#endif
