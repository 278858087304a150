/* scheduler.h: the daemon: its connections and its parts. Every part works only while this process leads and
 * the connection it needs is up; what it was doing when either ends is simply dropped, because the next look
 * at PostgreSQL finds everything again. */
#ifndef TFS_SCHEDULER_H
#define TFS_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "config.h"
#include "due.h"
#include "expiry.h"
#include "janitor.h"
#include "leader.h"
#include "mirror.h"
#include "daemon/pg.h"
#include "ranges.h"
#include "reconcile.h"
#include "daemon/redis.h"
#include "rescue.h"
#include "schedules.h"
#include "stuck.h"

/* Since the last log line "stats". */
typedef struct {
    int64_t promoted;     /* SCHEDULED, RETRYING -> QUEUED */
    int64_t fired;        /* ticks of schedules */
    int64_t expired;      /* waiting -> CANCELLED */
    int64_t rescued;      /* RUNNING -> RETRYING */
    int64_t buried;       /* RUNNING -> DEAD_LETTER */
    int64_t added_again;  /* by reconcile */
    int64_t forgotten;    /* entries taken from dead consumers */
    int64_t mirrored;     /* queues whose copy in Redis was wrong */
    int64_t redis_failed; /* commands */
} tfs_stats_t;

typedef struct tfs_scheduler_s {
    uv_loop_t loop;
    tfs_config_t config;
    tfs_leader_t leader;
    tfd_pg_t work;     /* while leading; changes jobs, listens */
    tfd_redis_t redis; /* while leading */
    tfs_due_t due;
    tfs_expiry_t expiry;
    tfs_schedules_t schedules;
    tfs_rescue_t rescue;
    tfs_reconcile_t reconcile;
    tfs_stuck_t stuck;
    tfs_ranges_t ranges;
    tfs_janitor_t janitor;
    tfs_stats_t stats;
    uv_prepare_t turn;
    uv_timer_t stats_timer;
    uv_timer_t stop_timer;
    uv_signal_t sigterm, sigint;
    uint64_t stop_ms; /* when SIGTERM came */
    bool stopping;    /* nothing new is begun */
} tfs_scheduler_t;

/* May a part begin something that needs PostgreSQL? */
bool tfs_may_work(const tfs_scheduler_t *scheduler);

#endif
