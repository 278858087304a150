#include "statements.h"

#include "job.h"
#include "pgparam.h"

#define ALIVE "('online', 'quiet', 'stopping')"

const tf_sql_t tfs_sql_try_lead = {
    "tfs_try_lead",
    "SELECT pg_try_advisory_lock(" TFS_LEADER_LOCK ")",
    0,
};

const tf_sql_t tfs_sql_alive = {
    "tfs_alive",
    "SELECT 1",
    0,
};

const tf_sql_t tfs_sql_listen = {
    "tfs_listen",
    "LISTEN tf_due",
    0,
};

const tf_sql_t tfs_sql_listen_schedules = {
    "tfs_listen_schedules",
    "LISTEN tf_schedules",
    0,
};

const tf_sql_t tfs_sql_listen_upkeep = {
    "tfs_listen_upkeep",
    "LISTEN tf_upkeep",
    0,
};

/* schedules_next, read in its order. */
const tf_sql_t tfs_sql_due_ticks = {
    "tfs_due_ticks",
    "SELECT id, cron, time_zone, revision, catch_up_seconds, next_run_at, now() FROM schedules "
    "WHERE NOT paused AND NOT builtin AND next_run_at <= now() ORDER BY next_run_at LIMIT $1::int4",
    1,
};

const tf_sql_t tfs_sql_next_tick = {
    "tfs_next_tick",
    "SELECT next_run_at, now() FROM schedules WHERE NOT paused AND NOT builtin AND next_run_at IS NOT NULL "
    "ORDER BY next_run_at LIMIT 1",
    0,
};

/* jobs_pkey */
const tf_sql_t tfs_sql_fired = {
    "tfs_fired",
    "SELECT " TF_JOB_COLUMNS_LIGHT("j.") " FROM unnest($1::uuid[]) AS t(id) JOIN jobs j ON j.id = t.id",
    1,
};

/* schedules_name_key */
const tf_sql_t tfs_sql_note_round = {
    "tfs_note_round",
    "UPDATE schedules SET last_tick = CASE WHEN $2::bool THEN now() ELSE last_tick END, "
    "next_run_at = now() + $3::int8 * interval '1 millisecond', cron = $4 WHERE name = $1 AND builtin "
    "RETURNING set_config('synchronous_commit', 'off', true)",
    4,
};

const tf_sql_t tfs_sql_now = {
    "tfs_now",
    "SELECT now()",
    0,
};

/* job_counts has one row per writer, queue, type, priority and status; tfs_sql_forget_queues removes them. */
const tf_sql_t tfs_sql_queues = {
    "tfs_queues",
    "SELECT DISTINCT queue FROM job_counts ORDER BY 1",
    0,
};

const tf_sql_t tfs_sql_queue_states = {
    "tfs_queue_states",
    "SELECT name, state = 'paused', version FROM queues ORDER BY name",
    0,
};

/* job_counts says which levels have jobs at all; of those jobs_queued has the oldest. */
const tf_sql_t tfs_sql_mark_stuck = {
    "tfs_mark_stuck",
    "WITH late AS (SELECT DISTINCT c.queue FROM (SELECT queue, priority FROM job_counts "
    "WHERE status = " TF_SQL_QUEUED " GROUP BY queue, priority HAVING sum(n) > 0) c "
    "LEFT JOIN queues q ON q.name = c.queue WHERE q.state IS DISTINCT FROM 'paused' AND EXISTS (SELECT FROM "
    "jobs j "
    "WHERE j.queue = c.queue AND j.priority = c.priority AND j.status = " TF_SQL_QUEUED
    " AND j.enqueued_at < now() - $1::int4 * interval '1 second')), "
    "stuck AS (SELECT w.incarnation FROM workers w WHERE w.status = 'online' "
    "AND w.heartbeat_at > now() - $2::int4 * interval '1 second' "
    "AND coalesce(w.last_fetch_at, w.started_at) < now() - $1::int4 * interval '1 second' "
    "AND EXISTS (SELECT FROM late, unnest(w.queues) AS e WHERE queue_matches(late.queue, e))) "
    "UPDATE workers w SET stuck_since = CASE WHEN w.stuck_since IS NULL THEN now() END "
    "WHERE (w.stuck_since IS NULL) = (w.incarnation IN (SELECT incarnation FROM stuck)) "
    "RETURNING w.id, w.incarnation, w.hostname, w.pool, w.stuck_since IS NOT NULL",
    2,
};

