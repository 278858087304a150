
#include "ngx_http_taskforge_permits.h"
#include "ngx_http_taskforge_redis.h"
#include "redis_keys.h"


/* below this nothing is reserved ahead: a few permits are too much to hold */
#define NGX_HTTP_TASKFORGE_PERMITS_AHEAD  1000

/* one worker process holds at most this part of a limit unused */
#define NGX_HTTP_TASKFORGE_PERMITS_PART   64

/* how often leases that ended are looked for, ms */
#define NGX_HTTP_TASKFORGE_PERMITS_SWEEP  250

#define NGX_HTTP_TASKFORGE_PERMITS_ARGS   7


/* The permits of one subject of one limit. */

struct ngx_http_taskforge_permits_of_s {
    ngx_str_node_t                     sn;         /* key of Redis */
    ngx_queue_t                        lru;
    ngx_queue_t                        holding;    /* while spare > 0 */
    ngx_http_taskforge_permits_t      *permits;
    const ngx_http_taskforge_quota_t  *quota;

    ngx_queue_t                        waiting;
    ngx_uint_t                         nwaiting;
    ngx_uint_t                         users;      /* permits not ended */

    /* the last answer of Redis */
    ngx_uint_t                         granted;
    ngx_uint_t                         spare;      /* granted, not used */
    ngx_uint_t                         free;       /* for everybody */
    int64_t                            lease_end;
    int64_t                            next_at;    /* permits come back */
    int64_t                            full_until; /* not worth asking */
    int64_t                            moment;     /* until when they count */

    ngx_uint_t                         ahead;      /* reserved beyond need */

    int64_t                            asked_at;
    ngx_uint_t                         need;
    ngx_event_t                        timer;
    unsigned                           asked:1;
    unsigned                           late:1;
};


struct ngx_http_taskforge_permits_s {
    ngx_http_taskforge_main_conf_t    *mcf;
    ngx_log_t                         *log;

    ngx_rbtree_t                       tree;
    ngx_rbtree_node_t                  sentinel;
    ngx_queue_t                        lru;        /* newest first */
    ngx_uint_t                         n;
    ngx_uint_t                         capacity;

    ngx_queue_t                        holding;
    ngx_event_t                        sweep;

    /* permits whose handler is to be called */
    ngx_queue_t                        settled;
    ngx_event_t                        settle;

    time_t                             complained;
};


static ngx_http_taskforge_permits_of_t *ngx_http_taskforge_permits_find(
    ngx_http_taskforge_permits_t *permits,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key);
static ngx_http_taskforge_permits_of_t *ngx_http_taskforge_permits_add(
    ngx_http_taskforge_permits_t *permits, ngx_str_t *key, uint32_t hash);
static ngx_int_t ngx_http_taskforge_permits_evict(
    ngx_http_taskforge_permits_t *permits);
static void ngx_http_taskforge_permits_free(
    ngx_http_taskforge_permits_of_t *of);
static ngx_int_t ngx_http_taskforge_permits_ask(
    ngx_http_taskforge_permits_of_t *of);
static void ngx_http_taskforge_permits_plan(
    ngx_http_taskforge_permits_of_t *of, int64_t now);
static ngx_int_t ngx_http_taskforge_permits_send(
    ngx_http_taskforge_permits_of_t *of, ngx_uint_t need, ngx_uint_t want);
static void ngx_http_taskforge_permits_answer(void *data, redisReply *reply);
static ngx_int_t ngx_http_taskforge_permits_parse(
    ngx_http_taskforge_permits_of_t *of, redisReply *reply, int64_t now);
static void ngx_http_taskforge_permits_serve(
    ngx_http_taskforge_permits_of_t *of, int64_t now);
static void ngx_http_taskforge_permits_settle_all(
    ngx_http_taskforge_permits_of_t *of, ngx_int_t rc, int64_t now);
static void ngx_http_taskforge_permits_settle(
    ngx_http_taskforge_permits_of_t *of, ngx_http_taskforge_permit_t *permit,
    ngx_int_t rc, int64_t now);
static void ngx_http_taskforge_permits_hold(
    ngx_http_taskforge_permits_of_t *of, ngx_uint_t spare);
static void ngx_http_taskforge_permits_give_back(
    ngx_http_taskforge_permits_of_t *of);
static void ngx_http_taskforge_permits_late(ngx_event_t *ev);
static void ngx_http_taskforge_permits_sweep(ngx_event_t *ev);
static void ngx_http_taskforge_permits_handlers(ngx_event_t *ev);


