
#include "ngx_http_taskforge_types.h"
#include "ngx_http_taskforge_pg.h"


#define NGX_HTTP_TASKFORGE_TYPES_PAUSE  200      /* ms between two readings */
#define NGX_HTTP_TASKFORGE_TYPES_NAMES  20


struct ngx_http_taskforge_types_s {
    ngx_http_taskforge_main_conf_t  *mcf;
    ngx_log_t                       *log;

    tf_type_defaults_t              *rows;       /* sorted by their bytes */
    ngx_uint_t                       nrows;
    PGresult                        *res;        /* holds the names */

    /* for a reading that is still to be sent; for the one under way */
    ngx_queue_t                      waiting;
    ngx_queue_t                      served;
    ngx_event_t                      timer;
    ngx_msec_t                       read_at;

    unsigned                         ready:1;
    unsigned                         busy:1;
};


static void ngx_http_taskforge_types_loaded(void *data, PGresult *res);
static ngx_int_t ngx_http_taskforge_types_take(
    ngx_http_taskforge_types_t *types, PGresult *res);
static void ngx_http_taskforge_types_wake(ngx_http_taskforge_types_t *types,
    ngx_uint_t ok);
static void ngx_http_taskforge_types_timer(ngx_event_t *ev);
static void ngx_http_taskforge_types_arm(ngx_http_taskforge_types_t *types);


/* job_types: its primary key, a row per type that any worker knows */

static const tf_sql_t  ngx_http_taskforge_types_sql = {
    "ngx_types",
    "SELECT type, max_retries FROM job_types ORDER BY type COLLATE \"C\" "
    "LIMIT 10000",
    0
};


ngx_http_taskforge_types_t *
ngx_http_taskforge_types_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf)
{
    ngx_http_taskforge_types_t  *types;

    types = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_types_t));
    if (types == NULL) {
        return NULL;
    }

    types->mcf = mcf;
    types->log = cycle->log;
    ngx_queue_init(&types->waiting);
    ngx_queue_init(&types->served);

    types->timer.handler = ngx_http_taskforge_types_timer;
    types->timer.data = types;
    types->timer.log = cycle->log;
    types->timer.cancelable = 1;

    ngx_add_timer(&types->timer, mcf->types_refresh);

    return types;
}


void
ngx_http_taskforge_types_destroy(ngx_http_taskforge_types_t *types)
{
    if (types->timer.timer_set) {
        ngx_del_timer(&types->timer);
    }

    PQclear(types->res);
    types->res = NULL;

    ngx_free(types->rows);
    types->rows = NULL;
    types->nrows = 0;
}


void
ngx_http_taskforge_types_load(void *data)
{
    ngx_http_taskforge_types_t  *types = data;

    if (types->busy) {
        return;
    }

    if (!ngx_queue_empty(&types->waiting)) {
        ngx_queue_add(&types->served, &types->waiting);
        ngx_queue_init(&types->waiting);
    }

    if (ngx_http_taskforge_pg_query(types->mcf->pg, NGX_HTTP_TASKFORGE_PG_READ,
                                    &ngx_http_taskforge_types_sql, NULL, NULL,
                                    ngx_http_taskforge_types_loaded, types)
        == NULL)
    {
        ngx_http_taskforge_types_wake(types, 0);
        return;
    }

    types->busy = 1;
}


static void
ngx_http_taskforge_types_loaded(void *data, PGresult *res)
{
    ngx_uint_t                   ok;
    ngx_http_taskforge_types_t  *types = data;

    types->busy = 0;
    types->read_at = ngx_current_msec;

    ok = ngx_http_taskforge_pg_verdict(types->log, res) == NGX_OK
         && ngx_http_taskforge_types_take(types, res) == NGX_OK;

    if (!ok && res) {
        /* answered, but not with the table: the schema is not there */
        types->ready = 0;
    }

    ngx_http_taskforge_types_wake(types, ok);
}


