
#include "ngx_http_taskforge_insert.h"
#include "ngx_http_taskforge_insert_rows.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_publish.h"


#define NGX_HTTP_TASKFORGE_ROW_SIZE  256   /* of a row without its data */

/*
 * A batch of this many jobs tells of clients that submit one job after
 * another.  Their next ones follow their answers at once: without waiting a
 * moment for them the clients fall into two groups that take turns, and each
 * commit, whose cost is nearly fixed, serves half of them.
 */
#define NGX_HTTP_TASKFORGE_GATHER_JOBS  8
#define NGX_HTTP_TASKFORGE_GATHER_TIME  1    /* ms */


struct ngx_http_taskforge_insert_batch_s {
    ngx_http_taskforge_submit_t       *submit;
    ngx_queue_t                        jobs;
    ngx_uint_t                         njobs;
    ngx_uint_t                         pending;    /* row by row */
    unsigned                           busy:1;
    unsigned                           atomic:1;
};


struct ngx_http_taskforge_submit_s {
    ngx_http_taskforge_main_conf_t    *mcf;
    ngx_log_t                         *log;

    ngx_queue_t                        waiting;
    ngx_uint_t                         nwaiting;
    ngx_event_t                        flush;

    /* while the timer runs: how many jobs end the waiting */
    ngx_event_t                        gather;
    ngx_uint_t                         expected;

    /* as many as there are connections that write */
    ngx_http_taskforge_insert_batch_t *batches;

    ngx_http_taskforge_insert_rows_t   rows;

    ngx_http_taskforge_publish_t       publish;
};


static void ngx_http_taskforge_insert_flush(ngx_event_t *ev);
static void ngx_http_taskforge_insert_gather(
    ngx_http_taskforge_submit_t *submit, ngx_uint_t njobs);
static ngx_int_t ngx_http_taskforge_insert_fill(
    ngx_http_taskforge_submit_t *submit,
    ngx_http_taskforge_insert_batch_t *batch);
static ngx_int_t ngx_http_taskforge_insert_send(
    ngx_http_taskforge_submit_t *submit, ngx_queue_t *jobs,
    ngx_http_taskforge_pg_handler_pt handler, void *data);
static void ngx_http_taskforge_insert_done(void *data, PGresult *res);
static void ngx_http_taskforge_insert_singly(
    ngx_http_taskforge_insert_batch_t *batch);
static void ngx_http_taskforge_insert_single_done(void *data, PGresult *res);
static void ngx_http_taskforge_insert_verdicts(ngx_queue_t *jobs,
    PGresult *res, ngx_int_t rc);
static void ngx_http_taskforge_insert_settle(
    ngx_http_taskforge_submit_t *submit, ngx_queue_t *jobs);


ngx_http_taskforge_submit_t *
ngx_http_taskforge_insert_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf)
{
    ngx_uint_t                    i;
    ngx_http_taskforge_submit_t  *submit;

    submit = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_submit_t));
    if (submit == NULL) {
        return NULL;
    }

    submit->mcf = mcf;
    submit->log = cycle->log;
    ngx_queue_init(&submit->waiting);

    submit->gather.handler = ngx_http_taskforge_insert_flush;
    submit->gather.data = submit;
    submit->gather.log = cycle->log;

    submit->flush.handler = ngx_http_taskforge_insert_flush;
    submit->flush.data = submit;
    submit->flush.log = cycle->log;

    submit->batches = ngx_pcalloc(cycle->pool, mcf->write_connections
                                * sizeof(ngx_http_taskforge_insert_batch_t));
    if (submit->batches == NULL) {
        return NULL;
    }

    for (i = 0; i < mcf->write_connections; i++) {
        submit->batches[i].submit = submit;
        ngx_queue_init(&submit->batches[i].jobs);
    }

    return submit;
}


