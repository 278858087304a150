#include "worker/sql.h"

#include "job.h"

/* Who registers anew has no orders. */
const tf_sql_t tfw_sql_register = {
    "tfw_register",
    "INSERT INTO workers AS w (id, hostname, pool, incarnation, status, pid, version, queues, concurrency, "
    "types, labels, lowest_priority, started_at, heartbeat_at) "
    "VALUES ($1, $2, $3, nextval('worker_incarnations'), 'online', $4, $5, $6, $7, $8, $9, $10, "
    "now(), now()) "
    "ON CONFLICT (hostname, pool) DO UPDATE SET incarnation = excluded.incarnation, "
    "status = excluded.status, pid = excluded.pid, version = excluded.version, queues = excluded.queues, "
    "concurrency = excluded.concurrency, types = excluded.types, labels = excluded.labels, "
    "lowest_priority = excluded.lowest_priority, "
    "active = 0, active_io = 0, processed = 0, failed = 0, started_at = excluded.started_at, "
    "heartbeat_at = excluded.heartbeat_at, desired_status = NULL, desired_concurrency = NULL, "
    "last_fetch_at = NULL, stuck_since = NULL, measured_at = NULL "
    "RETURNING w.id, w.incarnation",
    10,
};

const tf_sql_t tfw_sql_heartbeat = {
    "tfw_heartbeat",
    "UPDATE workers SET status = $2, active = $3, processed = $4, failed = $5, heartbeat_at = now(), "
    "concurrency = $6, last_fetch_at = coalesce(now() - $7::int8 * interval '1 microsecond', last_fetch_at), "
    "desired_status = CASE WHEN $8 THEN NULL ELSE desired_status END, measured_at = now(), "
    "memory_bytes = $9, cpu_percent = $10, processed_per_second = $11, failed_per_second = $12, "
    "active_io = $13 "
    "WHERE incarnation = $1 AND status <> 'lost' RETURNING desired_status, desired_concurrency",
    13,
};

/* jobs_pkey */
const tf_sql_t tfw_sql_cancels = {
    "tfw_cancels",
    "SELECT j.id FROM unnest($1::uuid[]) AS t(id) JOIN jobs j ON j.id = t.id "
    "WHERE j.cancel_requested AND j.status::text = " TF_SQL_RUNNING " AND j.incarnation = $2",
    2,
};

const tf_sql_t tfw_sql_owner = {
    "tfw_owner",
    "SELECT incarnation, status, pid FROM workers WHERE hostname = $1 AND pool = $2",
    2,
};

/* Sorted by type, so that workers that start together never wait for each other in a circle. */
const tf_sql_t tfw_sql_job_types = {
    "tfw_job_types",
    "INSERT INTO job_types AS t (type, description, payload_schema, max_retries, timeout_seconds, "
    "retry_base_ms, "
    "retry_max_ms, retry_jitter, updated_at) SELECT *, now() FROM unnest($1::text[], $2::text[], $3::json[], "
    "$4::int4[], $5::int4[], $6::int4[], $7::int4[], $8::bool[]) AS n(type, description, payload_schema, "
    "max_retries, "
    "timeout_seconds, retry_base_ms, retry_max_ms, retry_jitter) ORDER BY type "
    "ON CONFLICT (type) DO UPDATE SET description = excluded.description, payload_schema = "
    "excluded.payload_schema, "
    "max_retries = excluded.max_retries, timeout_seconds = excluded.timeout_seconds, "
    "retry_base_ms = excluded.retry_base_ms, retry_max_ms = excluded.retry_max_ms, "
    "retry_jitter = excluded.retry_jitter, updated_at = now() "
    "WHERE (t.description, t.payload_schema::text, t.max_retries, t.timeout_seconds, t.retry_base_ms, "
    "t.retry_max_ms, "
    "t.retry_jitter) IS DISTINCT FROM (excluded.description, excluded.payload_schema::text, "
    "excluded.max_retries, "
    "excluded.timeout_seconds, excluded.retry_base_ms, excluded.retry_max_ms, excluded.retry_jitter)",
    8,
};

const tf_sql_t tfw_sql_log = {
    "tfw_log",
    "INSERT INTO job_logs (job_id, epoch, attempt, seq, at, level, message) "
    "SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::int8[], $5::timestamptz[], $6::text[], "
    "$7::text[]) "
    "ON CONFLICT (job_id, epoch, attempt, seq) DO NOTHING",
    7,
};

/* job_logs_pkey, from its end */
const tf_sql_t tfw_sql_log_trim = {
    "tfw_log_trim",
    "DELETE FROM job_logs WHERE job_id = $1::uuid AND epoch = $2::int4 AND attempt = $3::int4 AND seq <= "
    "(SELECT seq FROM job_logs WHERE job_id = $1 AND epoch = $2 AND attempt = $3 ORDER BY seq DESC OFFSET "
    "$4::int8 LIMIT 1)",
    4,
};

const tf_sql_t tfw_sql_file_id = {"tfw_file_id", "SELECT nextval('job_file_ids')", 0};

const tf_sql_t tfw_sql_file_chunk = {
    "tfw_file_chunk",
    "INSERT INTO job_file_chunks (job_id, file, seq, data) VALUES ($1, $2, $3, $4) RETURNING seq",
    4,
};

const tf_sql_t tfw_sql_file_keep = {
    "tfw_file_keep",
    "SELECT keep_job_file($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    11,
};

/* job_checkpoints_pkey */
const tf_sql_t tfw_sql_checkpoint = {
    "tfw_checkpoint",
    "SELECT data FROM job_checkpoints WHERE job_id = $1::uuid AND epoch = $2::int4",
    2,
};

/* Who would take the job away waits until this has ended: whoever runs it next sees what was written. */
const tf_sql_t tfw_sql_checkpoint_save = {
    "tfw_checkpoint_save",
    "WITH j AS MATERIALIZED (SELECT id FROM jobs WHERE id = $1::uuid AND status::text = " TF_SQL_RUNNING
    " AND epoch = $2::int4 AND attempt = $3::int4 AND incarnation = $4::int8 FOR SHARE) "
    "INSERT INTO job_checkpoints (job_id, epoch, attempt, data, updated_at) "
    "SELECT id, $2, $3, $5::json, now() FROM j "
    "ON CONFLICT (job_id) DO UPDATE SET epoch = excluded.epoch, attempt = excluded.attempt, "
    "data = excluded.data, updated_at = excluded.updated_at RETURNING job_id",
    5,
};
