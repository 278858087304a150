#include "sql.h"

#include "job.h"
#include "pgparam.h"

/* Laid out as SQL, not as C. */
/* clang-format off */

/* Adds the rows of `changes` (queue, type, priority, status, d) to the counters of one writer. Sorted, so that two
 * statements that touch the same rows take their locks in the same order. */
#define COUNT(changes)                                                                                       \
    "INSERT INTO job_counts AS k (writer, queue, type, priority, status, n) "                                \
    "SELECT $1, queue, type, priority, status::job_status, sum(d) FROM (" changes ") x "                     \
    "GROUP BY queue, type, priority, status ORDER BY queue, type, priority, status "                         \
    "ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n"

/* All rows of the common table expression `rows` go from one status to another, both known: one group and two counters
 * per kind of job, in the order of COUNT. */
#define MOVED(rows, from, to)                                                                                \
    "INSERT INTO job_counts AS k (writer, queue, type, priority, status, n) "                                \
    "SELECT $1, queue, type, priority, v.status, g.n * v.d "                                                 \
    "FROM (SELECT queue, type, priority, count(*) AS n FROM " rows " GROUP BY queue, type, priority) g, "    \
    "(VALUES (" from "::job_status, -1), (" to ", 1)) v(status, d) ORDER BY queue, type, priority, status "  \
    "ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n"

/* A status compared as text matches no partial index: a row that is looked up by its id is found through the primary
 * key, whatever the planner believes about a table that it has not analysed yet. */
#define STATUS_IS(column, status) column "::text = " status

#define THROUGHPUT(rows)                                                                                     \
    "INSERT INTO job_throughput AS k (minute, writer, status, bucket, n, duration_us) "                      \
    "SELECT date_trunc('minute', now()), $1, status::job_status, bucket, count(*), sum(us) FROM (" rows      \
    ") x GROUP BY status, bucket ORDER BY status, bucket "                                                   \
    "ON CONFLICT (minute, writer, status, bucket) DO UPDATE "                                                \
    "SET n = k.n + excluded.n, duration_us = k.duration_us + excluded.duration_us"

#define SUBMIT_ARRAYS                                                                                        \
    "$2::uuid[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::int4[], $8::int4[], $9::int4[], "       \
    "$10::int4[], $11::bool[], $12::timestamptz[], $13::uuid[], $14::text[], $15::json[], $16::json[]"
#define SUBMIT_NAMES                                                                                         \
    "id, type, queue, name, priority, max_retries, timeout_seconds, retry_base_ms, retry_max_ms, "           \
    "retry_jitter, created_at, created_by, traceparent, payload, metadata"

/* Every row goes in, so who sends them can count them: nothing flows from the insert to the counters. */
const tf_sql_t tf_sql_submit = {
    "tf_submit",
    "WITH c AS (INSERT INTO job_counts AS k (writer, queue, type, priority, status, n) "
    "SELECT $1, queue, type, priority, " TF_SQL_QUEUED ", sum(n) "
    "FROM unnest($17::text[], $18::text[], $19::int2[], $20::int4[]) AS g(queue, type, priority, n) "
    "GROUP BY queue, type, priority ORDER BY queue, type, priority "
    "ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n), "
    "m AS (INSERT INTO job_throughput AS k (minute, writer, status, bucket, n, duration_us) "
    "VALUES (date_trunc('minute', now()), $1, " TF_SQL_QUEUED ", -1, $21::int4, 0) "
    "ON CONFLICT (minute, writer, status, bucket) DO UPDATE SET n = k.n + excluded.n) "
    "INSERT INTO jobs (updated_at, enqueued_at, status, " SUBMIT_NAMES ") "
    "SELECT created_at, created_at, " TF_SQL_QUEUED ", " SUBMIT_NAMES " "
    "FROM unnest(" SUBMIT_ARRAYS ") AS t(" SUBMIT_NAMES ")",
    21,
};

#define SELDOM ", scheduled_at, retry_budget_seconds, expires_at, webhook_url"

