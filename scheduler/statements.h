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

/* LISTEN tf_due. */
extern const tf_sql_t tfs_sql_listen;

/* One row, timestamptz: the clock that enqueued_at is compared with. */
extern const tf_sql_t tfs_sql_now;

/* Queues that workers serve or served lately, and queues with waiting jobs: text. */
extern const tf_sql_t tfs_sql_queues;

/* Every queue that somebody decided something about: name text, paused bool, version int8. */
extern const tf_sql_t tfs_sql_queue_states;

/* Marks who became stuck and unmarks who is not any more. $1 stuck after int4, $2 lost after int4, in
 * seconds. Rows, of those that changed: id uuid, incarnation int8, hostname, pool, stuck bool. */
extern const tf_sql_t tfs_sql_mark_stuck;

/* Of the incarnations in $1 int8[] those that are not alive: text. */
extern const tf_sql_t tfs_sql_dead_incarnations;

/* $1 weeks ahead int4. One row, int4: how many partitions were made. */
extern const tf_sql_t tfs_sql_make_partitions;

/* $1 days int4. One row, int4: 0 when nothing is left to do, else to be called again. */
extern const tf_sql_t tfs_sql_drop_partitions;

/* Minutes older than 48 hours. No rows. */
extern const tf_sql_t tfs_sql_forget_throughput;

/* Workers that have been gone for more than a week. No rows. */
extern const tf_sql_t tfs_sql_forget_workers;

/* Idempotency keys older than a day, at most 10,000. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_keys;

/* Which deliveries of webhooks belonged to jobs older than $1 days, int4, once they are gone themselves; at
 * most 10,000. One row: count int4. */
extern const tf_sql_t tfs_sql_forget_deliveries;

#endif
