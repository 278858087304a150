
/*
 * Worker daemons: what they are and do, and what an admin tells them.
 */

#ifndef _NGX_HTTP_TASKFORGE_WORKERS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WORKERS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


extern const ngx_str_t  ngx_http_taskforge_workers_args[];


/* GET /workers */
void ngx_http_taskforge_workers_list(ngx_http_request_t *r);

/* GET /workers/{id} */
void ngx_http_taskforge_workers_get(ngx_http_request_t *r);

/* DELETE /workers/{id} */
void ngx_http_taskforge_workers_delete(ngx_http_request_t *r);

/* POST /workers/{id}/quiet */
void ngx_http_taskforge_workers_quiet(ngx_http_request_t *r);

/* POST /workers/{id}/resume */
void ngx_http_taskforge_workers_resume(ngx_http_request_t *r);

/* POST /workers/{id}/stop */
void ngx_http_taskforge_workers_stop(ngx_http_request_t *r);

/* POST /workers/{id}/concurrency */
void ngx_http_taskforge_workers_concurrency(ngx_http_request_t *r);


/* Answers with the worker of the path, read anew. */

void ngx_http_taskforge_workers_reply(ngx_http_request_t *r,
    ngx_uint_t status);


#endif /* _NGX_HTTP_TASKFORGE_WORKERS_H_INCLUDED_ */
