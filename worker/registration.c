#include "registration.h"

#include <string.h>
#include <unistd.h>

#include "catalogue.h"
#include "log.h"
#include "uuid.h"
#include "worker.h"
#include "worker/sql.h"

#define JOB_TYPE_COLUMNS 8

static void text(tf_pgarray_t *array, const char *s)
{
    tf_pgarray_bytes(array, s, strlen(s));
}

static void on_types(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;

    w->registration.types_written = outcome == TFD_PG_OK; /* if not, the next heartbeat tries again */
}

static void write_types(tfw_worker_t *w)
{
    static const uint32_t types[JOB_TYPE_COLUMNS] = {TF_PG_TEXT, TF_PG_TEXT, TF_PG_JSON, TF_PG_INT4,
                                                     TF_PG_INT4, TF_PG_INT4, TF_PG_INT4, TF_PG_BOOL};
    tf_pgarray_t columns[JOB_TYPE_COLUMNS] = {0};
    tfd_pg_params_t params = {0};
    bool ok = true;

    for (int c = 0; c < JOB_TYPE_COLUMNS; c++) {
        tf_pgarray_begin(&columns[c], types[c]);
    }
    for (size_t i = 0; i < tfw_catalogue_count(); i++) {
        const tfw_handler_t *h = tfw_catalogue_at(i);

        text(&columns[0], h->type);
        text(&columns[1], h->description);
        text(&columns[2], h->payload_schema);
        tf_pgarray_int4(&columns[3], h->max_retries);
        tf_pgarray_int4(&columns[4], h->timeout_seconds);
        tf_pgarray_int4(&columns[5], (int32_t)h->retry.base_ms);
        tf_pgarray_int4(&columns[6], (int32_t)h->retry.max_ms);
        tf_pgarray_bool(&columns[7], h->retry.jitter);
    }
    for (int c = 0; c < JOB_TYPE_COLUMNS; c++) {
        ok = tf_pgarray_end(&columns[c]) && ok;
        tfd_pg_array(&params, &columns[c]);
    }
    if (ok) {
        tfd_pg_send(&w->ledger_pg, &tfw_sql_job_types, &params, on_types, w);
    }
    for (int c = 0; c < JOB_TYPE_COLUMNS; c++) {
        tf_pgarray_free(&columns[c]);
    }
}

static void on_registered(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;
    tfw_registration_t *r = &w->registration;

    r->registering = false;
    if (!result || PQntuples(result) != 1 || PQgetlength(result, 0, 0) != 16 ||
        PQgetlength(result, 0, 1) != 8) {
        return; /* the next connection or the timer tries again */
    }
    memcpy(r->id, PQgetvalue(result, 0, 0), 16);
    r->incarnation = tf_pg_get_int8(PQgetvalue(result, 0, 1));
    r->announced = false;
    tf_log(TF_LOG_INFO, "worker_registered", "u:worker_id", r->id, "i:incarnation", r->incarnation,
           "s:hostname", w->options.hostname, "s:pool", w->options.pool, NULL);
    tfw_claim_look_again(w);
}

static void register_worker(tfw_worker_t *w)
{
    tf_pgarray_t queues = {0}, types = {0};
    tfd_pg_params_t params = {0};
    size_t labels = w->options.labels_json ? strlen(w->options.labels_json) : 0;
    uint8_t id[16];

    if (w->registration.registering || w->state >= TFW_STOPPING || !tf_uuid7(id)) {
        return;
    }
    tf_pgarray_begin(&queues, TF_PG_TEXT);
    for (int i = 0; i < w->options.nqueues; i++) {
        text(&queues, w->options.queues[i]);
    }
    tfd_pg_bytes(&params, id, sizeof(id));
    tfd_pg_bytes(&params, w->options.hostname, strlen(w->options.hostname));
    tfd_pg_bytes(&params, w->options.pool, strlen(w->options.pool));
    tfd_pg_int4(&params, (int32_t)getpid());
    tfd_pg_bytes(&params, TF_VERSION, strlen(TF_VERSION));
    tf_pgarray_begin(&types, TF_PG_TEXT);
    for (size_t i = 0; i < tfw_catalogue_count(); i++) {
        text(&types, tfw_catalogue_at(i)->type);
    }
    if (tf_pgarray_end(&queues) && tf_pgarray_end(&types)) {
        tfd_pg_array(&params, &queues);
        tfd_pg_int4(&params, w->pool.wanted);
        tfd_pg_array(&params, &types);
        tfd_pg_bytes(&params, w->options.labels_json, labels);
        tfd_pg_int2(&params, (int16_t)w->options.lowest_priority);
        w->registration.registering =
            tfd_pg_send(&w->ledger_pg, &tfw_sql_register, &params, on_registered, w);
    }
    tf_pgarray_free(&queues);
    tf_pgarray_free(&types);
}

