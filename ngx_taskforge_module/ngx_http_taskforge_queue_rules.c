
#include "ngx_http_taskforge_queue_rules.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_queue_table.h"


#define NGX_HTTP_TASKFORGE_QUEUE_RULES_EVERY  1000    /* ms, on a host */
#define NGX_HTTP_TASKFORGE_QUEUE_RULES_SOON   1       /* somebody waits */


struct ngx_http_taskforge_queue_rules_s {
    ngx_http_taskforge_main_conf_t        *mcf;
    ngx_log_t                             *log;
    ngx_http_taskforge_queue_rules_shm_t  *shm;
    ngx_shmtx_t                           *mutex;   /* of changes to rules */

    /* in pids and pending; none left when the process began: _PROCESSES, and
     * its jobs are counted when they are committed */
    ngx_uint_t                             place;

    /* for a reading that is still to be sent; for the one under way */
    ngx_queue_t                            waiting;
    ngx_queue_t                            served;
    ngx_event_t                            timer;

    /* when the one under way was sent */
    ngx_atomic_uint_t                      number;
    ngx_atomic_uint_t                      changes;
    ngx_atomic_uint_t                 settled[NGX_HTTP_TASKFORGE_QUEUE_RULES];

    unsigned                               busy:1;
};


static void ngx_http_taskforge_queue_rules_loaded(void *data, PGresult *res);
static void ngx_http_taskforge_queue_rules_take(
    ngx_http_taskforge_queue_rules_t *rules, PGresult *res);
static ngx_http_taskforge_queue_rule_t *ngx_http_taskforge_queue_rules_make(
    ngx_http_taskforge_queue_rules_t *rules, const char *name, size_t len);
static void ngx_http_taskforge_queue_rules_wake(
    ngx_http_taskforge_queue_rules_t *rules, ngx_uint_t ok);
static void ngx_http_taskforge_queue_rules_timer(ngx_event_t *ev);
static void ngx_http_taskforge_queue_rules_arm(
    ngx_http_taskforge_queue_rules_t *rules);


/*
 * $1 int4: how many at most; $2 int4: the last writer to look at.
 * job_counts_pkey begins with writer and queue, so a queue is a look at each
 * writer, however many others there are.
 */

static const tf_sql_t  ngx_http_taskforge_queue_rules_sql = {
    "ngx_queue_rules",
    "SELECT q.name, q.state = 'draining', coalesce(q.max_length, 0), "
        "(SELECT coalesce(sum(c.n), 0)::int8 "
        "FROM generate_series(0, $2::int4) AS w JOIN job_counts c "
        "ON c.writer = w::int2 AND c.queue = q.name WHERE c.status IN ("
        TF_SQL_QUEUED ", " TF_SQL_SCHEDULED ", " TF_SQL_RETRYING ")) "
    "FROM queues q WHERE q.state = 'draining' OR q.max_length IS NOT NULL "
    "ORDER BY q.name LIMIT $1::int4",
    2
};


ngx_http_taskforge_queue_rules_t *
ngx_http_taskforge_queue_rules_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf)
{
    ngx_slab_pool_t                   *pool;
    ngx_http_taskforge_queue_rules_t  *rules;

    rules = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_queue_rules_t));
    if (rules == NULL) {
        return NULL;
    }

    pool = (ngx_slab_pool_t *) mcf->shm_zone->shm.addr;

    rules->mcf = mcf;
    rules->log = cycle->log;
    rules->shm = &ngx_http_taskforge_shm(mcf)->queues;
    rules->mutex = &pool->mutex;

    ngx_queue_init(&rules->waiting);
    ngx_queue_init(&rules->served);

    rules->timer.handler = ngx_http_taskforge_queue_rules_timer;
    rules->timer.data = rules;
    rules->timer.log = cycle->log;
    rules->timer.cancelable = 1;

    ngx_http_taskforge_queue_table_reap(rules->shm, rules->mutex);
    rules->place = ngx_http_taskforge_queue_table_join(rules->shm,
                                                       rules->mutex);

    ngx_add_timer(&rules->timer, NGX_HTTP_TASKFORGE_QUEUE_RULES_EVERY);

    return rules;
}


