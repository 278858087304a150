/* catalogue.h: the job types this worker can run: every TF_HANDLER that was linked in, and those of the
 * settings. */
#ifndef TFW_CATALOGUE_H
#define TFW_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "handler.h"

#define TFW_HANDLERS_MAX 256

/* Begins with the handlers that were linked in. false: as below. */
bool tfw_catalogue_init(char *error, size_t error_size);

/* Adds one, before the first executor is started; it and its source must last. false: error begins with the
 * source and says what is wrong (a type that is there already, a value missing or out of range, a schema that
 * is no JSON object). */
bool tfw_catalogue_add(const tfw_handler_t *handler, const char *source, char *error, size_t error_size);

size_t tfw_catalogue_count(void);

/* index below tfw_catalogue_count(), by type. The same in the daemon and in its executors. */
const tfw_handler_t *tfw_catalogue_at(size_t index);

/* Another policy for the type than its handler's. */
void tfw_catalogue_set_retry(int index, int max_retries, tf_retry_policy_t retry);

/* Index of the handler of a type; -1: none. */
int tfw_catalogue_find(const char *type, size_t len);

#endif
