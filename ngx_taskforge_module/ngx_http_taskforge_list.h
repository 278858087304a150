
#ifndef _NGX_HTTP_TASKFORGE_LIST_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_LIST_H_INCLUDED_


#include "ngx_http_taskforge_module.h"
#include "job_filter.h"


/* A request for a page of jobs, in its pool. */

typedef struct {
    ngx_http_request_t        *request;
    ngx_http_taskforge_ctx_t  *ctx;

    tf_buf_t                   errors;
    tf_buf_t                   total;     /* the statement that counts */
    tf_buf_t                   out;       /* the answer */
    ngx_int_t                  limit;
    uint8_t                    cursor[16];
    uint8_t                    rest[16];  /* searched down to this id */

    tf_job_filter_t            filter;
    tf_job_where_t             where;
    int                        ntotal;    /* parameters of total */

    unsigned                   count:1;
    unsigned                   has_cursor:1;
    unsigned                   has_rest:1;
} ngx_http_taskforge_list_t;


/* Can it be that no index leads to what is asked for?  An id needs none. */
ngx_uint_t ngx_http_taskforge_list_searches(ngx_http_taskforge_list_t *l);

/*
 * Searches for the page and sends its statement.  A request searches only so
 * far; then "rest" is the id before which the next one goes on, however few
 * jobs were found.
 */
void ngx_http_taskforge_list_search(ngx_http_taskforge_list_t *l);

/* Sends the statement of the page, and frees its text. */
void ngx_http_taskforge_list_send(ngx_http_taskforge_list_t *l,
    tf_buf_t *text);

/* Was there no memory for a statement?  Then it is answered. */
ngx_uint_t ngx_http_taskforge_list_failed(ngx_http_taskforge_list_t *l,
    tf_buf_t *text);


#endif /* _NGX_HTTP_TASKFORGE_LIST_H_INCLUDED_ */
