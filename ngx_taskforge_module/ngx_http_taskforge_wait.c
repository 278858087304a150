
#include "ngx_http_taskforge_wait.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_prefer.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_wait_events.h"


#define NGX_HTTP_TASKFORGE_WAIT_BUCKETS  256
#define NGX_HTTP_TASKFORGE_WAIT_TICK     1000   /* ms */


/* One request that waits. */

typedef struct {
    ngx_queue_t                         queue;    /* of its bucket */
    ngx_queue_t                         ready;    /* to be looked up */
    ngx_http_taskforge_waits_t         *waits;
    ngx_http_request_t                 *request;
    uint8_t                             id[16];
    ngx_event_t                         timer;
    ngx_http_taskforge_pg_op_t         *op;       /* the look-up under way */
    ngx_http_taskforge_wait_pt          ended;
    ngx_http_taskforge_wait_pt          usual;
    unsigned                            woken:1;
    unsigned                            over:1;   /* the time is */
    unsigned                            done:1;
} ngx_http_taskforge_waiter_t;


/* Those of a worker process, by the last byte of the id, which is random. */

struct ngx_http_taskforge_waits_s {
    ngx_queue_t                         buckets[
                                            NGX_HTTP_TASKFORGE_WAIT_BUCKETS];
    ngx_uint_t                          n;
    ngx_queue_t                         ready;
    ngx_event_t                         wake;
    ngx_event_t                         tick;
    ngx_http_taskforge_main_conf_t     *mcf;
    ngx_http_taskforge_wait_events_t   *events;
    tf_pgarray_t                        ids;
    ngx_log_t                          *log;
    unsigned                            asking:1; /* which have ended */
};


static ngx_int_t ngx_http_taskforge_wait_begin(ngx_http_request_t *r,
    ngx_http_taskforge_waiter_t *w);
static void ngx_http_taskforge_wait_end(void *data);
static void ngx_http_taskforge_wait_over(ngx_event_t *ev);
static void ngx_http_taskforge_wait_wake(ngx_http_taskforge_waiter_t *w);
static void ngx_http_taskforge_wait_wake_id(void *data, const uint8_t *id);
static void ngx_http_taskforge_wait_ready(ngx_event_t *ev);
static void ngx_http_taskforge_wait_look(ngx_http_taskforge_waiter_t *w);
static void ngx_http_taskforge_wait_looked(void *data, PGresult *res);
static ngx_uint_t ngx_http_taskforge_wait_terminal(PGresult *res);
static void ngx_http_taskforge_wait_tick(ngx_event_t *ev);
static void ngx_http_taskforge_wait_asked(void *data, PGresult *res);


/* jobs_pkey, once per id.  A job that was deleted has ended, too. */

static const tf_sql_t  ngx_http_taskforge_wait_sql = {
    "tfr_wait",
    "SELECT t.id FROM unnest($1::uuid[]) AS t(id) "
    "LEFT JOIN jobs j ON j.id = t.id WHERE j.status IS NULL OR j.status IN ("
    TF_SQL_SUCCESS ", " TF_SQL_FAILED ", " TF_SQL_DEAD_LETTER ", "
    TF_SQL_CANCELLED ")",
    1
};