void
ngx_http_taskforge_queue_rules_destroy(ngx_http_taskforge_queue_rules_t *rules)
{
    if (rules->timer.timer_set) {
        ngx_del_timer(&rules->timer);
    }

    if (rules->place < NGX_HTTP_TASKFORGE_QUEUE_PROCESSES) {
        ngx_http_taskforge_queue_table_leave(rules->shm, rules->mutex,
                                             rules->place);
    }
}


void
ngx_http_taskforge_queue_rules_load(ngx_http_taskforge_queue_rules_t *rules)
{
    int          lengths[2];
    uint8_t      wire[2][4];
    ngx_uint_t   i;
    const char  *values[2];

    if (rules->busy) {
        return;
    }

    if (!ngx_queue_empty(&rules->waiting)) {
        ngx_queue_add(&rules->served, &rules->waiting);
        ngx_queue_init(&rules->waiting);
    }

    /* what is settled now is counted by what is asked now */

    rules->number = ngx_atomic_fetch_add(&rules->shm->readings, 1) + 1;
    rules->changes = rules->shm->changes;

    for (i = 0; i < NGX_HTTP_TASKFORGE_QUEUE_RULES; i++) {
        rules->settled[i] = rules->shm->rules[i].settled;
    }

    /* the writers above that one only count deliveries of webhooks */

    tf_pg_put_int4(wire[0], NGX_HTTP_TASKFORGE_QUEUE_RULES);
    tf_pg_put_int4(wire[1], TF_WRITER_BULK);

    for (i = 0; i < 2; i++) {
        values[i] = (const char *) wire[i];
        lengths[i] = sizeof(wire[i]);
    }

    if (ngx_http_taskforge_pg_query(rules->mcf->pg, NGX_HTTP_TASKFORGE_PG_READ,
                                    &ngx_http_taskforge_queue_rules_sql,
                                    values, lengths,
                                    ngx_http_taskforge_queue_rules_loaded,
                                    rules)
        == NULL)
    {
        ngx_http_taskforge_queue_rules_wake(rules, 0);
        return;
    }

    rules->busy = 1;
}


static void
ngx_http_taskforge_queue_rules_loaded(void *data, PGresult *res)
{
    ngx_uint_t                         ok;
    ngx_http_taskforge_queue_rules_t  *rules = data;

    rules->busy = 0;

    ok = ngx_http_taskforge_pg_verdict(rules->log, res) == NGX_OK;

    if (ok && rules->changes != rules->shm->changes) {

        /* it may be from before a change that this host has made */

        if (!ngx_queue_empty(&rules->served)) {
            ngx_queue_add(&rules->waiting, &rules->served);
            ngx_queue_init(&rules->served);
        }

        ngx_http_taskforge_queue_rules_load(rules);
        return;
    }

    if (ok) {
        ngx_http_taskforge_queue_rules_take(rules, res);
    }

    ngx_http_taskforge_queue_rules_wake(rules, ok);
}


/* Puts what was read into the table, unless a later reading is there. */

