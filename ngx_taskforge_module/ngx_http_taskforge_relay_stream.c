
#include "ngx_http_taskforge_relay.h"
#include "redis_keys.h"


/* milliseconds */
#define NGX_HTTP_TASKFORGE_RELAY_BLOCK  "1000"
#define NGX_HTTP_TASKFORGE_RELAY_RETRY  1000
#define NGX_HTTP_TASKFORGE_RELAY_GAP    100


#define ngx_http_taskforge_relay_send(relay, handler, argv)                   \
    ngx_http_taskforge_relay_command(relay, handler,                          \
                                     sizeof(argv) / sizeof((argv)[0]), argv)


static void ngx_http_taskforge_relay_command(
    ngx_http_taskforge_relay_t *relay,
    ngx_http_taskforge_redis_handler_pt handler, int argc,
    const char *const *argv);
static ngx_uint_t ngx_http_taskforge_relay_answered(
    ngx_http_taskforge_relay_t *relay, redisReply *reply, int type);

static void ngx_http_taskforge_relay_idle_done(void *data, redisReply *reply);
static void ngx_http_taskforge_relay_look_first(void *data,
    redisReply *reply);
static void ngx_http_taskforge_relay_look_last(void *data, redisReply *reply);
static void ngx_http_taskforge_relay_look_done(void *data, redisReply *reply);
static void ngx_http_taskforge_relay_judge(ngx_http_taskforge_relay_t *relay,
    int64_t now_ms);
static void ngx_http_taskforge_relay_read_first(void *data,
    redisReply *reply);
static void ngx_http_taskforge_relay_read_entries(void *data,
    redisReply *reply);
static void ngx_http_taskforge_relay_take(ngx_http_taskforge_relay_t *relay,
    redisReply *entries);
static void ngx_http_taskforge_relay_read_length(void *data,
    redisReply *reply);
static void ngx_http_taskforge_relay_read_done(void *data, redisReply *reply);

static int64_t ngx_http_taskforge_relay_time(redisReply *reply);
static void ngx_http_taskforge_relay_only(redisReply *reply,
    ngx_http_taskforge_stream_id_t *id);
static ngx_int_t ngx_http_taskforge_relay_compare(
    ngx_http_taskforge_relay_t *relay,
    const ngx_http_taskforge_stream_id_t *id);
static void ngx_http_taskforge_relay_position(
    ngx_http_taskforge_relay_t *relay, ngx_uint_t known,
    const ngx_http_taskforge_stream_id_t *id);


static const char *const  ngx_http_taskforge_relay_first[] = {
    "XRANGE", TF_REDIS_EVENTS, "-", "+", "COUNT", "1"
};

static const char *const  ngx_http_taskforge_relay_last[] = {
    "XREVRANGE", TF_REDIS_EVENTS, "+", "-", "COUNT", "1"
};

static const char *const  ngx_http_taskforge_relay_clock[] = { "TIME" };

static const char *const  ngx_http_taskforge_relay_length[] = {
    "XLEN", TF_REDIS_EVENTS
};


static void
ngx_http_taskforge_relay_command(ngx_http_taskforge_relay_t *relay,
    ngx_http_taskforge_redis_handler_pt handler, int argc,
    const char *const *argv)
{
    int     i;
    size_t  argvlen[8];

    for (i = 0; i < argc; i++) {
        argvlen[i] = ngx_strlen(argv[i]);
    }

    if (ngx_http_taskforge_redis_command(relay->redis, handler, relay, argc,
                                         (const char **) argv, argvlen)
        == NGX_OK)
    {
        relay->owed++;
        return;
    }

    relay->looked = 0;
    relay->wait_until = ngx_current_msec + NGX_HTTP_TASKFORGE_RELAY_RETRY;
}


/* NULL: the connection was lost; an error: the stream is not what it was. */

static ngx_uint_t
ngx_http_taskforge_relay_answered(ngx_http_taskforge_relay_t *relay,
    redisReply *reply, int type)
{
    relay->owed--;

    if (reply == NULL) {
        relay->looked = 0;
        return 0;
    }

    if (reply->type == type) {
        return 1;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, relay->log, 0,
                      "taskforge relay: Redis: %s", reply->str);

        relay->looked = 0;
        relay->wait_until = ngx_current_msec + NGX_HTTP_TASKFORGE_RELAY_RETRY;
    }

    return 0;
}


