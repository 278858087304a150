/* policies.h: how often and when a type is tried again, where the settings say so (TASKFORGE_TYPE_RETRY)
 * rather than its handler. What a submission says for its own job comes before both. */
#ifndef TFW_POLICIES_H
#define TFW_POLICIES_H

#include <stdbool.h>
#include <stddef.h>

/* list: "send_email=5:2:3600:exact,data_pipeline=2:60:3600" (type = retries after the first attempt : seconds
 * before the first of them, doubled each time : the most : "exact" for no jitter), or "". Changes the
 * catalogue; call once, after tfw_catalogue_init. false: error says what is wrong. */
bool tfw_policies_init(const char *list, char *error, size_t error_size);

#endif