static void
ngx_http_taskforge_queue_rules_take(ngx_http_taskforge_queue_rules_t *rules,
    PGresult *res)
{
    int                                    i, n;
    ngx_uint_t                             at, told;
    ngx_http_taskforge_queue_rule_t       *rule;
    ngx_http_taskforge_queue_rules_shm_t  *shm;
    u_char                             seen[NGX_HTTP_TASKFORGE_QUEUE_RULES];

    shm = rules->shm;
    told = 0;

    ngx_memzero(seen, sizeof(seen));
    ngx_shmtx_lock(rules->mutex);

    if ((ngx_atomic_int_t) (rules->number - shm->taken) < 0) {
        ngx_shmtx_unlock(rules->mutex);
        return;
    }

    n = PQntuples(res);

    /* first of all the places of queues without a rule become free */

    for (i = 0; i < n; i++) {
        rule = ngx_http_taskforge_queue_table_find(shm, PQgetvalue(res, i, 0),
                                                   PQgetlength(res, i, 0));
        if (rule) {
            seen[rule - shm->rules] = 1;
        }
    }

    for (at = 0; at < NGX_HTTP_TASKFORGE_QUEUE_RULES; at++) {
        if (!seen[at]) {
            shm->rules[at].draining = 0;
            shm->rules[at].limit = 0;
        }
    }

    for (i = 0; i < n; i++) {
        rule = ngx_http_taskforge_queue_rules_make(rules,
                                                   PQgetvalue(res, i, 0),
                                                   PQgetlength(res, i, 0));
        if (rule == NULL) {
            continue;
        }

        at = rule - shm->rules;
        told++;

        rule->base = (ngx_atomic_uint_t) tf_pg_get_int8(PQgetvalue(res, i, 3))
                     - rules->settled[at];
        rule->draining = PQgetvalue(res, i, 1)[0] != 0;
        rule->limit = tf_pg_get_int4(PQgetvalue(res, i, 2));
    }

    shm->taken = rules->number;
    shm->nactive = told;
    shm->read_at = ngx_current_msec;
    shm->ready = 1;

    ngx_shmtx_unlock(rules->mutex);
}


/*
 * The rule of a queue, which need not have one.  A place is given to another
 * queue only when the table is full and the rule says nothing any more.  What
 * is still on its way to the other queue then counts for this one, until the
 * next reading: that refuses a job too many rather than too few.
 * NULL: no place.
 */

static ngx_http_taskforge_queue_rule_t *
ngx_http_taskforge_queue_rules_make(ngx_http_taskforge_queue_rules_t *rules,
    const char *name, size_t len)
{
    ngx_uint_t                        i;
    ngx_http_taskforge_queue_rule_t  *rule, *found;

    if (!tf_queue_name_valid(name, len)) {
        return NULL;
    }

    found = ngx_http_taskforge_queue_table_find(rules->shm, name, len);

    if (found) {
        return found;
    }

    for (i = 0; i < NGX_HTTP_TASKFORGE_QUEUE_RULES; i++) {
        rule = &rules->shm->rules[i];

        if (rule->len == 0) {
            found = rule;
            break;
        }

        if (rule->limit == 0 && !rule->draining) {
            found = rule;
        }
    }

    if (found == NULL) {
        return NULL;
    }

    i = found - rules->shm->rules;
    rules->settled[i] = found->settled;

    found->len = 0;
    ngx_memory_barrier();
    ngx_memcpy(found->name, name, len);
    ngx_memory_barrier();
    found->len = len;

    if (i >= rules->shm->nused) {
        rules->shm->nused = i + 1;
    }

    return found;
}


static void
ngx_http_taskforge_queue_rules_wake(ngx_http_taskforge_queue_rules_t *rules,
    ngx_uint_t ok)
{
    ngx_queue_t                            *q;
    ngx_http_taskforge_queue_rules_wait_t  *wait;

    while (!ngx_queue_empty(&rules->served)) {
        q = ngx_queue_head(&rules->served);
        ngx_queue_remove(q);

        wait = ngx_queue_data(q, ngx_http_taskforge_queue_rules_wait_t, queue);
        wait->handler(wait->data, ok);
    }

    ngx_http_taskforge_queue_rules_arm(rules);
}


void
ngx_http_taskforge_queue_rules_wait(ngx_http_taskforge_queue_rules_t *rules,
    ngx_http_taskforge_queue_rules_wait_t *wait)
{
    ngx_queue_insert_tail(&rules->waiting, &wait->queue);

    if (!rules->busy) {
        ngx_http_taskforge_queue_rules_arm(rules);
    }
}


void
ngx_http_taskforge_queue_rules_changed(ngx_http_taskforge_queue_rules_t *rules,
    ngx_http_taskforge_queue_rules_wait_t *wait)
{
    (void) ngx_atomic_fetch_add(&rules->shm->changes, 1);

    ngx_http_taskforge_queue_rules_wait(rules, wait);
}


/* Soon while somebody waits, and then a graceful exit waits too. */

