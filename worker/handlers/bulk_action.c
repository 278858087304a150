/* bulk_action: cancels, retries or deletes every job of a filter, in short transactions. POST /jobs/actions
 * submits it. Jobs that were submitted after it are not touched, unless they are named by their ids. */
#include <stdlib.h>
#include <string.h>

#include "bulk.h"
#include "direct.h"

#define CHUNK 250 /* jobs in one transaction */
#define CHUNK_TEXT "250"
#define COUNTED_MAX_TEXT                                                                                     \
    "1000000" /* for the progress; counting further would take longer than it is worth                       \
               */

typedef struct {
    tfw_run_t *run;
    tfw_direct_t direct;
    tf_bulk_t bulk;
    tf_job_where_t where;
    tf_buf_t pick_text;
    tf_sql_t pick; /* the next ids */
    uint8_t cursor[16];
    uint8_t created_at[8]; /* of the action, as PostgreSQL sends it */
    int64_t total, matched, changed, asked;
} action_t;

/* Columns of a result, for tf_job_from_row. */
typedef struct {
    const PGresult *result;
    int row;
} row_t;

static const char *column(const void *row, int n, int *len)
{
    const row_t *at = row;

    *len = PQgetlength(at->result, at->row, n);
    return PQgetisnull(at->result, at->row, n) ? NULL : PQgetvalue(at->result, at->row, n);
}

/* The payload, with whoever submitted the job as "me". */
static tfw_outcome_t load(action_t *a)
{
    static const tf_sql_t owner = {"bulk_owner",
                                   "SELECT created_by, created_at FROM jobs WHERE id = $1::uuid", 1};
    const char *id = (const char *)tfw_run_id(a->run);
    int length = 16;
    uint8_t me[16];
    bool found, known;
    tf_buf_t errors = TF_BUF_INIT;
    PGresult *result =
        tfw_direct_prepare(&a->direct, &owner) ? tfw_direct_run(&a->direct, &owner, &id, &length) : NULL;

    if (!result) {
        return TFW_RETRY;
    }
    found = PQntuples(result) == 1 && PQgetlength(result, 0, 1) == sizeof(a->created_at);
    known = found && PQgetlength(result, 0, 0) == sizeof(me);
    if (found) {
        memcpy(a->created_at, PQgetvalue(result, 0, 1), sizeof(a->created_at));
    }
    if (known) {
        memcpy(me, PQgetvalue(result, 0, 0), sizeof(me));
    }
    PQclear(result);
    if (!found) {
        tfw_run_error(a->run, "the job of the action is gone");
        return TFW_PERMANENT;
    }
    tf_bulk_parse(&a->bulk, tfw_run_payload(a->run), known ? me : NULL, &errors);
    if (errors.len || errors.failed) {
        tfw_run_error(a->run, "payload: %s", tf_buf_cstr(&errors));
        tf_buf_free(&errors);
        return TFW_PERMANENT;
    }
    tf_buf_free(&errors);
    return TFW_OK;
}

/* Never itself. Ids ascend with time, so its own id divides what was there from what came later. A job that
 * an earlier attempt retried, and that has failed again since, is not retried twice. */
static void bound(action_t *a)
{
    int n = tf_job_where_param(&a->where, tfw_run_id(a->run), 16);

    tf_buf_addf(&a->where.jobs, " AND id %s $%d::uuid",
                a->bulk.filter.ids || a->bulk.filter.has_id ? "<>" : "<", n);
    if (a->bulk.action == TF_BULK_RETRY) {
        n = tf_job_where_param(&a->where, a->created_at, sizeof(a->created_at));
        tf_buf_addf(&a->where.jobs, " AND (retried_at IS NULL OR retried_at < $%d::timestamptz)", n);
    }
}

