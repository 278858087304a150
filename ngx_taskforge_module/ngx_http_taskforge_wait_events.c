
#include "ngx_http_taskforge_wait_events.h"
#include "ngx_http_taskforge_events.h"
#include "redis_keys.h"


/* milliseconds */
#define NGX_HTTP_TASKFORGE_WAIT_BLOCK    "1000"
#define NGX_HTTP_TASKFORGE_WAIT_TIMEOUT  3000

#define NGX_HTTP_TASKFORGE_WAIT_COUNT    "128"   /* entries of one XREAD */


struct ngx_http_taskforge_wait_events_s {
    ngx_http_taskforge_redis_t       *redis;     /* NULL: not configured */
    ngx_http_taskforge_wait_wake_pt   wake;
    void                             *data;
    ngx_log_t                        *log;
    ngx_uint_t                        waiters;
    ngx_http_taskforge_stream_id_t    last;      /* that was read */

    unsigned                          busy:1;    /* a command is under way */
    unsigned                          known:1;   /* last is */
};


static void ngx_http_taskforge_wait_events_state(void *data, ngx_uint_t up);
static void ngx_http_taskforge_wait_events_start(
    ngx_http_taskforge_wait_events_t *events);
static void ngx_http_taskforge_wait_events_started(void *data,
    redisReply *reply);
static void ngx_http_taskforge_wait_events_read(
    ngx_http_taskforge_wait_events_t *events);
static void ngx_http_taskforge_wait_events_got(void *data, redisReply *reply);
static void ngx_http_taskforge_wait_events_take(
    ngx_http_taskforge_wait_events_t *events, redisReply *entries);
static void ngx_http_taskforge_wait_events_line(
    ngx_http_taskforge_wait_events_t *events, u_char *p, u_char *last);
static void ngx_http_taskforge_wait_events_send(
    ngx_http_taskforge_wait_events_t *events,
    ngx_http_taskforge_redis_handler_pt handler, int argc, const char **argv);
static ngx_uint_t ngx_http_taskforge_wait_events_failed(
    ngx_http_taskforge_wait_events_t *events, redisReply *reply);


ngx_http_taskforge_wait_events_t *
ngx_http_taskforge_wait_events_create(ngx_cycle_t *cycle,
    ngx_http_taskforge_main_conf_t *mcf, ngx_http_taskforge_wait_wake_pt wake,
    void *data)
{
    ngx_http_taskforge_wait_events_t  *events;

    events = ngx_pcalloc(cycle->pool,
                         sizeof(ngx_http_taskforge_wait_events_t));
    if (events == NULL) {
        return NULL;
    }

    events->wake = wake;
    events->data = data;
    events->log = cycle->log;

    if (!mcf->redis_set) {
        return events;
    }

    events->redis = ngx_http_taskforge_redis_create(cycle, &mcf->redis,
                                         "waits",
                                         NGX_HTTP_TASKFORGE_WAIT_TIMEOUT,
                                         ngx_http_taskforge_wait_events_state,
                                         events);

    return events->redis ? events : NULL;
}


void
ngx_http_taskforge_wait_events_destroy(
    ngx_http_taskforge_wait_events_t *events)
{
    events->waiters = 0;

    if (events->redis) {
        ngx_http_taskforge_redis_stop(events->redis);
    }
}


ngx_uint_t
ngx_http_taskforge_wait_events_heard(ngx_http_taskforge_wait_events_t *events)
{
    return events->known;
}


void
ngx_http_taskforge_wait_events_run(ngx_http_taskforge_wait_events_t *events,
    ngx_uint_t waiters)
{
    events->waiters = waiters;

    if (events->redis == NULL || events->busy) {
        return;
    }

    if (waiters == 0) {
        /* what happens from now on is not read */
        events->known = 0;
        return;
    }

    if (!ngx_http_taskforge_redis_ready(events->redis)) {
        ngx_http_taskforge_redis_start(events->redis);
        return;
    }

    if (events->known) {
        ngx_http_taskforge_wait_events_read(events);

    } else {
        ngx_http_taskforge_wait_events_start(events);
    }
}


static void
ngx_http_taskforge_wait_events_state(void *data, ngx_uint_t up)
{
    ngx_http_taskforge_wait_events_t  *events = data;

    if (!up) {
        events->known = 0;
        return;
    }

    ngx_http_taskforge_wait_events_run(events, events->waiters);
}


/* Where does the stream end? */

static void
ngx_http_taskforge_wait_events_start(ngx_http_taskforge_wait_events_t *events)
{
    const char  *argv[] = { "XREVRANGE", TF_REDIS_EVENTS, "+", "-", "COUNT",
                            "1" };

    ngx_http_taskforge_wait_events_send(events,
                                       ngx_http_taskforge_wait_events_started,
                                       6, argv);
}