/* The rows of `from` become jobs and are counted. `seldom`: more columns than the usual ones, each after a comma. */
#define SUBMIT(from, seldom)                                                                                 \
    "new AS (INSERT INTO jobs (updated_at, run_at, enqueued_at, status, " SUBMIT_NAMES seldom ") "           \
    "SELECT created_at, scheduled_at, CASE WHEN scheduled_at IS NULL THEN created_at END, "                  \
    "CASE WHEN scheduled_at IS NULL THEN " TF_SQL_QUEUED "::job_status "                                     \
    "ELSE " TF_SQL_SCHEDULED "::job_status END, "                                                            \
    SUBMIT_NAMES seldom " FROM " from " RETURNING queue, type, priority, status), "                          \
    "c AS (" COUNT("SELECT queue, type, priority, status, 1 AS d FROM new") "), "                            \
    "m AS (" THROUGHPUT("SELECT " TF_SQL_QUEUED " AS status, -1::int2 AS bucket, 0 AS us FROM new") ") "

/* Keys in their order, so that two statements with the same keys wait for each other in one direction only; of
 * two equal ones in one statement the first wins. A key that another transaction is about to insert makes this
 * one wait for its end. */
const tf_sql_t tf_sql_submit_full = {
    "tf_submit_full",
    "WITH t AS (SELECT * FROM unnest(" SUBMIT_ARRAYS ", $17::timestamptz[], $18::int4[], $19::timestamptz[], "
    "$20::text[], $21::text[], $22::bytea[]) AS t(" SUBMIT_NAMES SELDOM ", key, request_hash)), "
    "k AS (INSERT INTO idempotency_keys (owner, key, request_hash, job_id, created_at) "
    "SELECT DISTINCT ON (1, 2) coalesce(created_by, '" TF_OWNER_NOBODY "'), key, request_hash, id, created_at "
    "FROM t WHERE key IS NOT NULL ORDER BY 1, 2, id ON CONFLICT (owner, key) DO NOTHING RETURNING job_id), "
    "w AS (SELECT * FROM t WHERE key IS NULL OR id IN (SELECT job_id FROM k)), "
    "x AS (INSERT INTO job_expiry SELECT expires_at, id FROM w WHERE expires_at IS NOT NULL), "
    SUBMIT("w", SELDOM)
    "SELECT id, CASE WHEN scheduled_at IS NOT NULL THEN pg_notify('tf_due', '')::text END FROM w "
    "WHERE key IS NOT NULL OR scheduled_at IS NOT NULL",
    22,
};

/* The jobs of a schedule: what its template does not say is the type's. `from`: job_id, template, created_by, schedule_id
 * and run_at. */
#define FROM_TEMPLATES(from)                                                                                 \
    "w AS (SELECT f.job_id AS id, r.type, r.queue, r.name, r.priority, "                                     \
    "coalesce(r.max_retries, k.max_retries) AS max_retries, r.timeout_seconds, r.retry_base_ms, "            \
    "r.retry_max_ms, r.retry_jitter, r.retry_budget_seconds, now() AS created_at, "                          \
    "CASE WHEN f.run_at > now() THEN f.run_at END AS scheduled_at, f.created_by, NULL::text AS traceparent, " \
    "r.payload, r.metadata, NULL::timestamptz AS expires_at, r.webhook_url, f.schedule_id "                  \
    "FROM (" from ") f CROSS JOIN LATERAL json_populate_record(NULL::jobs, f.template) r "                   \
    "JOIN job_types k ON k.type = r.type), "

const tf_sql_t tf_sql_schedule_fire = {
    "tf_schedule_fire",
    "WITH g AS MATERIALIZED (SELECT t.id AS schedule_id, f.* FROM unnest($2::uuid[], $3::timestamptz[], $4::int4[], "
    "$5::timestamptz[], $6::text[], $7::text[]) AS t(id, tick, revision, following, verdict, why) "
    "CROSS JOIN LATERAL schedule_tick(t.id, t.tick, t.revision, t.following, t.verdict, t.why) f), "
    FROM_TEMPLATES("SELECT * FROM g WHERE job_id IS NOT NULL") SUBMIT("w", SELDOM ", schedule_id")
    "SELECT schedule_id, outcome, job_id, (SELECT string_agg(i::text, ' ') FROM unnest(asked) i) FROM g",
    7,
};

const tf_sql_t tf_sql_schedule_run = {
    "tf_schedule_run",
    "WITH g AS MATERIALIZED (SELECT * FROM schedule_run($2::uuid)), "
    FROM_TEMPLATES("SELECT job_id, template, $3::uuid AS created_by, $2::uuid AS schedule_id, NULL::timestamptz AS run_at "
                   "FROM g WHERE job_id IS NOT NULL") SUBMIT("w", SELDOM ", schedule_id")
    ", a AS MATERIALIZED (SELECT audit($3::uuid, $4::text, $5::text, 'schedule.run', $2::uuid::text, "
    "json_build_object('job', job_id)) FROM g WHERE job_id IS NOT NULL) "
    "SELECT outcome, job_id, (SELECT count(*) FROM a) FROM g",
    5,
};

