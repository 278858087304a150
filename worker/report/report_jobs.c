/* The jobs that were submitted in a time: how many, how they ended, how long they took. All numbers are of
 * one moment (a snapshot), and the statements can change nothing. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "direct.h"
#include "report/report.h"
#include "pgparam.h"

#define HOUR_US INT64_C(3600000000)
#define DAY_US (24 * HOUR_US)

/* TF_PG_OPTIONS keeps PostgreSQL from reading whole tables, which is what this does. */
#define BEGIN                                                                                                \
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '120s'; "                \
    "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on; "                         \
    "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; SET LOCAL enable_material = on"

/* $1 from, $2 to, $3 the job of the report itself. An id is a time: the partitions of others are not looked
 * at. A host's clock may be a minute off. */
#define OF_RANGE                                                                                             \
    " FROM jobs WHERE created_at >= $1::timestamptz AND created_at < $2::timestamptz AND id <> $3::uuid "    \
    "AND id >= uuid_floor($1 - interval '1 minute') AND id < uuid_floor($2 + interval '1 minute') "          \
    "AND left(queue, 1) <> '_' "

#define SECONDS "extract(epoch FROM finished_at - started_at)::float8"
#define SUCCEEDED "status = 'SUCCESS'"
#define HAVE_FAILED "status IN ('FAILED', 'DEAD_LETTER')"
#define PERCENTILE(p)                                                                                        \
    "percentile_cont(" p ") WITHIN GROUP (ORDER BY " SECONDS ") FILTER (WHERE " SUCCEEDED ")"
#define COUNTS                                                                                               \
    "count(*), count(*) FILTER (WHERE " SUCCEEDED "), count(*) FILTER (WHERE " HAVE_FAILED "), "             \
    "sum(greatest(attempt - 1, 0))::int8, " PERCENTILE("0.5") ", " PERCENTILE("0.95") ", " PERCENTILE(       \
        "0.99")
#define BY(column) "SELECT " column ", " COUNTS OF_RANGE "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50"

enum { TOTALS, STATUSES, TYPES, QUEUES, TIMES, ERRORS, SLOWEST, QUERIES };

static const tf_sql_t queries[QUERIES] = {
    [TOTALS] = {"report_totals", "SELECT " COUNTS OF_RANGE, 3},
    [STATUSES] = {"report_statuses",
                  "SELECT status::text, count(*)" OF_RANGE "GROUP BY status ORDER BY 2 DESC, 1", 3},
    [TYPES] = {"report_types", BY("type"), 3},
    [QUEUES] = {"report_queues", BY("queue"), 3},
    /* $4 'hour', 'day', 'week' or 'month', $5 how it is written */
    [TIMES] = {"report_times",
               "WITH j(at, n, good, bad, retries, p50, p95, p99) AS MATERIALIZED (SELECT "
               "date_trunc($4::text, created_at AT TIME ZONE 'UTC') AS at, " COUNTS OF_RANGE "GROUP BY 1) "
               "SELECT to_char(s.at, $5::text), coalesce(n, 0), coalesce(good, 0), coalesce(bad, 0), "
               "coalesce(retries, 0), p50, p95, p99 "
               "FROM generate_series(date_trunc($4, $1 AT TIME ZONE 'UTC'), "
               "($2 - interval '1 microsecond') AT TIME ZONE 'UTC', ('1 ' || $4)::interval) s(at) "
               "LEFT JOIN j USING (at) ORDER BY s.at LIMIT 200",
               5},
    [ERRORS] = {"report_errors",
                "SELECT type, left(split_part(error, E'\\n', 1), 300), count(*)" OF_RANGE "AND " HAVE_FAILED
                " AND error IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20",
                3},
    [SLOWEST] = {"report_slowest",
                 "SELECT id::text, type, coalesce(name, ''), status::text, " SECONDS OF_RANGE
                 "AND status IN ('SUCCESS', 'FAILED', 'DEAD_LETTER') AND started_at IS NOT NULL "
                 "AND finished_at IS NOT NULL ORDER BY 5 DESC, 1 LIMIT 10",
                 3},
};

