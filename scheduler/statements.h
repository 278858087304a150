/* statements.h: the scheduler's own statements: what it reads, and the upkeep that changes no job. The
 * changes of jobs are in core/sql.h. */
#ifndef TFS_STATEMENTS_H
#define TFS_STATEMENTS_H

#include "sql.h"

#define TFS_PROGRAM "taskforge-scheduler" /* as the servers know it */

/* Any number, the same for every scheduler: "tfsc". Advisory locks belong to one database. */
#define TFS_LEADER_LOCK "1952871267"

/* One row, bool: this session is the leader. */
extern const tf_sql_t tfs_sql_try_lead;

/* One row: the session answers. */
extern const tf_sql_t tfs_sql_alive;

/* LISTEN tf_due, tf_schedules, tf_upkeep. */
extern const tf_sql_t tfs_sql_listen;
extern const tf_sql_t tfs_sql_listen_schedules;
extern const tf_sql_t tfs_sql_listen_upkeep;

/* Schedules whose tick has come, the oldest ticks first; $1 limit int4. Rows: id uuid, cron, time zone,
 * revision int4, catch_up_seconds int4, tick timestamptz, and the server's now timestamptz. */
extern const tf_sql_t tfs_sql_due_ticks;

/* When the next tick comes: timestamptz, and the server's now; no row: never. */
extern const tf_sql_t tfs_sql_next_tick;

/* The jobs with the ids of $1 uuid[]. Rows: TF_JOB_COLUMNS_LIGHT. */
extern const tf_sql_t tfs_sql_fired;

/* A round of housekeeping. $1 name of its schedule, $2 bool: it was complete, $3 milliseconds to the next one
 * int8, $4 how often it comes, to be shown as its cron. One row when there is such a schedule. Not waited for
 * on disk: the next round says it again. */
extern const tf_sql_t tfs_sql_note_round;

/* One row, timestamptz: the clock that enqueued_at is compared with. */
extern const tf_sql_t tfs_sql_now;

/* Every queue that has or had a job and is not forgotten yet: text. */
extern const tf_sql_t tfs_sql_queues;

/* Every queue that somebody decided something about: name text, paused bool, version int8. */
extern const tf_sql_t tfs_sql_queue_states;

/* Marks who became stuck and unmarks who is not any more. $1 stuck after int4, $2 lost after int4, in
 * seconds. Rows, of those that changed: id uuid, incarnation int8, hostname, pool, stuck bool. */
extern const tf_sql_t tfs_sql_mark_stuck;

/* Of the incarnations in $1 int8[] those that are not alive: text. */
extern const tf_sql_t tfs_sql_dead_incarnations;

/* What lists search in. $1 jobs in a range int4, $2 seconds int4: how old they are at least. One row, int4: 0
 * when nothing is left to do, else to be called again. */
extern const tf_sql_t tfs_sql_gather_ranges;

/* $1 weeks ahead int4. One row, int4: how many partitions were made. */
extern const tf_sql_t tfs_sql_make_partitions;

/* $1 days int4. One row, int4: 0 when nothing is left to do, else to be called again. */
extern const tf_sql_t tfs_sql_drop_partitions;

/* Jobs that have been kept for as long as the rules say, at most $5 int4 of them. $1 to $4: days for SUCCESS,
 * FAILED, DEAD_LETTER and CANCELLED where a queue has no rule, int4, 0: none. One row: 0 when nothing is left
 * to do, else to be called again, int4; how many were deleted, int4. */
extern const tf_sql_t tfs_sql_delete_kept;

/* Minutes older than 48 hours. No rows. */
extern const tf_sql_t tfs_sql_forget_throughput;

/* Ticks that are too old or too many, at most 10,000. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_ticks;

/* Workers that have been gone for more than a week. No rows. */
extern const tf_sql_t tfs_sql_forget_workers;

/* Idempotency keys older than a day, at most 10,000. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_keys;

/* Checkpoints of jobs that have ended or are gone, at most 10,000. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_checkpoints;

/* Which deliveries of webhooks belonged to jobs older than $1 days, int4, once they are gone themselves; at
 * most 10,000. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_deliveries;

/* Rows of queues that hold no setting any more, a day later, when they have no jobs. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_queue_settings;

/* Queues that have neither jobs nor a row of settings, by name; $1 only those after this name, $2 limit int4.
 * Rows: text. */
extern const tf_sql_t tfs_sql_disused_queues;

/* Deletes the counters of the queues $1 text[] that add up to nothing and that nobody is changing. One row:
 * how many queues had such, int4. */
extern const tf_sql_t tfs_sql_forget_queues;

/* Ranges that lists search in, once none of their jobs is left. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_ranges;

#endif
