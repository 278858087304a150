
/*
 * What Redis hears of jobs: an entry in the job's stream, and events, many in
 * one entry; and of orders to workers.
 */

#ifndef _NGX_HTTP_TASKFORGE_PUBLISH_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PUBLISH_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* Events that are not sent yet; zeroed to begin with. */

typedef struct {
    tf_buf_t                      events;
    ngx_uint_t                    nevents;
} ngx_http_taskforge_publish_t;


/*
 * Puts a committed job on its stream if it is QUEUED, and adds its event,
 * dated now (microseconds since 1970).  Redis may refuse or be away:
 * reconcile finds the job in PostgreSQL.
 */

void ngx_http_taskforge_publish(ngx_http_taskforge_publish_t *pub,
    ngx_http_taskforge_redis_t *redis, const tf_job_t *job, int64_t now);


/* Sends the events added so far. */

void ngx_http_taskforge_publish_flush(ngx_http_taskforge_publish_t *pub,
    ngx_http_taskforge_redis_t *redis);


/* Both, for the one job that a request has made or changed. */

void ngx_http_taskforge_publish_job(ngx_http_request_t *r,
    const tf_job_t *job);


/*
 * After a commit: the worker of that incarnation (0: every worker) shall look
 * into PostgreSQL for what is wanted of it or of its jobs.  Redis away: it
 * looks with its next heartbeat.
 */

void ngx_http_taskforge_publish_order(ngx_http_taskforge_redis_t *redis,
    int64_t incarnation);


#endif /* _NGX_HTTP_TASKFORGE_PUBLISH_H_INCLUDED_ */