/* The columns of COUNTS, behind the name. */
enum { NAME, ALL, GOOD, BAD, RETRIES, P50, P95, P99 };

typedef struct {
    tfw_report_t *report;
    PGresult *results[QUERIES];
    const char *unit; /* of TIMES */
    double hours;
} answers_t;

static int64_t number_at(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? 0 : tf_pg_get_int8(PQgetvalue(result, row, column));
}

static double real_at(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NAN : tf_pg_get_float8(PQgetvalue(result, row, column));
}

static const char *text_at(tfw_report_t *report, const PGresult *result, int row, int column)
{
    return tfw_report_text(report, "%s", PQgetvalue(result, row, column));
}

/* ---- fetching ---- */

static const char *unit_of(int64_t us, const char **format)
{
    static const struct {
        int64_t most;
        const char *unit, *format;
    } units[] = {{2 * DAY_US, "hour", "MM-DD HH24:00"},
                 {92 * DAY_US, "day", "YYYY-MM-DD"},
                 {730 * DAY_US, "week", "YYYY-MM-DD"}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (us <= units[i].most) {
            *format = units[i].format;
            return units[i].unit;
        }
    }
    *format = "YYYY-MM";
    return "month";
}

static tfw_outcome_t fetch(tfw_run_t *run, tfw_direct_t *direct, const tfw_report_request_t *request,
                           answers_t *a)
{
    const char *format;
    uint8_t from[8], to[8];
    const char *values[5] = {(const char *)from, (const char *)to, (const char *)tfw_run_id(run)};
    int lengths[5] = {8, 8, 16};
    PGresult *began = PQexec(direct->conn, BEGIN);
    bool ok = PQresultStatus(began) == PGRES_COMMAND_OK;

    PQclear(began);
    if (!ok) {
        tfw_run_error(run, "PostgreSQL: a transaction that reads cannot be begun");
        return TFW_RETRY;
    }
    a->unit = unit_of(request->to_us - request->from_us, &format);
    values[3] = a->unit;
    lengths[3] = (int)strlen(a->unit);
    values[4] = format;
    lengths[4] = (int)strlen(format);
    tf_pg_put_time(from, request->from_us);
    tf_pg_put_time(to, request->to_us);
    for (int i = 0; i < QUERIES; i++) {
        if (tfw_run_cancelled(run)) {
            return TFW_CANCELLED;
        }
        a->results[i] = tfw_direct_prepare(direct, &queries[i])
                            ? tfw_direct_run(direct, &queries[i], values, lengths)
                            : NULL;
        if (!a->results[i]) {
            return TFW_RETRY;
        }
        tfw_run_progress(run, 5 + 45 * (i + 1) / QUERIES);
    }
    return TFW_OK;
}

/* ---- what it says ---- */

static void add_facts(const answers_t *a)
{
    const PGresult *totals = a->results[TOTALS];
    tfw_report_t *report = a->report;
    /* without the name each column is one further to the left */
    int64_t all = number_at(totals, 0, ALL - 1), good = number_at(totals, 0, GOOD - 1),
            bad = number_at(totals, 0, BAD - 1);
    tfw_doc_fact_t facts[] = {
        {tfw_report_number(report, all), "jobs submitted"},
        {good + bad ? tfw_report_text(report, "%.1f %%", 100.0 * (double)good / (double)(good + bad)) : "-",
         "success rate"},
        {tfw_report_number(report, bad), "failed for good"},
        {tfw_report_number(report, number_at(totals, 0, RETRIES - 1)), "attempts beyond the first"},
        {tfw_report_seconds(report, real_at(totals, 0, P50 - 1)), "p50 of the durations"},
        {tfw_report_seconds(report, real_at(totals, 0, P95 - 1)), "p95"},
        {tfw_report_seconds(report, real_at(totals, 0, P99 - 1)), "p99"},
        {tfw_report_decimal(report, (double)all / a->hours), "jobs per hour"},
    };

    tfw_report_facts(report, facts, good ? 8 : 4);
}

