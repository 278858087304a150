
#include "ngx_http_taskforge_events.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"
#include "redis_keys.h"


#define NGX_HTTP_TASKFORGE_EVENTS_DEFAULT  500
#define NGX_HTTP_TASKFORGE_EVENTS_MAX      5000

/* entries of one command: some 800 KB when all are full */
#define NGX_HTTP_TASKFORGE_EVENTS_PAGE     64

/* a longer event is not ours */
#define NGX_HTTP_TASKFORGE_EVENT_MAX       65536


/* A request that waits for Redis; outlives a client that went away. */

typedef struct {
    ngx_http_request_t              *request;   /* NULL: gone */
    ngx_pool_cleanup_t              *cleanup;
    ngx_http_taskforge_redis_t      *redis;

    tf_buf_t                         out;
    ngx_uint_t                       left;      /* events that still fit */

    ngx_http_taskforge_stream_id_t   since;
    ngx_uint_t                       since_index;
    ngx_http_taskforge_stream_id_t   last;      /* the last event in out */
    ngx_uint_t                       last_index;

    unsigned                         has_since:1;
    unsigned                         has_last:1;
    unsigned                         truncated:1;
} ngx_http_taskforge_events_t;


static ngx_int_t ngx_http_taskforge_events_since(
    ngx_http_taskforge_events_t *e, ngx_str_t *since);
static ngx_int_t ngx_http_taskforge_events_first(
    ngx_http_taskforge_events_t *e);
static void ngx_http_taskforge_events_first_done(void *data,
    redisReply *reply);
static ngx_int_t ngx_http_taskforge_events_page(
    ngx_http_taskforge_events_t *e);
static void ngx_http_taskforge_events_page_done(void *data,
    redisReply *reply);
static ngx_int_t ngx_http_taskforge_events_entry(
    ngx_http_taskforge_events_t *e, redisReply *item);
static ngx_uint_t ngx_http_taskforge_events_answered(
    ngx_http_taskforge_events_t *e, redisReply *reply);
static void ngx_http_taskforge_events_reply(ngx_http_taskforge_events_t *e);
static void ngx_http_taskforge_events_unavailable(
    ngx_http_taskforge_events_t *e);
static void ngx_http_taskforge_events_end(ngx_http_taskforge_events_t *e);
static void ngx_http_taskforge_events_gone(void *data);


const ngx_str_t  ngx_http_taskforge_events_args[] = {
    ngx_string("since"),
    ngx_string("limit"),
    ngx_null_string
};


ngx_int_t
ngx_http_taskforge_stream_id_parse(u_char *p, size_t len,
    ngx_http_taskforge_stream_id_t *id)
{
    u_char     *last;
    uint64_t   *n;

    last = p + len;
    id->ms = 0;
    id->seq = 0;
    n = &id->ms;

    if (p == last || *p == '-' || last[-1] == '-') {
        return NGX_ERROR;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p == '-' && n == &id->ms) {
            n = &id->seq;
            continue;
        }

        if (*p < '0' || *p > '9'
            || *n > (UINT64_MAX - (*p - '0')) / 10)
        {
            return NGX_ERROR;
        }

        *n = *n * 10 + (*p - '0');
    }

    return (n == &id->seq) ? NGX_OK : NGX_ERROR;
}


size_t
ngx_http_taskforge_stream_id_text(const ngx_http_taskforge_stream_id_t *id,
    u_char text[NGX_HTTP_TASKFORGE_STREAM_ID_LEN])
{
    return ngx_sprintf(text, "%uL-%uL%Z", id->ms, id->seq) - text - 1;
}


ngx_int_t
ngx_http_taskforge_stream_id_cmp(const ngx_http_taskforge_stream_id_t *a,
    const ngx_http_taskforge_stream_id_t *b)
{
    if (a->ms != b->ms) {
        return (a->ms < b->ms) ? -1 : 1;
    }

    if (a->seq != b->seq) {
        return (a->seq < b->seq) ? -1 : 1;
    }

    return 0;
}