/* idempotency_keys_pkey, then jobs_pkey */
const tf_sql_t tf_sql_replay = {
    "tf_replay",
    "SELECT t.n::int4, k.request_hash, " TF_JOB_COLUMNS("j.") " "
    "FROM unnest($2::text[]) WITH ORDINALITY AS t(key, n) "
    "JOIN idempotency_keys k ON k.owner = coalesce($1::uuid, '" TF_OWNER_NOBODY "') AND k.key = t.key "
    "LEFT JOIN jobs j ON j.id = k.job_id",
    2,
};

/* jobs_pkey; the bounds prune the partitions before the statement starts. */
#define CLAIM_SET "status = " TF_SQL_RUNNING ", incarnation = $3, worker = $4, finished_at = NULL, updated_at = now()"
/* A job whose handler has begun does not expire, whatever became of it since. One that was given back or put off before
 * its first attempt had begun has no worker (tf_sql_finish). */
#define NOT_EXPIRED "(expires_at IS NULL OR expires_at > now() OR worker IS NOT NULL)"
/* What the handlers of one type need beside the row, and nobody else may see. */
#define SECRET "CASE WHEN type = '" TF_TYPE_WEBHOOK "' THEN webhook_signers(created_by) END AS secret"
#define CLAIM_IDS "id = ANY ($2::uuid[]) AND id BETWEEN $5 AND $6"

const tf_sql_t tf_sql_claim = {
    "tf_claim",
    "WITH u AS (UPDATE jobs SET " CLAIM_SET ", attempt = attempt + 1, started_at = now(), progress = 0 "
    "WHERE " CLAIM_IDS " AND " STATUS_IS("status", TF_SQL_QUEUED) " AND " NOT_EXPIRED " RETURNING " TF_CLAIM_COLUMNS ", " SECRET "), "
    "c AS (" MOVED("u", TF_SQL_QUEUED, TF_SQL_RUNNING) ") "
    "SELECT " TF_CLAIM_COLUMNS ", secret FROM u",
    6,
};

/* The session of the earlier sending may still be about to commit: then this one waits at the row and sees what that one
 * made of it, which a SELECT beside the UPDATE would not. started_at tells whose claim it was. */
const tf_sql_t tf_sql_claim_again = {
    "tf_claim_again",
    "WITH u AS (UPDATE jobs SET " CLAIM_SET ", attempt = attempt + (status = " TF_SQL_QUEUED ")::int, "
    "started_at = CASE WHEN status = " TF_SQL_QUEUED " THEN now() ELSE started_at END, "
    "progress = CASE WHEN status = " TF_SQL_QUEUED " THEN 0 ELSE progress END "
    "WHERE " CLAIM_IDS " AND (" STATUS_IS("status", TF_SQL_QUEUED) " AND " NOT_EXPIRED " "
    "OR " STATUS_IS("status", TF_SQL_RUNNING) " AND incarnation = $3) RETURNING " TF_CLAIM_COLUMNS ", " SECRET "), "
    "n AS (SELECT * FROM u WHERE started_at = now()), "
    "c AS (" MOVED("n", TF_SQL_QUEUED, TF_SQL_RUNNING) ") "
    "SELECT " TF_CLAIM_COLUMNS ", secret FROM u",
    6,
};

/* Of a duration in microseconds, see job_throughput. In floating point: PostgreSQL's numeric logarithm costs more than
 * the rest of the statement. */
#define BUCKET(us) "floor(4 * ln(greatest(" us ", 1)::float8) / ln(2::float8))::int2"

/* The fence of an attempt that ended: of t, and $2. */
#define HELD                                                                                                 \
    "j.id = t.id AND " STATUS_IS("j.status", TF_SQL_RUNNING) " AND j.epoch = t.epoch "                       \
    "AND j.attempt = t.attempt AND j.incarnation = $2"