static ngx_int_t
ngx_http_taskforge_types_take(ngx_http_taskforge_types_t *types,
    PGresult *res)
{
    int                  i, k, n;
    PGresult            *copy;
    tf_type_defaults_t  *rows;

    n = PQntuples(res);

    copy = PQcopyResult(res, PG_COPYRES_ATTRS|PG_COPYRES_TUPLES);
    rows = ngx_alloc((n + 1) * sizeof(tf_type_defaults_t), types->log);

    if (copy == NULL || rows == NULL) {
        PQclear(copy);
        ngx_free(rows);
        return NGX_ERROR;
    }

    for (i = 0, k = 0; i < n; i++) {
        rows[k].type = PQgetvalue(copy, i, 0);
        rows[k].type_len = PQgetlength(copy, i, 0);
        rows[k].max_retries = tf_pg_get_int4(PQgetvalue(copy, i, 1));

        /* nobody may submit one that is TaskForge's own */

        k += !tf_type_is_internal(rows[k].type, rows[k].type_len);
    }

    PQclear(types->res);
    ngx_free(types->rows);

    types->res = copy;
    types->rows = rows;
    types->nrows = k;
    types->ready = 1;

    return NGX_OK;
}


static void
ngx_http_taskforge_types_wake(ngx_http_taskforge_types_t *types, ngx_uint_t ok)
{
    ngx_queue_t                      *q;
    ngx_http_taskforge_types_wait_t  *wait;

    while (!ngx_queue_empty(&types->served)) {
        q = ngx_queue_head(&types->served);
        ngx_queue_remove(q);

        wait = ngx_queue_data(q, ngx_http_taskforge_types_wait_t, queue);
        wait->handler(wait->data, ok);
    }

    ngx_http_taskforge_types_arm(types);
}


void
ngx_http_taskforge_types_wait(ngx_http_taskforge_types_t *types,
    ngx_http_taskforge_types_wait_t *wait)
{
    ngx_queue_insert_tail(&types->waiting, &wait->queue);

    if (!types->busy) {
        ngx_http_taskforge_types_arm(types);
    }
}


/*
 * Sets the timer: soon while somebody waits, and then a graceful exit waits
 * too; the usual interval otherwise.
 */

static void
ngx_http_taskforge_types_arm(ngx_http_taskforge_types_t *types)
{
    ngx_msec_t      delay;
    ngx_msec_int_t  since;

    delay = types->mcf->types_refresh;
    types->timer.cancelable = 1;

    if (!ngx_queue_empty(&types->waiting)) {
        since = (ngx_msec_int_t) (ngx_current_msec - types->read_at);

        delay = (since < NGX_HTTP_TASKFORGE_TYPES_PAUSE)
                    ? NGX_HTTP_TASKFORGE_TYPES_PAUSE - since : 1;
        types->timer.cancelable = 0;
    }

    if (types->timer.timer_set) {
        ngx_del_timer(&types->timer);
    }

    ngx_add_timer(&types->timer, delay);
}


static void
ngx_http_taskforge_types_timer(ngx_event_t *ev)
{
    ngx_http_taskforge_types_load(ev->data);
}


const tf_type_defaults_t *
ngx_http_taskforge_types_lookup(void *data, const char *type, size_t len)
{
    ngx_int_t                    order;
    ngx_uint_t                   low, high, mid;
    tf_type_defaults_t          *row;
    ngx_http_taskforge_types_t  *types = data;

    low = 0;
    high = types->nrows;

    while (low < high) {
        mid = low + (high - low) / 2;
        row = &types->rows[mid];

        order = ngx_memn2cmp((u_char *) type, (u_char *) row->type, len,
                             row->type_len);

        if (order == 0) {
            return row;
        }

        if (order < 0) {
            high = mid;

        } else {
            low = mid + 1;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_taskforge_types_ready(ngx_http_taskforge_types_t *types)
{
    return types && types->ready;
}


ngx_uint_t
ngx_http_taskforge_types_count(ngx_http_taskforge_types_t *types)
{
    return types ? types->nrows : 0;
}


void
ngx_http_taskforge_types_names(ngx_http_taskforge_types_t *types,
    tf_buf_t *out)
{
    ngx_uint_t  i;

    for (i = 0; i < types->nrows; i++) {

        if (i) {
            tf_buf_adds(out, ", ");
        }

        if (i == NGX_HTTP_TASKFORGE_TYPES_NAMES) {
            tf_buf_adds(out, "...");
            break;
        }

        tf_buf_add(out, types->rows[i].type, types->rows[i].type_len);
    }
}