void
ngx_http_taskforge_insert_destroy(ngx_http_taskforge_submit_t *submit)
{
    if (submit->gather.timer_set) {
        ngx_del_timer(&submit->gather);
    }

    ngx_http_taskforge_insert_rows_free(&submit->rows);
    tf_buf_free(&submit->publish.events);
}


ngx_int_t
ngx_http_taskforge_insert(ngx_http_taskforge_submit_t *submit,
    ngx_http_taskforge_insert_group_t *group)
{
    ngx_uint_t                    i;
    ngx_http_taskforge_insert_t  *ins;

    if (submit == NULL
        || submit->nwaiting + group->njobs > submit->mcf->submit_queue
        || !ngx_http_taskforge_pg_ready(submit->mcf->pg,
                                        NGX_HTTP_TASKFORGE_PG_WRITE))
    {
        return NGX_BUSY;
    }

    /* all ids first: a group without one of them would be half a group */

    for (i = 0; i < group->njobs; i++) {
        if (!tf_uuid7(group->jobs[i].job.id)) {
            return NGX_BUSY;
        }
    }

    for (i = 0; i < group->njobs; i++) {
        ins = &group->jobs[i];

        if (ins->rc != NGX_OK) {
            continue;
        }

        ins->group = group;
        group->pending++;

        ngx_queue_insert_tail(&submit->waiting, &ins->queue);
        submit->nwaiting++;
    }

    /* at the end of this turn of the event loop, with what else it brings */

    if (!submit->flush.posted
        && (!submit->gather.timer_set
            || submit->nwaiting >= submit->expected))
    {
        ngx_post_event(&submit->flush, &ngx_posted_events);
    }

    return NGX_OK;
}


static void
ngx_http_taskforge_insert_flush(ngx_event_t *ev)
{
    ngx_uint_t                          i;
    ngx_queue_t                         jobs;
    ngx_http_taskforge_submit_t        *submit;
    ngx_http_taskforge_insert_batch_t  *batch;

    submit = ev->data;

    if (submit->gather.timer_set) {
        ngx_del_timer(&submit->gather);
    }

    for (i = 0; i < submit->mcf->write_connections; i++) {
        batch = &submit->batches[i];

        while (!batch->busy && !ngx_queue_empty(&submit->waiting)) {

            if (ngx_http_taskforge_insert_fill(submit, batch) == NGX_OK) {
                batch->busy = 1;
                break;
            }

            /* the database went away: nobody is left waiting for it */

            ngx_queue_init(&jobs);
            ngx_queue_add(&jobs, &batch->jobs);
            ngx_queue_init(&batch->jobs);

            ngx_http_taskforge_insert_verdicts(&jobs, NULL, NGX_AGAIN);
            ngx_http_taskforge_insert_settle(submit, &jobs);
        }
    }
}


/*
 * Takes jobs from those that wait, up to the limits of a batch, and sends
 * them.  The jobs of an atomic group are a batch of their own, whole.
 */

static ngx_int_t
ngx_http_taskforge_insert_fill(ngx_http_taskforge_submit_t *submit,
    ngx_http_taskforge_insert_batch_t *batch)
{
    size_t                              size;
    ngx_queue_t                        *q;
    ngx_http_taskforge_insert_t        *ins;
    ngx_http_taskforge_insert_group_t  *group;

    size = 0;
    group = NULL;

    batch->njobs = 0;
    batch->atomic = 0;

    while (!ngx_queue_empty(&submit->waiting)) {
        q = ngx_queue_head(&submit->waiting);
        ins = ngx_queue_data(q, ngx_http_taskforge_insert_t, queue);

        if (batch->atomic) {
            if (ins->group != group) {
                break;
            }

        } else if (ins->group->atomic) {
            if (batch->njobs) {
                break;
            }

            batch->atomic = 1;
            group = ins->group;

        } else if (batch->njobs
                   && (batch->njobs >= submit->mcf->submit_batch_jobs
                       || size >= submit->mcf->submit_batch_size))
        {
            break;
        }

        size += ins->job.payload.len + ins->job.metadata.len
                + NGX_HTTP_TASKFORGE_ROW_SIZE;

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&batch->jobs, q);

        ins->batch = batch;
        submit->nwaiting--;
        batch->njobs++;
    }

    return ngx_http_taskforge_insert_send(submit, &batch->jobs,
                                          ngx_http_taskforge_insert_done,
                                          batch);
}


