
/*
 * The limits of this host alone, in shared memory: they count while Redis is
 * away.
 */

#ifndef _NGX_HTTP_TASKFORGE_LIMIT_LOCAL_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_LIMIT_LOCAL_H_INCLUDED_


#include "ngx_http_taskforge_permits.h"


/* Declares the zone at configuration time, about 1 KB per subject. */

ngx_shm_zone_t *ngx_http_taskforge_limit_local_add(ngx_conf_t *cf,
    size_t size);


/*
 * NGX_OK or NGX_BUSY, with remaining and next of the permit.  When the zone
 * is full, the subject that was not seen for longest is forgotten.
 */

ngx_int_t ngx_http_taskforge_limit_local_take(ngx_shm_zone_t *zone,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key,
    ngx_http_taskforge_permit_t *permit);


#endif /* _NGX_HTTP_TASKFORGE_LIMIT_LOCAL_H_INCLUDED_ */
