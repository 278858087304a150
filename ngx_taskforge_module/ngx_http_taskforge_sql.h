
/*
 * The statements of the API that only read.  Those that change a job are in
 * core/sql.c.
 */

#ifndef _NGX_HTTP_TASKFORGE_SQL_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SQL_H_INCLUDED_


#include "pgparam.h"
#include "sql.h"


/* RFC 3339 with microseconds, as core's JSON writer has it. */

#define NGX_HTTP_TASKFORGE_SQL_TIME(column)                                   \
    "to_char(" column " AT TIME ZONE 'UTC', "                                 \
    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


/*
 * One job whole.  $1 id uuid.  Columns: TF_JOB_COLUMNS, then errors and logs
 * as JSON arrays.  Indexes: the primary keys, one partition of each table.
 */

#define NGX_HTTP_TASKFORGE_SQL_JOB                                            \
    "SELECT " TF_JOB_COLUMNS("j.") ", "                                       \
    "(SELECT coalesce(json_agg(json_build_object('epoch', e.epoch, "          \
        "'attempt', e.attempt, "                                              \
        "'at', " NGX_HTTP_TASKFORGE_SQL_TIME("e.at") ", "                     \
        "'worker', e.worker, 'error', e.error, "                              \
        "'traceback', e.traceback) ORDER BY e.epoch, e.attempt), '[]')::text "\
        "FROM job_errors e WHERE e.job_id = $1), "                            \
    "(SELECT coalesce(json_agg(json_build_object("                            \
        "'timestamp', " NGX_HTTP_TASKFORGE_SQL_TIME("l.at") ", "              \
        "'attempt', l.attempt, 'level', l.level, 'message', l.message) "      \
        "ORDER BY l.epoch, l.attempt, l.seq), '[]')::text FROM ("             \
        "SELECT * FROM job_logs WHERE job_id = $1 "                           \
        "ORDER BY epoch DESC, attempt DESC, seq DESC LIMIT 1000) l) "         \
    "FROM jobs j WHERE j.id = $1"


/*
 * Lines of a job's log after a position.  $1 id uuid, $2 epoch, $3 attempt,
 * $4 seq (of the last line seen; -1 -1 -1: from the start), $5 limit.
 * Columns: epoch, attempt, seq, at, level, message; one row of NULLs only
 * when the job exists and has no such line; no row: no such job.
 */

#define NGX_HTTP_TASKFORGE_SQL_LOGS                                           \
    "SELECT l.epoch, l.attempt, l.seq, l.at, l.level, l.message "             \
    "FROM jobs j LEFT JOIN LATERAL ("                                         \
        "SELECT epoch, attempt, seq, at, level, message FROM job_logs "       \
        "WHERE job_id = $1 "                                                  \
        "AND (epoch, attempt, seq) > ($2::int4, $3::int4, $4::int8) "         \
        "ORDER BY epoch, attempt, seq LIMIT $5::int4) l ON true "             \
    "WHERE j.id = $1 ORDER BY l.epoch, l.attempt, l.seq"


/* The status alone, to tell 404 from 409.  $1 id uuid. */

#define NGX_HTTP_TASKFORGE_SQL_STATUS                                         \
    "SELECT status::text FROM jobs WHERE id = $1"


/*
 * Without TaskForge's own queues.  Columns: status text, type text, priority
 * int2, n int8.
 */

#define NGX_HTTP_TASKFORGE_SQL_COUNTS                                         \
    "SELECT status::text, type, priority, sum(n)::int8 FROM job_counts "      \
    "WHERE left(queue, 1) <> '_' "                                            \
    "GROUP BY status, type, priority HAVING sum(n) <> 0"


/*
 * The last hour, the current minute included.  Columns: minutes ago int4,
 * status text, bucket int2, n int8, duration_us int8.
 */

#define NGX_HTTP_TASKFORGE_SQL_THROUGHPUT                                     \
    "SELECT (extract(epoch FROM date_trunc('minute', now()) - minute) "       \
        "/ 60)::int4, "                                                       \
        "status::text, bucket, sum(n)::int8, sum(duration_us)::int8 "         \
    "FROM job_throughput "                                                    \
    "WHERE minute > date_trunc('minute', now()) - interval '60 minutes' "     \
    "GROUP BY minute, status, bucket"


/*
 * The same by queue, and a row "online" with the number of workers.  Columns:
 * queue text, priority int2, status text, n int8.
 */

