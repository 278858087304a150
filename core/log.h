/* log.h: one JSON object a line on standard error: {"ts","level","logger","event",...}. */
#ifndef TF_LOG_H
#define TF_LOG_H

#include <stdarg.h>
#include <stdbool.h>

typedef enum { TF_LOG_DEBUG, TF_LOG_INFO, TF_LOG_WARNING, TF_LOG_ERROR } tf_log_level_t;

/* logger: "worker", "scheduler". level: "debug", "info", "warning" or "error"; false if none of these. */
bool tf_log_init(const char *logger, const char *level);

/* event: a fixed text that says what happened. Then pairs until NULL: a key whose first letter is its kind
 * and the value: "s:queue", const char * (NULL: null) | "i:count", int64_t | "d:seconds", double |
 * "u:job_id", const uint8_t * (16 bytes) | "b:ok", int. E.g. tf_log(TF_LOG_INFO, "job_done", "u:job_id", id,
 * "i:attempt", (int64_t) 1, NULL). Never pass a secret. One write(2) a line; a line is capped at 8 KB. */
void tf_log(tf_log_level_t level, const char *event, ...) __attribute__((sentinel));

bool tf_log_enabled(tf_log_level_t level);

#endif
