/* schedules.h: fires schedules when their ticks come. Each tick is one conditional statement, so it fires
 * once however many leaders believe they lead. Sleeps until the next one, woken by NOTIFY tf_schedules;
 * PostgreSQL's clock decides. */
#ifndef TFS_SCHEDULES_H
#define TFS_SCHEDULES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "cron.h"

struct tfs_scheduler_s;

#define TFS_CATCH_UP_MAX 100 /* missed ticks of a schedule that fire late */

/* What is to become of a tick. Instants are seconds since 1970-01-01 UTC. */
typedef struct {
    const char *outcome; /* 'fired', or what it becomes instead (schedule_ticks) */
    bool again;          /* there is a following one: */
    int64_t following;
} tfs_verdict_t;

/* A tick that has come, at `now`. It fires unless it is more than catch_up_seconds late or more than
 * TFS_CATCH_UP_MAX others have come since; then all such ticks are missed at once, and `following` is the
 * first that may still fire. */
tfs_verdict_t tfs_schedules_judge(const tf_cron_t *cron, const tf_zone_t *zone, int64_t tick, int64_t now,
                                  int32_t catch_up_seconds);

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    tf_zones_t *zones; /* read anew with every lead */
    uint64_t wake_ms;  /* when the timer fires, uv_now(); UINT64_MAX: it is off */
    bool busy;         /* a step is under way */
    bool again;        /* woken while busy */
    int limit;         /* schedules a step; 1 after a step that failed, to find the one that does */
    bool hopeless;     /* ... and it is this one: its tick is given up */
    uint8_t hopeless_id[16];
} tfs_schedules_t;

void tfs_schedules_init(tfs_schedules_t *schedules, struct tfs_scheduler_s *scheduler);

/* The connection is up: look at once. */
void tfs_schedules_start(tfs_schedules_t *schedules);

/* Schedules have changed. Cheap: looks are put together. */
void tfs_schedules_wake(tfs_schedules_t *schedules);

void tfs_schedules_stop(tfs_schedules_t *schedules);
void tfs_schedules_close(tfs_schedules_t *schedules);

#endif