#define NGX_HTTP_TASKFORGE_SQL_DEPTHS                                         \
    "SELECT queue, priority, status::text, sum(n)::int8 FROM job_counts "     \
    "WHERE left(queue, 1) <> '_' "                                            \
    "GROUP BY queue, priority, status HAVING sum(n) <> 0 "                    \
    "UNION ALL SELECT '', 0::int2, 'online', count(*) FROM workers "          \
    "WHERE status IN ('online', 'quiet')"


/*
 * What ended today (UTC), but not before $1 timestamptz.  At least one row.
 * Columns: day timestamptz, border timestamptz (minutes before it change no
 * more), seconds float8 (since the previous minute began), closed bool (before
 * the border), recent bool (the previous or this minute), status text or
 * NULL, bucket int2, n int8.  Index: job_throughput_pkey, a range.
 */

#define NGX_HTTP_TASKFORGE_SQL_TODAY                                          \
    "SELECT b.day, b.border, "                                                \
    "extract(epoch FROM now() - b.recent)::float8, t.minute < b.border, "     \
    "t.minute >= b.recent, t.status::text, t.bucket, sum(t.n)::int8 "         \
    "FROM (SELECT date_trunc('day', now()) AS day, "                          \
        "date_trunc('minute', now()) - interval '5 minutes' AS border, "      \
        "date_trunc('minute', now()) - interval '1 minute' AS recent) b "     \
    "LEFT JOIN job_throughput t "                                             \
        "ON t.minute >= greatest($1::timestamptz, b.day) "                    \
    "GROUP BY 1, 2, 3, 4, 5, 6, 7"


/*
 * Why a job does not run.  $1 id uuid.  Columns: TF_JOB_COLUMNS_LIGHT, then
 * enqueued_at timestamptz, now timestamptz, the queue's state text or NULL,
 * and of workers int4: alive, that serve the queue, that also know the type,
 * that also take jobs; their executors, how many of those are busy; and the
 * jobs before it, up to $2 + 1.  Indexes: jobs_pkey, jobs_queued.
 */

#define NGX_HTTP_TASKFORGE_SQL_WHY                                            \
    "SELECT " TF_JOB_COLUMNS_LIGHT("j.") ", j.enqueued_at, now(), "           \
    "(SELECT q.state FROM queues q WHERE q.name = j.queue), "                 \
    "w.alive::int4, w.serving::int4, w.able::int4, w.wanting::int4, "         \
    "w.taking::int4, w.slots::int4, w.busy::int4, "                           \
    "(SELECT count(*) FROM (("                                                \
        "SELECT FROM jobs b WHERE b.status = " TF_SQL_QUEUED " "              \
        "AND b.queue = j.queue AND b.priority > j.priority "                  \
        "LIMIT $2::int4 + 1) UNION ALL ("                                     \
        "SELECT FROM jobs b WHERE b.status = " TF_SQL_QUEUED " "              \
        "AND b.queue = j.queue AND b.priority = j.priority "                  \
        "AND b.enqueued_at < j.enqueued_at LIMIT $2::int4 + 1)) x)::int4 "    \
    "FROM jobs j CROSS JOIN LATERAL ("                                        \
        "SELECT count(*) AS alive, "                                          \
        "count(*) FILTER (WHERE serves) AS serving, "                         \
        "count(*) FILTER (WHERE serves AND knows) AS able, "                  \
        "count(*) FILTER (WHERE serves AND knows AND wants) AS wanting, "     \
        "count(*) FILTER (WHERE takes) AS taking, "                           \
        "coalesce(sum(concurrency) FILTER (WHERE takes), 0) AS slots, "       \
        "coalesce(sum(least(active - active_io, concurrency)) "               \
            "FILTER (WHERE takes), 0) AS busy "                               \
        "FROM (SELECT *, serves AND knows AND wants AND willing AS takes "    \
        "FROM (SELECT concurrency, active, active_io, "                       \
            "EXISTS (SELECT FROM unnest(queues) e "                           \
                "WHERE queue_matches(j.queue, e)) AS serves, "                \
            "types IS NULL OR j.type = ANY (types) AS knows, "                \
            "j.priority >= lowest_priority AS wants, "                        \
            "status = 'online' AND coalesce(desired_status, 'online') "       \
                "= 'online' AS willing "                                      \
            "FROM workers "                                                   \
            "WHERE status IN ('online', 'quiet', 'stopping')) u) v"           \
    ") w WHERE j.id = $1"


#endif /* _NGX_HTTP_TASKFORGE_SQL_H_INCLUDED_ */