/* Why a heartbeat found no row of ours: somebody took the name, or the scheduler gave us up. */
static void on_owner(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;
    int64_t incarnation = w->registration.incarnation, pid = 0;

    w->registration.beating = false;
    if (!result) {
        return; /* the next heartbeat asks again */
    }
    if (PQntuples(result) == 1) {
        incarnation = tf_pg_get_int8(PQgetvalue(result, 0, 0));
        pid = tf_pg_get_int4(PQgetvalue(result, 0, 2));
    }
    if (w->state >= TFW_STOPPING) {
        return; /* it is leaving anyway; the fence keeps its results apart */
    }
    if (incarnation != w->registration.incarnation) {
        tf_log(TF_LOG_ERROR, "name_taken_over", "s:hostname", w->options.hostname, "s:pool", w->options.pool,
               "i:by_pid", pid, "s:message",
               "another worker started with this hostname and pool; give each worker a TASKFORGE_WORKER_POOL "
               "of its own",
               NULL);
        tfw_worker_stop(w, true, 1);
        return;
    }
    tf_log(TF_LOG_ERROR, "declared_lost", "i:incarnation", incarnation, "s:message",
           "no heartbeat was seen for too long: the jobs of this worker run elsewhere now", NULL);
    tfw_worker_drop_jobs(w);
    w->registration.incarnation = 0;
    register_worker(w);
}

/* What the row asks for: a status and a concurrency, each may be NULL. */
static void obey(tfw_worker_t *w, const PGresult *result)
{
    const char *status = PQgetvalue(result, 0, 0);
    int concurrency = PQgetisnull(result, 0, 1) ? 0 : tf_pg_get_int4(PQgetvalue(result, 0, 1));

    if (concurrency >= 1 && w->state < TFW_STOPPING) {
        tfw_pool_resize(&w->pool, concurrency < TFW_CONCURRENCY_MAX ? concurrency : TFW_CONCURRENCY_MAX);
    }
    if (strcmp(status, "stopping") == 0 && w->state < TFW_STOPPING) {
        tfw_worker_stop(w, false, 0);
    } else if (strcmp(status, "quiet") == 0 || strcmp(status, "online") == 0) {
        tfw_worker_quiet(w, status[0] == 'q');
    }
}

static void on_beat(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;
    tfw_registration_t *r = &w->registration;
    tfd_pg_params_t params = {0};

    r->beating = false;
    if (outcome == TFD_PG_UNKNOWN) {
        return; /* the next connection beats */
    }
    if (result && PQntuples(result) == 1 && !r->own_will) {
        obey(w, result);
    }
    if (result && PQntuples(result) == 0) {
        tfd_pg_bytes(&params, w->options.hostname, strlen(w->options.hostname));
        tfd_pg_bytes(&params, w->options.pool, strlen(w->options.pool));
        r->beating = tfd_pg_send(&w->ledger_pg, &tfw_sql_owner, &params, on_owner, w);
    }
    if (!r->beating && r->beat_again) {
        tfw_registration_beat(w);
    }
}

/* What the worker does and takes, as four parameters. */
static void add_numbers(tfd_pg_params_t *params, tfw_worker_t *w)
{
    tfw_registration_t *r = &w->registration;
    tfw_per_second_t rates;

    tfw_usage_measure(&r->usage, w);
    rates = tfw_rates_read(&r->rates, &(tfw_reading_t){.at_us = tfw_monotonic_us(),
                                                       .processed = w->pool.processed,
                                                       .failed = w->pool.failed,
                                                       .cpu_us = r->usage.cpu_us});
    if (r->usage.memory_bytes >= 0) {
        tfd_pg_int8(params, r->usage.memory_bytes);
    } else {
        tfd_pg_bytes(params, NULL, 0);
    }
    tfd_pg_float8(params, rates.cpu_percent);
    tfd_pg_float8(params, rates.processed);
    tfd_pg_float8(params, rates.failed);
}

