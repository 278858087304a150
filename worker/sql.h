/* sql.h of the worker: its own row, the job types it knows, what handlers log, the files that they make.
 * Statements that change a job are in core/sql.h. (Included as "worker/sql.h": core has a header of the same
 * name.) */
#ifndef TFW_SQL_H
#define TFW_SQL_H

#include "../core/sql.h"

/* Takes the row of (hostname, pool), or makes it. $1 id uuid (of a new row), $2 hostname, $3 pool, $4 pid
 * int4, $5 version, $6 queues text[], $7 concurrency int4, $8 types text[], $9 labels json, $10
 * lowest_priority int2. One row: id uuid, incarnation int8. */
extern const tf_sql_t tfw_sql_register;

/* $1 incarnation int8, $2 status, $3 active int4, $4 processed int8, $5 failed int8, $6 concurrency int4,
 * $7 microseconds since it last asked Redis for jobs int8, $8 whether orders to change the status are void
 * bool, $9 memory_bytes int8, $10 cpu_percent float8, $11 processed_per_second float8, $12 failed_per_second
 * float8, $13 active_io int4. One row if this incarnation still has its row and was not declared lost:
 * desired_status text, desired_concurrency int4. */
extern const tf_sql_t tfw_sql_heartbeat;

/* Of these jobs of ours the running ones that somebody wants to be cancelled. $1 ids uuid[], $2 incarnation
 * int8. Rows: id uuid. */
extern const tf_sql_t tfw_sql_cancels;

/* Who has the name now. $1 hostname, $2 pool. Rows: incarnation int8, status text, pid int4. */
extern const tf_sql_t tfw_sql_owner;

/* $1 types, $2 descriptions, $3 payload schemas json[], $4 max_retries int4[], $5 timeout_seconds int4[],
 * $6 retry_base_ms int4[], $7 retry_max_ms int4[], $8 retry_jitter bool[]. */
extern const tf_sql_t tfw_sql_job_types;

/* $1 ids uuid[], $2 epoch int4[], $3 attempt int4[], $4 seq int8[], $5 at timestamptz[], $6 level text[], $7
 * message text[]. Sending lines again changes nothing. */
extern const tf_sql_t tfw_sql_log;

/* Of the lines of an attempt only the newest stay. $1 id uuid, $2 epoch int4, $3 attempt int4, $4 how many
 * int8. No rows. */
extern const tf_sql_t tfw_sql_log_trim;

/* A new file of a job, in one transaction: its id int8 (no parameters), its chunks ($1 job uuid, $2 its id,
 * $3 seq int4, $4 data bytea; one row), and keep_job_file (sql/0007_files): $1 job, $2 epoch int4, $3 attempt
 * int4, $4 incarnation int8, $5 its id, $6 name, $7 content type, $8 size int8, $9 sha256 bytea, $10 most
 * files int4, $11 most bytes int8. One row: text. */
extern const tf_sql_t tfw_sql_file_id;
extern const tf_sql_t tfw_sql_file_chunk;
extern const tf_sql_t tfw_sql_file_keep;

/* How far the job has got. $1 id uuid, $2 epoch int4. Rows: data json. */
extern const tf_sql_t tfw_sql_checkpoint;

/* The same written by the run that holds the job, and by no other. $1 id uuid, $2 epoch int4, $3 attempt
 * int4, $4 incarnation int8, $5 data json. No row: it does not hold it any more. Else one: the id. */
extern const tf_sql_t tfw_sql_checkpoint_save;

#endif
