#include "ledger.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "worker.h"

#define AGAIN_DELAY_MS 250

/* A statement and its commit cost nearly the same for one result as for ten. Where results come at no more
 * than this distance, on average, one waits for the next ones, but for no longer than GATHER_MS and not
 * behind GATHER_JOBS. A lone result never waits. */
#define GATHER_DISTANCE_US 2000
#define GATHER_MS 4
#define GATHER_JOBS 64
#define DISTANCE_MAX_US 20000 /* after a long pause a few results make the average, not a hundred */
#define AVERAGE_OVER 8

static const uint32_t column_types[TFW_LEDGER_COLUMNS] = {
    TF_PG_UUID, TF_PG_INT4, TF_PG_INT4, TF_PG_TEXT, TF_PG_INT8,
    TF_PG_INT8, TF_PG_INT8, TF_PG_JSON, TF_PG_TEXT, TF_PG_TEXT,
};

/* Those of tf_sql_succeed, in its order. */
static const int success_columns[] = {0, 1, 2, 4, 5, 7};

static const tf_str_t unstorable = {"the result was refused by the database", 38};

void tfw_ledger_start(tfw_ledger_t *ledger, tfw_worker_t *worker)
{
    TAILQ_INIT(&ledger->pending);
    uv_timer_init(&worker->loop, &ledger->timer);
    ledger->timer.data = worker;
    ledger->distance_us = DISTANCE_MAX_US;
}

static size_t job_bytes(const tfw_job_t *job)
{
    return job->row.error.len + job->row.result.len;
}

void tfw_ledger_add(tfw_worker_t *w, tfw_job_t *job)
{
    tfw_ledger_t *l = &w->ledger;
    int64_t now = tfw_monotonic_us(), distance = now - l->latest_us;

    distance = distance < DISTANCE_MAX_US ? distance : DISTANCE_MAX_US;
    l->distance_us += (distance - l->distance_us) / AVERAGE_OVER;
    l->latest_us = now;
    TAILQ_INSERT_TAIL(&l->pending, job, link);
    l->npending++;
    l->pending_bytes += job_bytes(job);
}

void tfw_ledger_give_back(tfw_worker_t *w, tfw_job_t *job)
{
    tfw_job_end(job, TF_QUEUED, (tf_str_t){NULL, 0}, (tf_str_t){NULL, 0});
    tfw_ledger_add(w, job);
}

static tfw_job_t *take_pending(tfw_ledger_t *l)
{
    tfw_job_t *job = TAILQ_FIRST(&l->pending);

    TAILQ_REMOVE(&l->pending, job, link);
    l->npending--;
    l->pending_bytes -= job_bytes(job);
    return job;
}

static int by_id(const void *a, const void *b)
{
    return memcmp((*(tfw_job_t *const *)a)->row.id, (*(tfw_job_t *const *)b)->row.id, 16);
}

/* Takes the next flight off the pending list. */
static void load(tfw_ledger_t *l)
{
    int most = l->one_by_one > 0 ? 1 : TFW_LEDGER_BATCH;
    size_t bytes = 0;

    while (l->npending && l->nflight < most && bytes < TFW_LEDGER_BATCH_BYTES) {
        l->flight[l->nflight] = take_pending(l);
        bytes += job_bytes(l->flight[l->nflight++]);
    }
    if (l->one_by_one > 0) {
        l->one_by_one--;
    }
    qsort(l->flight, (size_t)l->nflight, sizeof(l->flight[0]), by_id);
}

static bool compose(tfw_ledger_t *l)
{
    int64_t now = tfw_monotonic_us();

    for (int c = 0; c < TFW_LEDGER_COLUMNS; c++) {
        tf_pgarray_begin(&l->columns[c], column_types[c]);
    }
    for (int i = 0; i < l->nflight; i++) {
        const tfw_job_t *job = l->flight[i];
        const char *status = tf_status_name(job->row.status);
        int64_t finished = job->finished_us && job->finished_us < now ? now - job->finished_us : 0;
        int64_t started = job->started_us && job->started_us < now ? now - job->started_us : 0;

        tf_pgarray_bytes(&l->columns[0], job->row.id, 16);
        tf_pgarray_int4(&l->columns[1], job->row.epoch);
        tf_pgarray_int4(&l->columns[2], job->row.attempt);
        tf_pgarray_bytes(&l->columns[3], status, strlen(status));
        tf_pgarray_int8(&l->columns[4], started > finished ? started : finished);
        tf_pgarray_int8(&l->columns[5], finished);
        tf_pgarray_int8(&l->columns[6], job->delay_ms);
        tf_pgarray_bytes(&l->columns[7], job->row.result.data, job->row.result.len);
        tf_pgarray_bytes(&l->columns[8], job->row.error.data, job->row.error.len);
        tf_pgarray_bytes(&l->columns[9], job->row.traceback.data, job->row.traceback.len);
    }
    for (int c = 0; c < TFW_LEDGER_COLUMNS; c++) {
        if (!tf_pgarray_end(&l->columns[c])) {
            return false;
        }
    }
    return true;
}