static bool send_beat(tfw_worker_t *w, const char *status, tfd_pg_answer_fn answer, void *data)
{
    /* who has no executor left asks for nothing, and misses nothing */
    int64_t age_us = tfw_pool_busy(&w->pool) ? 0 : tfw_claim_age_us(&w->claim);
    tfd_pg_params_t params = {0};

    tfd_pg_int8(&params, w->registration.incarnation);
    tfd_pg_bytes(&params, status, strlen(status));
    tfd_pg_int4(&params, w->pool.active);
    tfd_pg_int8(&params, w->pool.processed);
    tfd_pg_int8(&params, w->pool.failed);
    tfd_pg_int4(&params, w->pool.wanted);
    if (age_us >= 0) {
        tfd_pg_int8(&params, age_us);
    } else {
        tfd_pg_bytes(&params, NULL, 0);
    }
    tfd_pg_bool(&params, w->registration.own_will);
    add_numbers(&params, w);
    tfd_pg_int4(&params, tfw_pool_active_io(&w->pool));
    return tfd_pg_send(&w->ledger_pg, &tfw_sql_heartbeat, &params, answer, data);
}

void tfw_registration_beat(tfw_worker_t *w)
{
    tfw_registration_t *r = &w->registration;

    if (!tfd_pg_ready(&w->ledger_pg) || w->state == TFW_LEAVING) {
        return;
    }
    if (!r->incarnation) {
        register_worker(w);
        return;
    }
    r->beat_again = r->beating;
    if (!r->beating) {
        r->beating = send_beat(w, tfw_worker_status(w), on_beat, w);
        r->own_will = r->own_will && !r->beating;
    }
    if (!r->types_written) {
        write_types(w);
    }
}

void tfw_registration_connected(tfw_worker_t *w)
{
    if (!w->registration.types_written) {
        write_types(w);
    }
    tfw_registration_beat(w);
}

static void on_timer(uv_timer_t *timer)
{
    tfw_registration_beat(timer->data);
    tfw_orders_cancels(timer->data);
}

void tfw_registration_start(tfw_registration_t *registration, tfw_worker_t *worker)
{
    uint64_t interval_ms = (uint64_t)worker->options.heartbeat_seconds * 1000;

    tfw_rates_read(&registration->rates, &(tfw_reading_t){.at_us = tfw_monotonic_us()});
    uv_timer_init(&worker->loop, &registration->timer);
    registration->timer.data = worker;
    uv_timer_start(&registration->timer, on_timer, interval_ms, interval_ms);
}

void tfw_registration_announce(tfw_worker_t *w, const char *event, const char *status)
{
    const tfw_options_t *o = &w->options;
    tfd_worker_state_t state = {
        .id = w->registration.id,
        .incarnation = w->registration.incarnation,
        .hostname = {o->hostname, strlen(o->hostname)},
        .pool = {o->pool, strlen(o->pool)},
        .status = status,
    };

    tfd_events_worker(&w->events, &state, event, tfw_realtime_us());
}

void tfw_registration_turn(tfw_worker_t *w)
{
    tfw_registration_t *r = &w->registration;

    if (r->incarnation && !r->announced && w->state < TFW_STOPPING && tfd_redis_ready(&w->redis)) {
        r->announced = true;
        tfw_registration_announce(w, "worker_online", tfw_worker_status(w));
    }
}

static void on_left(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;

    w->registration.gone(w);
}

bool tfw_registration_leave(tfw_worker_t *w, void (*gone)(tfw_worker_t *w))
{
    w->registration.gone = gone;
    return w->registration.incarnation && send_beat(w, "offline", on_left, w);
}

void tfw_registration_close(tfw_registration_t *registration)
{
    uv_close((uv_handle_t *)&registration->timer, NULL);
}
