
/*
 * Idempotency keys: the same submission twice is one job.  The rule is kept
 * by PostgreSQL, in the transaction of the submit (tf_sql_submit_full);
 * here keys are read, and answered with what was there before.
 */

#ifndef _NGX_HTTP_TASKFORGE_IDEMPOTENCY_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_IDEMPOTENCY_H_INCLUDED_


#include "ngx_http_taskforge_insert.h"


/*
 * Takes the key of a checked submission from the body, or where single from
 * the header Idempotency-Key, and fills ins->request_hash.  text: of the
 * submission; prefix: of pointers.  NGX_DECLINED: not valid, errors say why; NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_taskforge_idempotency_take(ngx_http_request_t *r,
    tf_str_t text, const char *prefix, ngx_uint_t single,
    ngx_http_taskforge_insert_t *ins, tf_buf_t *errors);


/*
 * Looks up what was submitted first, for the jobs whose rc is NGX_DONE, then
 * calls handler, where those have the first job with rc NGX_DONE (valid
 * during the call), NGX_ABORT: the key was used for another submission, or
 * NGX_ERROR: the job was deleted since.
 *
 * NGX_OK: there are none, go on.  NGX_AGAIN: handler will be called, unless
 * the request ends or is answered with an error first.
 */

ngx_int_t ngx_http_taskforge_idempotency_replay(ngx_http_request_t *r,
    ngx_http_taskforge_insert_group_t *group,
    void (*handler)(ngx_http_request_t *r));


/* The problem of a job whose key was used before; its status in *status. */

const char *ngx_http_taskforge_idempotency_problem(ngx_int_t rc,
    ngx_uint_t *status);


#endif /* _NGX_HTTP_TASKFORGE_IDEMPOTENCY_H_INCLUDED_ */
