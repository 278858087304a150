/* janitor.h: partitions ahead, retention behind, and rows that nobody needs any more. Runs at takeover and
 * once an hour, on a connection of its own that exists only meanwhile, so that nothing it does delays a job.
 */
#ifndef TFS_JANITOR_H
#define TFS_JANITOR_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/pg.h"
#include "disused.h"

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    tfd_pg_t pg;
    int step;     /* of the round under way; then the disused queues */
    int64_t done; /* by this step, to be logged */
    bool failed;  /* a step of this round */
    tfs_disused_t disused;
} tfs_janitor_t;

/* The scheduler's config must be loaded. */
void tfs_janitor_init(tfs_janitor_t *janitor, struct tfs_scheduler_s *scheduler);

/* Leading: a round now, then one an hour. */
void tfs_janitor_start(tfs_janitor_t *janitor);

/* A round now instead of later; nothing while one is under way. */
void tfs_janitor_now(tfs_janitor_t *janitor);
void tfs_janitor_stop(tfs_janitor_t *janitor);
void tfs_janitor_close(tfs_janitor_t *janitor);

#endif