/*
 * Nobody listens.  Ids of the stream are times of Redis' clock, so the
 * moment is a position: whoever comes now gets what is added from now on.
 */

void
ngx_http_taskforge_relay_stream_idle(ngx_http_taskforge_relay_t *relay)
{
    relay->length = -1;

    ngx_http_taskforge_relay_send(relay, ngx_http_taskforge_relay_idle_done,
                                  ngx_http_taskforge_relay_clock);
}


static void
ngx_http_taskforge_relay_idle_done(void *data, redisReply *reply)
{
    ngx_http_taskforge_relay_t  *relay = data;

    if (!ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_ARRAY)) {
        return;
    }

    relay->idle_until = ngx_current_msec + NGX_HTTP_TASKFORGE_RELAY_RETRY;

    /* who has come in the meantime wants the events of the meantime */

    if (ngx_http_taskforge_relay_count(relay,
                                       NGX_HTTP_TASKFORGE_CHANNEL_EVENTS)
        == 0)
    {
        relay->shm->resync = 0;
        ngx_http_taskforge_relay_moment(relay,
                                        ngx_http_taskforge_relay_time(reply));
    }
}


void
ngx_http_taskforge_relay_stream_look(ngx_http_taskforge_relay_t *relay)
{
    ngx_memzero(&relay->first, sizeof(ngx_http_taskforge_stream_id_t));
    ngx_memzero(&relay->last, sizeof(ngx_http_taskforge_stream_id_t));

    relay->length = -1;
    relay->looked = 1;

    ngx_http_taskforge_relay_send(relay, ngx_http_taskforge_relay_look_first,
                                  ngx_http_taskforge_relay_first);
    ngx_http_taskforge_relay_send(relay, ngx_http_taskforge_relay_look_last,
                                  ngx_http_taskforge_relay_last);
    ngx_http_taskforge_relay_send(relay, ngx_http_taskforge_relay_look_done,
                                  ngx_http_taskforge_relay_clock);
}


static void
ngx_http_taskforge_relay_look_first(void *data, redisReply *reply)
{
    ngx_http_taskforge_relay_t  *relay = data;

    if (ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_ARRAY)) {
        ngx_http_taskforge_relay_only(reply, &relay->first);
    }
}


static void
ngx_http_taskforge_relay_look_last(void *data, redisReply *reply)
{
    ngx_http_taskforge_relay_t  *relay = data;

    if (ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_ARRAY)) {
        ngx_http_taskforge_relay_only(reply, &relay->last);
    }
}


static void
ngx_http_taskforge_relay_look_done(void *data, redisReply *reply)
{
    ngx_http_taskforge_relay_t  *relay = data;

    if (!ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_ARRAY)
        || !relay->looked)
    {
        return;
    }

    ngx_http_taskforge_relay_judge(relay,
                                   ngx_http_taskforge_relay_time(reply));

    ngx_http_taskforge_relay_run(relay);
}


/*
 * Redis may have been flushed, restarted with less than it had, or replaced
 * by one whose clock is behind; and the stream forgets its oldest entries.
 */

static void
ngx_http_taskforge_relay_judge(ngx_http_taskforge_relay_t *relay,
    int64_t now_ms)
{
    ngx_uint_t                       empty;
    ngx_http_taskforge_relay_shm_t  *shm;

    shm = relay->shm;
    empty = (relay->last.ms == 0 && relay->last.seq == 0);

    if (shm->known == NGX_HTTP_TASKFORGE_RELAY_MOMENT) {

        if ((int64_t) shm->ms >= now_ms) {
            shm->resync = 1;
            ngx_http_taskforge_relay_moment(relay, now_ms);
        }

    } else if (empty) {
        shm->resync = 1;
        ngx_http_taskforge_relay_moment(relay, now_ms);

    } else if (ngx_http_taskforge_relay_compare(relay, &relay->last) < 0) {
        shm->resync = 1;
        ngx_http_taskforge_relay_position(relay,
                                          NGX_HTTP_TASKFORGE_RELAY_ENTRY,
                                          &relay->last);

    } else if (ngx_http_taskforge_relay_compare(relay, &relay->first) > 0) {
        shm->resync = 1;
    }

    if (relay->skip && !empty
        && ngx_http_taskforge_relay_compare(relay, &relay->last) > 0)
    {
        shm->resync = 1;
        ngx_http_taskforge_relay_position(relay,
                                          NGX_HTTP_TASKFORGE_RELAY_ENTRY,
                                          &relay->last);
    }

    relay->skip = 0;
}


