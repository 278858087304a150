/* run.h: the executor process: it receives jobs, runs their handlers, one after the other or many at once,
 * and sends what they say. The functions that handlers call (handler.h) are here. Nothing of the daemon's
 * event loop or connections is touched. */
#ifndef TFW_RUN_H
#define TFW_RUN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TFW_ERROR_MAX 2048    /* bytes of an error text */
#define TFW_LOG_LINE_MAX 4096 /* bytes of a log message */

#define TFW_CRASH_FRAMES_MAX 48

/* Memory shared by the daemon and one executor: what can be said without a system call. */
typedef struct {
    _Atomic uint32_t running;    /* seq of the job whose handler runs; 0: none */
    _Atomic int64_t started_us;  /* when it began, or went on after a transfer, CLOCK_MONOTONIC */
    _Atomic uint32_t cancel_seq; /* the daemon asks the handler of this job to stop; 0: nobody */
    int crash_depth;             /* entries of crash_frames; written by the handler of a deadly signal */
    void *crash_frames[TFW_CRASH_FRAMES_MAX];
} tfw_board_t;

typedef struct {
    int fd;          /* the executor's end of the pair */
    uint32_t places; /* jobs at once; 0: one after the other */
    tfw_board_t *board;
    const char *data_dir;
    int64_t result_max_bytes;
    int64_t log_lines_max;
    const char *database_url; /* for handlers that work on jobs themselves */
    const struct tf_redis_url_s *redis_url;
    const struct tfw_http_settings_s *http;
} tfw_executor_env_t;

/* The life of an executor, until the daemon closes its end. Returns the exit status. */
int tfw_executor_main(const tfw_executor_env_t *env);

/* Makes text fit for a PostgreSQL text: bytes that are not UTF-8, and NUL, become '?'. In place; returns the
 * length, cut to max without splitting a character. */
size_t tfw_text_clean(char *text, size_t len, size_t max);

#endif
