/* ranges.h: gathers what is in the jobs, a thousand at a time, for lists (job_ranges, sql/0009_ranges), so
 * that no submit has to. It follows the newest jobs at some distance. */
#ifndef TFS_RANGES_H
#define TFS_RANGES_H

#include <stdbool.h>
#include <uv.h>

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    bool busy; /* a step is under way */
} tfs_ranges_t;

void tfs_ranges_init(tfs_ranges_t *ranges, struct tfs_scheduler_s *scheduler);

/* The connection is up: looks every few seconds. */
void tfs_ranges_start(tfs_ranges_t *ranges);
void tfs_ranges_stop(tfs_ranges_t *ranges);
void tfs_ranges_close(tfs_ranges_t *ranges);

#endif
