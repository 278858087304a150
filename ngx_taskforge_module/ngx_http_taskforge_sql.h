
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


/* Columns: status text, type text, priority int2, n int8. */

#define NGX_HTTP_TASKFORGE_SQL_COUNTS                                         \
    "SELECT status::text, type, priority, sum(n)::int8 FROM job_counts "      \
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


#endif /* _NGX_HTTP_TASKFORGE_SQL_H_INCLUDED_ */
