
#include "ngx_http_taskforge_relay.h"
#include "redis_keys.h"


/* milliseconds */
#define NGX_HTTP_TASKFORGE_RELAY_TICK       50
#define NGX_HTTP_TASKFORGE_RELAY_CANDIDATE  200
#define NGX_HTTP_TASKFORGE_RELAY_STALE      2000
#define NGX_HTTP_TASKFORGE_RELAY_TIMEOUT    3000
#define NGX_HTTP_TASKFORGE_RELAY_DRAIN      1000

/* messages without an answer, entries of one XREAD */
#define NGX_HTTP_TASKFORGE_RELAY_WINDOW     1024
#define NGX_HTTP_TASKFORGE_RELAY_ENTRIES    32


static void ngx_http_taskforge_relay_tick(ngx_event_t *ev);
static void ngx_http_taskforge_relay_hold(ngx_http_taskforge_relay_t *relay);
static ngx_int_t ngx_http_taskforge_relay_elect(
    ngx_http_taskforge_relay_shm_t *shm);
static void ngx_http_taskforge_relay_begin(ngx_http_taskforge_relay_t *relay);
static void ngx_http_taskforge_relay_quit(ngx_http_taskforge_relay_t *relay);
static void ngx_http_taskforge_relay_end(ngx_http_taskforge_relay_t *relay);

static ngx_uint_t ngx_http_taskforge_relay_allowed(
    ngx_http_taskforge_relay_t *relay);
static ngx_int_t ngx_http_taskforge_relay_send_text(
    ngx_http_taskforge_relay_t *relay);
static void ngx_http_taskforge_relay_nchan(void *data,
    ngx_http_taskforge_wsclient_event_e event);
static void ngx_http_taskforge_relay_redis(void *data, ngx_uint_t up);

