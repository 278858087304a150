/* sql.h: every statement that changes a job's state, and the counters with it, in one place. Each is one
 * round trip and one transaction. Parameters are binary (pgparam.h), results are read in binary. Arrays are
 * parallel and sorted by id, so that two batches never wait for each other in a circle. $writer: 0-31 nginx
 * workers, 32-62 worker daemons (32 + incarnation % 31), 63 the scheduler's leader, 64 retention, 65 the
 * executors of bulk actions, 66-96 the trigger that makes deliveries of webhooks. */
#ifndef TF_SQL_H
#define TF_SQL_H

typedef struct {
    const char *name; /* of the prepared statement */
    const char *text;
    int nparams;
} tf_sql_t;

#define TF_WRITER_NGINX(process) ((int16_t)((process) % 32))
#define TF_WRITER_WORKER(incarnation) ((int16_t)(32 + (incarnation) % 31))
#define TF_WRITER_SCHEDULER 63
#define TF_WRITER_BULK 65

/* Connection options for every daemon and nginx worker: prepared once, planned once, never a scan of a whole
 * table. No parallel plans: where a small table has to be read whole after all, the price that enable_seqscan
 * puts on it would pay for two processes, which take longer to start than the statement to run. */
#define TF_PG_OPTIONS                                                                                        \
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off "                    \
    "-c enable_mergejoin=off -c enable_material=off -c jit=off -c max_parallel_workers_per_gather=0 "        \
    "-c synchronous_commit=on -c timezone=UTC"

/* Submit of jobs that are QUEUED at once. $1 writer int2, then arrays: $2 id uuid, $3 type, $4 queue, $5
 * name, $6 priority int2, $7 max_retries int4, $8 timeout_seconds int4, $9 retry_base_ms int4, $10
 * retry_max_ms int4, $11 retry_jitter bool, $12 created_at timestamptz (also updated_at and enqueued_at), $13
 * created_by uuid, $14 traceparent, $15 payload json, $16 metadata json. For the counters, which must say the
 * same as the rows: arrays $17 queue, $18 type, $19 priority int2, $20 n int4 (a kind of job may come more
 * than once), and $21 the sum of all n, int4. No rows. */
extern const tf_sql_t tf_sql_submit;

/* The owner of idempotency keys where nobody logs in: the nil UUID. */
#define TF_OWNER_NOBODY "00000000-0000-0000-0000-000000000000"

/* Submit of a batch in which some have what few jobs have; it counts by itself. $1 to $16 as above, then the
 * arrays $17 scheduled_at timestamptz (NULL: QUEUED now; else SCHEDULED, and run_at), $18
 * retry_budget_seconds int4, $19 expires_at timestamptz, $20 webhook_url, $21 key text (idempotency; NULL:
 * none), $22 request_hash bytea (SHA-256). Only who is first with its key becomes a job. Rows: the id (uuid)
 * of every job that has a key and was inserted, among others that have none. Wakes the scheduler (NOTIFY
 * tf_due) when something is SCHEDULED. */
extern const tf_sql_t tf_sql_submit_full;

/* Ticks of schedules, each of another schedule. $1 writer, arrays: $2 schedule uuid, $3 tick timestamptz, $4
 * the schedule's revision int4, $5 the tick after it (NULL: none), $6 text: 'fired', or the outcome where it
 * is not to fire, $7 why not. One row for each tick that was still the next one: schedule uuid, outcome text
 * (schedule_ticks), job uuid (NULL: none was made), incarnations text: of workers with jobs that are now to
 * be cancelled, with a space between two. */
extern const tf_sql_t tf_sql_schedule_fire;

/* A job of a schedule, now. $1 writer, $2 schedule, then who wants it: $3 user uuid or NULL, $4 name, $5
 * address. One row: 'run', 'missing', 'builtin' or 'type' (no worker knows it), and the job's id. */
extern const tf_sql_t tf_sql_schedule_run;

/* What was submitted first with these keys. $1 owner uuid (NULL: nobody logs in), $2 keys text[]. Rows: n
 * int4 (place in $2, from 1), request_hash bytea, TF_JOB_COLUMNS, all NULL where the job was deleted since.
 */
extern const tf_sql_t tf_sql_replay;

/* Claim: QUEUED -> RUNNING. $1 writer, $2 ids uuid[], $3 incarnation int8, $4 worker text, $5 and $6 the
 * smallest and the largest of the ids. Rows: TF_CLAIM_COLUMNS, then what tfw_run_secret gives: text, nearly
 * always NULL. */
extern const tf_sql_t tf_sql_claim;

/* The same when the answer to an earlier claim was lost: also returns jobs that this incarnation holds. */
extern const tf_sql_t tf_sql_claim_again;

/* The end of attempts that succeeded: RUNNING -> SUCCESS, nearly all of them. $1 writer, $2 incarnation int8,
 * arrays: $3 id, $4 epoch int4, $5 attempt int4, $6 started age int8, $7 finished age int8, $8 result json.
 * Ages and rows as of tf_sql_finish. */
extern const tf_sql_t tf_sql_succeed;

