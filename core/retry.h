/* retry.h: when a failed attempt is tried again. */
#ifndef TF_RETRY_H
#define TF_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "retry_policy.h"

/* Delay after attempt number `attempt` (1 = the first) failed: min(base * 2^(attempt-1), max), less jitter.
 * random: any 64 random bits. Never negative, never overflows. */
int64_t tf_retry_delay_ms(const tf_retry_policy_t *policy, int attempt, uint64_t random);

/* Whether an attempt may begin at start_us, when the job could first begin at since_us (both microseconds on
 * one clock) and has budget_seconds for all its attempts; negative: it has no such limit. */
bool tf_retry_in_budget(int64_t since_us, int64_t budget_seconds, int64_t start_us);

/* attempt numbers count from 1; max_retries 0 means a single attempt. */
bool tf_retry_left(int attempt, int max_retries);

#endif
