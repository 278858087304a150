
/*
 * One request that submits jobs, between its two halves: checking and waiting
 * (ngx_http_taskforge_submit.c), answering (ngx_http_taskforge_submit_reply.c).
 */

#ifndef _NGX_HTTP_TASKFORGE_SUBMISSION_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SUBMISSION_H_INCLUDED_


#include "ngx_http_taskforge_insert.h"
#include "ngx_http_taskforge_types.h"


typedef struct {
    ngx_http_request_t                 *request;
    ngx_http_taskforge_main_conf_t     *mcf;
    json_t                             *body;

    /* the request body; jobs[].payload and .metadata point there */
    ngx_http_taskforge_insert_group_t   group;
    tf_str_t                            text;

    /* members of errors[]; spans: where those of each job are, a batch only */
    tf_buf_t                            errors;
    ngx_str_t                          *spans;
    ngx_uint_t                          nvalid;

    ngx_http_taskforge_types_wait_t     wait;

    unsigned                            batch:1;
    unsigned                            unknown:1;     /* a type */
    unsigned                            waiting:1;     /* for the types */
    unsigned                            waited:1;
    unsigned                            committing:1;
} ngx_http_taskforge_submission_t;


/* Each answers the request.  What its jobs have is in group.jobs[].rc. */

void ngx_http_taskforge_submit_reply_one(ngx_http_taskforge_submission_t *sub);
void ngx_http_taskforge_submit_reply_batch(
    ngx_http_taskforge_submission_t *sub);

/* 422 with errors */
void ngx_http_taskforge_submit_invalid(ngx_http_taskforge_submission_t *sub);

/* 503 */
void ngx_http_taskforge_submit_busy(ngx_http_taskforge_submission_t *sub);


#endif /* _NGX_HTTP_TASKFORGE_SUBMISSION_H_INCLUDED_ */
