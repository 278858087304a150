#include "claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"
#include "log.h"
#include "redis_keys.h"
#include "uuid.h"
#include "worker.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define AGAIN_DELAY_MS 250
#define LOOK_MS 50 /* while some queues have work: how often the others are looked at */
#define PACE_MS 2  /* from one claim that found jobs to the next */

static void on_wake(uv_timer_t *timer)
{
    (void)timer; /* it woke the loop; the turn does the rest */
}

static void later(tfw_worker_t *w)
{
    w->claim.not_before = (int64_t)uv_now(&w->loop) + AGAIN_DELAY_MS;
    uv_timer_start(&w->claim.timer, on_wake, AGAIN_DELAY_MS, 0);
}

void tfw_claim_start(tfw_claim_t *claim, tfw_worker_t *worker)
{
    uv_timer_init(&worker->loop, &claim->timer);
    claim->timer.data = worker;
    tfw_claim_patterns_start(claim, worker);
}

void tfw_claim_look_again(tfw_worker_t *w)
{
    w->claim.looked_at = (int64_t)uv_now(&w->loop);
    for (int i = 0; i < w->streams.nqueues; i++) {
        w->claim.queues[i].maybe = true;
    }
}

bool tfw_claim_busy(const tfw_claim_t *claim)
{
    return claim->asking || claim->nunder_way > 0;
}

/* ---- the second half: PostgreSQL ---- */

int64_t tfw_claim_sent(const tfw_claim_t *claim)
{
    return claim->sent > claim->answered ? claim->sent : 0;
}

int64_t tfw_claim_answered(const tfw_claim_t *claim)
{
    return claim->answered;
}

static void remove_claimed(tfw_worker_t *w, tfw_claimed_t *c)
{
    tfw_claim_t *claim = &w->claim;
    int i = 0;

    while (claim->under_way[i] != c) {
        i++;
    }
    claim->nunder_way--;
    memmove(&claim->under_way[i], &claim->under_way[i + 1], sizeof(c) * (size_t)(claim->nunder_way - i));
    free(c);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 16); /* the id is the item's first member */
}

/* Index of the item of an id; expected is tried first. -1: it is none of them. */
static int find_item(const tfw_claimed_t *c, const uint8_t *id, int expected)
{
    const char *found;

    if (expected < c->count && memcmp(c->items[expected].id, id, 16) == 0) {
        return expected;
    }
    found = bsearch(id, c->items, (size_t)c->count, sizeof(c->items[0]), by_id);
    return found ? (int)((size_t)(found - (const char *)c->items) / sizeof(c->items[0])) : -1;
}

/* A claimed job goes to the pool, or back when the worker is stopping. */
static void claimed(tfw_worker_t *w, tfw_job_t *job)
{
    char text[160];
    int n;

    if (w->state >= TFW_STOPPING) {
        tfw_ledger_give_back(w, job);
        return;
    }
    tfd_events_job(&w->events, &job->row, tf_status_event(TF_RUNNING), tfw_realtime_us());
    job->handler = tfw_catalogue_find(job->row.type.data, job->row.type.len);
    if (job->handler >= 0) {
        tfw_pool_add(&w->pool, job);
        return;
    }
    /* A newer worker may know the type, so this is an attempt like any other. */
    n = snprintf(text, sizeof(text), "no handler for the type %.*s in this worker", (int)job->row.type.len,
                 job->row.type.data);
    job->started_us = job->finished_us = tfw_monotonic_us();
    tfw_job_fail(job, -1, (tf_str_t){text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1},
                 tfw_random());
    tfw_ledger_add(w, job);
}

