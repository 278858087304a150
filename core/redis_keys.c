#include "redis_keys.h"

#include <stdio.h>

static size_t fits(int n, size_t size)
{
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

size_t tf_redis_queue_base(char *out, size_t size, const char *queue, size_t queue_len)
{
    return fits(snprintf(out, size, "tf:{%.*s}", (int)queue_len, queue), size);
}

size_t tf_redis_level_key(char *out, size_t size, const char *queue, size_t queue_len, int priority)
{
    return fits(snprintf(out, size, "tf:{%.*s}:p%d", (int)queue_len, queue, priority), size);
}

size_t tf_redis_ctl_key(char *out, size_t size, const char *queue, size_t queue_len)
{
    return fits(snprintf(out, size, "tf:{%.*s}:ctl", (int)queue_len, queue), size);
}

size_t tf_redis_limit_key(char *out, size_t size, const char *name, size_t name_len, const char *subject,
                          size_t subject_len)
{
    return fits(snprintf(out, size, "tf:limit:{%.*s:%.*s}", (int)name_len, name, (int)subject_len, subject),
                size);
}
