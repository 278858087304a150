#include "retry.h"

int64_t tf_retry_delay_ms(const tf_retry_policy_t *policy, int attempt, uint64_t random)
{
    int64_t max = policy->max_ms > 0 ? policy->max_ms : 0;
    int64_t delay = policy->base_ms > 0 ? policy->base_ms : 0;

    if (delay > max) {
        delay = max;
    }
    for (int n = 1; n < attempt && delay < max && delay > 0; n++) {
        delay = delay > max / 2 ? max : delay * 2;
    }
    if (policy->jitter && delay >= 10) {
        delay -= (int64_t)(random % (uint64_t)(delay / 10 + 1));
    }
    return delay;
}

bool tf_retry_left(int attempt, int max_retries)
{
    return attempt <= max_retries;
}

bool tf_retry_in_budget(int64_t since_us, int64_t budget_seconds, int64_t start_us)
{
    return budget_seconds < 0 || start_us - since_us <= budget_seconds * 1000000;
}
