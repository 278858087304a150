
/*
 * Rate limits: taskforge_limit in a location, and taskforge_limit_failed.
 * See docs/limits.md.
 */

#ifndef _NGX_HTTP_TASKFORGE_LIMIT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_LIMIT_H_INCLUDED_


#include "ngx_http_taskforge_permits.h"


typedef enum {
    NGX_HTTP_TASKFORGE_LIMIT_BY_USER = 0,
    NGX_HTTP_TASKFORGE_LIMIT_BY_KEY,
    NGX_HTTP_TASKFORGE_LIMIT_BY_ADDRESS
} ngx_http_taskforge_limit_by_e;


typedef struct {
    ngx_str_t                         name;
    ngx_http_taskforge_quota_t        quota;
    ngx_http_taskforge_limit_by_e     by;
    ngx_uint_t                        roles;      /* bits; 0: everybody */
} ngx_http_taskforge_limit_t;


typedef struct {
    ngx_shm_zone_t                   *zone;
    size_t                            zone_size;
    ngx_uint_t                        used;
    ngx_http_taskforge_quota_t        failed;     /* quota 0: off */

    /* of this worker process */
    ngx_http_taskforge_permits_t     *permits;
} ngx_http_taskforge_limit_main_conf_t;


typedef struct {
    ngx_array_t                      *limits;     /* NULL: none */
} ngx_http_taskforge_limit_loc_conf_t;


extern ngx_module_t  ngx_http_taskforge_limit_module;


/*
 * Called by the access phase when the caller is known.  Adds the RateLimit
 * headers to the answer.  NGX_OK: go on.  NGX_AGAIN: Redis is asked, the
 * phases of the request run again later.  Else the status of the answer.
 * ctx may be NULL where nobody can log in.
 */

ngx_int_t ngx_http_taskforge_limit(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx);


/*
 * Credentials that were refused, counted in the shared memory of the host:
 * no good one ever waits for Redis.  user: whom a signed token names; NULL:
 * anybody could have made it up, so the client's address counts.  With count
 * 0 it is only looked at: ask before anything costly is looked up.  Returns
 * 0, or in how many seconds the next one may fail; then it is not counted.
 */

ngx_uint_t ngx_http_taskforge_limit_failed(ngx_http_request_t *r,
    const uint8_t *user, ngx_uint_t count);


/* The client's address in hex, of IPv6 the /64; out: 16 bytes.  The length. */

size_t ngx_http_taskforge_limit_address(ngx_http_request_t *r, u_char *out);


#endif /* _NGX_HTTP_TASKFORGE_LIMIT_H_INCLUDED_ */
