/* reconcile.h: finds jobs that are QUEUED in PostgreSQL but that Redis has lost, and puts them on their
 * streams again.
 *
 * The group's last-delivered id is a watermark: every entry added before it has been delivered. A job that
 * was enqueued before (watermark - grace) and is not among the delivered, unfinished ones has therefore lost
 * its entry. Where nothing waits undelivered, or where there is no stream at all, the watermark is now. */
#ifndef TFS_RECONCILE_H
#define TFS_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "job.h"
#include "mirror.h"
#include "names.h"
#include "pgparam.h"

struct tfs_scheduler_s;

#define TFS_LEVELS (TF_PRIORITY_MAX + 1)

/* One level of the queue under way. */
typedef struct {
    int64_t before_us;    /* of PostgreSQL's clock: what was enqueued earlier is lost; TF_TIME_NONE: not to be
                             judged */
    tf_pgarray_t pending; /* uuid[]: delivered and not done */
} tfs_level_t;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    bool busy;  /* a round is under way */
    bool again; /* another one is wanted at once */
    tfs_mirror_t mirror;
    int64_t pg_now_us;     /* PostgreSQL's clock ... */
    uint64_t pg_now_at_ns; /* ... at this moment of uv_hrtime() */
    tfs_names_t queues;
    int queue;
    int64_t asked_us; /* PostgreSQL's clock when Redis was asked about the queue */
    int64_t redis_us; /* Redis's clock when it answered; TF_TIME_NONE: it did not */
    tfs_level_t levels[TFS_LEVELS];
    int level;
    int found;     /* by the step under way */
    int64_t added; /* in this round */
} tfs_reconcile_t;

/* What was enqueued before this moment of PostgreSQL's clock, and is not pending, was lost. asked_us: that
 * clock when Redis was asked, redis_us: Redis's clock then; watermark_ms: the time of the last id that was
 * delivered, of Redis's clock too, -1 where nothing waits undelivered; grace_us: see
 * TASKFORGE_RECONCILE_GRACE_MS. The two clocks are never compared: the watermark's age by the one is taken
 * off the other. TF_TIME_NONE: not to be judged. */
int64_t tfs_reconcile_before(int64_t asked_us, int64_t redis_us, int64_t watermark_ms, int64_t grace_us);

void tfs_reconcile_init(tfs_reconcile_t *reconcile, struct tfs_scheduler_s *scheduler);

/* PostgreSQL is up: rounds every TASKFORGE_RECONCILE_SECONDS, the first one now. */
void tfs_reconcile_start(tfs_reconcile_t *reconcile);

/* A round now, e.g. because Redis has just been connected. */
void tfs_reconcile_now(tfs_reconcile_t *reconcile);

void tfs_reconcile_stop(tfs_reconcile_t *reconcile);
void tfs_reconcile_close(tfs_reconcile_t *reconcile);

#endif
