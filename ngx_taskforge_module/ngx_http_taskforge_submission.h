
/*
 * One request that submits jobs, between its two halves: checking and waiting
 * (ngx_http_taskforge_submit.c), answering (ngx_http_taskforge_submit_reply.c).
 */

#ifndef _NGX_HTTP_TASKFORGE_SUBMISSION_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SUBMISSION_H_INCLUDED_


#include "ngx_http_taskforge_insert.h"
#include "ngx_http_taskforge_queue_rules.h"
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

    /* the place that each job holds in its queue; NULL: none holds one */
    ngx_uint_t                         *places;

    ngx_http_taskforge_types_wait_t     wait;
    ngx_http_taskforge_queue_rules_wait_t
                                        rules_wait;

    unsigned                            batch:1;
    unsigned                            unknown:1;     /* a type */
    unsigned                            waiting:1;     /* for the types */
    unsigned                            waited:1;
    unsigned                            rules_waiting:1;
    unsigned                            committing:1;
    unsigned                            committed:1;   /* all are settled */
} ngx_http_taskforge_submission_t;


/*
 * Asks the queues of the jobs that are valid.  Where one refuses, the job's rc
 * becomes a status and nvalid is one less.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_taskforge_submit_admit(
    ngx_http_taskforge_submission_t *sub);

/* After it: the jobs are settled, or will not be sent. */

void ngx_http_taskforge_submit_leave(ngx_http_taskforge_submission_t *sub);

/*
 * Answers with the first refusal of a queue.  NGX_DECLINED: there is none.
 */

ngx_int_t ngx_http_taskforge_submit_refused(
    ngx_http_taskforge_submission_t *sub);

/* What a refusal says. */

const char *ngx_http_taskforge_submit_refusal(ngx_int_t status);


/* Each answers the request.  What its jobs have is in group.jobs[].rc. */

void ngx_http_taskforge_submit_reply_one(ngx_http_taskforge_submission_t *sub);
void ngx_http_taskforge_submit_reply_batch(
    ngx_http_taskforge_submission_t *sub);

/* 422 with errors */
void ngx_http_taskforge_submit_invalid(ngx_http_taskforge_submission_t *sub);

/* 503 */
void ngx_http_taskforge_submit_busy(ngx_http_taskforge_submission_t *sub);


#endif /* _NGX_HTTP_TASKFORGE_SUBMISSION_H_INCLUDED_ */
