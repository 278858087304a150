/* retry_policy.h: how long to wait after a failed attempt: the settings of retry.h. Installed for plug-ins
 * too (worker/plugin.h). */
#ifndef TF_RETRY_POLICY_H
#define TF_RETRY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t base_ms; /* delay before the first retry */
    int64_t max_ms;  /* cap */
    bool jitter;     /* full delay minus up to 10 %, so that retries spread and never exceed the cap */
} tf_retry_policy_t;

#define TF_RETRY_BASE_MS 60000
#define TF_RETRY_MAX_MS 3600000

#endif
