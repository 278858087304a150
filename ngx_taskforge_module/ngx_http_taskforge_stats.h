
/*
 * GET /stats, GET /stats/history: the numbers of a dashboard, from counters
 * alone.
 *
 * _stats.c: GET /stats; _stats_read.c: its numbers; _relay_stats.c publishes
 * them to /ws/stats.
 */

#ifndef _NGX_HTTP_TASKFORGE_STATS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_STATS_H_INCLUDED_


#include "ngx_http_taskforge_pg.h"


extern const ngx_str_t  ngx_http_taskforge_history_args[];


void ngx_http_taskforge_stats(ngx_http_request_t *r);
void ngx_http_taskforge_history(ngx_http_request_t *r);


/* Of job_throughput: 2^64 microseconds would be bucket 256. */

#define NGX_HTTP_TASKFORGE_BUCKETS  256


/* What ended today, up to a minute that changes no more. */

struct ngx_http_taskforge_today_s {
    int64_t      day;           /* microseconds since 1970 */
    int64_t      until;
    int64_t      completed;
    int64_t      failed;
    int64_t      buckets[NGX_HTTP_TASKFORGE_BUCKETS];
};


/*
 * Called from the event loop when the numbers are there.  json: the body of
 * GET /stats, valid during the call; NULL: res says why there is none, for
 * ngx_http_taskforge_pg_verdict().
 */

typedef void (*ngx_http_taskforge_stats_pt)(void *data, PGresult *res,
    tf_buf_t *json);


/* One reading. */

typedef struct {
    ngx_http_taskforge_pg_t     *pg;
    ngx_http_taskforge_pg_op_t  *op;         /* NULL: none is under way */
    ngx_http_taskforge_stats_pt  handler;
    void                        *data;

    int64_t                      by_status[TF_STATUS_COUNT];
    int64_t                      by_level[TF_PRIORITY_MAX + 1];  /* queued */
    int64_t                      workers;
    tf_buf_t                     queues;     /* members of an object */
    ngx_uint_t                   nqueues;
    ngx_http_taskforge_today_t  *known;      /* of the process */
    ngx_http_taskforge_today_t   today;
    int64_t                      recent;
    double                       seconds;
} ngx_http_taskforge_stats_t;


/*
 * Begins a reading.  s is the caller's, must not move while s->op is set, and
 * is zeroed here.  NGX_DECLINED: there is no connection that could take the
 * statement, NGX_ERROR: no memory; the handler is not called then.
 */

ngx_int_t ngx_http_taskforge_stats_read(ngx_http_taskforge_stats_t *s,
    ngx_http_taskforge_main_conf_t *mcf, ngx_http_taskforge_stats_pt handler,
    void *data);

/* The handler will not be called any more; frees what the reading has. */

void ngx_http_taskforge_stats_forget(ngx_http_taskforge_stats_t *s);


/* The p-th (0 to 1) duration in seconds; NAN where there is none. */

double ngx_http_taskforge_percentile(const int64_t *buckets, double p);


#endif /* _NGX_HTTP_TASKFORGE_STATS_H_INCLUDED_ */
