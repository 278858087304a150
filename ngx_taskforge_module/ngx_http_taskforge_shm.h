
/*
 * The shared memory zone: what the worker processes of one nginx know in
 * common.  It survives a reload, not a restart.
 */

#ifndef _NGX_HTTP_TASKFORGE_SHM_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SHM_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


#define NGX_HTTP_TASKFORGE_WS_SLOTS  512


/* What subscribers listen to: a channel of nchan's each. */

typedef enum {
    NGX_HTTP_TASKFORGE_CHANNEL_EVENTS = 0,
    NGX_HTTP_TASKFORGE_CHANNEL_STATS,
    NGX_HTTP_TASKFORGE_CHANNELS
} ngx_http_taskforge_channel_e;


/*
 * Of one worker process: how many subscribers it has.  The relay frees the
 * slot of a process that died without doing so.
 */

typedef struct {
    ngx_atomic_t                  pid;          /* 0: free */
    ngx_atomic_t                  counts[NGX_HTTP_TASKFORGE_CHANNELS];
} ngx_http_taskforge_ws_slot_t;


/*
 * Which worker process relays events and numbers, and how far it got; written
 * by that process only, but for the election.
 */

typedef struct {
    ngx_atomic_t                  pid;          /* 0: free */
    ngx_atomic_t                  heartbeat;    /* ngx_current_msec */

    uint64_t                      ms;           /* id of the last entry of */
    uint64_t                      seq;          /*   tf:events taken */
    ngx_atomic_t                  known;        /* 0: there is no position,
                                                   1: a moment, 2: an entry */
    ngx_atomic_t                  unacked;      /* messages nchan may or may
                                                   not have */
    ngx_atomic_t                  resync;       /* subscribers must be told */
    ngx_atomic_t                  stats_at;     /* ngx_current_msec when the
                                                   numbers were last read */
    ngx_atomic_t                  nchan_at;     /* ngx_time() when nchan was
                                                   last connected */
    ngx_atomic_t                  bytes[NGX_HTTP_TASKFORGE_CHANNELS];
                                                /* published, with headers */

    ngx_http_taskforge_ws_slot_t  slots[NGX_HTTP_TASKFORGE_WS_SLOTS];
} ngx_http_taskforge_relay_shm_t;


#define NGX_HTTP_TASKFORGE_QUEUE_RULES      128
#define NGX_HTTP_TASKFORGE_QUEUE_PROCESSES  64


/*
 * A queue that submits must look at, because it has a limit or is draining.
 * At most base + settled + the sum of pending of its jobs wait: those that
 * PostgreSQL had counted, those that this host has committed since, and those
 * on their way.  See ngx_http_taskforge_queue_rules.h.
 */

typedef struct {
    ngx_atomic_t                  len;          /* of the name; 0: free */
    u_char                        name[TF_QUEUE_NAME_MAX];
    ngx_atomic_t                  limit;        /* 0: none */
    ngx_atomic_t                  draining;
    ngx_atomic_t                  base;         /* counted, less settled at
                                                   that time; wraps */
    ngx_atomic_t                  settled;
    ngx_atomic_t                  pending[NGX_HTTP_TASKFORGE_QUEUE_PROCESSES];
} ngx_http_taskforge_queue_rule_t;


typedef struct {
    ngx_atomic_t                  ready;        /* has been read */
    ngx_atomic_t                  read_at;      /* ngx_current_msec */
    ngx_atomic_t                  changes;      /* made by this host */
    ngx_atomic_t                  readings;     /* begun */
    ngx_atomic_t                  taken;        /* number of the one below */
    ngx_atomic_t                  nactive;      /* rules that say something */
    ngx_atomic_t                  nused;        /* no rule lies behind these */

    /* who has which place in pending */
    ngx_atomic_t                  pids[NGX_HTTP_TASKFORGE_QUEUE_PROCESSES];

    ngx_http_taskforge_queue_rule_t
                                  rules[NGX_HTTP_TASKFORGE_QUEUE_RULES];
} ngx_http_taskforge_queue_rules_shm_t;


struct ngx_http_taskforge_shm_s {
    ngx_atomic_t                    redis_dropped_at;
                                            /* ngx_time() when Redis last did
                                               not take a command */
    ngx_http_taskforge_relay_shm_t  relay;
    ngx_http_taskforge_queue_rules_shm_t
                                    queues;
};


/* Declares the zone at configuration time. NULL: logged. */

ngx_shm_zone_t *ngx_http_taskforge_shm_add(ngx_conf_t *cf, ngx_str_t *name,
    size_t size);


/* The zone's content, of a running process. */

#define ngx_http_taskforge_shm(mcf)                                           \
    ((ngx_http_taskforge_shm_t *) (mcf)->shm_zone->data)


#endif /* _NGX_HTTP_TASKFORGE_SHM_H_INCLUDED_ */
