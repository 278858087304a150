
/*
 * May the jobs of a request come into their queues?
 */

#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_submission.h"


/* Retry-After, in seconds */
#define NGX_HTTP_TASKFORGE_QUEUE_FULL      5
#define NGX_HTTP_TASKFORGE_QUEUE_DRAINING  30


ngx_int_t
ngx_http_taskforge_submit_admit(ngx_http_taskforge_submission_t *sub)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_http_taskforge_insert_t  *ins;

    if (!ngx_http_taskforge_queue_rules_active(sub->mcf->queue_rules)) {
        return NGX_OK;
    }

    sub->places = ngx_pcalloc(sub->request->pool,
                              sub->group.njobs * sizeof(ngx_uint_t));
    if (sub->places == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < sub->group.njobs; i++) {
        ins = &sub->group.jobs[i];

        if (ins->rc != NGX_OK) {
            continue;
        }

        rc = ngx_http_taskforge_queue_rules_enter(sub->mcf->queue_rules,
                                                  &ins->job.queue,
                                                  &sub->places[i]);
        if (rc == NGX_OK) {
            continue;
        }

        ins->rc = (rc == NGX_BUSY) ? NGX_HTTP_TOO_MANY_REQUESTS
                                   : NGX_HTTP_SERVICE_UNAVAILABLE;
        sub->nvalid--;
    }

    return NGX_OK;
}


void
ngx_http_taskforge_submit_leave(ngx_http_taskforge_submission_t *sub)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    if (sub->places == NULL) {
        return;
    }

    for (i = 0; i < sub->group.njobs; i++) {
        if (sub->places[i]) {
            rc = sub->group.jobs[i].rc;

            /* a job whose outcome is not known may be waiting */

            ngx_http_taskforge_queue_rules_leave(sub->mcf->queue_rules,
                                          sub->places[i],
                                          sub->committed
                                          && (rc == NGX_OK
                                              || rc == NGX_AGAIN));
        }
    }

    sub->places = NULL;
}


ngx_int_t
ngx_http_taskforge_submit_refused(ngx_http_taskforge_submission_t *sub)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < sub->group.njobs; i++) {
        rc = sub->group.jobs[i].rc;

        if (rc > 0) {
            ngx_http_taskforge_retry_after(sub->request, rc,
                                    rc == NGX_HTTP_TOO_MANY_REQUESTS
                                    ? NGX_HTTP_TASKFORGE_QUEUE_FULL
                                    : NGX_HTTP_TASKFORGE_QUEUE_DRAINING,
                                    ngx_http_taskforge_submit_refusal(rc));
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


const char *
ngx_http_taskforge_submit_refusal(ngx_int_t status)
{
    return (status == NGX_HTTP_TOO_MANY_REQUESTS)
               ? "the queue is full: as many jobs wait as its max_length allows"
               : "the queue is draining: it takes no new jobs";
}
