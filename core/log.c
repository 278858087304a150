#include "log.h"

#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "uuid.h"

#define LINE_MAX_BYTES 8192

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *log_logger = "taskforge";
static tf_log_level_t log_level = TF_LOG_INFO;

bool tf_log_init(const char *logger, const char *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(level, level_names[i]) == 0) {
            log_logger = logger;
            log_level = (tf_log_level_t)i;
            return true;
        }
    }
    return false;
}

bool tf_log_enabled(tf_log_level_t level)
{
    return level >= log_level;
}

/* One pair; false when the kind is unknown and the argument list cannot be followed any further. */
static bool add_pair(tf_buf_t *line, const char *key, va_list *args)
{
    char text[TF_UUID_TEXT_LEN];
    const uint8_t *id;

    switch (key[0]) {
    case 's':
        tf_json_kcstr(line, key + 2, va_arg(*args, const char *));
        return true;
    case 'i':
        tf_json_kint(line, key + 2, va_arg(*args, int64_t));
        return true;
    case 'd':
        tf_json_kdouble(line, key + 2, va_arg(*args, double));
        return true;
    case 'b':
        tf_json_kbool(line, key + 2, va_arg(*args, int) != 0);
        return true;
    case 'u':
        id = va_arg(*args, const uint8_t *);
        if (id) {
            tf_uuid_format(id, text);
        }
        tf_json_kstr(line, key + 2, id ? text : NULL, sizeof(text));
        return true;
    default:
        return false;
    }
}

void tf_log(tf_log_level_t level, const char *event, ...)
{
    tf_buf_t line = TF_BUF_INIT;
    struct timespec now;
    const char *key;
    va_list args;
    size_t kept;

    if (!tf_log_enabled(level)) {
        return;
    }
    line.limit = LINE_MAX_BYTES - 2; /* room for the end */
    clock_gettime(CLOCK_REALTIME, &now);
    tf_buf_addc(&line, '{');
    tf_json_ktime(&line, "ts", (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tf_json_kcstr(&line, "level", level_names[level]);
    tf_json_kcstr(&line, "logger", log_logger);
    tf_json_kint(&line, "pid", getpid());
    tf_json_kcstr(&line, "event", event);
    va_start(args, event);
    for (kept = line.len; (key = va_arg(args, const char *)) != NULL; kept = line.len) {
        if (!add_pair(&line, key, &args)) {
            break;
        }
        if (line.failed) { /* this pair is too long: leave it out, keep the line whole */
            line.failed = false;
            line.len = kept;
            break;
        }
    }
    va_end(args);
    line.limit = 0;
    tf_buf_add(&line, "}\n", 2);
    if (!line.failed) {
        ssize_t written = write(STDERR_FILENO, line.data, line.len);

        (void)written; /* nowhere to complain */
    }
    tf_buf_free(&line);
}