ngx_http_taskforge_permits_t *
ngx_http_taskforge_permits_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf, ngx_uint_t capacity)
{
    ngx_http_taskforge_permits_t  *permits;

    permits = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_permits_t));
    if (permits == NULL) {
        return NULL;
    }

    permits->mcf = mcf;
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

    return permits;
}


void
ngx_http_taskforge_permits_destroy(ngx_http_taskforge_permits_t *permits)
{
    ngx_queue_t                      *q;
    ngx_http_taskforge_permits_of_t  *of;

    while (!ngx_queue_empty(&permits->lru)) {
        q = ngx_queue_head(&permits->lru);
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
    ngx_http_taskforge_permits_of_t  *of;

    permit->rc = NGX_DECLINED;

    if (!ngx_http_taskforge_redis_ready(permits->mcf->redis_conn)) {
        return NGX_DECLINED;
    }

    of = ngx_http_taskforge_permits_find(permits, quota, key);
    if (of == NULL) {
        return NGX_DECLINED;
    }

    now = ngx_http_taskforge_permits_now();

    permit->of = of;
    permit->queued = 0;
    permit->lease_end = of->lease_end;
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

    if (!of->asked && ngx_http_taskforge_permits_ask(of) != NGX_OK) {
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
        && permit->lease_end == of->lease_end
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


static ngx_int_t
ngx_http_taskforge_permits_ask(ngx_http_taskforge_permits_of_t *of)
{
    int64_t  now;

    now = ngx_http_taskforge_permits_now();

    ngx_http_taskforge_permits_plan(of, now);

    /* from before the sending: no permit is used after its lease */

    of->asked_at = now;
    of->need = of->nwaiting;

    if (ngx_http_taskforge_permits_send(of, of->need, of->need + of->ahead)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    of->asked = 1;
    ngx_add_timer(&of->timer, of->quota->lease);

    return NGX_OK;
}


/*
 * How many to reserve ahead: twice as many when the last ones did not last
 * for their lease, else what was used of them.
 */

static void
ngx_http_taskforge_permits_plan(ngx_http_taskforge_permits_of_t *of,
    int64_t now)
{
    ngx_uint_t  most;

    most = 0;

    if (of->quota->quota >= NGX_HTTP_TASKFORGE_PERMITS_AHEAD) {
        most = of->quota->quota / NGX_HTTP_TASKFORGE_PERMITS_PART;
    }

    if (of->spare == 0 && now < of->lease_end) {
        of->ahead = of->ahead ? of->ahead * 2 : of->nwaiting;

    } else if (of->granted) {
        of->ahead = of->granted - of->spare;
    }

    of->ahead = ngx_min(of->ahead, most);
}


/* Asks for permits and gives those back whose lease has ended. */

static ngx_int_t
ngx_http_taskforge_permits_send(ngx_http_taskforge_permits_of_t *of,
    ngx_uint_t need, ngx_uint_t want)
{
    u_char      *p, *last;
    u_char       text[NGX_HTTP_TASKFORGE_PERMITS_ARGS * NGX_INT64_LEN];
    size_t       argvlen[4 + NGX_HTTP_TASKFORGE_PERMITS_ARGS];
    int64_t      value[NGX_HTTP_TASKFORGE_PERMITS_ARGS];
    ngx_int_t    rc;
    ngx_uint_t   i;
    const char  *argv[4 + NGX_HTTP_TASKFORGE_PERMITS_ARGS];

    value[0] = of->quota->quota;
    value[1] = of->quota->window;
    value[2] = of->quota->lease;
    value[3] = need;
    value[4] = want;
    value[5] = of->moment;
    value[6] = of->spare;

    argv[0] = "FCALL";
    argvlen[0] = 5;
    argv[1] = "tf_limit";
    argvlen[1] = 8;
    argv[2] = "1";
    argvlen[2] = 1;
    argv[3] = (char *) of->sn.str.data;
    argvlen[3] = of->sn.str.len;

    p = text;
    last = text + sizeof(text);

    for (i = 0; i < NGX_HTTP_TASKFORGE_PERMITS_ARGS; i++) {
        argv[i + 4] = (char *) p;
        p = ngx_slprintf(p, last, "%L", value[i]);
        argvlen[i + 4] = p - (u_char *) argv[i + 4];
    }

    rc = ngx_http_taskforge_redis_command(of->permits->mcf->redis_conn,
                                          need ?
                                            ngx_http_taskforge_permits_answer
                                            : NULL,
                                          of,
                                          4 + NGX_HTTP_TASKFORGE_PERMITS_ARGS,
                                          argv, argvlen);

    /* given back, or lost on the way: ours no more */

    ngx_http_taskforge_permits_hold(of, 0);

    return rc;
}


static void
ngx_http_taskforge_permits_answer(void *data, redisReply *reply)
{
    int64_t                           now;
    ngx_uint_t                        late;
    ngx_http_taskforge_permits_of_t  *of = data;

    now = ngx_http_taskforge_permits_now();

    if (of->timer.timer_set) {
        ngx_del_timer(&of->timer);
    }

    late = of->late || now - of->asked_at >= (int64_t) of->quota->lease;

    of->asked = 0;
    of->late = 0;

    if (ngx_http_taskforge_permits_parse(of, reply, now) != NGX_OK) {
        of->granted = 0;
        ngx_http_taskforge_permits_settle_all(of, NGX_DECLINED, now);
        return;
    }

    if (late) {
        /* too old to be used */
        ngx_http_taskforge_permits_hold(of, of->granted);
        of->granted = 0;
        ngx_http_taskforge_permits_give_back(of);
        ngx_http_taskforge_permits_settle_all(of, NGX_DECLINED, now);
        return;
    }

    ngx_http_taskforge_permits_serve(of, now);
}


static ngx_int_t
ngx_http_taskforge_permits_parse(ngx_http_taskforge_permits_of_t *of,
    redisReply *reply, int64_t now)
{
    ngx_uint_t                     i;
    ngx_http_taskforge_permits_t  *permits;

    if (reply == NULL) {
        return NGX_ERROR;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 4) {
        permits = of->permits;

        if (permits->complained != ngx_time()) {
            permits->complained = ngx_time();
            ngx_log_error(NGX_LOG_ERR, permits->log, 0,
                          "taskforge: Redis does not count limits: %s",
                          reply->type == REDIS_REPLY_ERROR
                              ? reply->str : "the answer has another form");
        }

        return NGX_ERROR;
    }

    for (i = 0; i < 4; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER) {
            return NGX_ERROR;
        }
    }

    of->granted = reply->element[0]->integer;
    of->free = reply->element[1]->integer;
    of->moment = reply->element[2]->integer;
    of->next_at = now + reply->element[3]->integer;
    of->lease_end = of->asked_at + of->quota->lease;
    of->full_until = 0;

    return NGX_OK;
}


/*
 * First come, first served.  Who refuses need not be asked again before
 * permits come back; others may give some back earlier, so once per lease.
 */

static void
ngx_http_taskforge_permits_serve(ngx_http_taskforge_permits_of_t *of,
    int64_t now)
{
    ngx_uint_t                    spare;
    ngx_queue_t                  *q;
    ngx_http_taskforge_permit_t  *permit;

    spare = of->granted;

    while (spare && !ngx_queue_empty(&of->waiting)) {
        q = ngx_queue_head(&of->waiting);
        permit = ngx_queue_data(q, ngx_http_taskforge_permit_t, queue);

        permit->remaining = of->free + --spare;
        ngx_http_taskforge_permits_settle(of, permit, NGX_OK, now);
    }

    ngx_http_taskforge_permits_hold(of, spare);

    if (of->granted < of->need) {
        of->full_until = ngx_min(of->next_at, of->lease_end);
        ngx_http_taskforge_permits_settle_all(of, NGX_BUSY, now);
        return;
    }

    if (of->nwaiting && ngx_http_taskforge_permits_ask(of) != NGX_OK) {
        ngx_http_taskforge_permits_settle_all(of, NGX_DECLINED, now);
    }
}


static void
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


static void
ngx_http_taskforge_permits_settle(ngx_http_taskforge_permits_of_t *of,
    ngx_http_taskforge_permit_t *permit, ngx_int_t rc, int64_t now)
{
    ngx_http_taskforge_permits_t  *permits;

    permits = of->permits;

    ngx_queue_remove(&permit->queue);
    of->nwaiting--;

    permit->rc = rc;
    permit->lease_end = of->lease_end;
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


static void
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


static void
ngx_http_taskforge_permits_give_back(ngx_http_taskforge_permits_of_t *of)
{
    if (of->spare) {
        (void) ngx_http_taskforge_permits_send(of, 0, 0);
    }
}


/* Redis takes its time: nobody waits for it longer than a permit is good. */

static void
ngx_http_taskforge_permits_late(ngx_event_t *ev)
{
    ngx_http_taskforge_permits_of_t  *of;

    of = ev->data;
    of->late = 1;

    ngx_http_taskforge_permits_settle_all(of, NGX_DECLINED,
                                          ngx_http_taskforge_permits_now());
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