const tf_sql_t tf_sql_succeed = {
    "tf_succeed",
    "WITH u AS (UPDATE jobs j SET status = " TF_SQL_SUCCESS ", incarnation = NULL, "
    "started_at = now() - t.started_ago * interval '1 microsecond', "
    "finished_at = now() - t.finished_ago * interval '1 microsecond', run_at = NULL, progress = 100, "
    "result = t.result, error = NULL, traceback = NULL, updated_at = now() "
    "FROM unnest($3::uuid[], $4::int4[], $5::int4[], $6::int8[], $7::int8[], $8::json[]) "
    "AS t(id, epoch, attempt, started_ago, finished_ago, result) WHERE " HELD " "
    "RETURNING j.id, j.queue, j.type, j.priority, j.started_at, j.finished_at, t.started_ago - t.finished_ago AS us), "
    "c AS (" MOVED("u", TF_SQL_RUNNING, TF_SQL_SUCCESS) "), "
    "m AS (" THROUGHPUT("SELECT " TF_SQL_SUCCESS " AS status, " BUCKET("us") " AS bucket, us FROM u") ") "
    "SELECT id, started_at, finished_at, NULL::timestamptz FROM u",
    8,
};

/* By the status that the worker reports: to run again; and of these, as if this attempt had not been. */
#define AGAIN "t.status IN (" TF_SQL_QUEUED ", " TF_SQL_SCHEDULED ", " TF_SQL_RETRYING ")"
#define RETURNED "t.status IN (" TF_SQL_QUEUED ", " TF_SQL_SCHEDULED ") AND NOT j.cancel_requested"
/* Its handler was not reached: it did not ask for anything, and the job may still expire. */
#define UNTOUCHED "t.started_ago = 0"

const tf_sql_t tf_sql_finish = {
    "tf_finish",
    "WITH t AS (SELECT * FROM unnest($3::uuid[], $4::int4[], $5::int4[], $6::text[], $7::int8[], $8::int8[], "
    "$9::int8[], $10::json[], $11::text[], $12::text[]) AS t(id, epoch, attempt, status, started_ago, "
    "finished_ago, delay_ms, result, error, traceback)), "
    "u AS (UPDATE jobs j SET status = CASE WHEN " AGAIN " AND j.cancel_requested THEN " TF_SQL_CANCELLED
    "::job_status ELSE t.status::job_status END, "
    "attempt = j.attempt - (" RETURNED ")::int, "
    "snoozes = j.snoozes + (t.status = " TF_SQL_SCHEDULED " AND NOT " UNTOUCHED ")::int, incarnation = NULL, "
    "worker = CASE WHEN " RETURNED " AND " UNTOUCHED " AND j.attempt = 1 AND j.snoozes = 0 THEN NULL ELSE j.worker END, "
    "started_at = CASE WHEN " RETURNED " THEN NULL ELSE now() - t.started_ago * interval '1 microsecond' END, "
    "finished_at = CASE WHEN " RETURNED " THEN NULL ELSE now() - t.finished_ago * interval '1 microsecond' END, "
    "run_at = CASE WHEN t.status IN (" TF_SQL_RETRYING ", " TF_SQL_SCHEDULED ") AND NOT j.cancel_requested "
    "THEN now() + t.delay_ms * interval '1 millisecond' END, "
    "enqueued_at = CASE WHEN t.status = " TF_SQL_QUEUED " THEN now() ELSE j.enqueued_at END, "
    "progress = CASE WHEN t.status = " TF_SQL_SUCCESS " THEN 100 WHEN " RETURNED " THEN 0 ELSE j.progress END, "
    "result = t.result, error = t.error, traceback = t.traceback, updated_at = now() FROM t "
    "WHERE " HELD " "
    "RETURNING j.id, j.epoch, t.attempt, j.status, j.queue, j.type, j.priority, j.started_at, j.finished_at, "
    "j.run_at, j.worker, j.cancel_requested, j.expires_at, t.error, t.traceback, t.started_ago - t.finished_ago AS us), "
    "x AS (INSERT INTO job_expiry SELECT expires_at, id FROM u WHERE expires_at IS NOT NULL AND worker IS NULL "
    "ON CONFLICT DO NOTHING), "
    "c AS (" COUNT("SELECT queue, type, priority, " TF_SQL_RUNNING " AS status, -1 AS d FROM u UNION ALL "
                   "SELECT queue, type, priority, status::text, 1 FROM u") "), "
    "m AS (" THROUGHPUT("SELECT status, "
                        "CASE WHEN status = " TF_SQL_SUCCESS " THEN " BUCKET("us") " ELSE -1::int2 END AS bucket, "
                        "CASE WHEN status = " TF_SQL_SUCCESS " THEN us ELSE 0 END AS us "
                        "FROM u WHERE status NOT IN (" TF_SQL_QUEUED ", " TF_SQL_SCHEDULED ")") "), "
    "e AS (INSERT INTO job_errors (job_id, epoch, attempt, at, worker, error, traceback) "
    "SELECT id, epoch, attempt, finished_at, worker, error, traceback FROM u "
    "WHERE error IS NOT NULL AND status IN (" TF_SQL_RETRYING ", " TF_SQL_FAILED ", " TF_SQL_DEAD_LETTER ") "
    "ON CONFLICT DO NOTHING), "
    "n AS (SELECT pg_notify('tf_due', '') FROM (SELECT FROM u WHERE run_at IS NOT NULL LIMIT 1) w) "
    "SELECT u.id, u.started_at, u.finished_at, u.run_at, u.cancel_requested, (SELECT count(*) FROM n) FROM u",
    12,
};

