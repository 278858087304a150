/* message.h: what passes between the worker and a handler outside of it (exec.h, remote.h): the job as JSON
 * out, its result back. */
#ifndef TFW_MESSAGE_H
#define TFW_MESSAGE_H

#include <stddef.h>

#include "buf.h"
#include "handler.h"

/* {"id", "type", "attempt", "max_retries", "payload", "metadata", "traceparent"}; the last two may be null.
 */
void tfw_message_write(tf_buf_t *out, tfw_run_t *run);

/* Makes the job's result of an answer: its JSON, else a JSON string of the text without the line ends behind
 * it; nothing or nothing but blanks: null. */
void tfw_message_result(tfw_run_t *run, const char *text, size_t len);

#endif