/* Hands the rows of an answer out, each in its turn. false: out of memory. */
static bool take_rows(tfw_worker_t *w, tfw_claimed_t *c, const PGresult *result)
{
    bool returned[TFW_CLAIM_MAX] = {false};
    tfw_job_t *turns[TFW_CLAIM_MAX] = {NULL};
    int rows = PQntuples(result), expected = 0;
    int64_t now = tfw_monotonic_us();
    tfw_batch_t *batch = rows ? tfw_batch_new(tfd_pg_keep(&w->claim_pg), (size_t)rows) : NULL;

    if (rows && !batch) {
        return false;
    }
    if (batch) {
        batch->held = 1; /* until all rows are out */
    }
    for (int row = 0; row < rows; row++) {
        tfw_job_t *job = &batch->jobs[row];
        tfd_pg_row_t at = {result, row};
        int i;

        if (!tf_job_from_claim(&job->row, &at, tfd_pg_column) ||
            (i = find_item(c, job->row.id, expected)) < 0) {
            tf_log(TF_LOG_ERROR, "claim_unreadable", NULL);
            continue;
        }
        expected = i + 1;
        returned[i] = true;
        if (c->incarnation != w->registration.incarnation ||
            (c->recover && tfw_worker_holds(w, job->row.id))) {
            continue; /* claimed by who we no longer are, or by a doubled entry of a job we have */
        }
        if (!PQgetisnull(result, row, TF_CLAIM_NCOLUMNS)) {
            job->secret = (tf_str_t){PQgetvalue(result, row, TF_CLAIM_NCOLUMNS),
                                     (size_t)PQgetlength(result, row, TF_CLAIM_NCOLUMNS)};
        }
        job->batch = batch;
        job->claimed_us = now;
        job->entry = c->items[i].entry;
        batch->held++;
        turns[c->items[i].rank] = job;
    }
    for (int i = 0; i < c->ranks; i++) {
        if (turns[i]) {
            claimed(w, turns[i]);
        }
    }
    for (int i = 0; i < c->count; i++) {
        if (!returned[i]) {
            tfw_streams_done(w, &c->items[i].entry); /* cancelled, deleted or doubled */
        }
    }
    if (batch && --batch->held == 0) {
        tfw_batch_free(batch);
    }
    return true;
}

static void on_claimed(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfw_claimed_t *c = data;
    tfw_worker_t *w = c->worker;

    w->claim.answered++;
    if (outcome == TFD_PG_OK && take_rows(w, c, result)) {
        remove_claimed(w, c);
        return;
    }
    /* Again, and with what an earlier sending may have claimed. */
    c->sent = false;
    c->recover = c->recover || outcome == TFD_PG_UNKNOWN || outcome == TFD_PG_OK;
    if (outcome != TFD_PG_UNKNOWN) {
        later(w);
    }
}

static void send_claimed(tfw_worker_t *w, tfw_claimed_t *c)
{
    tf_pgarray_t *ids = &w->claim.ids;
    tfd_pg_params_t params = {0};
    char worker[TF_QUEUE_NAME_MAX + 260];
    int n = snprintf(worker, sizeof(worker), "%s/%s", w->options.hostname, w->options.pool);

    tf_pgarray_begin(ids, TF_PG_UUID);
    for (int i = 0; i < c->count; i++) {
        tf_pgarray_bytes(ids, c->items[i].id, 16);
    }
    if (!tf_pgarray_end(ids)) {
        later(w);
        return;
    }
    c->incarnation = w->registration.incarnation;
    tfd_pg_int2(&params, TF_WRITER_WORKER(c->incarnation));
    tfd_pg_array(&params, ids);
    tfd_pg_int8(&params, c->incarnation);
    tfd_pg_bytes(&params, worker, (size_t)n);
    tfd_pg_bytes(&params, c->items[0].id, 16);
    tfd_pg_bytes(&params, c->items[c->count - 1].id, 16);
    c->sent =
        tfd_pg_send(&w->claim_pg, c->recover ? &tf_sql_claim_again : &tf_sql_claim, &params, on_claimed, c);
    w->claim.sent += c->sent;
}

/* ---- the first half: Redis ---- */

