#include "orders.h"

#include <stdio.h>
#include <string.h>

#include "cancel.h"
#include "redis_keys.h"
#include "worker.h"
#include "worker/sql.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define AGAIN_DELAY_MS 250

/* ---- which jobs are to be cancelled ---- */

static void on_cancels(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;

    w->orders.asking = false;
    for (int row = 0; result && row < PQntuples(result); row++) {
        if (PQgetlength(result, row, 0) == 16) {
            tfw_cancel(w, (const uint8_t *)PQgetvalue(result, row, 0));
        }
    }
    if (outcome == TFD_PG_AGAIN) {
        w->orders.ask_again = false; /* the next heartbeat */
    }
    if (w->orders.ask_again) {
        tfw_orders_cancels(w);
    }
}

void tfw_orders_cancels(tfw_worker_t *w)
{
    tfw_orders_t *o = &w->orders;
    tfd_pg_params_t params = {0};

    o->ask_again = o->asking;
    if (o->asking || !w->registration.incarnation || w->state == TFW_LEAVING) {
        return;
    }
    tf_pgarray_begin(&o->ids, TF_PG_UUID);
    if (tfw_pool_ids(&w->pool, &o->ids) == 0 || !tf_pgarray_end(&o->ids)) {
        return;
    }
    tfd_pg_array(&params, &o->ids);
    tfd_pg_int8(&params, w->registration.incarnation);
    o->asking = tfd_pg_send(&w->ledger_pg, &tfw_sql_cancels, &params, on_cancels, w);
}

void tfw_orders_look(tfw_worker_t *w)
{
    tfw_registration_beat(w);
    tfw_orders_cancels(w);
    /* A job may be on its way to us: RUNNING already, and not in our hands yet. */
    w->orders.ask_after_claim = tfw_claim_sent(&w->claim);
}

/* ---- tf:ctl ---- */

static const redisReply *child(const redisReply *reply, size_t i)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements ? reply->element[i] : NULL;
}

/* An entry [id, [field, value]]: remembers its id. Whether it is meant for us. */
static bool read_entry(tfw_worker_t *w, const redisReply *entry)
{
    const redisReply *id = child(entry, 0), *value = child(child(entry, 1), 1);
    char mine[24];
    int n = snprintf(mine, sizeof(mine), "%lld", (long long)w->registration.incarnation);

    if (id && id->type == REDIS_REPLY_STRING && id->len < sizeof(w->orders.last)) {
        memcpy(w->orders.last, id->str, id->len + 1);
    }
    if (!value || value->type != REDIS_REPLY_STRING) {
        return false;
    }
    return strcmp(value->str, "0") == 0 ||
           (value->len == (size_t)n && memcmp(value->str, mine, value->len) == 0);
}

static bool read_entries(tfw_worker_t *w, const redisReply *entries)
{
    bool ours = false;

    for (size_t i = 0; child(entries, i); i++) {
        ours = read_entry(w, child(entries, i)) || ours;
    }
    return ours;
}

/* Remembers that the answer has come. false: it was an error. */
static bool answered(tfw_worker_t *w, const char *command, const redisReply *reply)
{
    w->orders.listening = false;
    if (!tfd_redis_failed(&w->control, command, reply)) {
        return true;
    }
    w->orders.not_before = (int64_t)uv_now(&w->loop) + AGAIN_DELAY_MS;
    return false;
}

static void on_ordered(redisAsyncContext *context, void *reply, void *data)
{
    tfw_worker_t *w = data;

    (void)context;
    /* [[key, entries]], nothing when nobody said anything */
    if (answered(w, "XREAD", reply) && read_entries(w, child(child(reply, 0), 1))) {
        tfw_claim_new_queues(w);
        tfw_orders_look(w);
    }
}

static void on_last(redisAsyncContext *context, void *reply, void *data)
{
    tfw_worker_t *w = data;

    (void)context;
    if (answered(w, "XREVRANGE", reply)) {
        memcpy(w->orders.last, "0-0", 4);
        read_entries(w, reply);
        tfw_orders_look(w); /* whatever was said before */
    }
}

void tfw_orders_turn(tfw_worker_t *w)
{
    static const char *last[] = {"XREVRANGE", TF_REDIS_CTL, "+", "-", "COUNT", "1"};
    static const size_t last_lengths[] = {9, sizeof(TF_REDIS_CTL) - 1, 1, 1, 5, 1};
    tfw_orders_t *o = &w->orders;
    const char *read[] = {"XREAD", "BLOCK", TEXT(TFW_ORDERS_BLOCK_MS), "STREAMS", TF_REDIS_CTL, o->last};
    size_t lengths[] = {5, 5, sizeof(TEXT(TFW_ORDERS_BLOCK_MS)) - 1, 7, sizeof(TF_REDIS_CTL) - 1, 0};

    if (o->ask_after_claim && tfw_claim_answered(&w->claim) >= o->ask_after_claim) {
        o->ask_after_claim = 0;
        tfw_orders_cancels(w);
    }
    if (o->listening || !tfd_redis_ready(&w->control) || (int64_t)uv_now(&w->loop) < o->not_before) {
        return;
    }
    if (!o->last[0]) {
        o->listening = tfd_redis_send(&w->control, on_last, w, 6, last, last_lengths);
    } else {
        lengths[5] = strlen(o->last);
        o->listening = tfd_redis_send(&w->control, on_ordered, w, 6, read, lengths);
    }
}

void tfw_orders_connected(tfw_worker_t *w)
{
    w->orders.last[0] = '\0';
    w->orders.listening = false;
}

void tfw_orders_close(tfw_orders_t *orders)
{
    tf_pgarray_free(&orders->ids);
}