/* Sends the jobs as one statement. */

static ngx_int_t
ngx_http_taskforge_insert_send(ngx_http_taskforge_submit_t *submit,
    ngx_queue_t *jobs, ngx_http_taskforge_pg_handler_pt handler, void *data)
{
    const tf_sql_t                    *sql;
    ngx_http_taskforge_insert_rows_t  *rows;

    rows = &submit->rows;
    sql = ngx_http_taskforge_insert_rows(rows, jobs);

    if (sql == NULL
        || ngx_http_taskforge_pg_query(submit->mcf->pg,
                                       NGX_HTTP_TASKFORGE_PG_WRITE, sql,
                                       rows->values, rows->lengths,
                                       handler, data)
           == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_taskforge_insert_done(void *data, PGresult *res)
{
    ngx_int_t                           rc;
    ngx_queue_t                         jobs;
    ngx_http_taskforge_submit_t        *submit;
    ngx_http_taskforge_insert_batch_t  *batch = data;

    submit = batch->submit;

    rc = ngx_http_taskforge_pg_verdict(submit->log, res);

    /* one bad row must fail one caller only: find out which */

    if (rc == NGX_DECLINED && batch->njobs > 1 && !batch->atomic) {
        ngx_http_taskforge_insert_singly(batch);
        return;
    }

    ngx_queue_init(&jobs);
    ngx_queue_add(&jobs, &batch->jobs);
    ngx_queue_init(&batch->jobs);
    batch->busy = 0;

    ngx_http_taskforge_insert_verdicts(&jobs, res, rc);

    ngx_http_taskforge_insert_gather(submit, batch->njobs);

    ngx_http_taskforge_insert_settle(submit, &jobs);
}


/*
 * A batch of njobs is done.  The next one leaves before the answers to it are
 * written, or waits for who gets them.
 */

static void
ngx_http_taskforge_insert_gather(ngx_http_taskforge_submit_t *submit,
    ngx_uint_t njobs)
{
    if (njobs < NGX_HTTP_TASKFORGE_GATHER_JOBS || submit->nwaiting >= njobs) {
        ngx_http_taskforge_insert_flush(&submit->flush);
        return;
    }

    submit->expected = ngx_min(njobs + submit->nwaiting,
                               submit->mcf->submit_batch_jobs);

    if (!submit->gather.timer_set) {
        ngx_add_timer(&submit->gather, NGX_HTTP_TASKFORGE_GATHER_TIME);
    }
}


/*
 * The whole batch was rolled back.  Each job again in a statement of its own;
 * they are pipelined, and the batch stays busy until the last has its answer.
 */

static void
ngx_http_taskforge_insert_singly(ngx_http_taskforge_insert_batch_t *batch)
{
    ngx_int_t                     rc;
    ngx_queue_t                  *q, one, unsent;
    ngx_http_taskforge_submit_t  *submit;
    ngx_http_taskforge_insert_t  *ins;

    submit = batch->submit;

    ngx_queue_init(&unsent);
    batch->pending = 0;

    while (!ngx_queue_empty(&batch->jobs)) {
        q = ngx_queue_head(&batch->jobs);
        ngx_queue_remove(q);

        ngx_queue_init(&one);
        ngx_queue_insert_tail(&one, q);

        ins = ngx_queue_data(q, ngx_http_taskforge_insert_t, queue);

        rc = ngx_http_taskforge_insert_send(submit, &one,
                                         ngx_http_taskforge_insert_single_done,
                                         ins);
        ngx_queue_remove(q);

        if (rc == NGX_OK) {
            batch->pending++;

        } else {
            ngx_queue_insert_tail(&unsent, q);
        }
    }

    if (batch->pending == 0) {
        batch->busy = 0;
        ngx_http_taskforge_insert_flush(&submit->flush);
    }

    ngx_http_taskforge_insert_verdicts(&unsent, NULL, NGX_AGAIN);
    ngx_http_taskforge_insert_settle(submit, &unsent);
}


static void
ngx_http_taskforge_insert_single_done(void *data, PGresult *res)
{
    ngx_int_t                           rc;
    ngx_queue_t                         jobs;
    ngx_http_taskforge_submit_t        *submit;
    ngx_http_taskforge_insert_t        *ins = data;
    ngx_http_taskforge_insert_batch_t  *batch;

    batch = ins->batch;
    submit = batch->submit;

    rc = ngx_http_taskforge_pg_verdict(submit->log, res);

    ngx_queue_init(&jobs);
    ngx_queue_insert_tail(&jobs, &ins->queue);
    ngx_http_taskforge_insert_verdicts(&jobs, res, rc);

    if (--batch->pending == 0) {
        batch->busy = 0;
        ngx_http_taskforge_insert_flush(&submit->flush);
    }

    ngx_http_taskforge_insert_settle(submit, &jobs);
}


/*
 * What became of each job.  With an idempotency key it is only committed if
 * its id is in the result; else somebody was there before.
 */

static void
ngx_http_taskforge_insert_verdicts(ngx_queue_t *jobs, PGresult *res,
    ngx_int_t rc)
{
    int                           i, n, tries, row;
    ngx_queue_t                  *q;
    ngx_http_taskforge_insert_t  *ins;

    n = (rc == NGX_OK && PQnfields(res) == 2) ? PQntuples(res) : 0;
    row = 0;

    for (q = ngx_queue_head(jobs);
         q != ngx_queue_sentinel(jobs);
         q = ngx_queue_next(q))
    {
        ins = ngx_queue_data(q, ngx_http_taskforge_insert_t, queue);
        ins->rc = rc;

        if (rc != NGX_OK || ins->job.idempotency_key.len == 0) {
            continue;
        }

        ins->rc = NGX_DONE;

        /* rows come in the order of the jobs, so the next is usually it */

        for (tries = 0; tries < n; tries++) {
            i = (row + tries) % n;

            if (ngx_memcmp(PQgetvalue(res, i, 0), ins->job.id, 16) == 0) {
                ins->rc = NGX_OK;
                row = i + 1;
                break;
            }
        }
    }
}


/* Tells Redis about the jobs that are committed, and the requests about all. */

static void
ngx_http_taskforge_insert_settle(ngx_http_taskforge_submit_t *submit,
    ngx_queue_t *jobs)
{
    int64_t                             now;
    ngx_queue_t                        *q;
    ngx_http_taskforge_redis_t         *redis;
    ngx_http_taskforge_insert_t        *ins;
    ngx_http_taskforge_insert_group_t  *group;

    now = ngx_http_taskforge_now_us();
    redis = submit->mcf->redis_conn;

    for (q = ngx_queue_head(jobs);
         q != ngx_queue_sentinel(jobs);
         q = ngx_queue_next(q))
    {
        ins = ngx_queue_data(q, ngx_http_taskforge_insert_t, queue);

        if (ins->rc == NGX_OK) {
            ngx_http_taskforge_publish(&submit->publish, redis, &ins->job,
                                       now);
        }
    }

    ngx_http_taskforge_publish_flush(&submit->publish, redis);

    while (!ngx_queue_empty(jobs)) {
        q = ngx_queue_head(jobs);
        ngx_queue_remove(q);

        ins = ngx_queue_data(q, ngx_http_taskforge_insert_t, queue);

        /* with the last of its jobs the group may be gone */

        group = ins->group;

        if (--group->pending == 0) {
            group->done(group);
        }
    }
}