static void add_times(const answers_t *a)
{
    static const char *const counted[] = {"Succeeded", "Failed", "Other"}, *const timed[] = {"p50", "p95"};
    static const uint32_t colours[] = {0x2b6cb0, 0xc0563f, 0xb4bdc7};
    const PGresult *times = a->results[TIMES];
    size_t n = (size_t)PQntuples(times);
    tfw_report_t *report = a->report;
    tfw_report_points_t counts = tfw_report_chart(
        report, TFW_CHART_COLUMNS, tfw_report_text(report, "Jobs per %s of their submission", a->unit),
        counted, colours, 3, n);
    tfw_report_points_t seconds = tfw_report_chart(
        report, TFW_CHART_LINES, "Duration of those that succeeded, in seconds", timed, NULL, 2, n);

    for (size_t i = 0; counts.values && seconds.values && i < n; i++) {
        int row = (int)i;
        const char *label = text_at(report, times, row, NAME);
        int64_t good = number_at(times, row, GOOD), bad = number_at(times, row, BAD);

        /* days without their year, hours without their day */
        label =
            strcmp(a->unit, "month") != 0 && strlen(label) > 6 ? label + (a->unit[0] == 'h' ? 6 : 5) : label;
        counts.labels[i] = seconds.labels[i] = label;
        counts.values[3 * i] = (double)good;
        counts.values[3 * i + 1] = (double)bad;
        counts.values[3 * i + 2] = (double)(number_at(times, row, ALL) - good - bad);
        seconds.values[2 * i] = real_at(times, row, P50);
        seconds.values[2 * i + 1] = real_at(times, row, P95);
    }
}

/* A table of the columns of COUNTS; first: what the names are. */
static void add_counts(tfw_report_t *report, const PGresult *result, const char *const *names)
{
    static const bool numbers[] = {false, true, true, true, true, true, true, true};
    size_t n = (size_t)PQntuples(result);
    const char **cells = tfw_report_table(report, names, numbers, 8, n);

    for (size_t i = 0; cells && i < n; i++, cells += 8) {
        int row = (int)i;

        cells[NAME] = text_at(report, result, row, NAME);
        for (int c = ALL; c <= RETRIES; c++) {
            cells[c] = tfw_report_number(report, number_at(result, row, c));
        }
        for (int c = P50; c <= P99; c++) {
            cells[c] = tfw_report_seconds(report, real_at(result, row, c));
        }
    }
}

#define COUNT_NAMES "Jobs", "Succeeded", "Failed", "Retries", "p50", "p95", "p99"

static void add_kinds(const answers_t *a)
{
    static const char *const by_type[] = {"Type", COUNT_NAMES}, *const by_queue[] = {"Queue", COUNT_NAMES},
                             *const one[] = {"Jobs"};
    const PGresult *types = a->results[TYPES];
    size_t n = (size_t)PQntuples(types) < 12 ? (size_t)PQntuples(types) : 12;
    tfw_report_points_t bars;

    tfw_report_line(a->report, TFW_BLOCK_HEADING, "By type");
    bars = tfw_report_chart(a->report, TFW_CHART_BARS, "Jobs", one, NULL, 1, n);
    for (size_t i = 0; bars.values && i < n; i++) {
        bars.labels[i] = text_at(a->report, types, (int)i, NAME);
        bars.values[i] = (double)number_at(types, (int)i, ALL);
    }
    add_counts(a->report, types, by_type);
    tfw_report_line(a->report, TFW_BLOCK_HEADING, "By queue");
    add_counts(a->report, a->results[QUEUES], by_queue);
}