const tf_sql_t tf_sql_progress = {
    "tf_progress",
    "UPDATE jobs j SET progress = t.progress, updated_at = now() "
    "FROM unnest($2::uuid[], $3::int4[], $4::int4[], $5::int2[]) AS t(id, epoch, attempt, progress) "
    "WHERE j.id = t.id AND " STATUS_IS("j.status", TF_SQL_RUNNING) " AND j.incarnation = $1 AND j.epoch = t.epoch "
    "AND j.attempt = t.attempt",
    5,
};

/* jobs_due, read in its order; the rows are then found again through jobs_pkey. They are locked: nothing is to be checked
 * again, and a condition would have the planner believe that there are few such rows in all of jobs, and start from them.
 * h: of schedules that let one wait (overlap), and one before it has not ended; looked at again a second later. */
const tf_sql_t tf_sql_due = {
    "tf_due",
    "WITH d AS (SELECT id, status, schedule_id FROM jobs WHERE status IN (" TF_SQL_SCHEDULED ", " TF_SQL_RETRYING ") "
    "AND run_at <= now() ORDER BY run_at LIMIT $2::int4 FOR UPDATE SKIP LOCKED), "
    "h AS MATERIALIZED (SELECT d.id FROM d JOIN schedules s ON s.id = d.schedule_id "
    "WHERE s.overlap IN ('queue', 'cancel_running') AND EXISTS ("
    "SELECT FROM schedule_jobs o JOIN jobs b ON b.id = o.job_id WHERE o.schedule_id = d.schedule_id AND o.job_id < d.id "
    "AND b.status::text IN (" TF_SQL_SCHEDULED ", " TF_SQL_QUEUED ", " TF_SQL_RUNNING ", " TF_SQL_RETRYING "))), "
    "l AS (UPDATE jobs j SET run_at = now() + interval '1 second', updated_at = now() FROM h WHERE j.id = h.id), "
    "u AS (UPDATE jobs j SET status = " TF_SQL_QUEUED ", enqueued_at = now(), run_at = NULL, updated_at = now() "
    "FROM d WHERE j.id = d.id AND d.id NOT IN (SELECT id FROM h) RETURNING j.*, d.status AS was), "
    "c AS (" COUNT("SELECT queue, type, priority, was AS status, -1 AS d FROM u UNION ALL "
                   "SELECT queue, type, priority, status, 1 FROM u") ") "
    "SELECT " TF_JOB_COLUMNS_LIGHT("") " FROM u",
    2,
};

/* job_expiry_pkey, then jobs_pkey for each: LATERAL, so that it is never all of jobs that is looked through for them. */
const tf_sql_t tf_sql_expire = {
    "tf_expire",
    "WITH x AS (DELETE FROM job_expiry WHERE (expires_at, job_id) IN (SELECT e.expires_at, e.job_id FROM job_expiry e "
    "WHERE e.expires_at <= now() ORDER BY e.expires_at, e.job_id LIMIT $2::int4 FOR UPDATE SKIP LOCKED) RETURNING job_id), "
    "d AS (SELECT j.id, j.status FROM (SELECT job_id FROM x ORDER BY job_id) t CROSS JOIN LATERAL ("
    "SELECT o.id, o.status FROM jobs o WHERE o.id = t.job_id AND o.worker IS NULL AND o.expires_at <= now() "
    "AND o.status::text IN (" TF_SQL_SCHEDULED ", " TF_SQL_QUEUED ", " TF_SQL_RETRYING ") FOR UPDATE) j), "
    "u AS (UPDATE jobs j SET status = " TF_SQL_CANCELLED ", run_at = NULL, finished_at = now(), updated_at = now(), "
    "error = 'expired: not started before ' || to_char(j.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
    "FROM d WHERE j.id = d.id RETURNING j.*, d.status AS was), "
    "c AS (" COUNT("SELECT queue, type, priority, was AS status, -1 AS d FROM u UNION ALL "
                   "SELECT queue, type, priority, status, 1 FROM u") "), "
    "m AS (" THROUGHPUT("SELECT status, -1::int2 AS bucket, 0 AS us FROM u") ") "
    "SELECT " TF_JOB_COLUMNS_LIGHT("") " FROM u",
    2,
};