/* All commands leave in one write, so Redis does nothing between them. */

void
ngx_http_taskforge_relay_stream_read(ngx_http_taskforge_relay_t *relay,
    ngx_uint_t entries)
{
    u_char                          id[NGX_HTTP_TASKFORGE_STREAM_ID_LEN];
    u_char                          count[NGX_INT_T_LEN + 1];
    const char                     *argv[] = { "XREAD", "COUNT",
                                               (char *) count, "BLOCK",
                                               NGX_HTTP_TASKFORGE_RELAY_BLOCK,
                                               "STREAMS", TF_REDIS_EVENTS,
                                               (char *) id };
    ngx_http_taskforge_stream_id_t  position;

    position.ms = relay->shm->ms;
    position.seq = relay->shm->seq;

    (void) ngx_http_taskforge_stream_id_text(&position, id);
    (void) ngx_sprintf(count, "%ui%Z", entries);

    /* has the stream been trimmed beyond the position in the meantime? */

    if (relay->got == relay->asked
        || ngx_current_msec - relay->got_at > NGX_HTTP_TASKFORGE_RELAY_GAP)
    {
        ngx_http_taskforge_relay_send(relay,
                                      ngx_http_taskforge_relay_read_first,
                                      ngx_http_taskforge_relay_first);
    }

    relay->asked = entries;
    relay->got = 0;

    ngx_http_taskforge_relay_send(relay,
                                  ngx_http_taskforge_relay_read_entries, argv);
    ngx_http_taskforge_relay_send(relay, ngx_http_taskforge_relay_read_length,
                                  ngx_http_taskforge_relay_length);
    ngx_http_taskforge_relay_send(relay, ngx_http_taskforge_relay_read_done,
                                  ngx_http_taskforge_relay_clock);
}


static void
ngx_http_taskforge_relay_read_first(void *data, redisReply *reply)
{
    ngx_http_taskforge_relay_t  *relay = data;

    if (!ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_ARRAY)
        || reply->elements == 0)
    {
        return;
    }

    ngx_http_taskforge_relay_only(reply, &relay->first);

    if (relay->shm->known == NGX_HTTP_TASKFORGE_RELAY_ENTRY
        && ngx_http_taskforge_relay_compare(relay, &relay->first) > 0)
    {
        relay->shm->resync = 1;
    }
}


static void
ngx_http_taskforge_relay_read_entries(void *data, redisReply *reply)
{
    redisReply                  *stream;
    ngx_http_taskforge_relay_t  *relay = data;

    relay->got_at = ngx_current_msec;

    if (!ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_ARRAY)) {

        /* a second without events: a good time to see if all is well */
        relay->looked = 0;
        return;
    }

    stream = reply->elements ? reply->element[0] : NULL;

    if (stream && stream->type == REDIS_REPLY_ARRAY && stream->elements == 2
        && stream->element[1]->type == REDIS_REPLY_ARRAY)
    {
        ngx_http_taskforge_relay_take(relay, stream->element[1]);
    }
}


static void
ngx_http_taskforge_relay_take(ngx_http_taskforge_relay_t *relay,
    redisReply *entries)
{
    size_t                           i;
    ngx_uint_t                       listeners;
    ngx_http_taskforge_entry_t       entry;
    ngx_http_taskforge_relay_shm_t  *shm;

    shm = relay->shm;

    listeners = relay->subscribers;

    if (listeners == 0) {
        listeners = ngx_http_taskforge_relay_count(relay,
                                           NGX_HTTP_TASKFORGE_CHANNEL_EVENTS);
    }

    /*
     * Without nchan it is read again later.  A process that stood still for
     * seconds may have lost its office.
     */

    if ((listeners && !relay->connected)
        || shm->pid != (ngx_atomic_uint_t) ngx_pid)
    {
        return;
    }

    ngx_http_taskforge_relay_resync(relay);

    relay->got = entries->elements;

    for (i = 0; i < entries->elements; i++) {

        if (ngx_http_taskforge_entry_open(&entry, entries->element[i])
            != NGX_OK)
        {
            continue;
        }

        /* counted first: if we die here, the next relay knows of a doubt */

        if (listeners) {
            shm->unacked++;
            ngx_memory_barrier();
        }

        ngx_http_taskforge_relay_position(relay,
                                          NGX_HTTP_TASKFORGE_RELAY_ENTRY,
                                          &entry.id);

        if (listeners) {
            ngx_http_taskforge_relay_publish(relay, &entry);
        }

        relay->last = entry.id;
    }

    if (listeners) {
        ngx_http_taskforge_wsclient_flush(relay->ws);
        shm->unacked = ngx_http_taskforge_wsclient_unacked(relay->ws);
    }
}