static void
ngx_http_taskforge_queue_rules_arm(ngx_http_taskforge_queue_rules_t *rules)
{
    ngx_uint_t  waited_for;

    waited_for = !ngx_queue_empty(&rules->waiting);

    rules->timer.cancelable = !waited_for;

    if (rules->timer.timer_set) {
        ngx_del_timer(&rules->timer);
    }

    ngx_add_timer(&rules->timer,
                  waited_for ? NGX_HTTP_TASKFORGE_QUEUE_RULES_SOON
                             : NGX_HTTP_TASKFORGE_QUEUE_RULES_EVERY);
}


static void
ngx_http_taskforge_queue_rules_timer(ngx_event_t *ev)
{
    ngx_atomic_uint_t                  read_at;
    ngx_http_taskforge_queue_rules_t  *rules;

    rules = ev->data;
    read_at = rules->shm->read_at;

    if (!ngx_queue_empty(&rules->waiting)) {
        ngx_http_taskforge_queue_rules_load(rules);
        return;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - read_at)
            >= NGX_HTTP_TASKFORGE_QUEUE_RULES_EVERY
        && ngx_atomic_cmp_set(&rules->shm->read_at, read_at, ngx_current_msec))
    {
        ngx_http_taskforge_queue_table_reap(rules->shm, rules->mutex);
        ngx_http_taskforge_queue_rules_load(rules);
    }

    if (!rules->timer.timer_set) {
        ngx_http_taskforge_queue_rules_arm(rules);
    }
}


ngx_uint_t
ngx_http_taskforge_queue_rules_ready(ngx_http_taskforge_queue_rules_t *rules)
{
    return rules->shm->ready;
}


ngx_uint_t
ngx_http_taskforge_queue_rules_active(ngx_http_taskforge_queue_rules_t *rules)
{
    return rules->shm->nactive;
}


ngx_int_t
ngx_http_taskforge_queue_rules_enter(ngx_http_taskforge_queue_rules_t *rules,
    const tf_str_t *queue, ngx_uint_t *place)
{
    ngx_atomic_uint_t                 waiting;
    ngx_http_taskforge_queue_rule_t  *rule;

    *place = 0;

    rule = ngx_http_taskforge_queue_table_find(rules->shm, queue->data,
                                               queue->len);
    if (rule == NULL) {
        return NGX_OK;
    }

    if (rule->draining) {
        return NGX_DECLINED;
    }

    if (rule->limit == 0) {
        return NGX_OK;
    }

    /* counted first: of two who want the last place at once none is too many */

    if (rules->place < NGX_HTTP_TASKFORGE_QUEUE_PROCESSES) {
        (void) ngx_atomic_fetch_add(&rule->pending[rules->place], 1);
    }

    /*
     * In this order: a job that settles meanwhile is counted twice rather
     * than not at all, and a new base is never seen with an old settled.
     */

    waiting = ngx_http_taskforge_queue_table_pending(rule);
    ngx_memory_barrier();
    waiting += rule->base;
    ngx_memory_barrier();
    waiting += rule->settled;

    *place = rule - rules->shm->rules + 1;

    if ((ngx_atomic_int_t) waiting > (ngx_atomic_int_t) rule->limit) {
        ngx_http_taskforge_queue_rules_leave(rules, *place, 0);
        *place = 0;
        return NGX_BUSY;
    }

    return NGX_OK;
}


void
ngx_http_taskforge_queue_rules_leave(ngx_http_taskforge_queue_rules_t *rules,
    ngx_uint_t place, ngx_uint_t committed)
{
    ngx_http_taskforge_queue_rule_t  *rule;

    rule = &rules->shm->rules[place - 1];

    /* in this order: it is counted twice for a moment rather than not at all */

    if (committed) {
        (void) ngx_atomic_fetch_add(&rule->settled, 1);
    }

    if (rules->place < NGX_HTTP_TASKFORGE_QUEUE_PROCESSES) {
        (void) ngx_atomic_fetch_add(&rule->pending[rules->place], -1);
    }
}