/* The end of attempts: RUNNING -> SUCCESS, FAILED, RETRYING, DEAD_LETTER, CANCELLED, or, with attempt-1,
 * QUEUED (given back) or SCHEDULED (snoozed; put off, where started age is 0: it had not begun). What would
 * run again becomes CANCELLED when somebody asked for that. $1 writer, $2 incarnation int8, arrays: $3 id,
 * $4 epoch int4, $5 attempt int4, $6 status text, $7 started age int8 and $8 finished age int8 (microseconds
 * ago, monotonic), $9 delay_ms int8 (RETRYING, SCHEDULED: run_at = now + delay), $10 result json, $11 error
 * text, $12 traceback text. One row for every job that changed: id uuid, started_at, finished_at, run_at,
 * cancel_requested. A job without a row was lost to somebody else. A failed attempt also gets its row in
 * job_errors. NOTIFY tf_due when something has a run_at. */
extern const tf_sql_t tf_sql_finish;

/* Progress of running jobs, not counted. arrays: $1 incarnation int8, $2 id, $3 epoch, $4 attempt, $5
 * progress int2. */
extern const tf_sql_t tf_sql_progress;

/* Due: SCHEDULED, RETRYING -> QUEUED. $1 writer, $2 limit int4. Rows: TF_JOB_COLUMNS_LIGHT. */
extern const tf_sql_t tf_sql_due;

/* When the next job is due: run_at timestamptz, and the server's now timestamptz; no row: never. */
extern const tf_sql_t tf_sql_next_due;

/* Expiry: SCHEDULED, QUEUED, RETRYING -> CANCELLED for jobs that have not begun by their expires_at. $1
 * writer, $2 limit int4. Rows: TF_JOB_COLUMNS_LIGHT. */
extern const tf_sql_t tf_sql_expire;

/* Workers whose heartbeat is older than $1 seconds (int4) become lost; none when more than 2 s have passed
 * since $2 timestamptz, what the server said just now. Rows: incarnation int8, hostname, pool. */
extern const tf_sql_t tf_sql_lose_workers;

/* Rescue: RUNNING jobs of incarnations that are not alive, and those that run $4 seconds longer than their
 * timeout
 * -> RETRYING, or DEAD_LETTER when retries or their time budget are spent or worker_losses reaches $3, or
 * CANCELLED when somebody asked for it. $1 writer, $2 limit int4, $3 poison limit int4, $4 int4. run_at = now
 * + min(base * 2^(attempt-1), cap). Rows: TF_JOB_COLUMNS_LIGHT. */
extern const tf_sql_t tf_sql_rescue;

/* Reconcile, one level of one queue: QUEUED jobs enqueued before $3 and not among $5 are marked as enqueued
 * now: they are about to be added to their stream again, and the next look must compare them with that entry,
 * not with the lost one. $1 queue, $2 priority int2, $3 timestamptz, $4 limit int4, $5 ids uuid[]. Rows: id
 * uuid, oldest first. */
extern const tf_sql_t tf_sql_lost_in_redis;

/* Queues that hold QUEUED jobs. Rows: queue text. */
extern const tf_sql_t tf_sql_active_queues;

/* Cancel: SCHEDULED, QUEUED, RETRYING -> CANCELLED; RUNNING stays, with cancel_requested: after the commit
 * tell the worker (TF_REDIS_CTL). $1 writer, $2 id, then who does it, for the audit: $3 user uuid or NULL, $4
 * name, $5 address. Rows: TF_JOB_COLUMNS, incarnation int8; none: not in such a state, or no such job. */
extern const tf_sql_t tf_sql_cancel;

/* The same for many, without a row in the audit. $1 writer, $2 ids uuid[] sorted. Rows: TF_JOB_COLUMNS_LIGHT,
 * incarnation int8 of every job that was in such a state. */
extern const tf_sql_t tf_sql_cancel_many;

/* Retry by hand: FAILED, DEAD_LETTER, CANCELLED -> QUEUED in a new epoch. $1 to $5 as for tf_sql_cancel.
 * Rows: TF_JOB_COLUMNS. */
extern const tf_sql_t tf_sql_retry;

/* $1 writer, $2 ids uuid[] sorted. Rows: TF_JOB_COLUMNS_LIGHT. */
extern const tf_sql_t tf_sql_retry_many;

/* Delete a terminal job with its errors and logs; its files go by a trigger (sql/0007_files). $1 to $5 as for
 * tf_sql_cancel. One row (id) if deleted. */
extern const tf_sql_t tf_sql_delete;

/* $1 writer, $2 ids uuid[] sorted. Rows: id. */
extern const tf_sql_t tf_sql_delete_many;

/* A job that changes many (worker/handlers/bulk_action.c), with its row in the audit. $1 writer, $2 id, $3
 * user uuid or NULL, $4 name, $5 address, $6 payload json, $7 the audit's action. One row: TF_JOB_COLUMNS. */
extern const tf_sql_t tf_sql_submit_bulk;

/* Its second row in the audit, by whom it was submitted. $1 id, $2 the audit's action, $3 detail json. */
extern const tf_sql_t tf_sql_bulk_done;

#endif
