/* redis_keys.h: every name TaskForge uses in Redis. The queue is the hash tag, so one queue lives on one
 * shard. */
#ifndef TF_REDIS_KEYS_H
#define TF_REDIS_KEYS_H

#include <stddef.h>

#define TF_REDIS_LIBRARY "taskforge"
#define TF_REDIS_LIBRARY_VERSION 8 /* = VERSION in core/taskforge.lua */
#define TF_REDIS_GROUP "workers"
#define TF_REDIS_EVENTS "tf:events" /* stream; field "e" = one event object per line, no seq */
#define TF_REDIS_EVENTS_MAXLEN 8192 /* entries, approximate */
#define TF_REDIS_EVENTS_MAXLEN_TEXT "8192"
#define TF_REDIS_EVENTS_PER_ENTRY 32
/* "Look at PostgreSQL now": a worker with that incarnation ("0": every worker) sends a heartbeat at once and
 * does what its row and its jobs' cancel_requested ask for. Lost entries cost time until the next heartbeat,
 * no more. */
#define TF_REDIS_CTL "tf:ctl" /* stream; field "w" = the incarnation as decimal text */
#define TF_REDIS_CTL_MAXLEN_TEXT "1000"
#define TF_REDIS_CTL_FIELD "w"
#define TF_REDIS_JOB_FIELD "i" /* of a queue entry: the job id as text */

/* "tf:{queue}" (plus NUL) into out; returns its length, 0 if it does not fit. 80 bytes are always enough. */
size_t tf_redis_queue_base(char *out, size_t size, const char *queue, size_t queue_len);

/* "tf:{queue}:p8" */
size_t tf_redis_level_key(char *out, size_t size, const char *queue, size_t queue_len, int priority);

/* "tf:{queue}:ctl": a short stream; an entry wakes the queue's workers (resume, cancel, ...) */
size_t tf_redis_ctl_key(char *out, size_t size, const char *queue, size_t queue_len);

#define TF_REDIS_LIMIT_NAME_MAX 32    /* bytes of a limit's name */
#define TF_REDIS_LIMIT_SUBJECT_MAX 40 /* bytes of whom it counts */
#define TF_REDIS_LIMIT_KEY_MAX (TF_REDIS_LIMIT_NAME_MAX + TF_REDIS_LIMIT_SUBJECT_MAX + 14)

/* "tf:limit:{name:subject}": what tf_limit keeps for one subject of a limit. TF_REDIS_LIMIT_KEY_MAX bytes are
 * enough for the longest. */
size_t tf_redis_limit_key(char *out, size_t size, const char *name, size_t name_len, const char *subject,
                          size_t subject_len);

#endif
