
/*
 * The routes that read jobs.
 */

#ifndef _NGX_HTTP_TASKFORGE_JOBS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_JOBS_H_INCLUDED_


#include "ngx_http_taskforge_pg.h"


extern const ngx_str_t  ngx_http_taskforge_list_args[];
extern const ngx_str_t  ngx_http_taskforge_logs_args[];


/* GET /jobs */
void ngx_http_taskforge_jobs_list(ngx_http_request_t *r);

/* GET /jobs/{id} */
void ngx_http_taskforge_jobs_get(ngx_http_request_t *r);

/* GET /jobs/{id}/logs */
void ngx_http_taskforge_jobs_logs(ngx_http_request_t *r);

/* GET /jobs/metrics/summary */
void ngx_http_taskforge_jobs_summary(ngx_http_request_t *r);


/*
 * A decimal number of a query parameter, from min to max.  Not given: the
 * fallback.  Otherwise wrong: a member is added to errors.
 */

ngx_int_t ngx_http_taskforge_arg_int(ngx_http_taskforge_ctx_t *ctx,
    const char *name, ngx_int_t min, ngx_int_t max, ngx_int_t fallback,
    tf_buf_t *errors);


/*
 * The statement that reads one job whole, $1 id, and the answer made of its
 * result: the job, 404, or what pg_check answers.
 */

extern const tf_sql_t  ngx_http_taskforge_jobs_sql;

void ngx_http_taskforge_jobs_reply(ngx_http_request_t *r, PGresult *res);


/*
 * Location of a new job, and $taskforge_job_id.  NGX_ERROR: the request has
 * been answered.
 */

ngx_int_t ngx_http_taskforge_jobs_location(ngx_http_request_t *r,
    const uint8_t id[16]);


/* 404 */

void ngx_http_taskforge_jobs_not_found(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_JOBS_H_INCLUDED_ */