/* How many there are, for the progress. */
static bool count(action_t *a)
{
    tf_buf_t text = TF_BUF_INIT;
    tf_sql_t sql = {"bulk_count", NULL, a->where.n};
    PGresult *result = NULL;

    tf_buf_addf(&text,
                "SELECT count(*)::int8 FROM (SELECT FROM jobs WHERE true%s LIMIT " COUNTED_MAX_TEXT ") x",
                tf_buf_cstr(&a->where.jobs));
    sql.text = tf_buf_cstr(&text);
    if (tfw_direct_prepare(&a->direct, &sql)) {
        result = tfw_direct_run(&a->direct, &sql, a->where.values, a->where.lengths);
    }
    if (result) {
        a->total = tf_pg_get_int8(PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    tf_buf_free(&text);
    return result != NULL;
}

static bool prepare(action_t *a)
{
    int n;

    tf_job_where(&a->where, &a->bulk.filter);
    bound(a);
    if (!count(a)) {
        return false;
    }
    n = tf_job_where_param(&a->where, a->cursor, 16);
    tf_buf_addf(&a->pick_text,
                "SELECT id FROM jobs WHERE true%s AND id > $%d::uuid ORDER BY id LIMIT " CHUNK_TEXT,
                tf_buf_cstr(&a->where.jobs), n);
    if (a->where.failed || a->pick_text.failed) {
        tfw_run_error(a->run, "out of memory");
        return false;
    }
    a->pick = (tf_sql_t){"bulk_pick", tf_buf_cstr(&a->pick_text), a->where.n};
    return tfw_direct_prepare(&a->direct, &a->pick) &&
           tfw_direct_prepare(&a->direct, tf_bulk_sql(a->bulk.action)) &&
           tfw_direct_prepare(&a->direct, &tf_sql_bulk_done);
}

/* The ids after the cursor, which moves behind them; sorted. false: failed. */
static bool pick(action_t *a, tf_pgarray_t *ids)
{
    PGresult *result;

    memcpy(a->where.wire[a->where.n - 1], a->cursor, 16);
    result = tfw_direct_run(&a->direct, &a->pick, a->where.values, a->where.lengths);
    if (!result) {
        return false;
    }
    tf_pgarray_begin(ids, TF_PG_UUID);
    for (int i = 0; i < PQntuples(result); i++) {
        tf_pgarray_bytes(ids, PQgetvalue(result, i, 0), 16);
        memcpy(a->cursor, PQgetvalue(result, i, 0), 16);
    }
    PQclear(result);
    if (!tf_pgarray_end(ids)) {
        tfw_run_error(a->run, "out of memory");
        return false;
    }
    return true;
}

/* Tells Redis what became of the jobs of one transaction; rows of cancel have the incarnation at their end.
 */
static void announce(action_t *a, const PGresult *result)
{
    int64_t last = -1;

    for (row_t row = {result, 0}; row.row < PQntuples(result); row.row++) {
        tf_job_t job;

        if (a->bulk.action == TF_BULK_DELETE || !tf_job_from_row(&job, &row, column, 0, false)) {
            continue;
        }
        if (job.status != TF_RUNNING) {
            tfw_direct_announce(&a->direct, &job);
            continue;
        }
        a->asked++;
        if (!PQgetisnull(result, row.row, TF_JOB_NCOLUMNS_LIGHT)) {
            int64_t incarnation = tf_pg_get_int8(PQgetvalue(result, row.row, TF_JOB_NCOLUMNS_LIGHT));

            if (incarnation != last) {
                tfw_direct_order(&a->direct, incarnation);
                last = incarnation;
            }
        }
    }
    tfw_direct_flush(&a->direct);
}

/* One transaction. false: failed. */
static bool change(action_t *a, const tf_pgarray_t *ids)
{
    uint8_t writer[2];
    const char *values[] = {(const char *)writer, ids->buf.data};
    int lengths[] = {sizeof(writer), (int)ids->buf.len};
    PGresult *result;

    tf_pg_put_int2(writer, TF_WRITER_BULK);
    result = tfw_direct_run(&a->direct, tf_bulk_sql(a->bulk.action), values, lengths);
    if (!result) {
        return false;
    }
    a->matched += ids->count;
    a->changed += PQntuples(result);
    announce(a, result);
    PQclear(result);
    return true;
}

static void write_counts(const action_t *a, tf_buf_t *out)
{
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "action", tf_bulk_name(a->bulk.action));
    tf_json_kint(out, "matched", a->matched);
    tf_json_kint(out, "changed", a->changed);
    tf_json_kint(out, "skipped", a->matched - a->changed);
    if (a->bulk.action == TF_BULK_CANCEL) {
        tf_json_kint(out, "asked_to_stop", a->asked);
    }
    tf_buf_addc(out, '}');
}

/* The row in the audit and the result; also of what was done before a failure or a cancel. */
static tfw_outcome_t conclude(action_t *a, tfw_outcome_t outcome)
{
    const char *name = tf_bulk_audit(a->bulk.action, true);
    tf_buf_t counts = TF_BUF_INIT;
    PGresult *result;

    write_counts(a, &counts);
    if (counts.failed) {
        tfw_run_error(a->run, "out of memory");
        return TFW_RETRY;
    }
    if (outcome == TFW_OK || a->changed > 0) {
        const char *values[] = {(const char *)tfw_run_id(a->run), name, counts.data};
        int lengths[] = {16, (int)strlen(name), (int)counts.len};

        result = tfw_direct_run(&a->direct, &tf_sql_bulk_done, values, lengths);
        outcome = result || outcome != TFW_OK ? outcome : TFW_RETRY;
        PQclear(result);
    }
    tfw_run_log(a->run, "info", "%s", tf_buf_cstr(&counts));
    tfw_run_result(a->run, counts.data, counts.len);
    tf_buf_free(&counts);
    return outcome;
}

static tfw_outcome_t work(action_t *a)
{
    tf_pgarray_t ids = {0};
    tfw_outcome_t outcome = TFW_OK;

    for (;;) {
        if (tfw_run_cancelled(a->run)) {
            outcome = TFW_CANCELLED;
            break;
        }
        if (!pick(a, &ids)) {
            outcome = TFW_RETRY;
            break;
        }
        if (ids.count == 0) {
            break;
        }
        if (!change(a, &ids)) {
            outcome = TFW_RETRY;
            break;
        }
        if (a->total > 0) {
            tfw_run_progress(a->run, (int)(a->matched < a->total ? 100 * a->matched / a->total : 99));
        }
    }
    tf_pgarray_free(&ids);
    return outcome;
}

static tfw_outcome_t bulk_run(tfw_run_t *run)
{
    action_t *a = calloc(1, sizeof(*a));
    tfw_outcome_t outcome = TFW_RETRY;

    if (!a) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    a->run = run;
    tf_job_filter_init(&a->bulk.filter);
    if (tfw_direct_open(&a->direct, run)) {
        outcome = load(a);
        if (outcome == TFW_OK) {
            outcome = prepare(a) ? conclude(a, work(a)) : TFW_RETRY;
        }
        tfw_direct_close(&a->direct);
    }
    tf_job_where_free(&a->where);
    tf_buf_free(&a->pick_text);
    tf_bulk_free(&a->bulk);
    free(a);
    return outcome;
}

TF_HANDLER(bulk_action) = {
    .type = TF_TYPE_BULK,
    .description = "Cancels, retries or deletes every job of a filter; submitted by POST /jobs/actions.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"action\":{\"enum\":[\"cancel\",\"retry\",\"delete\"]},\"filter\":{\"type\":\"object\"},"
        "\"all\":{\"type\":\"boolean\"},\"dry_run\":{\"const\":false}},\"required\":[\"action\"],"
        "\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = 21600,
    .retry = {5000, 60000, true},
    .run = bulk_run,
};
