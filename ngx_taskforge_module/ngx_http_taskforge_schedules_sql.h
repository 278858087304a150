
/*
 * The statements of schedules.  What changes one is a function of
 * sql/0003_schedules.up.sql: one transaction with its NOTIFY and its row in
 * the audit.  What makes a job is in core/sql.c.
 */

#ifndef _NGX_HTTP_TASKFORGE_SCHEDULES_SQL_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SCHEDULES_SQL_H_INCLUDED_


#include "sql.h"


/* Columns of a schedule as they are shown. */

enum {
    NGX_HTTP_TASKFORGE_SCHEDULE_ID = 0,
    NGX_HTTP_TASKFORGE_SCHEDULE_NAME,
    NGX_HTTP_TASKFORGE_SCHEDULE_DESCRIPTION,
    NGX_HTTP_TASKFORGE_SCHEDULE_CRON,
    NGX_HTTP_TASKFORGE_SCHEDULE_TIME_ZONE,
    NGX_HTTP_TASKFORGE_SCHEDULE_JITTER,
    NGX_HTTP_TASKFORGE_SCHEDULE_OVERLAP,
    NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP,
    NGX_HTTP_TASKFORGE_SCHEDULE_JOB,
    NGX_HTTP_TASKFORGE_SCHEDULE_PAUSED,
    NGX_HTTP_TASKFORGE_SCHEDULE_PAUSE_NOTE,
    NGX_HTTP_TASKFORGE_SCHEDULE_BUILTIN,
    NGX_HTTP_TASKFORGE_SCHEDULE_NEXT,
    NGX_HTTP_TASKFORGE_SCHEDULE_LAST,
    NGX_HTTP_TASKFORGE_SCHEDULE_LAST_OUTCOME,
    NGX_HTTP_TASKFORGE_SCHEDULE_LAST_JOB,
    NGX_HTTP_TASKFORGE_SCHEDULE_CREATED_BY,
    NGX_HTTP_TASKFORGE_SCHEDULE_CREATED_AT,
    NGX_HTTP_TASKFORGE_SCHEDULE_UPDATED_AT,
    NGX_HTTP_TASKFORGE_SCHEDULE_REVISION
};

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE                                       \
    "SELECT s.id, s.name, s.description, s.cron, s.time_zone, "               \
    "s.jitter_seconds, s.overlap, s.catch_up_seconds, s.job, s.paused, "      \
    "s.pause_note, s.builtin, s.next_run_at, s.last_tick, l.outcome, "        \
    "l.job_id, s.created_by, s.created_at, s.updated_at, s.revision "         \
    "FROM schedules s LEFT JOIN LATERAL ("                                    \
        "SELECT outcome, job_id FROM schedule_ticks t "                       \
        "WHERE t.schedule_id = s.id ORDER BY tick DESC LIMIT 1) l ON true "


/* $1 id uuid.  schedules_pkey, schedule_ticks_pkey */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_GET                                   \
    NGX_HTTP_TASKFORGE_SQL_SCHEDULE "WHERE s.id = $1"


/*
 * Newest first, the built-in ones last.  $1 below this id, NULL: from the
 * start; $2 limit int4.
 */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_LIST                                  \
    NGX_HTTP_TASKFORGE_SQL_SCHEDULE                                           \
    "WHERE s.id < coalesce($1::uuid, "                                        \
        "'ffffffff-ffff-ffff-ffff-ffffffffffff') "                            \
    "ORDER BY s.id DESC LIMIT $2::int4"


/*
 * What became of a schedule's ticks, newest first.  $1 id uuid, $2 before
 * this one, timestamptz, NULL: from the start; $3 limit int4.  Columns: tick,
 * fired_at, outcome, job_id, detail; one row of NULLs when there is none; no
 * row: no such schedule.  schedule_ticks_pkey
 */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_TICKS                                 \
    "SELECT t.tick, t.fired_at, t.outcome, t.job_id, t.detail "               \
    "FROM schedules s LEFT JOIN LATERAL ("                                    \
        "SELECT * FROM schedule_ticks WHERE schedule_id = s.id "              \
        "AND tick < coalesce($2::timestamptz, 'infinity') "                   \
        "ORDER BY tick DESC LIMIT $3::int4) t ON true "                       \
    "WHERE s.id = $1 ORDER BY t.tick DESC"


/*
 * $1 id, $2 settings json, $3 next tick timestamptz, $4 to $6 who does it.
 * One row, text: created, name, full.
 */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_CREATE                                \
    "SELECT schedule_create($1, $2, $3, $4, $5, $6)"


/*
 * $1 id, $2 revision int4, $3 settings json, $4 next tick timestamptz, $5 to
 * $7 who does it.  One row, text: changed, raced, name.
 */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_CHANGE                                \
    "SELECT schedule_change($1, $2, $3, $4, $5, $6, $7)"


/*
 * $1 id, $2 revision int4, $3 bool: pause, else go on, $4 note, $5 next tick
 * timestamptz, $6 to $8 who does it.  One row, text: changed, raced.
 */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_PAUSE                                 \
    "SELECT schedule_pause($1, $2, $3, $4, $5, $6, $7, $8)"


/* $1 id, $2 to $4 who does it.  One row, text: deleted, missing, builtin. */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_DELETE                                \
    "SELECT schedule_delete($1, $2, $3, $4)"


/* $1 id, $2 to $4 who does it.  One row, bool: a round of upkeep begins. */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_UPKEEP                                \
    "SELECT schedule_upkeep($1, $2, $3, $4)"


/* The job that was just made.  $1 id uuid.  jobs_pkey */

#define NGX_HTTP_TASKFORGE_SQL_SCHEDULE_JOB_GET                               \
    "SELECT " TF_JOB_COLUMNS("j.") " FROM jobs j WHERE j.id = $1"


#endif /* _NGX_HTTP_TASKFORGE_SCHEDULES_SQL_H_INCLUDED_ */