static void
ngx_http_taskforge_wait_events_started(void *data, redisReply *reply)
{
    ngx_http_taskforge_entry_t         entry;
    ngx_http_taskforge_wait_events_t  *events = data;

    if (ngx_http_taskforge_wait_events_failed(events, reply)) {
        return;
    }

    ngx_memzero(&events->last, sizeof(ngx_http_taskforge_stream_id_t));

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements
        && ngx_http_taskforge_entry_open(&entry, reply->element[0]) == NGX_OK)
    {
        events->last = entry.id;
    }

    events->known = 1;

    /* what ended before this moment was not heard of */

    events->wake(events->data, NULL);

    ngx_http_taskforge_wait_events_run(events, events->waiters);
}


static void
ngx_http_taskforge_wait_events_read(ngx_http_taskforge_wait_events_t *events)
{
    u_char       id[NGX_HTTP_TASKFORGE_STREAM_ID_LEN];
    const char  *argv[] = { "XREAD", "COUNT", NGX_HTTP_TASKFORGE_WAIT_COUNT,
                            "BLOCK", NGX_HTTP_TASKFORGE_WAIT_BLOCK, "STREAMS",
                            TF_REDIS_EVENTS, (char *) id };

    (void) ngx_http_taskforge_stream_id_text(&events->last, id);

    ngx_http_taskforge_wait_events_send(events,
                                        ngx_http_taskforge_wait_events_got,
                                        8, argv);
}


static void
ngx_http_taskforge_wait_events_got(void *data, redisReply *reply)
{
    redisReply                        *stream;
    ngx_http_taskforge_wait_events_t  *events = data;

    if (ngx_http_taskforge_wait_events_failed(events, reply)) {
        return;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements) {
        stream = reply->element[0];

        if (stream->type == REDIS_REPLY_ARRAY && stream->elements == 2
            && stream->element[1]->type == REDIS_REPLY_ARRAY)
        {
            ngx_http_taskforge_wait_events_take(events, stream->element[1]);
        }
    }

    ngx_http_taskforge_wait_events_run(events, events->waiters);
}


static void
ngx_http_taskforge_wait_events_take(ngx_http_taskforge_wait_events_t *events,
    redisReply *entries)
{
    size_t                       i;
    u_char                      *p, *end;
    ngx_http_taskforge_entry_t   entry;

    for (i = 0; i < entries->elements; i++) {

        if (ngx_http_taskforge_entry_open(&entry, entries->element[i])
            != NGX_OK)
        {
            continue;
        }

        events->last = entry.id;

        for (p = entry.pos; p < entry.last; p = end + 1) {
            end = ngx_strlchr(p, entry.last, '\n');

            if (end == NULL) {
                end = entry.last;
            }

            ngx_http_taskforge_wait_events_line(events, p, end);
        }
    }
}


/*
 * {"event":"job_success","ts":"...","job":{"id":"...  as tf_job_write_event()
 * writes it.  There are far more events than anybody waits for: no parser.
 */

static void
ngx_http_taskforge_wait_events_line(ngx_http_taskforge_wait_events_t *events,
    u_char *p, u_char *last)
{
    u_char   *job;
    size_t    i;
    uint8_t   id[16];

    static const ngx_str_t  ends[] = {
        ngx_string("{\"event\":\"job_success\""),
        ngx_string("{\"event\":\"job_failed\""),
        ngx_string("{\"event\":\"job_cancelled\"")
    };
    static u_char  mark[] = "\"job\":{\"id\":\"";

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {

        if ((size_t) (last - p) < ends[i].len
            || ngx_memcmp(p, ends[i].data, ends[i].len) != 0)
        {
            continue;
        }

        job = ngx_strlcasestrn(p, last, mark, sizeof(mark) - 2);

        if (job == NULL) {
            return;
        }

        job += sizeof(mark) - 1;

        if (last - job >= TF_UUID_TEXT_LEN
            && tf_uuid_parse((char *) job, TF_UUID_TEXT_LEN, id))
        {
            events->wake(events->data, id);
        }

        return;
    }
}


static void
ngx_http_taskforge_wait_events_send(ngx_http_taskforge_wait_events_t *events,
    ngx_http_taskforge_redis_handler_pt handler, int argc, const char **argv)
{
    int     i;
    size_t  argvlen[8];

    for (i = 0; i < argc; i++) {
        argvlen[i] = ngx_strlen(argv[i]);
    }

    events->busy = ngx_http_taskforge_redis_command(events->redis, handler,
                                                    events, argc, argv,
                                                    argvlen)
                   == NGX_OK;

    if (!events->busy) {
        events->known = 0;
    }
}


/* NULL: the connection was lost.  The next tick, or the connection, goes on. */

static ngx_uint_t
ngx_http_taskforge_wait_events_failed(ngx_http_taskforge_wait_events_t *events,
    redisReply *reply)
{
    events->busy = 0;

    if (reply && reply->type != REDIS_REPLY_ERROR) {
        return 0;
    }

    events->known = 0;

    if (reply) {
        ngx_log_error(NGX_LOG_ERR, events->log, 0,
                      "taskforge waits: Redis: %s", reply->str);
    }

    return 1;
}
