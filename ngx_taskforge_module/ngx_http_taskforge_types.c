
#include "ngx_http_taskforge_types.h"
#include "ngx_http_taskforge_pg.h"


#define NGX_HTTP_TASKFORGE_TYPES_PAUSE  200      /* ms between two readings */
#define NGX_HTTP_TASKFORGE_TYPES_NAMES  20


typedef struct {
    tf_type_defaults_t               defaults;   /* the name is in the result */
    tf_str_t                         text;       /* so is this: the schema */
    tf_schema_t                     *schema;     /* NULL: any object will do */
} ngx_http_taskforge_type_t;


struct ngx_http_taskforge_types_s {
    ngx_http_taskforge_main_conf_t  *mcf;
    ngx_log_t                       *log;

    ngx_http_taskforge_type_t       *rows;       /* sorted by their bytes */
    ngx_uint_t                       nrows;
    PGresult                        *res;        /* holds the texts */

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
static void ngx_http_taskforge_types_compile(
    ngx_http_taskforge_types_t *types, ngx_http_taskforge_type_t *row);
static void ngx_http_taskforge_types_free(ngx_http_taskforge_types_t *types);
static ngx_http_taskforge_type_t *ngx_http_taskforge_types_find(
    ngx_http_taskforge_types_t *types, const char *type, size_t len);
static void ngx_http_taskforge_types_wake(ngx_http_taskforge_types_t *types,
    ngx_uint_t ok);
static void ngx_http_taskforge_types_timer(ngx_event_t *ev);
static void ngx_http_taskforge_types_arm(ngx_http_taskforge_types_t *types);


/*
 * job_types: its primary key, a row per type that any worker knows.  What is
 * cut off a schema is more than the compiler takes.
 */

static const tf_sql_t  ngx_http_taskforge_types_sql = {
    "ngx_types",
    "SELECT type, max_retries, left(payload_schema::text, 65537) "
    "FROM job_types ORDER BY type COLLATE \"C\" LIMIT 10000",
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

    ngx_http_taskforge_types_free(types);

    types->res = NULL;
    types->rows = NULL;
    types->nrows = 0;
}


static void
ngx_http_taskforge_types_free(ngx_http_taskforge_types_t *types)
{
    ngx_uint_t  i;

    for (i = 0; i < types->nrows; i++) {
        tf_schema_free(types->rows[i].schema);
    }

    PQclear(types->res);
    ngx_free(types->rows);
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
    int                         i, k, n;
    PGresult                   *copy;
    ngx_http_taskforge_type_t  *row, *rows;

    n = PQntuples(res);

    copy = PQcopyResult(res, PG_COPYRES_ATTRS|PG_COPYRES_TUPLES);
    rows = ngx_calloc((n + 1) * sizeof(ngx_http_taskforge_type_t), types->log);

    if (copy == NULL || rows == NULL) {
        PQclear(copy);
        ngx_free(rows);
        return NGX_ERROR;
    }

    for (i = 0, k = 0; i < n; i++) {
        row = &rows[k];

        row->defaults.type = PQgetvalue(copy, i, 0);
        row->defaults.type_len = PQgetlength(copy, i, 0);

        if (tf_type_is_internal(row->defaults.type, row->defaults.type_len)) {
            /* nobody may submit one that is TaskForge's own */
            continue;
        }

        row->defaults.max_retries = tf_pg_get_int4(PQgetvalue(copy, i, 1));
        row->text.data = PQgetvalue(copy, i, 2);
        row->text.len = PQgetlength(copy, i, 2);

        ngx_http_taskforge_types_compile(types, row);

        k++;
    }

    ngx_http_taskforge_types_free(types);

    types->res = copy;
    types->rows = rows;
    types->nrows = k;
    types->ready = 1;

    return NGX_OK;
}


/*
 * The schema of a row that is being read: the one there is, if its text is
 * still the same.  One that cannot be compiled comes from a worker of another
 * version: that worker checks the payloads itself.
 */

static void
ngx_http_taskforge_types_compile(ngx_http_taskforge_types_t *types,
    ngx_http_taskforge_type_t *row)
{
    char                        error[256];
    ngx_http_taskforge_type_t  *old;

    old = ngx_http_taskforge_types_find(types, row->defaults.type,
                                        row->defaults.type_len);

    if (old && old->text.len == row->text.len
        && ngx_memcmp(old->text.data, row->text.data, row->text.len) == 0)
    {
        row->schema = old->schema;
        old->schema = NULL;

    } else {
        row->schema = tf_schema_compile(row->text.data, row->text.len, error,
                                        sizeof(error));

        if (row->schema == NULL) {
            ngx_log_error(NGX_LOG_WARN, types->log, 0,
                          "payloads of the type \"%s\" are not checked: its "
                          "schema: %s", row->defaults.type, error);

        } else if (tf_schema_is_open(row->schema)) {
            tf_schema_free(row->schema);
            row->schema = NULL;
        }
    }

    row->defaults.schema = row->schema;
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
    ngx_http_taskforge_type_t  *row;

    row = ngx_http_taskforge_types_find(data, type, len);

    return row ? &row->defaults : NULL;
}


static ngx_http_taskforge_type_t *
ngx_http_taskforge_types_find(ngx_http_taskforge_types_t *types,
    const char *type, size_t len)
{
    ngx_int_t            order;
    ngx_uint_t           low, high, mid;
    tf_type_defaults_t  *defaults;

    low = 0;
    high = types->nrows;

    while (low < high) {
        mid = low + (high - low) / 2;
        defaults = &types->rows[mid].defaults;

        order = ngx_memn2cmp((u_char *) type, (u_char *) defaults->type, len,
                             defaults->type_len);

        if (order == 0) {
            return &types->rows[mid];
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

        tf_buf_add(out, types->rows[i].defaults.type,
                   types->rows[i].defaults.type_len);
    }
}