/* The change is committed (or was, by an earlier sending): tell the world and let go. */
static void committed(tfw_worker_t *w, tfw_job_t *job)
{
    tfw_streams_done(w, &job->entry);
    if (job->row.status == TF_QUEUED || job->row.status == TF_SCHEDULED) {
        job->row.attempt--;
        job->row.progress = 0;
        job->row.started_at = job->row.finished_at = TF_TIME_NONE;
    }
    if (job->row.status == TF_QUEUED) {
        tfw_streams_add(w, job);
    }
    tfd_events_job(&w->events, &job->row, tf_status_event(job->row.status), tfw_realtime_us());
    tfw_job_release(job);
}

static void lease_lost(tfw_worker_t *w, tfw_job_t *job)
{
    tf_log(TF_LOG_WARNING, "lease_lost", "u:job_id", job->row.id, "i:epoch", (int64_t)job->row.epoch,
           "i:attempt", (int64_t)job->row.attempt, "s:status", tf_status_name(job->row.status), NULL);
    tfw_streams_done(w, &job->entry);
    tfw_job_release(job);
}

static int by_its_id(const void *id, const void *job)
{
    return memcmp(id, (*(tfw_job_t *const *)job)->row.id, 16);
}

/* Index of the job in the flight; expected is tried first, as rows come in the order of the ids nearly
 * always. -1: it is not in it. */
static int find(const tfw_ledger_t *l, const void *id, int expected)
{
    tfw_job_t *const *found;

    if (expected < l->nflight && memcmp(l->flight[expected]->row.id, id, 16) == 0) {
        return expected;
    }
    found = bsearch(id, l->flight, (size_t)l->nflight, sizeof(l->flight[0]), by_its_id);
    return found ? (int)(found - l->flight) : -1;
}

static void read_time(const PGresult *result, int row, int column, int64_t *out)
{
    if (!PQgetisnull(result, row, column) && PQgetlength(result, row, column) == 8) {
        *out = tf_pg_get_time(PQgetvalue(result, row, column));
    }
}

/* Somebody had asked for it, and the database knew before we did: what was to run again does not. */
static void cancel_won(tfw_job_t *job)
{
    job->row.cancel_requested = true;
    if (!tf_status_is_terminal(job->row.status)) {
        job->row.status = TF_CANCELLED;
        job->row.run_at = TF_TIME_NONE;
    }
}

static void landed(tfw_worker_t *w, const PGresult *result)
{
    tfw_ledger_t *l = &w->ledger;
    bool changed[TFW_LEDGER_BATCH] = {false};
    int expected = 0, n = l->nflight;

    for (int row = 0; row < PQntuples(result); row++) {
        int i = PQgetlength(result, row, 0) == 16 ? find(l, PQgetvalue(result, row, 0), expected) : -1;

        if (i >= 0) {
            changed[i] = true;
            expected = i + 1;
            read_time(result, row, 1, &l->flight[i]->row.started_at);
            read_time(result, row, 2, &l->flight[i]->row.finished_at);
            read_time(result, row, 3, &l->flight[i]->row.run_at);
            if (PQnfields(result) > 4 && *PQgetvalue(result, row, 4)) { /* succeeding needs no such column */
                cancel_won(l->flight[i]);
            }
        }
    }
    l->nflight = 0;
    for (int i = 0; i < n; i++) {
        if (changed[i] || l->unsure) {
            committed(w, l->flight[i]);
        } else {
            lease_lost(w, l->flight[i]);
        }
    }
    l->unsure = false;
}

/* The database refuses this flight for its data: one row must not keep the others from being written. */
static void refused(tfw_worker_t *w)
{
    tfw_ledger_t *l = &w->ledger;
    tfw_job_t *job = l->flight[0];

    if (l->nflight == 0) {
        return; /* dropped meanwhile */
    }
    if (l->nflight > 1) {
        l->one_by_one += l->nflight;
        while (l->nflight) {
            job = l->flight[--l->nflight];
            TAILQ_INSERT_HEAD(&l->pending, job, link);
            l->npending++;
            l->pending_bytes += job_bytes(job);
        }
        return;
    }
    tf_log(TF_LOG_ERROR, "result_refused", "u:job_id", job->row.id, NULL);
    l->nflight = 0;
    if (job->row.status == TF_FAILED && job->row.error.data == unstorable.data) {
        tf_log(TF_LOG_ERROR, "result_lost", "u:job_id", job->row.id, NULL);
        tfw_job_release(job);
        return;
    }
    tfw_job_end(job, TF_FAILED, (tf_str_t){NULL, 0}, (tf_str_t){NULL, 0});
    job->row.error = unstorable;
    l->flight[l->nflight++] = job; /* alone again, with words that are known to be good */
}

static void on_again(uv_timer_t *timer)
{
    (void)timer; /* it woke the loop; the turn does the rest */
}