const tf_sql_t tf_sql_next_due = {
    "tf_next_due",
    "SELECT run_at, now() FROM jobs WHERE status IN (" TF_SQL_SCHEDULED ", " TF_SQL_RETRYING ") ORDER BY run_at LIMIT 1",
    0,
};

/* Only right after $2: when PostgreSQL hung in between, the heartbeats that came meanwhile wait behind this statement. */
const tf_sql_t tf_sql_lose_workers = {
    "tf_lose_workers",
    "UPDATE workers SET status = 'lost', active = 0 WHERE status IN ('online', 'quiet', 'stopping') "
    "AND heartbeat_at < now() - $1::int4 * interval '1 second' AND now() < $2::timestamptz + interval '2 seconds' "
    "RETURNING incarnation, hostname, pool",
    2,
};

/* jobs_running, in its order: what is RUNNING fits into the workers. The second arm is for workers that live and do not
 * end what they should have ended. */
#define RESCUE_DEAD "(j.attempt > j.max_retries OR d.poison OR d.run_at > " BUDGET_END ")"
#define BUDGET_END                                                                                           \
    "coalesce(j.retried_at, j.scheduled_at, j.created_at) + j.retry_budget_seconds * interval '1 second'"
#define LOST_WORKER "coalesce(j.worker, 'unknown') || ' stopped sending heartbeats'"

const tf_sql_t tf_sql_rescue = {
    "tf_rescue",
    "WITH alive AS (SELECT incarnation FROM workers WHERE status IN ('online', 'quiet', 'stopping')), "
    "l AS (SELECT id, EXISTS (SELECT FROM alive WHERE alive.incarnation = jobs.incarnation) AS hangs FROM jobs "
    "WHERE status = " TF_SQL_RUNNING " AND (NOT EXISTS (SELECT FROM alive WHERE alive.incarnation = jobs.incarnation) "
    "OR started_at < now() - $4::int4 * interval '1 second' AND started_at < now() - ($4::int4 + coalesce("
    "timeout_seconds, (SELECT k.timeout_seconds FROM job_types k WHERE k.type = jobs.type), 86400)) * interval '1 second') "
    "ORDER BY incarnation LIMIT $2::int4 FOR UPDATE SKIP LOCKED), "
    "d AS (SELECT l.id, l.hangs, NOT l.hangs AND o.worker_losses + 1 >= $3::int4 AS poison, "
    "coalesce(o.timeout_seconds, k.timeout_seconds, 86400) AS timeout, "
    "now() + least(coalesce(o.retry_base_ms, k.retry_base_ms, 60000)::float8 * 2 ^ least(o.attempt - 1, 40), "
    "coalesce(o.retry_max_ms, k.retry_max_ms, 3600000)) * interval '1 millisecond' AS run_at "
    "FROM l JOIN jobs o ON o.id = l.id LEFT JOIN job_types k ON k.type = o.type), "
    "u AS (UPDATE jobs j SET "
    "status = CASE WHEN j.cancel_requested THEN " TF_SQL_CANCELLED "::job_status "
    "WHEN " RESCUE_DEAD " THEN " TF_SQL_DEAD_LETTER "::job_status ELSE " TF_SQL_RETRYING "::job_status END, "
    "run_at = CASE WHEN NOT j.cancel_requested AND NOT coalesce(" RESCUE_DEAD ", false) THEN d.run_at END, "
    "error = CASE WHEN j.cancel_requested THEN 'cancelled: ' || " LOST_WORKER " "
    "WHEN d.hangs THEN 'timed out after ' || d.timeout || ' s: its worker ' || coalesce(j.worker, 'unknown') "
    "|| ' lives, but did not end it' "
    "WHEN d.poison THEN 'poison: worker lost ' || j.worker_losses + 1 || ' times, at last ' || " LOST_WORKER " "
    "ELSE 'worker lost: ' || " LOST_WORKER " END, traceback = NULL, "
    "worker_losses = j.worker_losses + (NOT d.hangs)::int, incarnation = NULL, finished_at = now(), updated_at = now() "
    "FROM d WHERE j.id = d.id AND " STATUS_IS("j.status", TF_SQL_RUNNING) " RETURNING j.*), "
    "c AS (" COUNT("SELECT queue, type, priority, " TF_SQL_RUNNING " AS status, -1 AS d FROM u UNION ALL "
                   "SELECT queue, type, priority, status::text, 1 FROM u") "), "
    "m AS (" THROUGHPUT("SELECT status, -1::int2 AS bucket, 0 AS us FROM u") "), "
    "e AS (INSERT INTO job_errors (job_id, epoch, attempt, at, worker, error) "
    "SELECT id, epoch, attempt, now(), worker, error FROM u WHERE status <> " TF_SQL_CANCELLED " ON CONFLICT DO NOTHING) "
    "SELECT " TF_JOB_COLUMNS_LIGHT("") " FROM u",
    4,
};

