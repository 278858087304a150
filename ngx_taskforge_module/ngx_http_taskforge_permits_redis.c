
/*
 * Permits and Redis: how many to ask for, and what its answer means.
 */

#include "ngx_http_taskforge_permits_of.h"
#include "ngx_http_taskforge_limit_local.h"
#include "ngx_http_taskforge_redis.h"


/* below this nothing is reserved ahead: a few permits are too much to hold */
#define NGX_HTTP_TASKFORGE_PERMITS_AHEAD     1000

/* one worker process holds at most this part of a limit unused */
#define NGX_HTTP_TASKFORGE_PERMITS_PART      64

/*
 * Nobody waits longer for Redis, ms.  It is longer than most leases: an
 * answer that comes too late to be used is followed by another question,
 * because counting alone would add to what the other hosts let in.
 */
#define NGX_HTTP_TASKFORGE_PERMITS_PATIENCE  1000

#define NGX_HTTP_TASKFORGE_PERMITS_ARGS      7


static void ngx_http_taskforge_permits_plan(
    ngx_http_taskforge_permits_of_t *of, int64_t now);
static ngx_int_t ngx_http_taskforge_permits_send(
    ngx_http_taskforge_permits_of_t *of, ngx_uint_t need, ngx_uint_t want);
static void ngx_http_taskforge_permits_answer(void *data, redisReply *reply);
static ngx_int_t ngx_http_taskforge_permits_parse(
    ngx_http_taskforge_permits_of_t *of, redisReply *reply, int64_t now);
static void ngx_http_taskforge_permits_count(
    ngx_http_taskforge_permits_of_t *of, int64_t now);
static void ngx_http_taskforge_permits_serve(
    ngx_http_taskforge_permits_of_t *of, int64_t now);


ngx_int_t
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

    if (!of->timer.timer_set) {
        ngx_add_timer(&of->timer, NGX_HTTP_TASKFORGE_PERMITS_PATIENCE);
    }

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

    if (of->spare && of->host_moment) {
        ngx_http_taskforge_limit_local_give_back(of->permits->zone,
                                                 &of->sn.str, of->host_moment,
                                                 of->spare);
    }

    ngx_http_taskforge_permits_hold(of, 0);

    return rc;
}


static void
ngx_http_taskforge_permits_answer(void *data, redisReply *reply)
{
    int64_t                           now;
    ngx_uint_t                        served;
    ngx_http_taskforge_permits_of_t  *of = data;

    now = ngx_http_taskforge_permits_now();

    of->asked = 0;
    of->granted = 0;
    served = 0;

    if (ngx_http_taskforge_permits_parse(of, reply, now) == NGX_OK) {

        if (now < of->lease_end) {
            ngx_http_taskforge_permits_count(of, now);
            served = 1;

        } else {
            /* too old to be used */
            ngx_http_taskforge_permits_hold(of, of->granted);
            of->granted = 0;

            if (of->nwaiting && ngx_http_taskforge_permits_ask(of) == NGX_OK) {
                return;
            }

            ngx_http_taskforge_permits_give_back(of);
        }
    }

    if (of->timer.timer_set) {
        ngx_del_timer(&of->timer);
    }

    of->late = 0;

    if (served) {
        ngx_http_taskforge_permits_serve(of, now);

    } else {
        ngx_http_taskforge_permits_settle_all(of, NGX_DECLINED, now);
    }
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
    of->host_moment = 0;
    of->answers++;

    return NGX_OK;
}


/*
 * The host counts with: what it let in while it could not ask is not known
 * to Redis.
 */

static void
ngx_http_taskforge_permits_count(ngx_http_taskforge_permits_of_t *of,
    int64_t now)
{
    ngx_uint_t                         n;
    ngx_http_taskforge_limit_local_t   local;

    if (of->granted == 0) {
        return;
    }

    n = ngx_http_taskforge_limit_local_take(of->permits->zone, of->quota,
                                            &of->sn.str, of->granted,
                                            of->quota->lease, &local);

    if (n < of->granted) {
        ngx_http_taskforge_permits_hold(of, of->granted - n);
        ngx_http_taskforge_permits_give_back(of);

        of->granted = n;
        of->next_at = ngx_max(of->next_at, now + (int64_t) local.next);
    }

    of->free = ngx_min(of->free, local.free);
    of->host_moment = local.moment;
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


void
ngx_http_taskforge_permits_give_back(ngx_http_taskforge_permits_of_t *of)
{
    if (of->spare) {
        (void) ngx_http_taskforge_permits_send(of, 0, 0);
    }
}


void
ngx_http_taskforge_permits_late(ngx_event_t *ev)
{
    ngx_http_taskforge_permits_of_t  *of;

    of = ev->data;
    of->late = 1;

    ngx_http_taskforge_permits_settle_all(of, NGX_DECLINED,
                                          ngx_http_taskforge_permits_now());
}