static void on_answer(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;
    tfw_ledger_t *l = &w->ledger;

    l->sent = false;
    switch (outcome) {
    case TFD_PG_OK:
        landed(w, result);
        break;
    case TFD_PG_AGAIN:
        l->not_before = (int64_t)uv_now(&w->loop) + AGAIN_DELAY_MS;
        uv_timer_start(&l->timer, on_again, AGAIN_DELAY_MS, 0);
        break;
    case TFD_PG_BAD:
        refused(w);
        break;
    case TFD_PG_UNKNOWN:
        l->unsure = l->nflight > 0;
        break;
    }
}

/* Nearly always all attempts of a flight succeeded, and their statement costs less. */
static bool all_succeeded(const tfw_ledger_t *l)
{
    for (int i = 0; i < l->nflight; i++) {
        if (l->flight[i]->row.status != TF_SUCCESS) {
            return false;
        }
    }
    return true;
}

static bool send_flight(tfw_worker_t *w)
{
    tfw_ledger_t *l = &w->ledger;
    tfd_pg_params_t params = {0};

    tfd_pg_int2(&params, TF_WRITER_WORKER(w->registration.incarnation));
    tfd_pg_int8(&params, w->registration.incarnation);
    if (all_succeeded(l)) {
        for (size_t i = 0; i < sizeof(success_columns) / sizeof(success_columns[0]); i++) {
            tfd_pg_array(&params, &l->columns[success_columns[i]]);
        }
        return tfd_pg_send(&w->ledger_pg, &tf_sql_succeed, &params, on_answer, w);
    }
    for (int c = 0; c < TFW_LEDGER_COLUMNS; c++) {
        tfd_pg_array(&params, &l->columns[c]);
    }
    return tfd_pg_send(&w->ledger_pg, &tf_sql_finish, &params, on_answer, w);
}

/* Whether what is pending waits for more of its kind; begins to wait, and ends it. */
static bool gather(tfw_worker_t *w)
{
    tfw_ledger_t *l = &w->ledger;
    int64_t now = (int64_t)uv_now(&w->loop);

    if (w->state != TFW_RUNNING || l->distance_us > GATHER_DISTANCE_US || l->npending >= GATHER_JOBS ||
        l->pending_bytes >= TFW_LEDGER_BATCH_BYTES || l->one_by_one > 0) {
        l->gathering_until = 0;
        return false;
    }
    if (l->gathering_until == 0) {
        l->gathering_until = now + GATHER_MS;
        uv_timer_start(&l->timer, on_again, GATHER_MS, 0);
    } else if (now >= l->gathering_until) {
        l->gathering_until = 0;
        return false;
    }
    return true;
}

void tfw_ledger_flush(tfw_worker_t *w)
{
    tfw_ledger_t *l = &w->ledger;

    if (l->sent || !w->registration.incarnation || !tfd_pg_ready(&w->ledger_pg) ||
        (int64_t)uv_now(&w->loop) < l->not_before || (l->nflight == 0 && (l->npending == 0 || gather(w))) ||
        !tfw_journal_flush(w)) {
        return;
    }
    if (l->nflight == 0) {
        load(l);
    }
    if (l->nflight == 0 || !compose(l)) {
        return;
    }
    l->sent = send_flight(w);
}

bool tfw_ledger_gathers(const tfw_worker_t *w)
{
    return (int64_t)uv_now(&w->loop) < w->ledger.gathering_until;
}

int tfw_ledger_count(const tfw_ledger_t *ledger)
{
    return ledger->npending + ledger->nflight;
}

bool tfw_ledger_full(const tfw_ledger_t *ledger)
{
    return ledger->npending >= TFW_LEDGER_JOBS_MAX || ledger->pending_bytes >= TFW_LEDGER_BYTES_MAX;
}

bool tfw_ledger_holds(const tfw_ledger_t *ledger, const uint8_t id[16])
{
    return find(ledger, id, 0) >= 0 || tfw_jobs_find(&ledger->pending, id);
}

bool tfw_ledger_uses(const tfw_ledger_t *ledger, int queue)
{
    for (int i = 0; i < ledger->nflight; i++) {
        if (ledger->flight[i]->entry.queue == queue) {
            return true;
        }
    }
    return tfw_jobs_use(&ledger->pending, queue);
}

void tfw_ledger_drop(tfw_ledger_t *ledger)
{
    while (ledger->npending) {
        tfw_job_release(take_pending(ledger));
    }
    while (ledger->nflight) {
        tfw_job_release(ledger->flight[--ledger->nflight]);
    }
    ledger->unsure = false;
    ledger->one_by_one = 0;
    ledger->gathering_until = 0;
}

void tfw_ledger_close(tfw_ledger_t *ledger)
{
    tfw_ledger_drop(ledger);
    for (int c = 0; c < TFW_LEDGER_COLUMNS; c++) {
        tf_pgarray_free(&ledger->columns[c]);
    }
    uv_close((uv_handle_t *)&ledger->timer, NULL);
}
