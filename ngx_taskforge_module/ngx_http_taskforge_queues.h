
/*
 * Queues: what waits in them, and what an admin decides about them.
 */

#ifndef _NGX_HTTP_TASKFORGE_QUEUES_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_QUEUES_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


extern const ngx_str_t  ngx_http_taskforge_queues_args[];


/* GET /queues */
void ngx_http_taskforge_queues_list(ngx_http_request_t *r);

/* GET /queues/{name} */
void ngx_http_taskforge_queues_get(ngx_http_request_t *r);

/* PATCH /queues/{name} */
void ngx_http_taskforge_queues_change(ngx_http_request_t *r);

/* POST /queues/{name}/pause */
void ngx_http_taskforge_queues_pause(ngx_http_request_t *r);

/* POST /queues/{name}/resume */
void ngx_http_taskforge_queues_resume(ngx_http_request_t *r);

/* POST /queues/{name}/drain */
void ngx_http_taskforge_queues_drain(ngx_http_request_t *r);


/* Answers with the queue of the path, read anew. */

void ngx_http_taskforge_queues_reply(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_QUEUES_H_INCLUDED_ */
