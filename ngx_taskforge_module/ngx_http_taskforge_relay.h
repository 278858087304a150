
/*
 * The relay: one worker process of this nginx reads the events out of Redis
 * and publishes them into nchan, and likewise the numbers of GET /stats.  It
 * is elected in shared memory, and it transfers either only while somebody on
 * this host listens; connected to nchan it is all the time, so that /health
 * can tell.
 *
 * _relay.c: the election and publishing; _relay_stream.c: the position in the
 * stream and reading from there; _relay_stats.c: the numbers; _relay_slots.c:
 * who listens; _relay_conf.c: the directive.
 */

#ifndef _NGX_HTTP_TASKFORGE_RELAY_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_RELAY_H_INCLUDED_


#include "ngx_http_taskforge_events.h"
#include "ngx_http_taskforge_shm.h"
#include "ngx_http_taskforge_stats.h"
#include "ngx_http_taskforge_subscriber.h"
#include "ngx_http_taskforge_wsclient.h"


typedef struct {
    ngx_flag_t                       enabled;
    ngx_url_t                        url;
    ngx_str_t                        uri;
    ngx_str_t                        stats_uri;
    ngx_uint_t                       rate;       /* messages per second */
    ngx_msec_t                       lag;

    /* of this process */
    struct ngx_http_taskforge_relay_s
                                    *relay;
    ngx_http_taskforge_subscribers_t subscribers;
} ngx_http_taskforge_relay_conf_t;


/* The numbers, on their way to nchan. */

typedef struct {
    ngx_http_taskforge_wsclient_t   *ws;
    ngx_http_taskforge_stats_t       reading;
} ngx_http_taskforge_relay_stats_t;


typedef struct ngx_http_taskforge_relay_s {
    ngx_http_taskforge_relay_conf_t *conf;
    ngx_http_taskforge_relay_shm_t  *shm;
    ngx_http_taskforge_redis_t      *redis;
    ngx_http_taskforge_wsclient_t   *ws;
    ngx_http_taskforge_relay_stats_t stats;
    ngx_http_taskforge_main_conf_t  *mcf;
    ngx_event_t                      timer;
    ngx_log_t                       *log;

    ngx_uint_t                       subscribers;  /* seen by the last tick */
    time_t                           reaped;

    /* publishing */
    tf_buf_t                         text;         /* one message */
    uint64_t                         tokens;       /* thousandths of one */
    ngx_msec_t                       tokens_at;
    ngx_msec_t                       drain_until;

    /* reading */
    ngx_uint_t                       owed;         /* replies */
    ngx_uint_t                       asked;        /* entries */
    ngx_uint_t                       got;
    ngx_msec_t                       got_at;
    ngx_msec_t                       wait_until;
    ngx_msec_t                       idle_until;
    int64_t                          length;       /* of the stream; -1: ? */
    ngx_http_taskforge_stream_id_t   first;        /* 0-0: it is empty */
    ngx_http_taskforge_stream_id_t   last;

    unsigned                         holder:1;
    unsigned                         leaving:1;    /* only acks are awaited */
    unsigned                         connected:1;  /* to nchan */
    unsigned                         looked:1;     /* the position is sound */
    unsigned                         skip:1;       /* too far behind */
} ngx_http_taskforge_relay_t;


/* What a position is: nothing yet, a moment, or an entry that existed. */

#define NGX_HTTP_TASKFORGE_RELAY_NOWHERE  0
#define NGX_HTTP_TASKFORGE_RELAY_MOMENT   1
#define NGX_HTTP_TASKFORGE_RELAY_ENTRY    2


extern ngx_module_t  ngx_http_taskforge_relay_module;


/*
 * A subscriber comes (before it is connected to nchan) and goes.  NGX_ERROR:
 * there are too many worker processes, most of them shutting down.
 */

ngx_int_t ngx_http_taskforge_relay_enter(ngx_http_taskforge_relay_shm_t *shm,
    ngx_http_taskforge_channel_e channel);
void ngx_http_taskforge_relay_leave(ngx_http_taskforge_relay_shm_t *shm,
    ngx_http_taskforge_channel_e channel);

/* All subscribers of this process are gone. */

void ngx_http_taskforge_relay_forget(ngx_http_taskforge_relay_shm_t *shm);

/* Has the worker process ended? */

ngx_uint_t ngx_http_taskforge_relay_dead(ngx_atomic_uint_t pid);


/* Configuration: the directive and its defaults. */

void *ngx_http_taskforge_relay_create_conf(ngx_conf_t *cf);
char *ngx_http_taskforge_relay_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_taskforge_relay_check(ngx_conf_t *cf);


/* Does what can be done now; called whenever something has changed. */

void ngx_http_taskforge_relay_run(ngx_http_taskforge_relay_t *relay);

/* Subscribers of all worker processes that live, counted now. */

ngx_uint_t ngx_http_taskforge_relay_count(ngx_http_taskforge_relay_t *relay,
    ngx_http_taskforge_channel_e channel);

/* {"event":"resync"}, if it is due. */

void ngx_http_taskforge_relay_resync(ngx_http_taskforge_relay_t *relay);

/* Queues all events of an entry; flush follows. */

void ngx_http_taskforge_relay_publish(ngx_http_taskforge_relay_t *relay,
    ngx_http_taskforge_entry_t *entry);


/*
 * The position becomes a moment, milliseconds since 1970: just before it, so
 * that an entry of this very millisecond comes after it.
 */

void ngx_http_taskforge_relay_moment(ngx_http_taskforge_relay_t *relay,
    int64_t now_ms);


/*
 * The three things that can be asked of Redis, one at a time; each calls run
 * when it is done.  idle: nobody listens, remember the moment.  look: does
 * the stream still hold what follows the position.  read: the next entries,
 * waits for them.
 */

void ngx_http_taskforge_relay_stream_idle(ngx_http_taskforge_relay_t *relay);
void ngx_http_taskforge_relay_stream_look(ngx_http_taskforge_relay_t *relay);
void ngx_http_taskforge_relay_stream_read(ngx_http_taskforge_relay_t *relay,
    ngx_uint_t entries);


/*
 * The numbers of GET /stats: init when the process starts (NGX_ERROR: no
 * memory); run by each tick of the process that relays, which reads and
 * publishes them when they are due and somebody listens; end when it relays
 * no longer, harmless at any time.
 */

ngx_int_t ngx_http_taskforge_relay_stats_init(
    ngx_http_taskforge_relay_t *relay, ngx_cycle_t *cycle);
void ngx_http_taskforge_relay_stats_run(ngx_http_taskforge_relay_t *relay);
void ngx_http_taskforge_relay_stats_end(ngx_http_taskforge_relay_t *relay);


#endif /* _NGX_HTTP_TASKFORGE_RELAY_H_INCLUDED_ */