static const redisReply *element(const redisReply *reply, size_t i, int type)
{
    if (!reply || reply->type != REDIS_REPLY_ARRAY || i >= reply->elements ||
        reply->element[i]->type != type) {
        return NULL;
    }
    return reply->element[i];
}

static bool entry_id(char out[TFW_ENTRY_ID_MAX], const redisReply *text)
{
    if (!text || text->len >= TFW_ENTRY_ID_MAX) {
        return false;
    }
    memcpy(out, text->str, text->len + 1);
    return true;
}

/* Sorts by id and lets go of doubles: the same job twice on its streams. */
static void sort_items(tfw_worker_t *w, tfw_claimed_t *c)
{
    int kept = 0;

    qsort(c->items, (size_t)c->count, sizeof(c->items[0]), by_id);
    for (int i = 0; i < c->count; i++) {
        if (kept && memcmp(c->items[kept - 1].id, c->items[i].id, 16) == 0) {
            tfw_streams_done(w, &c->items[i].entry);
        } else {
            c->items[kept++] = c->items[i];
        }
    }
    c->count = kept;
}

/* The list half of tf_claim's reply: level, entry id, job id, ... NULL: nothing usable in it. */
static tfw_claimed_t *read_claimed(tfw_worker_t *w, const redisReply *list)
{
    size_t most = list->elements / 3 < TFW_CLAIM_MAX ? list->elements / 3 : TFW_CLAIM_MAX;
    tfw_claimed_t *c = malloc(sizeof(*c) + most * sizeof(c->items[0]));

    if (!c) {
        return NULL;
    }
    *c = (tfw_claimed_t){.worker = w};
    for (size_t i = 0; i < 3 * most; i += 3) {
        const redisReply *level = element(list, i, REDIS_REPLY_INTEGER),
                         *job = element(list, i + 2, REDIS_REPLY_STRING);
        tfw_entry_t *entry = &c->items[c->count].entry;

        if (!level || !entry_id(entry->id, element(list, i + 1, REDIS_REPLY_STRING))) {
            continue;
        }
        entry->queue = (uint16_t)w->claim.asked_queue;
        entry->level = (uint8_t)level->integer;
        if (!job || !tf_uuid_parse(job->str, job->len, c->items[c->count].id)) {
            tfw_streams_done(w, entry); /* somebody else's entry: no job can be meant */
            continue;
        }
        c->items[c->count].rank = (int16_t)c->count;
        c->count++;
    }
    c->ranks = c->count;
    sort_items(w, c);
    if (c->count == 0) {
        free(c);
        return NULL;
    }
    return c;
}

static void on_asked(redisAsyncContext *context, void *answer, void *data)
{
    tfw_worker_t *w = data;
    tfw_claim_t *claim = &w->claim;
    tfw_claim_queue_t *queue = &claim->queues[claim->asked_queue];
    const redisReply *reply = answer, *list = element(reply, 0, REDIS_REPLY_ARRAY),
                     *watch = element(reply, 1, REDIS_REPLY_ARRAY);
    tfw_claimed_t *c;

    (void)context;
    claim->asking = false;
    if (tfd_redis_failed(&w->redis, "FCALL tf_claim", reply)) {
        if (reply) {
            later(w);
        }
        return;
    }
    if (list && list->elements) {
        claim->found_at = (int64_t)uv_now(&w->loop);
        c = read_claimed(w, list);
        if (c) {
            claim->under_way[claim->nunder_way++] = c;
        }
        if (watch && watch->elements == 0) {
            return; /* as many as were asked for: more may wait */
        }
    }
    for (size_t i = 0; watch && i < TFW_WATCHES; i++) {
        if (!entry_id(queue->watch[i], element(watch, i, REDIS_REPLY_STRING))) {
            watch = NULL;
        }
    }
    if (watch) {
        queue->maybe = false;
    } else {
        tf_log(TF_LOG_ERROR, "claim_failed", "s:message", "tf_claim gave an unknown answer", NULL);
        later(w);
    }
}