/* workers_incarnation_key */
const tf_sql_t tfs_sql_dead_incarnations = {
    "tfs_dead_incarnations",
    "SELECT i::text FROM unnest($1::int8[]) AS i WHERE NOT EXISTS "
    "(SELECT FROM workers w WHERE w.incarnation = i AND w.status IN " ALIVE ")",
    1,
};

const tf_sql_t tfs_sql_gather_ranges = {
    "tfs_gather_ranges",
    "SELECT gather_job_ranges($1, make_interval(secs => $2::int4))",
    2,
};

const tf_sql_t tfs_sql_make_partitions = {
    "tfs_make_partitions",
    "SELECT make_partitions($1)",
    1,
};

const tf_sql_t tfs_sql_drop_partitions = {
    "tfs_drop_partitions",
    "SELECT drop_partitions(make_interval(days => $1))",
    1,
};

const tf_sql_t tfs_sql_delete_kept = {
    "tfs_delete_kept",
    "SELECT looked, deleted FROM retention_step(json_strip_nulls(json_build_object("
    "'SUCCESS', nullif($1::int4, 0), 'FAILED', nullif($2::int4, 0), 'DEAD_LETTER', nullif($3::int4, 0), "
    "'CANCELLED', nullif($4::int4, 0))), $5)",
    5,
};

/* job_throughput_pkey begins with minute. */
const tf_sql_t tfs_sql_forget_throughput = {
    "tfs_forget_throughput",
    "DELETE FROM job_throughput WHERE minute < now() - interval '48 hours'",
    0,
};

/* idempotency_keys_age */
const tf_sql_t tfs_sql_forget_keys = {
    "tfs_forget_keys",
    "WITH d AS (DELETE FROM idempotency_keys WHERE (owner, key) IN "
    "(SELECT owner, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours' "
    "ORDER BY created_at LIMIT 10000) RETURNING 1) "
    "SELECT count(*)::int4 FROM d",
    0,
};

/* job_checkpoints_pkey, jobs_pkey */
const tf_sql_t tfs_sql_forget_checkpoints = {
    "tfs_forget_checkpoints",
    "WITH d AS (DELETE FROM job_checkpoints WHERE job_id IN "
    "(SELECT c.job_id FROM job_checkpoints c WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.id = c.job_id "
    "AND j.status::text IN (" TF_SQL_SCHEDULED ", " TF_SQL_QUEUED ", " TF_SQL_RUNNING ", " TF_SQL_RETRYING
    ")) ORDER BY c.job_id LIMIT 10000) RETURNING 1) "
    "SELECT count(*)::int4 FROM d",
    0,
};

/* webhook_deliveries_pkey, jobs_pkey */
const tf_sql_t tfs_sql_forget_deliveries = {
    "tfs_forget_deliveries",
    "WITH d AS (DELETE FROM webhook_deliveries WHERE (job_id, delivery_id) IN "
    "(SELECT w.job_id, w.delivery_id FROM webhook_deliveries w "
    "WHERE w.job_id < uuid_floor(now() - make_interval(days => $1)) "
    "AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = w.delivery_id) "
    "ORDER BY w.job_id, w.delivery_id LIMIT 10000) RETURNING 1) "
    "SELECT count(*)::int4 FROM d",
    1,
};

const tf_sql_t tfs_sql_forget_ticks = {
    "tfs_forget_ticks",
    "SELECT forget_ticks(10000)",
    0,
};

const tf_sql_t tfs_sql_forget_ranges = {
    "tfs_forget_ranges",
    "SELECT forget_job_ranges()",
    0,
};

const tf_sql_t tfs_sql_forget_queue_settings = {
    "tfs_forget_queue_settings",
    "SELECT forget_queue_settings()",
    0,
};

/* All of job_counts once, as tfs_sql_queues. */
const tf_sql_t tfs_sql_disused_queues = {
    "tfs_disused_queues",
    "SELECT queue FROM (SELECT queue, sum(n) AS n FROM job_counts WHERE queue > $1 "
    "AND queue NOT IN (SELECT name FROM queues) GROUP BY queue, type, priority, status) g "
    "GROUP BY queue HAVING bool_and(n = 0) ORDER BY queue LIMIT $2::int4",
    2,
};

const tf_sql_t tfs_sql_forget_queues = {
    "tfs_forget_queues",
    "SELECT forget_queues($1::text[])",
    1,
};

const tf_sql_t tfs_sql_forget_workers = {
    "tfs_forget_workers",
    "DELETE FROM workers WHERE status NOT IN " ALIVE " AND heartbeat_at < now() - interval '7 days'",
    0,
};