static void add_statuses(const answers_t *a)
{
    static const char *const names[] = {"Status", "Jobs", "Share"};
    static const bool numbers[] = {false, true, true};
    const PGresult *result = a->results[STATUSES];
    size_t n = (size_t)PQntuples(result);
    int64_t all = number_at(a->results[TOTALS], 0, 0);
    const char **cells;

    tfw_report_line(a->report, TFW_BLOCK_HEADING, "By status");
    cells = tfw_report_table(a->report, names, numbers, 3, n);
    for (size_t i = 0; cells && i < n; i++, cells += 3) {
        int64_t count = number_at(result, (int)i, 1);

        cells[0] = text_at(a->report, result, (int)i, 0);
        cells[1] = tfw_report_number(a->report, count);
        cells[2] = tfw_report_text(a->report, "%.1f %%", 100.0 * (double)count / (double)all);
    }
}

static void add_failures(const answers_t *a)
{
    static const char *const names[] = {"Type", "Error", "Jobs"};
    static const bool numbers[] = {false, false, true};
    const PGresult *result = a->results[ERRORS];
    size_t n = (size_t)PQntuples(result);
    const char **cells;

    if (n == 0) {
        return;
    }
    tfw_report_line(a->report, TFW_BLOCK_HEADING, "What failed most often");
    cells = tfw_report_table(a->report, names, numbers, 3, n);
    for (size_t i = 0; cells && i < n; i++, cells += 3) {
        cells[0] = text_at(a->report, result, (int)i, 0);
        cells[1] = text_at(a->report, result, (int)i, 1);
        cells[2] = tfw_report_number(a->report, number_at(result, (int)i, 2));
    }
}

static void add_slowest(const answers_t *a)
{
    static const char *const names[] = {"Job", "Type", "Name", "Status", "Duration"};
    static const bool numbers[] = {false, false, false, false, true};
    const PGresult *result = a->results[SLOWEST];
    size_t n = (size_t)PQntuples(result);
    const char **cells;

    if (n == 0) {
        return;
    }
    tfw_report_line(a->report, TFW_BLOCK_HEADING, "The slowest");
    cells = tfw_report_table(a->report, names, numbers, 5, n);
    for (size_t i = 0; cells && i < n; i++, cells += 5) {
        for (int c = 0; c < 4; c++) {
            cells[c] = text_at(a->report, result, (int)i, c);
        }
        cells[4] = tfw_report_seconds(a->report, real_at(result, (int)i, 4));
    }
}

static void compose(const answers_t *a)
{
    static const char *const names[] = {"Time", COUNT_NAMES};

    add_facts(a);
    if (number_at(a->results[TOTALS], 0, 0) == 0) {
        tfw_report_line(a->report, TFW_BLOCK_TEXT, "No jobs were submitted in this time.");
        return;
    }
    add_times(a);
    add_kinds(a);
    add_statuses(a);
    add_failures(a);
    add_slowest(a);
    tfw_report_line(a->report, TFW_BLOCK_HEADING, "Over time");
    add_counts(a->report, a->results[TIMES], names);
    tfw_report_line(a->report, TFW_BLOCK_NOTE,
                    "Jobs count where they were submitted, without this report and TaskForge's own queues. "
                    "Durations are those of the "
                    "last attempt of jobs that succeeded; a percentile between two of them is interpolated. "
                    "Times are UTC.");
}

tfw_outcome_t tfw_report_jobs(tfw_run_t *run, const tfw_report_request_t *request, tfw_report_t *report,
                              int64_t *count)
{
    answers_t a = {.report = report, .hours = (double)(request->to_us - request->from_us) / (double)HOUR_US};
    tfw_direct_t direct;
    tfw_outcome_t outcome;

    tfw_run_log(run, "info", "Fetching data");
    if (!tfw_direct_open(&direct, run)) {
        return TFW_RETRY;
    }
    outcome = fetch(run, &direct, request, &a);
    tfw_direct_close(&direct);
    if (outcome == TFW_OK) {
        *count = number_at(a.results[TOTALS], 0, 0);
        tfw_run_log(run, "info", "Processing rows");
        report->doc.subtitle =
            tfw_report_text(report, "Jobs from %s to %s UTC", tfw_report_time(report, request->from_us),
                            tfw_report_time(report, request->to_us));
        compose(&a);
    }
    for (int i = 0; i < QUERIES; i++) {
        PQclear(a.results[i]);
    }
    return outcome;
}