ngx_int_t
ngx_http_taskforge_entry_open(ngx_http_taskforge_entry_t *entry,
    redisReply *item)
{
    redisReply  *fields;

    ngx_memzero(entry, sizeof(ngx_http_taskforge_entry_t));

    if (item->type != REDIS_REPLY_ARRAY || item->elements != 2
        || item->element[0]->type != REDIS_REPLY_STRING
        || ngx_http_taskforge_stream_id_parse((u_char *) item->element[0]->str,
                                              item->element[0]->len,
                                              &entry->id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    fields = item->element[1];

    if (fields->type != REDIS_REPLY_ARRAY || fields->elements < 2
        || fields->element[0]->len != 1 || fields->element[0]->str[0] != 'e')
    {
        return NGX_OK;
    }

    entry->pos = (u_char *) fields->element[1]->str;
    entry->last = entry->pos + fields->element[1]->len;

    return NGX_OK;
}


ngx_int_t
ngx_http_taskforge_entry_next(ngx_http_taskforge_entry_t *entry,
    tf_buf_t *out)
{
    u_char      *p, *end, id[NGX_HTTP_TASKFORGE_STREAM_ID_LEN];
    ngx_uint_t   index;

    while (entry->pos < entry->last) {

        p = entry->pos;
        end = ngx_strlchr(p, entry->last, '\n');

        if (end == NULL) {
            end = entry->last;
        }

        entry->pos = end + 1;
        index = entry->index++;

        if (end - p < 3 || end - p > NGX_HTTP_TASKFORGE_EVENT_MAX
            || p[0] != '{' || p[1] != '"' || end[-1] != '}')
        {
            continue;
        }

        (void) ngx_http_taskforge_stream_id_text(&entry->id, id);

        tf_buf_addf(out, "{\"seq\":\"%s-%lu\",", id, (unsigned long) index);
        tf_buf_add(out, p + 1, end - p - 1);

        return NGX_OK;
    }

    return NGX_DONE;
}


void
ngx_http_taskforge_events(ngx_http_request_t *r)
{
    tf_buf_t                         errors = TF_BUF_INIT;
    ngx_int_t                        limit;
    ngx_str_t                       *since;
    ngx_pool_cleanup_t              *cln;
    ngx_http_taskforge_ctx_t        *ctx;
    ngx_http_taskforge_events_t     *e;
    ngx_http_taskforge_main_conf_t  *mcf;

    ctx = ngx_http_taskforge_get_ctx(r);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    cln = ngx_pool_cleanup_add(r->pool, 0);
    e = ngx_calloc(sizeof(ngx_http_taskforge_events_t), r->connection->log);

    if (cln == NULL || e == NULL) {
        ngx_free(e);
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return;
    }

    limit = ngx_http_taskforge_arg_int(ctx, "limit", 1,
                                       NGX_HTTP_TASKFORGE_EVENTS_MAX,
                                       NGX_HTTP_TASKFORGE_EVENTS_DEFAULT,
                                       &errors);

    since = ngx_http_taskforge_arg(ctx, "since");

    if (since && ngx_http_taskforge_events_since(e, since) != NGX_OK) {
        ngx_http_taskforge_error_add(&errors, "parameter", "since", 5,
                                     "must be the seq of an event, e.g. "
                                     "1795342546123-0-3");
    }

    if (ngx_http_taskforge_args_check(r, &errors) != NGX_OK) {
        ngx_free(e);
        return;
    }

    e->redis = mcf->redis_conn;
    e->left = limit;
    tf_buf_adds(&e->out, "{\"items\":[");

    if (ngx_http_taskforge_events_first(e) != NGX_OK) {
        ngx_http_taskforge_events_end(e);
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the events are not available");
        return;
    }

    e->request = r;
    e->cleanup = cln;
    cln->handler = ngx_http_taskforge_events_gone;
    cln->data = e;
}


/* seq: "<stream id>-<index in the entry>" */

static ngx_int_t
ngx_http_taskforge_events_since(ngx_http_taskforge_events_t *e,
    ngx_str_t *since)
{
    u_char     *p, *last;
    ngx_int_t   index;

    p = since->data;
    last = p + since->len;

    while (last > p && last[-1] != '-') {
        last--;
    }

    if (last == p) {
        return NGX_ERROR;
    }

    index = ngx_atoi(last, p + since->len - last);

    if (index == NGX_ERROR
        || ngx_http_taskforge_stream_id_parse(p, last - 1 - p, &e->since)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    e->since_index = index;
    e->has_since = 1;

    /* until there is a later one */

    e->last = e->since;
    e->last_index = e->since_index;
    e->has_last = 1;

    return NGX_OK;
}


/* What lies before the stream's first entry is forgotten. */

static ngx_int_t
ngx_http_taskforge_events_first(ngx_http_taskforge_events_t *e)
{
    static const char   *argv[] = { "XRANGE", TF_REDIS_EVENTS, "-", "+",
                                    "COUNT", "1" };
    static const size_t  argvlen[] = { 6, sizeof(TF_REDIS_EVENTS) - 1, 1, 1,
                                       5, 1 };

    return ngx_http_taskforge_redis_command(e->redis,
                                    ngx_http_taskforge_events_first_done, e,
                                    6, argv, argvlen);
}


static void
ngx_http_taskforge_events_first_done(void *data, redisReply *reply)
{
    ngx_http_taskforge_entry_t    entry;
    ngx_http_taskforge_events_t  *e = data;

    if (!ngx_http_taskforge_events_answered(e, reply)) {
        return;
    }

    if (e->has_since
        && (reply->elements == 0
            || (ngx_http_taskforge_entry_open(&entry, reply->element[0])
                == NGX_OK
                && ngx_http_taskforge_stream_id_cmp(&e->since, &entry.id)
                   < 0)))
    {
        e->truncated = 1;
    }

    if (ngx_http_taskforge_events_page(e) != NGX_OK) {
        ngx_http_taskforge_events_unavailable(e);
    }
}


/* Starts with the entry of the last event: the event may not be its last. */

static ngx_int_t
ngx_http_taskforge_events_page(ngx_http_taskforge_events_t *e)
{
    u_char       id[NGX_HTTP_TASKFORGE_STREAM_ID_LEN], count[NGX_INT_T_LEN];
    const char  *argv[] = { "XRANGE", TF_REDIS_EVENTS, "-", "+", "COUNT",
                            (char *) count };
    size_t       argvlen[] = { 6, sizeof(TF_REDIS_EVENTS) - 1, 1, 1, 5, 0 };

    if (e->has_last) {
        argv[2] = (char *) id;
        argvlen[2] = ngx_http_taskforge_stream_id_text(&e->last, id);
    }

    argvlen[5] = ngx_sprintf(count, "%d", NGX_HTTP_TASKFORGE_EVENTS_PAGE)
                 - count;

    return ngx_http_taskforge_redis_command(e->redis,
                                    ngx_http_taskforge_events_page_done, e,
                                    6, argv, argvlen);
}


static void
ngx_http_taskforge_events_page_done(void *data, redisReply *reply)
{
    size_t                        i;
    ngx_int_t                     rc;
    ngx_http_taskforge_events_t  *e = data;

    if (!ngx_http_taskforge_events_answered(e, reply)) {
        return;
    }

    rc = NGX_OK;

    for (i = 0; i < reply->elements && rc == NGX_OK; i++) {
        rc = ngx_http_taskforge_events_entry(e, reply->element[i]);
    }

    if (rc != NGX_OK || reply->elements < NGX_HTTP_TASKFORGE_EVENTS_PAGE) {
        ngx_http_taskforge_events_reply(e);
        return;
    }

    if (ngx_http_taskforge_events_page(e) != NGX_OK) {
        ngx_http_taskforge_events_unavailable(e);
    }
}


/* NGX_DONE: the answer is full. */

static ngx_int_t
ngx_http_taskforge_events_entry(ngx_http_taskforge_events_t *e,
    redisReply *item)
{
    size_t                      len;
    ngx_http_taskforge_entry_t  entry;

    if (ngx_http_taskforge_entry_open(&entry, item) != NGX_OK) {
        return NGX_OK;
    }

    for ( ;; ) {
        len = e->out.len;

        if (e->out.data && e->out.data[len - 1] != '[') {
            tf_buf_addc(&e->out, ',');
        }

        if (ngx_http_taskforge_entry_next(&entry, &e->out) != NGX_OK) {
            e->out.len = len;
            break;
        }

        if (e->has_last
            && ngx_http_taskforge_stream_id_cmp(&entry.id, &e->last) == 0
            && entry.index - 1 <= e->last_index)
        {
            e->out.len = len;
            continue;
        }

        e->last = entry.id;
        e->last_index = entry.index - 1;
        e->has_last = 1;

        if (--e->left == 0) {
            return NGX_DONE;
        }
    }

    /* an entry without events must not be the start of every page */

    if (!e->has_last
        || ngx_http_taskforge_stream_id_cmp(&entry.id, &e->last) > 0)
    {
        e->last = entry.id;
        e->last_index = entry.index;
        e->has_last = 1;
    }

    return NGX_OK;
}


/* False: the client is gone or has its answer, e is freed. */

static ngx_uint_t
ngx_http_taskforge_events_answered(ngx_http_taskforge_events_t *e,
    redisReply *reply)
{
    if (e->request == NULL) {
        ngx_http_taskforge_events_end(e);
        return 0;
    }

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        ngx_http_taskforge_events_unavailable(e);
        return 0;
    }

    return 1;
}


static void
ngx_http_taskforge_events_reply(ngx_http_taskforge_events_t *e)
{
    u_char               id[NGX_HTTP_TASKFORGE_STREAM_ID_LEN];
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    tf_buf_adds(&e->out, "],\"next_since\":");

    if (e->has_last) {
        (void) ngx_http_taskforge_stream_id_text(&e->last, id);
        tf_buf_addf(&e->out, "\"%s-%lu\"", id, (unsigned long) e->last_index);

    } else {
        tf_buf_adds(&e->out, "null");
    }

    tf_json_kbool(&e->out, "truncated", e->truncated);
    tf_buf_addc(&e->out, '}');

    r = e->request;
    c = r->connection;
    e->cleanup->handler = NULL;

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &e->out);
    ngx_http_run_posted_requests(c);

    ngx_http_taskforge_events_end(e);
}


static void
ngx_http_taskforge_events_unavailable(ngx_http_taskforge_events_t *e)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = e->request;
    c = r->connection;
    e->cleanup->handler = NULL;

    ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                               "the events are not available");
    ngx_http_run_posted_requests(c);

    ngx_http_taskforge_events_end(e);
}


static void
ngx_http_taskforge_events_end(ngx_http_taskforge_events_t *e)
{
    tf_buf_free(&e->out);
    ngx_free(e);
}


/* The request ends while Redis still owes an answer. */

static void
ngx_http_taskforge_events_gone(void *data)
{
    ngx_http_taskforge_events_t  *e = data;

    e->request = NULL;
}
