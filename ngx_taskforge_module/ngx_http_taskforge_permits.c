
#include "ngx_http_taskforge_permits_of.h"
#include "ngx_http_taskforge_redis.h"


/* how often leases that ended are looked for, ms */
#define NGX_HTTP_TASKFORGE_PERMITS_SWEEP  250

/* how long a new process waits until it is connected, ms */
#define NGX_HTTP_TASKFORGE_PERMITS_JOIN   500


static ngx_http_taskforge_permits_of_t *ngx_http_taskforge_permits_find(
    ngx_http_taskforge_permits_t *permits,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key);
static ngx_http_taskforge_permits_of_t *ngx_http_taskforge_permits_add(
    ngx_http_taskforge_permits_t *permits, ngx_str_t *key, uint32_t hash);
static ngx_int_t ngx_http_taskforge_permits_evict(
    ngx_http_taskforge_permits_t *permits);
static void ngx_http_taskforge_permits_free(
    ngx_http_taskforge_permits_of_t *of);
static void ngx_http_taskforge_permits_handlers(ngx_event_t *ev);
static void ngx_http_taskforge_permits_sweep(ngx_event_t *ev);
static void ngx_http_taskforge_permits_joined(void *data, ngx_uint_t up);
static void ngx_http_taskforge_permits_alone(ngx_event_t *ev);


ngx_http_taskforge_permits_t *
ngx_http_taskforge_permits_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf, ngx_shm_zone_t *zone,
    ngx_uint_t capacity)
{
    ngx_http_taskforge_permits_t  *permits;

    permits = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_permits_t));
    if (permits == NULL) {
        return NULL;
    }

    permits->mcf = mcf;
    permits->zone = zone;
    permits->log = cycle->log;
    permits->capacity = capacity;

    ngx_rbtree_init(&permits->tree, &permits->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&permits->lru);
    ngx_queue_init(&permits->holding);
    ngx_queue_init(&permits->settled);

    permits->sweep.handler = ngx_http_taskforge_permits_sweep;
    permits->sweep.data = permits;
    permits->sweep.log = cycle->log;
    permits->sweep.cancelable = 1;

    permits->settle.handler = ngx_http_taskforge_permits_handlers;
    permits->settle.data = permits;
    permits->settle.log = cycle->log;

    permits->join.handler = ngx_http_taskforge_permits_alone;
    permits->join.data = permits;
    permits->join.log = cycle->log;
    permits->join.cancelable = 1;

    if (mcf->redis_conn
        && !ngx_http_taskforge_redis_ready(mcf->redis_conn))
    {
        permits->joining = 1;
        ngx_add_timer(&permits->join, NGX_HTTP_TASKFORGE_PERMITS_JOIN);
        ngx_http_taskforge_redis_on_state(mcf->redis_conn,
                                          ngx_http_taskforge_permits_joined,
                                          permits);
    }

    return permits;
}


void
ngx_http_taskforge_permits_destroy(ngx_http_taskforge_permits_t *permits)
{
    ngx_queue_t                      *q, *next;
    ngx_http_taskforge_permits_of_t  *of;

    for (q = ngx_queue_head(&permits->lru);
         q != ngx_queue_sentinel(&permits->lru);
         q = next)
    {
        next = ngx_queue_next(q);
        of = ngx_queue_data(q, ngx_http_taskforge_permits_of_t, lru);

        ngx_http_taskforge_permits_free(of);
    }
}


int64_t
ngx_http_taskforge_permits_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


ngx_int_t
ngx_http_taskforge_permit_take(ngx_http_taskforge_permits_t *permits,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key,
    ngx_http_taskforge_permit_t *permit)
{
    int64_t                           now;
    ngx_uint_t                        ready;
    ngx_http_taskforge_permits_of_t  *of;

    permit->rc = NGX_DECLINED;

    ready = ngx_http_taskforge_redis_ready(permits->mcf->redis_conn);

    if (!ready && !permits->joining) {
        return NGX_DECLINED;
    }

    of = ngx_http_taskforge_permits_find(permits, quota, key);
    if (of == NULL) {
        return NGX_DECLINED;
    }

    now = ngx_http_taskforge_permits_now();

    permit->of = of;
    permit->queued = 0;
    permit->answer = of->answers;
    of->users++;

    permit->next = (of->next_at > now) ? of->next_at - now : 0;

    if (of->spare && now < of->lease_end) {
        ngx_http_taskforge_permits_hold(of, of->spare - 1);
        permit->remaining = of->free + of->spare;
        permit->rc = NGX_OK;
        return NGX_OK;
    }

    if (now < of->full_until) {
        permit->remaining = 0;
        permit->rc = NGX_BUSY;
        return NGX_BUSY;
    }

    if (of->late) {
        ngx_http_taskforge_permit_end(permit, 0);
        return NGX_DECLINED;
    }

    ngx_queue_insert_tail(&of->waiting, &permit->queue);
    of->nwaiting++;
    permit->queued = 1;
    permit->rc = NGX_AGAIN;

    if (ready && !of->asked && ngx_http_taskforge_permits_ask(of) != NGX_OK) {
        ngx_http_taskforge_permit_end(permit, 0);
        permit->rc = NGX_DECLINED;
    }

    return permit->rc;
}