/* jobs_queued, read in its order; the rows are then found again through jobs_pkey. SKIP LOCKED: a row that is being
 * claimed is not lost. */
const tf_sql_t tf_sql_lost_in_redis = {
    "tf_lost_in_redis",
    "WITH d AS (SELECT id, enqueued_at FROM jobs WHERE status = " TF_SQL_QUEUED " AND queue = $1 AND priority = $2 "
    "AND enqueued_at < $3 AND id <> ALL ($5::uuid[]) ORDER BY enqueued_at LIMIT $4::int4 FOR UPDATE SKIP LOCKED), "
    "u AS (UPDATE jobs j SET enqueued_at = now() FROM d "
    "WHERE j.id = d.id AND " STATUS_IS("j.status", TF_SQL_QUEUED) " RETURNING j.id, d.enqueued_at AS was) "
    "SELECT id FROM u ORDER BY was, id",
    5,
};

const tf_sql_t tf_sql_active_queues = {
    "tf_active_queues",
    "SELECT queue FROM job_counts WHERE status = " TF_SQL_QUEUED " GROUP BY queue HAVING sum(n) > 0 ORDER BY queue",
    0,
};

/* The audit's row comes with the change, in its transaction; the lock on the chain is held until the commit, so nothing
 * that is done per job belongs here. */
#define AUDITED(action, rows)                                                                                \
    "a AS MATERIALIZED (SELECT audit($3::uuid, $4::text, $5::text, '" action                                 \
    "', id::text, NULL) FROM " rows ") "

/* The jobs $2, locked one after the other in the order of the array, with the states that they have then. */
#define LOCKED(ids) "d AS (SELECT j.id, j.status FROM unnest(" ids ") AS t(id) JOIN jobs j ON j.id = t.id FOR UPDATE OF j)"
#define ONE "ARRAY[$2::uuid]"
#define MANY "$2::uuid[]"

/* What waits is CANCELLED; what runs is asked to stop, by its worker. */
#define CANCEL(ids)                                                                                          \
    LOCKED(ids) ", "                                                                                         \
    "u AS (UPDATE jobs j SET "                                                                               \
    "status = CASE d.status WHEN " TF_SQL_RUNNING " THEN d.status ELSE " TF_SQL_CANCELLED " END, "           \
    "cancel_requested = j.cancel_requested OR d.status = " TF_SQL_RUNNING ", run_at = NULL, "                \
    "finished_at = CASE d.status WHEN " TF_SQL_RUNNING " THEN j.finished_at ELSE now() END, "                \
    "updated_at = now() FROM d WHERE j.id = d.id AND d.status IN (" TF_SQL_SCHEDULED ", " TF_SQL_QUEUED ", " \
    TF_SQL_RETRYING ", " TF_SQL_RUNNING ") RETURNING j.*, d.status AS was), "                                \
    "w AS (SELECT * FROM u WHERE was <> " TF_SQL_RUNNING "), "                                               \
    "c AS (" COUNT("SELECT queue, type, priority, was AS status, -1 AS d FROM w UNION ALL "                  \
                   "SELECT queue, type, priority, status, 1 FROM w") "), "                                   \
    "m AS (" THROUGHPUT("SELECT status, -1::int2 AS bucket, 0 AS us FROM w") ") "

const tf_sql_t tf_sql_cancel = {
    "tf_cancel",
    "WITH " CANCEL(ONE) ", " AUDITED("job.cancel", "u") "SELECT " TF_JOB_COLUMNS("u.") ", u.incarnation FROM u, a",
    5,
};