static void ask(tfw_worker_t *w, int queue, int n)
{
    tfw_stream_t *q = &w->streams.queues[queue];
    char count[16], consumer[24], lowest[8];
    const char *argv[] = {"FCALL", "tf_claim", "1", q->base, count, consumer, lowest};
    size_t lengths[7] = {5, 8, 1, q->base_len};

    lengths[4] = (size_t)snprintf(count, sizeof(count), "%d", n);
    lengths[5] = (size_t)snprintf(consumer, sizeof(consumer), "%lld", (long long)w->registration.incarnation);
    lengths[6] = (size_t)snprintf(lowest, sizeof(lowest), "%d", (int)w->options.lowest_priority);
    w->claim.asking = tfd_redis_send(&w->redis, on_asked, w, 7, argv, lengths);
    w->claim.asked = n;
    w->claim.asked_us = tfw_monotonic_us();
    w->claim.asked_queue = queue;
}

/* Entries come one by one, and fast: a claim for each would cost several times what one costs for all. After
 * a pause nothing waits. */
static void pace(tfw_worker_t *w)
{
    tfw_claim_t *claim = &w->claim;
    int64_t now = (int64_t)uv_now(&w->loop), until = claim->found_at + PACE_MS;

    if (now < until && now >= claim->not_before) {
        claim->pace_until = until;
        uv_timer_start(&claim->timer, on_wake, (uint64_t)(until - now), 0);
    }
}

/* Something may wait in the queue that this stream belongs to. */
static void woken_by(tfw_worker_t *w, const redisReply *key)
{
    for (int i = 0; key && i < w->streams.nqueues; i++) {
        const tfw_stream_t *q = &w->streams.queues[i];

        if (key->len > q->base_len && memcmp(key->str, q->base, q->base_len) == 0) {
            w->claim.queues[i].maybe = true;
        }
    }
}

static void on_woken(redisAsyncContext *context, void *answer, void *data)
{
    tfw_worker_t *w = data;
    const redisReply *reply = answer;

    (void)context;
    w->claim.blocking = false;
    if (tfd_redis_failed(&w->waiting, "XREAD", reply)) {
        later(w);
    }
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        tfw_claim_look_again(w); /* the time is over, or a new queue has appeared */
        return;
    }
    pace(w);
    for (size_t i = 0; i < reply->elements; i++) {
        woken_by(w, element(reply->element[i], 0, REDIS_REPLY_STRING));
    }
}

/* Blocks on all levels of all queues, from where tf_claim found nothing. */
static void wait_for_more(tfw_worker_t *w)
{
    static char keys[TFW_QUEUES_MAX * TFW_WATCHES][TFW_BASE_MAX + 8];
    static const char *argv[6 + 2 * TFW_QUEUES_MAX * TFW_WATCHES] = {
        "XREAD", "COUNT", "1", "BLOCK", TEXT(TFW_CLAIM_BLOCK_MS), "STREAMS"};
    static size_t lengths[6 + 2 * TFW_QUEUES_MAX * TFW_WATCHES];
    int streams = w->streams.nqueues * TFW_WATCHES;

    for (int i = 0; i < 6; i++) {
        lengths[i] = strlen(argv[i]);
    }
    for (int i = 0; i < streams; i++) {
        int queue = i / TFW_WATCHES, level = i % TFW_WATCHES;
        const char *name = w->streams.queues[queue].name;

        if (level <= TF_PRIORITY_MAX) {
            lengths[6 + i] = tf_redis_level_key(keys[i], sizeof(keys[i]), name, strlen(name), level);
        } else {
            lengths[6 + i] = tf_redis_ctl_key(keys[i], sizeof(keys[i]), name, strlen(name));
        }
        argv[6 + i] = keys[i];
        argv[6 + streams + i] = w->claim.queues[queue].watch[level];
        lengths[6 + streams + i] = strlen(argv[6 + streams + i]);
    }
    w->claim.blocking = tfd_redis_send(&w->waiting, on_woken, w, 6 + 2 * streams, argv, lengths);
}

