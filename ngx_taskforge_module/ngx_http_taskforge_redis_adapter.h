
/*
 * The adapter between hiredis and nginx's event loop.
 */

#ifndef _NGX_HTTP_TASKFORGE_REDIS_ADAPTER_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_REDIS_ADAPTER_H_INCLUDED_


#include <hiredis/hiredis.h>
#include <hiredis/async.h>

#include "ngx_http_taskforge_module.h"


typedef struct {
    redisAsyncContext   *ac;
    ngx_connection_t    *c;

    /*
     * Set by the owner.  Called when hiredis lets go of the socket, whether
     * it was lost or the context is freed: ac must not be used any more.
     * why is hiredis' text, maybe empty.
     */

    void               (*closed)(void *data, const char *why);
    void                *data;
} ngx_http_taskforge_redis_adapter_t;


/*
 * The events of ac become those of an nginx connection.  NGX_ERROR: there is
 * no free connection; ac is as it was.
 */

ngx_int_t ngx_http_taskforge_redis_attach(
    ngx_http_taskforge_redis_adapter_t *ra, redisAsyncContext *ac,
    ngx_log_t *log);


#endif /* _NGX_HTTP_TASKFORGE_REDIS_ADAPTER_H_INCLUDED_ */