void
ngx_http_taskforge_permit_end(ngx_http_taskforge_permit_t *permit,
    ngx_uint_t used)
{
    ngx_http_taskforge_permits_of_t  *of;

    of = permit->of;

    if (of == NULL) {
        return;
    }

    permit->of = NULL;
    of->users--;

    if (permit->queued) {
        ngx_queue_remove(&permit->queue);
        permit->queued = 0;

        if (permit->rc == NGX_AGAIN) {
            of->nwaiting--;
        }
    }

    /* one of an answer before the last lapses */

    if (permit->rc == NGX_OK && !used && !of->asked
        && permit->answer == of->answers
        && ngx_http_taskforge_permits_now() < of->lease_end)
    {
        ngx_http_taskforge_permits_hold(of, of->spare + 1);
    }
}


static ngx_http_taskforge_permits_of_t *
ngx_http_taskforge_permits_find(ngx_http_taskforge_permits_t *permits,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key)
{
    uint32_t                          hash;
    ngx_http_taskforge_permits_of_t  *of;

    hash = ngx_crc32_short(key->data, key->len);

    of = (ngx_http_taskforge_permits_of_t *)
             ngx_str_rbtree_lookup(&permits->tree, key, hash);

    if (of) {
        ngx_queue_remove(&of->lru);

    } else {
        of = ngx_http_taskforge_permits_add(permits, key, hash);
        if (of == NULL) {
            return NULL;
        }
    }

    ngx_queue_insert_head(&permits->lru, &of->lru);
    of->quota = quota;

    return of;
}


static ngx_http_taskforge_permits_of_t *
ngx_http_taskforge_permits_add(ngx_http_taskforge_permits_t *permits,
    ngx_str_t *key, uint32_t hash)
{
    ngx_http_taskforge_permits_of_t  *of;

    if (permits->n >= permits->capacity
        && ngx_http_taskforge_permits_evict(permits) != NGX_OK)
    {
        return NULL;
    }

    of = ngx_alloc(sizeof(ngx_http_taskforge_permits_of_t) + key->len,
                   permits->log);
    if (of == NULL) {
        return NULL;
    }

    ngx_memzero(of, sizeof(ngx_http_taskforge_permits_of_t));

    of->permits = permits;
    of->sn.node.key = hash;
    of->sn.str.len = key->len;
    of->sn.str.data = (u_char *) of + sizeof(ngx_http_taskforge_permits_of_t);
    ngx_memcpy(of->sn.str.data, key->data, key->len);

    ngx_queue_init(&of->waiting);

    of->timer.handler = ngx_http_taskforge_permits_late;
    of->timer.data = of;
    of->timer.log = permits->log;

    ngx_rbtree_insert(&permits->tree, &of->sn.node);
    permits->n++;

    return of;
}


/* Those in use stay; of the others the oldest goes. */

static ngx_int_t
ngx_http_taskforge_permits_evict(ngx_http_taskforge_permits_t *permits)
{
    ngx_uint_t                        tries;
    ngx_queue_t                      *q;
    ngx_http_taskforge_permits_of_t  *of;

    q = ngx_queue_last(&permits->lru);

    for (tries = 0; tries < 16 && q != ngx_queue_sentinel(&permits->lru);
         tries++)
    {
        of = ngx_queue_data(q, ngx_http_taskforge_permits_of_t, lru);
        q = ngx_queue_prev(q);

        if (!of->asked && of->users == 0) {
            ngx_http_taskforge_permits_give_back(of);
            ngx_http_taskforge_permits_free(of);
            return NGX_OK;
        }
    }

    return NGX_BUSY;
}


static void
ngx_http_taskforge_permits_free(ngx_http_taskforge_permits_of_t *of)
{
    ngx_http_taskforge_permits_hold(of, 0);

    if (of->timer.timer_set) {
        ngx_del_timer(&of->timer);
    }

    ngx_queue_remove(&of->lru);
    ngx_rbtree_delete(&of->permits->tree, &of->sn.node);
    of->permits->n--;

    ngx_free(of);
}


