#include "journal.h"

#include <string.h>

#include "log.h"
#include "worker.h"
#include "worker/sql.h"

#define PROGRESS_INTERVAL_MS 500

static const uint32_t line_types[TFW_JOURNAL_COLUMNS] = {
    TF_PG_UUID, TF_PG_INT4, TF_PG_INT4, TF_PG_INT8, TF_PG_TIMESTAMPTZ, TF_PG_TEXT, TF_PG_TEXT,
};

static void on_interval(uv_timer_t *timer);

static void begin(tfw_lines_t *set)
{
    for (int i = 0; i < TFW_JOURNAL_COLUMNS; i++) {
        tf_pgarray_begin(&set->columns[i], line_types[i]);
    }
    set->count = 0;
    set->bytes = 0;
}

void tfw_journal_start(tfw_journal_t *journal, tfw_worker_t *worker)
{
    begin(&journal->sets[0]);
    begin(&journal->sets[1]);
    uv_timer_init(&worker->loop, &journal->timer);
    journal->timer.data = worker;
}

bool tfw_journal_full(tfw_worker_t *w)
{
    const tfw_lines_t *set = &w->journal.sets[w->journal.filling];

    return set->bytes >= TFW_JOURNAL_BYTES_MAX || set->count >= TFW_JOURNAL_LINES;
}

static void on_trimmed(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
}

/* Each run of a job that snoozes may log as much as a whole attempt: what earlier runs left is cut to that.
 * If it does not come to it, the next run does. */
static void trim(tfw_worker_t *w, const tfw_job_t *job)
{
    tfd_pg_params_t params = {0};

    tfd_pg_bytes(&params, job->row.id, 16);
    tfd_pg_int4(&params, job->row.epoch);
    tfd_pg_int4(&params, job->row.attempt);
    tfd_pg_int8(&params, w->options.log_lines_max);
    if (tfd_pg_ready(&w->ledger_pg)) {
        tfd_pg_send(&w->ledger_pg, &tfw_sql_log_trim, &params, on_trimmed, w);
    }
}

void tfw_journal_line(tfw_worker_t *w, tfw_job_t *job, int64_t at_us, tf_str_t level, tf_str_t message)
{
    tfw_lines_t *set = &w->journal.sets[w->journal.filling];

    if (job->log_lines > w->options.log_lines_max) {
        return; /* the last one says that there were more */
    }
    if (job->log_lines == 0 && job->row.snoozes > 0) {
        trim(w, job);
    }
    job->log_lines++;
    job->log_seq = at_us > job->log_seq ? at_us : job->log_seq + 1;
    tf_pgarray_bytes(&set->columns[0], job->row.id, 16);
    tf_pgarray_int4(&set->columns[1], job->row.epoch);
    tf_pgarray_int4(&set->columns[2], job->row.attempt);
    tf_pgarray_int8(&set->columns[3], job->log_seq);
    tf_pgarray_time(&set->columns[4], at_us);
    tf_pgarray_bytes(&set->columns[5], level.data, level.len);
    tf_pgarray_bytes(&set->columns[6], message.data, message.len);
    set->bytes += 64 + level.len + message.len;
    set->count++;
}

static void on_lines(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;
    tfw_journal_t *j = &w->journal;

    j->sent = false;
    j->unsure = outcome == TFD_PG_UNKNOWN; /* sent again: writing a line twice changes nothing */
    if (outcome == TFD_PG_AGAIN || outcome == TFD_PG_BAD) {
        tf_log(TF_LOG_ERROR, "job_logs_lost", "s:message", "the database refused them", NULL);
    }
    if (!j->unsure) {
        begin(&j->sets[!j->filling]);
        tfw_pool_resume(&w->pool);
    }
}

bool tfw_journal_flush(tfw_worker_t *w)
{
    tfw_journal_t *j = &w->journal;
    tfd_pg_params_t params = {0};
    tfw_lines_t *set;

    if (j->sent) {
        return j->sets[j->filling].count == 0;
    }
    if (!j->unsure) {
        if (j->sets[j->filling].count == 0) {
            return true;
        }
        j->filling = !j->filling;
    }
    set = &j->sets[!j->filling];
    for (int i = 0; i < TFW_JOURNAL_COLUMNS; i++) {
        if (!j->unsure && !tf_pgarray_end(&set->columns[i])) {
            tf_log(TF_LOG_ERROR, "job_logs_lost", "s:message", "out of memory", NULL);
            begin(set);
            return true;
        }
        tfd_pg_array(&params, &set->columns[i]);
    }
    j->sent = tfd_pg_send(&w->ledger_pg, &tfw_sql_log, &params, on_lines, w);
    j->unsure = !j->sent;
    return j->sent && j->sets[j->filling].count == 0;
}

static void on_progress(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;

    w->journal.progress_out = false;
}

static void send_progress(tfw_worker_t *w)
{
    static const uint32_t types[4] = {TF_PG_UUID, TF_PG_INT4, TF_PG_INT4, TF_PG_INT2};
    tf_pgarray_t *columns = w->journal.progress_columns;
    tfd_pg_params_t params = {0};
    int count = 0;

    for (int i = 0; i < 4; i++) {
        tf_pgarray_begin(&columns[i], types[i]);
    }
    for (int i = 0; i < w->pool.count; i++) {
        tfw_job_t *job;

        TAILQ_FOREACH(job, &w->pool.executors[i].jobs, link)
        {
            if (job->progress_dirty) {
                job->progress_dirty = false;
                tf_pgarray_bytes(&columns[0], job->row.id, 16);
                tf_pgarray_int4(&columns[1], job->row.epoch);
                tf_pgarray_int4(&columns[2], job->row.attempt);
                tf_pgarray_int2(&columns[3], (int16_t)job->row.progress);
                count++;
            }
        }
    }
    if (!count) {
        return;
    }
    tfd_pg_int8(&params, w->registration.incarnation);
    for (int i = 0; i < 4; i++) {
        if (!tf_pgarray_end(&columns[i])) {
            return;
        }
        tfd_pg_array(&params, &columns[i]);
    }
    w->journal.progress_out = tfd_pg_send(&w->ledger_pg, &tf_sql_progress, &params, on_progress, w);
}

static void on_interval(uv_timer_t *timer)
{
    tfw_worker_t *w = timer->data;

    if (!w->journal.progress) {
        return;
    }
    if (!w->journal.progress_out && tfd_pg_ready(&w->ledger_pg)) {
        w->journal.progress = false;
        send_progress(w);
    }
    uv_timer_start(timer, on_interval, PROGRESS_INTERVAL_MS, 0);
}

void tfw_journal_progress(tfw_worker_t *w)
{
    w->journal.progress = true;
    if (!uv_is_active((uv_handle_t *)&w->journal.timer)) {
        uv_timer_start(&w->journal.timer, on_interval, 0, 0);
    }
}

void tfw_journal_close(tfw_journal_t *journal)
{
    for (int i = 0; i < TFW_JOURNAL_COLUMNS; i++) {
        tf_pgarray_free(&journal->sets[0].columns[i]);
        tf_pgarray_free(&journal->sets[1].columns[i]);
    }
    for (int i = 0; i < 4; i++) {
        tf_pgarray_free(&journal->progress_columns[i]);
    }
    uv_close((uv_handle_t *)&journal->timer, NULL);
}
