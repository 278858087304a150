/* batch.h: jobs put on their streams and events announced, in one go and after the commit. If any of it is
 * lost, the jobs are found by reconcile and the events are gone. */
#ifndef TFS_BATCH_H
#define TFS_BATCH_H

#include <stdint.h>

#include "daemon/streams.h"
#include "job.h"

typedef struct tfs_batch_s tfs_batch_t;

/* added: jobs now on their streams; failed: commands of any kind that failed. */
typedef void (*tfs_batch_done_fn)(void *data, int64_t added, int64_t failed);

/* NULL: out of memory. */
tfs_batch_t *tfs_batch_begin(tfd_redis_t *redis, tfs_batch_done_fn done, void *data);

/* XADD to the level's stream. */
void tfs_batch_add(tfs_batch_t *batch, tf_str_t queue, int priority, const uint8_t id[16]);

/* The event of the status that the job has now. */
void tfs_batch_job_event(tfs_batch_t *batch, const tf_job_t *job);

/* at: microseconds since 1970. */
void tfs_batch_worker_event(tfs_batch_t *batch, const tfd_worker_state_t *worker, const char *event,
                            int64_t at);

/* Calls done once, when every command is answered: at once when Redis is away. The batch is freed then. */
void tfs_batch_end(tfs_batch_t *batch);

#endif
