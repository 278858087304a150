#include "redis_keys.h"

#include <stdio.h>
#include <string.h>

static size_t fits(int n, size_t size)
{
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* By hand: a key is made for every job that is submitted. */
static size_t queue_key(char *out, size_t size, const char *queue, size_t queue_len, const char *end,
                        size_t end_len)
{
    size_t len = 4 + queue_len + 1 + end_len;

    if (len >= size) {
        return 0;
    }
    memcpy(out, "tf:{", 4);
    memcpy(out + 4, queue, queue_len);
    out[4 + queue_len] = '}';
    memcpy(out + 4 + queue_len + 1, end, end_len);
    out[len] = '\0';
    return len;
}

size_t tf_redis_queue_base(char *out, size_t size, const char *queue, size_t queue_len)
{
    return queue_key(out, size, queue, queue_len, "", 0);
}

size_t tf_redis_level_key(char *out, size_t size, const char *queue, size_t queue_len, int priority)
{
    char end[4] = ":p";
    size_t len = 2;

    if (priority >= 10) {
        end[len++] = (char)('0' + priority / 10);
    }
    end[len++] = (char)('0' + priority % 10);
    return queue_key(out, size, queue, queue_len, end, len);
}

size_t tf_redis_ctl_key(char *out, size_t size, const char *queue, size_t queue_len)
{
    return queue_key(out, size, queue, queue_len, ":ctl", 4);
}

size_t tf_redis_limit_key(char *out, size_t size, const char *name, size_t name_len, const char *subject,
                          size_t subject_len)
{
    return fits(snprintf(out, size, "tf:limit:{%.*s:%.*s}", (int)name_len, name, (int)subject_len, subject),
                size);
}