ngx_int_t
ngx_http_taskforge_wait(ngx_http_request_t *r, const uint8_t id[16],
    ngx_uint_t look, ngx_http_taskforge_wait_pt ended,
    ngx_http_taskforge_wait_pt usual)
{
    u_char                          *value, *last;
    ngx_uint_t                       seconds;
    ngx_pool_cleanup_t              *cln;
    ngx_http_taskforge_waits_t      *waits;
    ngx_http_taskforge_waiter_t     *w;
    ngx_http_taskforge_wait_conf_t  *wcf;

    wcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_wait_module);
    waits = wcf->waits;

    seconds = ngx_http_taskforge_prefer_wait(r);

    if (seconds == 0 || waits == NULL || waits->n >= wcf->waiters) {
        return NGX_DECLINED;
    }

    seconds = ngx_min(seconds, wcf->max / 1000);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_taskforge_waiter_t));
    value = ngx_pnalloc(r->pool, sizeof("wait=") - 1 + NGX_INT_T_LEN);

    if (cln == NULL || value == NULL) {
        return NGX_DECLINED;
    }

    last = ngx_sprintf(value, "wait=%ui", seconds);

    if (ngx_http_taskforge_header_add(r, "Preference-Applied", value,
                                      last - value)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    w = cln->data;
    ngx_memzero(w, sizeof(ngx_http_taskforge_waiter_t));
    cln->handler = ngx_http_taskforge_wait_end;

    w->waits = waits;
    w->request = r;
    w->ended = ended;
    w->usual = usual;
    ngx_memcpy(w->id, id, 16);

    /* not cancelable: a process that shuts down lets it wait to its end */

    w->timer.handler = ngx_http_taskforge_wait_over;
    w->timer.data = w;
    w->timer.log = r->connection->log;

    ngx_queue_init(&w->ready);
    ngx_queue_insert_tail(&waits->buckets[id[15]], &w->queue);
    waits->n++;

    ngx_add_timer(&w->timer, seconds * 1000);

    if (ngx_http_taskforge_wait_begin(r, w) != NGX_OK) {
        return NGX_ERROR;
    }

    /* before the events are known to be heard, one may have been missed */

    if (look || !ngx_http_taskforge_wait_events_heard(waits->events)) {
        ngx_http_taskforge_wait_wake(w);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_wait_begin(ngx_http_request_t *r,
    ngx_http_taskforge_waiter_t *w)
{
    ngx_http_taskforge_waits_t  *waits;

    waits = w->waits;

    if (!waits->tick.timer_set) {
        ngx_add_timer(&waits->tick, NGX_HTTP_TASKFORGE_WAIT_TICK);
    }

    ngx_http_taskforge_wait_events_run(waits->events, waits->n);

    /* a client that goes away is noticed, unless it is still sending */

    if (r->discard_body) {
        return NGX_OK;
    }

    r->read_event_handler = ngx_http_test_reading;

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The request has its answer, or ends without one. */

static void
ngx_http_taskforge_wait_end(void *data)
{
    ngx_http_taskforge_waiter_t  *w = data;

    if (w->done) {
        return;
    }

    w->done = 1;
    w->waits->n--;

    ngx_queue_remove(&w->queue);
    ngx_queue_remove(&w->ready);

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }

    if (w->op) {
        ngx_http_taskforge_pg_forget(w->op);
        w->op = NULL;
    }
}


static void
ngx_http_taskforge_wait_over(ngx_event_t *ev)
{
    ngx_http_taskforge_waiter_t  *w;

    w = ev->data;
    w->over = 1;

    ngx_http_taskforge_wait_wake(w);
}


static void
ngx_http_taskforge_wait_wake(ngx_http_taskforge_waiter_t *w)
{
    if (w->woken) {
        return;
    }

    w->woken = 1;

    if (w->op == NULL) {
        ngx_queue_insert_tail(&w->waits->ready, &w->ready);
        ngx_post_event(&w->waits->wake, &ngx_posted_events);
    }
}


/* The job with that id, or every job (NULL), may have ended. */

static void
ngx_http_taskforge_wait_wake_id(void *data, const uint8_t *id)
{
    ngx_uint_t                    i, from, to;
    ngx_queue_t                  *q, *bucket;
    ngx_http_taskforge_waits_t   *waits = data;
    ngx_http_taskforge_waiter_t  *w;

    from = id ? id[15] : 0;
    to = id ? id[15] : NGX_HTTP_TASKFORGE_WAIT_BUCKETS - 1;

    for (i = from; i <= to; i++) {
        bucket = &waits->buckets[i];

        for (q = ngx_queue_head(bucket);
             q != ngx_queue_sentinel(bucket);
             q = ngx_queue_next(q))
        {
            w = ngx_queue_data(q, ngx_http_taskforge_waiter_t, queue);

            if (id == NULL || ngx_memcmp(w->id, id, 16) == 0) {
                ngx_http_taskforge_wait_wake(w);
            }
        }
    }
}


/* One by one from the head: to answer one request may end another. */

static void
ngx_http_taskforge_wait_ready(ngx_event_t *ev)
{
    ngx_queue_t                  *q;
    ngx_connection_t             *c;
    ngx_http_taskforge_waits_t   *waits;
    ngx_http_taskforge_waiter_t  *w;

    waits = ev->data;

    while (!ngx_queue_empty(&waits->ready)) {
        q = ngx_queue_head(&waits->ready);
        ngx_queue_remove(q);
        ngx_queue_init(q);

        w = ngx_queue_data(q, ngx_http_taskforge_waiter_t, ready);
        c = w->request->connection;

        ngx_http_set_log_request(c->log, w->request);

        ngx_http_taskforge_wait_look(w);

        ngx_http_run_posted_requests(c);
    }
}


static void
ngx_http_taskforge_wait_look(ngx_http_taskforge_waiter_t *w)
{
    int                  length;
    const char          *value;
    ngx_http_request_t  *r;

    value = (const char *) w->id;
    length = sizeof(w->id);

    w->woken = 0;
    w->op = ngx_http_taskforge_pg_query(w->waits->mcf->pg,
                                        NGX_HTTP_TASKFORGE_PG_READ,
                                        &ngx_http_taskforge_jobs_sql, &value,
                                        &length,
                                        ngx_http_taskforge_wait_looked, w);
    if (w->op) {
        return;
    }

    r = w->request;

    ngx_http_taskforge_wait_end(w);
    w->usual(r, NULL);
}


static void
ngx_http_taskforge_wait_looked(void *data, PGresult *res)
{
    ngx_uint_t                    ended;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_taskforge_waiter_t  *w = data;

    w->op = NULL;

    r = w->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ended = ngx_http_taskforge_wait_terminal(res);

    if (res && PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res)
        && !ended && !w->over)
    {
        if (w->woken) {
            ngx_http_taskforge_wait_look(w);
            ngx_http_run_posted_requests(c);
        }

        return;
    }

    ngx_http_taskforge_wait_end(w);

    if (ended) {
        w->ended(r, res);

    } else {
        w->usual(r, res);
    }

    ngx_http_run_posted_requests(c);
}


static ngx_uint_t
ngx_http_taskforge_wait_terminal(PGresult *res)
{
    tf_job_t                      job;
    ngx_http_taskforge_pg_row_t   row = { res, 0 };

    return res && PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res)
           && tf_job_from_row(&job, &row, ngx_http_taskforge_pg_column, 0,
                              false)
           && tf_status_is_terminal(job.status);
}