static ngx_int_t ngx_http_taskforge_relay_init_process(ngx_cycle_t *cycle);
static void ngx_http_taskforge_relay_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_taskforge_relay_commands[] = {

    { ngx_string("taskforge_relay"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_relay_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_relay_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_taskforge_relay_check,        /* postconfiguration */

    ngx_http_taskforge_relay_create_conf,  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_relay_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_relay_module_ctx,  /* module context */
    ngx_http_taskforge_relay_commands,     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_taskforge_relay_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_taskforge_relay_exit_process, /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void
ngx_http_taskforge_relay_tick(ngx_event_t *ev)
{
    ngx_http_taskforge_relay_t  *relay;

    relay = ev->data;

    if (relay->holder) {
        ngx_http_taskforge_relay_hold(relay);

    } else if (!ngx_exiting
               && ngx_http_taskforge_relay_elect(relay->shm) == NGX_OK)
    {
        ngx_http_taskforge_relay_begin(relay);
    }

    if (relay->holder) {
        ngx_add_timer(&relay->timer, NGX_HTTP_TASKFORGE_RELAY_TICK);

    } else if (!ngx_exiting) {
        ngx_add_timer(&relay->timer, NGX_HTTP_TASKFORGE_RELAY_CANDIDATE);
    }
}


static void
ngx_http_taskforge_relay_hold(ngx_http_taskforge_relay_t *relay)
{
    if (relay->shm->pid != (ngx_atomic_uint_t) ngx_pid) {
        ngx_log_error(NGX_LOG_WARN, relay->log, 0,
                      "taskforge relay: this process stood still for too "
                      "long, %uA relays now", relay->shm->pid);
        ngx_http_taskforge_relay_end(relay);
        return;
    }

    relay->shm->heartbeat = ngx_current_msec;

    if (ngx_exiting && !relay->leaving) {
        ngx_http_taskforge_relay_quit(relay);
        return;
    }

    if (relay->leaving) {

        if ((ngx_msec_int_t) (ngx_current_msec - relay->drain_until) >= 0) {
            ngx_http_taskforge_relay_end(relay);
        }

        return;
    }

    if (relay->connected) {
        relay->shm->nchan_at = ngx_time();

    } else {
        ngx_http_taskforge_wsclient_connect(relay->ws);
    }

    relay->subscribers = ngx_http_taskforge_relay_count(relay,
                                           NGX_HTTP_TASKFORGE_CHANNEL_EVENTS);

    ngx_http_taskforge_relay_run(relay);
    ngx_http_taskforge_relay_stats_run(relay);
}


/*
 * The office is free when nobody holds it, when its holder is dead, and when
 * the holder shows no life; it will notice before it publishes again.
 */

static ngx_int_t
ngx_http_taskforge_relay_elect(ngx_http_taskforge_relay_shm_t *shm)
{
    ngx_msec_int_t     age;
    ngx_atomic_uint_t  pid;

    pid = shm->pid;

    if (pid && pid != (ngx_atomic_uint_t) ngx_pid) {
        age = (ngx_msec_int_t) (ngx_current_msec - shm->heartbeat);

        if (age < NGX_HTTP_TASKFORGE_RELAY_STALE
            && !ngx_http_taskforge_relay_dead(pid))
        {
            return NGX_DECLINED;
        }

        /* not stale any more when another candidate looks */

        shm->heartbeat = ngx_current_msec;
        ngx_memory_barrier();
    }

    return ngx_atomic_cmp_set(&shm->pid, pid, ngx_pid) ? NGX_OK
                                                       : NGX_DECLINED;
}


static void
ngx_http_taskforge_relay_begin(ngx_http_taskforge_relay_t *relay)
{
    ngx_http_taskforge_relay_shm_t  *shm;

    shm = relay->shm;
    shm->heartbeat = ngx_current_msec;

    /* what the last holder sent and got no answer for: it may be lost */

    if (shm->unacked) {
        shm->unacked = 0;
        shm->resync = 1;
    }

    /* our clock will do until Redis has told its own */

    if (shm->known == NGX_HTTP_TASKFORGE_RELAY_NOWHERE) {
        ngx_http_taskforge_relay_moment(relay,
                                        ngx_http_taskforge_now_us() / 1000);
    }

    relay->holder = 1;
    relay->leaving = 0;
    relay->looked = 0;
    relay->skip = 0;
    relay->got = 0;
    relay->asked = 1;
    relay->length = -1;
    relay->tokens = 0;
    relay->tokens_at = ngx_current_msec;
    relay->wait_until = ngx_current_msec;
    relay->idle_until = ngx_current_msec;
    relay->subscribers = ngx_http_taskforge_relay_count(relay,
                                           NGX_HTTP_TASKFORGE_CHANNEL_EVENTS);

    ngx_log_error(NGX_LOG_NOTICE, relay->log, 0,
                  "taskforge relay: this process relays the events");

    ngx_http_taskforge_redis_start(relay->redis);
}


/* A graceful shutdown: nothing is read any more, only answers are awaited. */

static void
ngx_http_taskforge_relay_quit(ngx_http_taskforge_relay_t *relay)
{
    ngx_http_taskforge_redis_stop(relay->redis);
    ngx_http_taskforge_relay_stats_end(relay);

    if (ngx_http_taskforge_wsclient_unacked(relay->ws) == 0) {
        ngx_http_taskforge_relay_end(relay);
        return;
    }

    relay->leaving = 1;
    relay->drain_until = ngx_current_msec + NGX_HTTP_TASKFORGE_RELAY_DRAIN;

    /* the process must not leave before that */

    relay->timer.cancelable = 0;
}


/* Never from a handler of Redis. */

static void
ngx_http_taskforge_relay_end(ngx_http_taskforge_relay_t *relay)
{
    relay->holder = 0;
    relay->leaving = 0;
    relay->connected = 0;
    relay->timer.cancelable = 1;

    ngx_http_taskforge_redis_stop(relay->redis);
    ngx_http_taskforge_wsclient_close(relay->ws);
    ngx_http_taskforge_relay_stats_end(relay);
    tf_buf_free(&relay->text);

    ngx_memory_barrier();
    (void) ngx_atomic_cmp_set(&relay->shm->pid, ngx_pid, 0);
}


void
ngx_http_taskforge_relay_run(ngx_http_taskforge_relay_t *relay)
{
    ngx_uint_t  entries;

    if (!relay->holder || relay->leaving || relay->owed
        || !ngx_http_taskforge_redis_ready(relay->redis)
        || (ngx_msec_int_t) (ngx_current_msec - relay->wait_until) < 0)
    {
        return;
    }

    if (relay->subscribers == 0) {

        if ((ngx_msec_int_t) (ngx_current_msec - relay->idle_until) >= 0) {
            ngx_http_taskforge_relay_stream_idle(relay);
        }

        return;
    }

    if (!relay->connected) {
        return;
    }

    if (!relay->looked) {
        ngx_http_taskforge_relay_stream_look(relay);
        return;
    }

    ngx_http_taskforge_relay_resync(relay);

    entries = ngx_http_taskforge_relay_allowed(relay);

    if (entries) {
        ngx_http_taskforge_relay_stream_read(relay, entries);
    }
}


/*
 * Entries that may be read now, so that their messages fit into the window
 * and the rate.  0: an answer or a tick will change that.
 */

static ngx_uint_t
ngx_http_taskforge_relay_allowed(ngx_http_taskforge_relay_t *relay)
{
    uint64_t    rate;
    ngx_uint_t  unacked, messages;

    rate = relay->conf->rate;

    relay->tokens += (ngx_current_msec - relay->tokens_at) * rate;
    relay->tokens = ngx_min(relay->tokens, 100 * rate);
    relay->tokens_at = ngx_current_msec;

    unacked = ngx_http_taskforge_wsclient_unacked(relay->ws);

    if (ngx_http_taskforge_wsclient_pending(relay->ws)
        || unacked >= NGX_HTTP_TASKFORGE_RELAY_WINDOW)
    {
        return 0;
    }

    messages = ngx_min(NGX_HTTP_TASKFORGE_RELAY_WINDOW - unacked,
                       relay->tokens / 1000);

    return ngx_min(messages / TF_REDIS_EVENTS_PER_ENTRY,
                   NGX_HTTP_TASKFORGE_RELAY_ENTRIES);
}


void
ngx_http_taskforge_relay_resync(ngx_http_taskforge_relay_t *relay)
{
    int64_t  now_us;

    if (!relay->shm->resync) {
        return;
    }

    now_us = ngx_http_taskforge_now_us();

    tf_buf_reset(&relay->text);
    tf_buf_addc(&relay->text, '{');
    tf_json_kcstr(&relay->text, "event", "resync");
    tf_json_ktime(&relay->text, "ts", now_us);
    tf_buf_addc(&relay->text, '}');

    if (relay->subscribers == 0
        || ngx_http_taskforge_relay_send_text(relay) == NGX_OK)
    {
        relay->shm->resync = 0;
        ngx_http_taskforge_wsclient_flush(relay->ws);

        ngx_log_error(NGX_LOG_NOTICE, relay->log, 0,
                      "taskforge relay: events may be missing, resync");
    }
}


void
ngx_http_taskforge_relay_publish(ngx_http_taskforge_relay_t *relay,
    ngx_http_taskforge_entry_t *entry)
{
    for ( ;; ) {
        tf_buf_reset(&relay->text);

        if (ngx_http_taskforge_entry_next(entry, &relay->text) != NGX_OK) {
            break;
        }

        if (ngx_http_taskforge_relay_send_text(relay) != NGX_OK) {
            relay->shm->resync = 1;
        }
    }
}


static ngx_int_t
ngx_http_taskforge_relay_send_text(ngx_http_taskforge_relay_t *relay)
{
    size_t  size;

    if (relay->text.failed) {
        return NGX_ERROR;
    }

    size = ngx_http_taskforge_wsclient_text(relay->ws,
                                            (u_char *) relay->text.data,
                                            relay->text.len);
    if (size == 0) {
        return NGX_ERROR;
    }

    relay->tokens -= ngx_min(relay->tokens, 1000);
    relay->shm->bytes[NGX_HTTP_TASKFORGE_CHANNEL_EVENTS] += size;

    return NGX_OK;
}


static void
ngx_http_taskforge_relay_nchan(void *data,
    ngx_http_taskforge_wsclient_event_e event)
{
    ngx_http_taskforge_relay_t  *relay = data;

    switch (event) {

    case NGX_HTTP_TASKFORGE_WSCLIENT_UP:
        relay->connected = 1;
        break;

    case NGX_HTTP_TASKFORGE_WSCLIENT_SENT:
        break;

    case NGX_HTTP_TASKFORGE_WSCLIENT_DOWN:

        /* an attempt that failed has lost nothing */

        if (relay->connected) {
            relay->connected = 0;
            relay->shm->resync = 1;
            relay->shm->unacked = 0;
        }

        if (relay->leaving) {
            ngx_http_taskforge_relay_end(relay);
        }

        return;

    case NGX_HTTP_TASKFORGE_WSCLIENT_ACK:
        relay->shm->unacked = ngx_http_taskforge_wsclient_unacked(relay->ws);

        if (relay->leaving && relay->shm->unacked == 0) {
            ngx_http_taskforge_relay_end(relay);
            return;
        }

        break;

    case NGX_HTTP_TASKFORGE_WSCLIENT_QUIT:
        ngx_http_taskforge_relay_quit(relay);
        return;
    }

    ngx_http_taskforge_relay_run(relay);
}


static void
ngx_http_taskforge_relay_redis(void *data, ngx_uint_t up)
{
    ngx_http_taskforge_relay_t  *relay = data;

    /* it may be another Redis, or the same with other data */

    relay->looked = 0;
    relay->wait_until = ngx_current_msec;

    if (up) {
        ngx_http_taskforge_relay_run(relay);
    }
}


static ngx_int_t
ngx_http_taskforge_relay_init_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_relay_t       *relay;
    ngx_http_taskforge_main_conf_t   *mcf;
    ngx_http_taskforge_relay_conf_t  *rcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_taskforge_module);
    rcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_taskforge_relay_module);

    if (rcf == NULL || !rcf->enabled) {
        return NGX_OK;
    }

    relay = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_relay_t));
    if (relay == NULL) {
        return NGX_ERROR;
    }

    relay->conf = rcf;
    relay->mcf = mcf;
    relay->shm = &ngx_http_taskforge_shm(mcf)->relay;
    relay->log = cycle->log;

    relay->redis = ngx_http_taskforge_redis_create(cycle, &mcf->redis,
                                            "relay",
                                            NGX_HTTP_TASKFORGE_RELAY_TIMEOUT,
                                            ngx_http_taskforge_relay_redis,
                                            relay);
    relay->ws = ngx_http_taskforge_wsclient_create(cycle, &rcf->url,
                                               &rcf->uri,
                                               ngx_http_taskforge_relay_nchan,
                                               relay);

    if (relay->redis == NULL || relay->ws == NULL
        || ngx_http_taskforge_relay_stats_init(relay, cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a process that died may have had our number */

    ngx_http_taskforge_relay_forget(relay->shm);

    relay->timer.handler = ngx_http_taskforge_relay_tick;
    relay->timer.data = relay;
    relay->timer.log = cycle->log;
    relay->timer.cancelable = 1;

    ngx_add_timer(&relay->timer, 1);

    rcf->relay = relay;

    return NGX_OK;
}


static void
ngx_http_taskforge_relay_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_relay_conf_t  *rcf;

    rcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_taskforge_relay_module);

    if (rcf == NULL || rcf->relay == NULL) {
        return;
    }

    if (rcf->relay->holder) {
        ngx_http_taskforge_relay_end(rcf->relay);
    }

    ngx_http_taskforge_relay_forget(rcf->relay->shm);
}