/* The stream is trimmed to its cap only: what is shorter was flushed. */

static void
ngx_http_taskforge_relay_read_length(void *data, redisReply *reply)
{
    ngx_http_taskforge_relay_t  *relay = data;

    if (!ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_INTEGER))
    {
        return;
    }

    if (reply->integer < relay->length
        && reply->integer < TF_REDIS_EVENTS_MAXLEN)
    {
        relay->shm->resync = 1;
    }

    relay->length = reply->integer;
}


static void
ngx_http_taskforge_relay_read_done(void *data, redisReply *reply)
{
    int64_t                      behind_ms;
    ngx_http_taskforge_relay_t  *relay = data;

    if (!ngx_http_taskforge_relay_answered(relay, reply, REDIS_REPLY_ARRAY)) {
        return;
    }

    if (relay->got == relay->asked) {

        behind_ms = ngx_http_taskforge_relay_time(reply)
                    - (int64_t) relay->last.ms;

        if (behind_ms > (int64_t) relay->conf->lag) {
            relay->skip = 1;
            relay->looked = 0;
        }
    }

    ngx_http_taskforge_relay_run(relay);
}


/* TIME: seconds and microseconds as texts; returns milliseconds. */

static int64_t
ngx_http_taskforge_relay_time(redisReply *reply)
{
    time_t     seconds;
    ngx_int_t  us;

    if (reply->elements != 2) {
        return 0;
    }

    seconds = ngx_atotm((u_char *) reply->element[0]->str,
                        reply->element[0]->len);
    us = ngx_atoi((u_char *) reply->element[1]->str, reply->element[1]->len);

    if (seconds == (time_t) NGX_ERROR || us == NGX_ERROR) {
        return 0;
    }

    return (int64_t) seconds * 1000 + us / 1000;
}


/* The id of the only entry; none: 0-0. */

static void
ngx_http_taskforge_relay_only(redisReply *reply,
    ngx_http_taskforge_stream_id_t *id)
{
    ngx_http_taskforge_entry_t  entry;

    ngx_memzero(id, sizeof(ngx_http_taskforge_stream_id_t));

    if (reply->elements
        && ngx_http_taskforge_entry_open(&entry, reply->element[0]) == NGX_OK)
    {
        *id = entry.id;
    }
}


/* Where id lies: before the position (-1), at it, behind it. */

static ngx_int_t
ngx_http_taskforge_relay_compare(ngx_http_taskforge_relay_t *relay,
    const ngx_http_taskforge_stream_id_t *id)
{
    ngx_http_taskforge_stream_id_t  position;

    position.ms = relay->shm->ms;
    position.seq = relay->shm->seq;

    return ngx_http_taskforge_stream_id_cmp(id, &position);
}


static void
ngx_http_taskforge_relay_position(ngx_http_taskforge_relay_t *relay,
    ngx_uint_t known, const ngx_http_taskforge_stream_id_t *id)
{
    relay->shm->ms = id->ms;
    relay->shm->seq = id->seq;
    relay->shm->known = known;
}


void
ngx_http_taskforge_relay_moment(ngx_http_taskforge_relay_t *relay,
    int64_t now_ms)
{
    ngx_http_taskforge_stream_id_t  id;

    if (now_ms <= 0) {
        return;
    }

    id.ms = now_ms - 1;
    id.seq = UINT64_MAX;

    ngx_http_taskforge_relay_position(relay, NGX_HTTP_TASKFORGE_RELAY_MOMENT,
                                      &id);
}
