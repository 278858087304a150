/* stuck.h: finds workers that live and have room, but have not asked for jobs for TASKFORGE_STUCK_SECONDS
 * while jobs of their queues wait for as long. It marks them (workers.stuck_since), says so and changes
 * nothing else. */
#ifndef TFS_STUCK_H
#define TFS_STUCK_H

#include <stdbool.h>
#include <uv.h>

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    bool busy; /* a look is under way */
} tfs_stuck_t;

void tfs_stuck_init(tfs_stuck_t *stuck, struct tfs_scheduler_s *scheduler);

/* The connection is up: looks every few seconds. */
void tfs_stuck_start(tfs_stuck_t *stuck);
void tfs_stuck_stop(tfs_stuck_t *stuck);
void tfs_stuck_close(tfs_stuck_t *stuck);

#endif
