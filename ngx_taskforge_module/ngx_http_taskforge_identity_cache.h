
/*
 * The memory of a worker process: identities by the hash of their
 * credential, the requests that hold one for long, and what connects both to
 * the notifications.
 */

#ifndef _NGX_HTTP_TASKFORGE_IDENTITY_CACHE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_IDENTITY_CACHE_H_INCLUDED_


#include "ngx_http_taskforge_identity.h"
#include "ngx_http_taskforge_pg.h"


/* milliseconds that an entry is believed while notifications may be missing */
#define NGX_HTTP_TASKFORGE_IDENTITY_BLIND  3000

/* API keys whose use is noted in one statement */
#define NGX_HTTP_TASKFORGE_IDENTITY_USED   256


typedef struct ngx_http_taskforge_identity_entry_s
    ngx_http_taskforge_identity_entry_t;


struct ngx_http_taskforge_identity_entry_s {
    ngx_queue_t                            queue;     /* last used first */
    ngx_http_taskforge_identity_entry_t   *next;      /* of the bucket */
    uint8_t                                hash[32];
    ngx_msec_t                             asked;     /* PostgreSQL */
    time_t                                 used;      /* noted, of a key */
    ngx_http_taskforge_identity_t          identity;
};


struct ngx_http_taskforge_identities_s {
    ngx_http_taskforge_main_conf_t        *mcf;
    ngx_log_t                             *log;

    ngx_http_taskforge_identity_entry_t  **buckets;
    ngx_uint_t                             nbuckets;  /* a power of two */
    ngx_queue_t                            entries;
    ngx_uint_t                             count;
    ngx_uint_t                             capacity;

    /* changes with every change that is heard of */
    ngx_uint_t                             generation;

    /* all that was notified before is known */
    ngx_msec_t                             heard;

    ngx_queue_t                            sessions;
    ngx_event_t                            timer;

    uint8_t                                used
                                           [NGX_HTTP_TASKFORGE_IDENTITY_USED]
                                           [16];
    ngx_uint_t                             nused;
    time_t                                 flushed;
};


/* NULL: not there, expired, or no longer to be believed. */

ngx_http_taskforge_identity_t *ngx_http_taskforge_identity_cache_find(
    ngx_http_taskforge_identities_t *ids, const uint8_t hash[32]);


/*
 * Keeps an identity that PostgreSQL was asked for at `asked`; the entry used
 * longest ago goes when the cache is full.  Without memory it is not kept.
 */

void ngx_http_taskforge_identity_cache_add(
    ngx_http_taskforge_identities_t *ids, const uint8_t hash[32],
    const ngx_http_taskforge_identity_t *identity, ngx_msec_t asked);


/* Sees the second hand: what has expired is closed; rechecks sessions. */

void ngx_http_taskforge_identity_sessions_expire(
    ngx_http_taskforge_identities_t *ids);

void ngx_http_taskforge_identity_sessions_check(
    ngx_http_taskforge_identities_t *ids);


/* kind 'u', 'f', 'k' and an id as in a notification. */

void ngx_http_taskforge_identity_sessions_drop(
    ngx_http_taskforge_identities_t *ids, u_char kind, const uint8_t id[16]);


/* Does a notification concern the identity? */

ngx_uint_t ngx_http_taskforge_identity_concerns(
    const ngx_http_taskforge_identity_t *identity, u_char kind,
    const uint8_t id[16]);


#endif /* _NGX_HTTP_TASKFORGE_IDENTITY_CACHE_H_INCLUDED_ */