void
ngx_http_taskforge_permits_settle_all(ngx_http_taskforge_permits_of_t *of,
    ngx_int_t rc, int64_t now)
{
    ngx_queue_t                  *q;
    ngx_http_taskforge_permit_t  *permit;

    while (!ngx_queue_empty(&of->waiting)) {
        q = ngx_queue_head(&of->waiting);
        permit = ngx_queue_data(q, ngx_http_taskforge_permit_t, queue);

        permit->remaining = 0;
        ngx_http_taskforge_permits_settle(of, permit, rc, now);
    }
}


void
ngx_http_taskforge_permits_settle(ngx_http_taskforge_permits_of_t *of,
    ngx_http_taskforge_permit_t *permit, ngx_int_t rc, int64_t now)
{
    ngx_http_taskforge_permits_t  *permits;

    permits = of->permits;

    ngx_queue_remove(&permit->queue);
    of->nwaiting--;

    permit->rc = rc;
    permit->answer = of->answers;
    permit->next = (of->next_at > now) ? of->next_at - now : 0;

    /*
     * Not here: a handler runs a request, which may do anything, and we are
     * in the middle of hiredis, maybe because the process ends.
     */

    ngx_queue_insert_tail(&permits->settled, &permit->queue);

    if (!permits->settle.posted) {
        ngx_post_event(&permits->settle, &ngx_posted_events);
    }
}


static void
ngx_http_taskforge_permits_handlers(ngx_event_t *ev)
{
    ngx_queue_t                   *q;
    ngx_http_taskforge_permit_t   *permit;
    ngx_http_taskforge_permits_t  *permits;

    permits = ev->data;

    while (!ngx_queue_empty(&permits->settled)) {
        q = ngx_queue_head(&permits->settled);
        permit = ngx_queue_data(q, ngx_http_taskforge_permit_t, queue);

        ngx_queue_remove(q);
        permit->queued = 0;

        permit->handler(permit->data);
    }
}


void
ngx_http_taskforge_permits_hold(ngx_http_taskforge_permits_of_t *of,
    ngx_uint_t spare)
{
    ngx_http_taskforge_permits_t  *permits;

    permits = of->permits;

    if (spare && of->spare == 0) {
        ngx_queue_insert_tail(&permits->holding, &of->holding);

        if (!permits->sweep.timer_set) {
            ngx_add_timer(&permits->sweep, NGX_HTTP_TASKFORGE_PERMITS_SWEEP);
        }

    } else if (spare == 0 && of->spare) {
        ngx_queue_remove(&of->holding);
    }

    of->spare = spare;
}


/* What subjects that went quiet hold unused goes back to everybody. */

static void
ngx_http_taskforge_permits_sweep(ngx_event_t *ev)
{
    int64_t                           now;
    ngx_queue_t                      *q, *next;
    ngx_http_taskforge_permits_t     *permits;
    ngx_http_taskforge_permits_of_t  *of;

    permits = ev->data;
    now = ngx_http_taskforge_permits_now();

    for (q = ngx_queue_head(&permits->holding);
         q != ngx_queue_sentinel(&permits->holding);
         q = next)
    {
        next = ngx_queue_next(q);
        of = ngx_queue_data(q, ngx_http_taskforge_permits_of_t, holding);

        if (now >= of->lease_end) {
            of->ahead = of->granted - of->spare;
            of->granted = 0;
            ngx_http_taskforge_permits_give_back(of);
        }
    }

    if (!ngx_queue_empty(&permits->holding)) {
        ngx_add_timer(&permits->sweep, NGX_HTTP_TASKFORGE_PERMITS_SWEEP);
    }
}


/*
 * A new process has its connection.  Its first requests have waited: if they
 * had been counted here alone, those at other hosts would come on top.
 */

static void
ngx_http_taskforge_permits_joined(void *data, ngx_uint_t up)
{
    int64_t                           now;
    ngx_queue_t                      *q;
    ngx_http_taskforge_permits_t     *permits = data;
    ngx_http_taskforge_permits_of_t  *of;

    if (!permits->joining) {
        return;
    }

    permits->joining = 0;

    if (permits->join.timer_set) {
        ngx_del_timer(&permits->join);
    }

    now = ngx_http_taskforge_permits_now();

    for (q = ngx_queue_head(&permits->lru);
         q != ngx_queue_sentinel(&permits->lru);
         q = ngx_queue_next(q))
    {
        of = ngx_queue_data(q, ngx_http_taskforge_permits_of_t, lru);

        if (of->nwaiting
            && (!up || ngx_http_taskforge_permits_ask(of) != NGX_OK))
        {
            ngx_http_taskforge_permits_settle_all(of, NGX_DECLINED, now);
        }
    }
}


/* Redis is away. */

static void
ngx_http_taskforge_permits_alone(ngx_event_t *ev)
{
    ngx_http_taskforge_permits_joined(ev->data, 0);
}
