/* fetch.h: a file from http or https, as a temporary file without a name. */
#ifndef TFW_FETCH_H
#define TFW_FETCH_H

#include <stdint.h>

#include "handler.h"

/* Fetches url, within the guard of http_call.h, up to max bytes. *fd: a file with what came, which the caller
 * closes; -1 unless TFW_OK. */
tfw_outcome_t tfw_fetch(tfw_run_t *run, const char *url, int64_t max, int *fd);

#endif
