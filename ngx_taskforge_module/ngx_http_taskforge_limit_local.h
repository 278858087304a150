
/*
 * What this host lets in, in shared memory: all of it, so that nothing is
 * counted twice or not at all when Redis comes or goes.
 */

#ifndef _NGX_HTTP_TASKFORGE_LIMIT_LOCAL_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_LIMIT_LOCAL_H_INCLUDED_


#include "ngx_http_taskforge_permits.h"


/* Of a subject, after the call. */

typedef struct {
    ngx_uint_t                        free;       /* permits */
    ngx_msec_t                        next;       /* ms until some come back */
    int64_t                           moment;     /* for give_back */
} ngx_http_taskforge_limit_local_t;


/* Declares the zone at configuration time, 2 KB per subject. */

ngx_shm_zone_t *ngx_http_taskforge_limit_local_add(ngx_conf_t *cf,
    size_t size);


/*
 * Counts up to n permits that may be used for lease ms from now, 0: now or
 * never.  Returns how many were granted.  n 0 only looks.  When the zone is
 * full, the subject that was not seen for longest is forgotten.
 */

ngx_uint_t ngx_http_taskforge_limit_local_take(ngx_shm_zone_t *zone,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key, ngx_uint_t n,
    ngx_msec_t lease, ngx_http_taskforge_limit_local_t *local);


/* n of the permits of one take were not used. */

void ngx_http_taskforge_limit_local_give_back(ngx_shm_zone_t *zone,
    ngx_str_t *key, int64_t moment, ngx_uint_t n);


#endif /* _NGX_HTTP_TASKFORGE_LIMIT_LOCAL_H_INCLUDED_ */
