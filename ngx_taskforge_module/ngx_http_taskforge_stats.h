
/*
 * GET /stats, GET /stats/history: the numbers of a dashboard, from counters
 * alone.
 */

#ifndef _NGX_HTTP_TASKFORGE_STATS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_STATS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


extern const ngx_str_t  ngx_http_taskforge_history_args[];


void ngx_http_taskforge_stats(ngx_http_request_t *r);
void ngx_http_taskforge_history(ngx_http_request_t *r);


/* Of job_throughput: 2^64 microseconds would be bucket 256. */

#define NGX_HTTP_TASKFORGE_BUCKETS  256


/* The p-th (0 to 1) duration in seconds; NAN where there is none. */

double ngx_http_taskforge_percentile(const int64_t *buckets, double p);


#endif /* _NGX_HTTP_TASKFORGE_STATS_H_INCLUDED_ */