const tf_sql_t tf_sql_cancel_many = {
    "tf_cancel_many",
    "WITH " CANCEL(MANY) "SELECT " TF_JOB_COLUMNS_LIGHT("") ", incarnation FROM u",
    2,
};

/* A new life: nothing is left of the last one but its errors and logs, which carry its epoch. */
#define RETRY(ids)                                                                                           \
    LOCKED(ids) ", "                                                                                         \
    "u AS (UPDATE jobs j SET status = " TF_SQL_QUEUED ", epoch = j.epoch + 1, attempt = 0, "                 \
    "worker_losses = 0, snoozes = 0, progress = 0, cancel_requested = false, incarnation = NULL, "           \
    "worker = NULL, run_at = NULL, expires_at = NULL, started_at = NULL, finished_at = NULL, "               \
    "result = NULL, error = NULL, traceback = NULL, retried_at = now(), enqueued_at = now(), "               \
    "updated_at = now() FROM d WHERE j.id = d.id AND d.status IN (" TF_SQL_FAILED ", " TF_SQL_DEAD_LETTER    \
    ", " TF_SQL_CANCELLED ") RETURNING j.*, d.status AS was), "                                              \
    "c AS (" COUNT("SELECT queue, type, priority, was AS status, -1 AS d FROM u UNION ALL "                  \
                   "SELECT queue, type, priority, status, 1 FROM u") ") "

const tf_sql_t tf_sql_retry = {
    "tf_retry",
    "WITH " RETRY(ONE) ", " AUDITED("job.retry", "u") "SELECT " TF_JOB_COLUMNS("u.") " FROM u, a",
    5,
};

const tf_sql_t tf_sql_retry_many = {
    "tf_retry_many",
    "WITH " RETRY(MANY) "SELECT " TF_JOB_COLUMNS_LIGHT("") " FROM u",
    2,
};

#define DELETE(ids)                                                                                          \
    "u AS (DELETE FROM jobs j USING unnest(" ids ") AS t(id) WHERE j.id = t.id AND j.status::text IN ("      \
    TF_SQL_SUCCESS ", " TF_SQL_FAILED ", " TF_SQL_DEAD_LETTER ", " TF_SQL_CANCELLED ") "                     \
    "RETURNING j.id, j.queue, j.type, j.priority, j.status), "                                               \
    "e AS (DELETE FROM job_errors WHERE job_id IN (SELECT id FROM u)), "                                     \
    "l AS (DELETE FROM job_logs WHERE job_id IN (SELECT id FROM u)), "                                       \
    "c AS (" COUNT("SELECT queue, type, priority, status, -1 AS d FROM u") ") "

const tf_sql_t tf_sql_delete = {
    "tf_delete",
    "WITH " DELETE(ONE) ", " AUDITED("job.delete", "u") "SELECT u.id FROM u, a",
    5,
};

const tf_sql_t tf_sql_delete_many = {
    "tf_delete_many",
    "WITH " DELETE(MANY) "SELECT id FROM u",
    2,
};

/* Not through SUBMIT: it is one job, and its row in the audit belongs into the same transaction. */
const tf_sql_t tf_sql_submit_bulk = {
    "tf_submit_bulk",
    "WITH new AS (INSERT INTO jobs (id, type, queue, priority, max_retries, status, created_at, updated_at, "
    "enqueued_at, created_by, payload) VALUES ($2::uuid, '" TF_TYPE_BULK "', '" TF_QUEUE_OWN "', 5, 3, "
    TF_SQL_QUEUED ", now(), now(), now(), $3::uuid, $6::json) RETURNING *), "
    "c AS (" COUNT("SELECT queue, type, priority, status, 1 AS d FROM new") "), "
    "m AS (" THROUGHPUT("SELECT status, -1::int2 AS bucket, 0 AS us FROM new") "), "
    "a AS MATERIALIZED (SELECT audit($3::uuid, $4::text, $5::text, $7::text, id::text, $6::json) FROM new) "
    "SELECT " TF_JOB_COLUMNS("new.") " FROM new, a",
    7,
};

const tf_sql_t tf_sql_bulk_done = {
    "tf_bulk_done",
    "SELECT audit(j.created_by, coalesce(u.username, '-'), NULL, $2::text, j.id::text, $3::json) "
    "FROM jobs j LEFT JOIN users u ON u.id = j.created_by WHERE j.id = $1::uuid",
    3,
};
