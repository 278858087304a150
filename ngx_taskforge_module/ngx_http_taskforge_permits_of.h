
/*
 * Inside of the permits: what ngx_http_taskforge_permits.c keeps and
 * ngx_http_taskforge_permits_redis.c asks for.
 */

#ifndef _NGX_HTTP_TASKFORGE_PERMITS_OF_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PERMITS_OF_H_INCLUDED_


#include "ngx_http_taskforge_permits.h"


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
    ngx_uint_t                         answers;    /* so far */
    int64_t                            lease_end;
    int64_t                            next_at;    /* permits come back */
    int64_t                            full_until; /* not worth asking */
    int64_t                            moment;     /* until when they count */
    int64_t                            host_moment; /* on this host; 0: not */

    ngx_uint_t                         ahead;      /* reserved beyond need */

    int64_t                            asked_at;
    ngx_uint_t                         need;
    ngx_event_t                        timer;
    unsigned                           asked:1;
    unsigned                           late:1;
};


struct ngx_http_taskforge_permits_s {
    ngx_http_taskforge_main_conf_t    *mcf;
    ngx_shm_zone_t                    *zone;       /* the host's windows */
    ngx_log_t                         *log;

    ngx_rbtree_t                       tree;
    ngx_rbtree_node_t                  sentinel;
    ngx_queue_t                        lru;        /* newest first */
    ngx_uint_t                         n;
    ngx_uint_t                         capacity;

    ngx_queue_t                        holding;
    ngx_event_t                        sweep;

    /* while a new process is on its way to Redis */
    ngx_event_t                        join;
    ngx_uint_t                         joining;

    /* permits whose handler is to be called */
    ngx_queue_t                        settled;
    ngx_event_t                        settle;

    time_t                             complained;
};


/*
 * Asks Redis for those who wait and gives back what is spare.  NGX_DECLINED:
 * it cannot be asked.
 */

ngx_int_t ngx_http_taskforge_permits_ask(ngx_http_taskforge_permits_of_t *of);


/* Gives back what is spare, here and in Redis. */

void ngx_http_taskforge_permits_give_back(
    ngx_http_taskforge_permits_of_t *of);


/* Redis has taken too long. */

void ngx_http_taskforge_permits_late(ngx_event_t *ev);


/* How many are spare from now on. */

void ngx_http_taskforge_permits_hold(ngx_http_taskforge_permits_of_t *of,
    ngx_uint_t spare);


/*
 * Tells one who waits, or all, what came of it; their handlers run after the
 * events of this turn.  now: milliseconds, of permits_now.
 */

void ngx_http_taskforge_permits_settle(ngx_http_taskforge_permits_of_t *of,
    ngx_http_taskforge_permit_t *permit, ngx_int_t rc, int64_t now);

void ngx_http_taskforge_permits_settle_all(
    ngx_http_taskforge_permits_of_t *of, ngx_int_t rc, int64_t now);


#endif /* _NGX_HTTP_TASKFORGE_PERMITS_OF_H_INCLUDED_ */