/* How many jobs to ask for now. */
static int appetite(tfw_worker_t *w)
{
    const tfw_claim_t *claim = &w->claim;
    int n = tfw_pool_room(&w->pool);

    if ((int64_t)uv_now(&w->loop) < claim->pace_until) {
        return 0;
    }
    if (w->state != TFW_RUNNING || !w->registration.incarnation || !tfd_redis_ready(&w->redis) ||
        !tfd_pg_ready(&w->claim_pg) || claim->asking || claim->nunder_way == TFW_CLAIMS_UNDER_WAY ||
        tfw_ledger_full(&w->ledger)) {
        return 0;
    }
    for (int i = 0; i < claim->nunder_way; i++) {
        n -= claim->under_way[i]->count;
    }
    if (n < 1 || n < tfw_pool_worthwhile(&w->pool)) {
        return 0; /* the next result, or the pool's look at slow jobs, asks again */
    }
    if (tfw_pool_gathers(&w->pool) && (int64_t)uv_now(&w->loop) < claim->found_at + PACE_MS) {
        pace(w);
        return 0;
    }
    return n > TFW_CLAIM_MAX ? TFW_CLAIM_MAX : n;
}

static bool any_maybe(const tfw_worker_t *w)
{
    for (int i = 0; i < w->streams.nqueues; i++) {
        if (w->claim.queues[i].maybe) {
            return true;
        }
    }
    return false;
}

void tfw_claim_turn(tfw_worker_t *w)
{
    tfw_claim_t *claim = &w->claim;
    int n;

    if ((int64_t)uv_now(&w->loop) < claim->not_before) {
        return;
    }
    for (int i = 0; i < claim->nunder_way; i++) {
        if (!claim->under_way[i]->sent && w->registration.incarnation) {
            send_claimed(w, claim->under_way[i]);
        }
    }
    n = appetite(w);
    if (n > 0 && (int64_t)uv_now(&w->loop) >= claim->looked_at + LOOK_MS && any_maybe(w)) {
        tfw_claim_look_again(w); /* nothing waits for an entry in the others while one has work */
    }
    for (int i = 0; i < w->streams.nqueues && n > 0; i++) {
        int queue = (claim->next_queue + i) % w->streams.nqueues;

        if (claim->queues[queue].maybe) {
            ask(w, queue, n);
            claim->next_queue = (queue + 1) % w->streams.nqueues;
            break;
        }
    }
    if (w->streams.nqueues && !any_maybe(w) && !claim->blocking && w->state == TFW_RUNNING &&
        tfd_redis_ready(&w->redis)) {
        wait_for_more(w);
    }
}

int64_t tfw_claim_age_us(const tfw_claim_t *claim)
{
    if (claim->asking || claim->blocking) {
        return 0;
    }
    return claim->asked_us ? tfw_monotonic_us() - claim->asked_us : -1;
}

bool tfw_claim_idle(const tfw_claim_t *claim, int queue)
{
    if (claim->queues[queue].maybe || (claim->asking && claim->asked_queue == queue)) {
        return false;
    }
    for (int i = 0; i < claim->nunder_way; i++) {
        if (claim->under_way[i]->count && claim->under_way[i]->items[0].entry.queue == queue) {
            return false;
        }
    }
    return true;
}

void tfw_claim_abandon(tfw_worker_t *w)
{
    for (int i = w->claim.nunder_way - 1; i >= 0; i--) {
        if (!w->claim.under_way[i]->sent) {
            remove_claimed(w, w->claim.under_way[i]);
        }
    }
}

void tfw_claim_close(tfw_claim_t *claim)
{
    while (claim->nunder_way) {
        free(claim->under_way[--claim->nunder_way]);
    }
    tf_pgarray_free(&claim->ids);
    uv_close((uv_handle_t *)&claim->timer, NULL);
    uv_close((uv_handle_t *)&claim->poll, NULL);
}
