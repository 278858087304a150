/* Queues that match a pattern of the settings: they are served as soon as they have work. */
#include <stdio.h>

#include "claim.h"
#include "worker.h"

#define POLL_MS 1000 /* for new queues */

static void on_connection(redisAsyncContext *context, void *answer, void *data)
{
    tfw_worker_t *w = data;
    const redisReply *reply = answer;

    (void)context;
    w->claim.connection = reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
}

void tfw_claim_connected(tfw_worker_t *w)
{
    static const char *argv[] = {"CLIENT", "ID"};
    static const size_t lengths[] = {6, 2};

    w->claim.connection = 0;
    if (w->streams.patterns) {
        tfd_redis_send(&w->waiting, on_connection, w, 2, argv, lengths);
    }
}

/* The wait that is under way knows nothing of a new queue. */
static void stop_waiting(tfw_worker_t *w)
{
    char id[24];
    const char *argv[] = {"CLIENT", "UNBLOCK", id};
    size_t lengths[] = {6, 7, 0};

    if (w->claim.blocking && w->claim.connection) {
        lengths[2] = (size_t)snprintf(id, sizeof(id), "%lld", (long long)w->claim.connection);
        tfd_redis_send(&w->redis, NULL, NULL, 3, argv, lengths);
    }
}

static void on_listed(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_worker_t *w = data;
    bool added, any = false;

    w->claim.listing = false;
    for (int row = 0; result && row < PQntuples(result); row++) {
        const char *name = PQgetvalue(result, row, 0);
        size_t len = (size_t)PQgetlength(result, row, 0);
        int queue = tfw_streams_match(w, name, len) ? tfw_streams_serve(w, name, len, &added) : -1;

        if (queue >= 0 && added) {
            w->claim.queues[queue].maybe = any = true;
        }
    }
    if (any) {
        stop_waiting(w);
    }
}

void tfw_claim_new_queues(tfw_worker_t *w)
{
    if (w->streams.patterns && !w->claim.listing && w->state == TFW_RUNNING && w->registration.incarnation) {
        w->claim.listing = tfd_pg_send(&w->ledger_pg, &tf_sql_active_queues, NULL, on_listed, w);
    }
}

static void on_poll(uv_timer_t *timer)
{
    tfw_claim_new_queues(timer->data);
}

void tfw_claim_patterns_start(tfw_claim_t *claim, tfw_worker_t *worker)
{
    uv_timer_init(&worker->loop, &claim->poll);
    claim->poll.data = worker;
    if (worker->streams.patterns) {
        uv_timer_start(&claim->poll, on_poll, POLL_MS, POLL_MS);
    }
}