/* The net below the events: which have ended? */

static void
ngx_http_taskforge_wait_tick(ngx_event_t *ev)
{
    int                           length;
    const char                   *value;
    ngx_uint_t                    i;
    ngx_queue_t                  *q, *bucket;
    ngx_http_taskforge_waits_t   *waits;
    ngx_http_taskforge_waiter_t  *w;

    waits = ev->data;

    ngx_http_taskforge_wait_events_run(waits->events, waits->n);

    if (waits->n == 0) {
        return;
    }

    ngx_add_timer(&waits->tick, NGX_HTTP_TASKFORGE_WAIT_TICK);

    if (waits->asking) {
        return;
    }

    tf_pgarray_begin(&waits->ids, TF_PG_UUID);

    for (i = 0; i < NGX_HTTP_TASKFORGE_WAIT_BUCKETS; i++) {
        bucket = &waits->buckets[i];

        for (q = ngx_queue_head(bucket);
             q != ngx_queue_sentinel(bucket);
             q = ngx_queue_next(q))
        {
            w = ngx_queue_data(q, ngx_http_taskforge_waiter_t, queue);
            tf_pgarray_bytes(&waits->ids, w->id, 16);
        }
    }

    if (!tf_pgarray_end(&waits->ids)) {
        return;
    }

    value = waits->ids.buf.data;
    length = (int) waits->ids.buf.len;

    waits->asking = ngx_http_taskforge_pg_query(waits->mcf->pg,
                                                NGX_HTTP_TASKFORGE_PG_READ,
                                                &ngx_http_taskforge_wait_sql,
                                                &value, &length,
                                                ngx_http_taskforge_wait_asked,
                                                waits)
                    != NULL;
}


static void
ngx_http_taskforge_wait_asked(void *data, PGresult *res)
{
    int                          i;
    ngx_http_taskforge_waits_t  *waits = data;

    waits->asking = 0;

    if (ngx_http_taskforge_pg_verdict(waits->log, res) != NGX_OK) {
        return;
    }

    for (i = 0; i < PQntuples(res); i++) {
        ngx_http_taskforge_wait_wake_id(waits,
                                        (uint8_t *) PQgetvalue(res, i, 0));
    }
}


ngx_http_taskforge_waits_t *
ngx_http_taskforge_waits_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf)
{
    ngx_uint_t                   i;
    ngx_http_taskforge_waits_t  *waits;

    waits = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_waits_t));
    if (waits == NULL) {
        return NULL;
    }

    waits->mcf = mcf;
    waits->log = cycle->log;

    for (i = 0; i < NGX_HTTP_TASKFORGE_WAIT_BUCKETS; i++) {
        ngx_queue_init(&waits->buckets[i]);
    }

    ngx_queue_init(&waits->ready);

    waits->wake.handler = ngx_http_taskforge_wait_ready;
    waits->wake.data = waits;
    waits->wake.log = cycle->log;

    waits->tick.handler = ngx_http_taskforge_wait_tick;
    waits->tick.data = waits;
    waits->tick.log = cycle->log;
    waits->tick.cancelable = 1;

    waits->events = ngx_http_taskforge_wait_events_create(cycle, mcf,
                                             ngx_http_taskforge_wait_wake_id,
                                             waits);
    if (waits->events == NULL) {
        return NULL;
    }

    return waits;
}


void
ngx_http_taskforge_waits_destroy(ngx_http_taskforge_waits_t *waits)
{
    ngx_http_taskforge_wait_events_destroy(waits->events);
    tf_pgarray_free(&waits->ids);
}
