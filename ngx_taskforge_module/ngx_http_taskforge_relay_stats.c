
/*
 * The numbers of GET /stats for all who listen to them on this host: read
 * every two seconds by the process that relays, and published over a
 * WebSocket of their own.  nchan keeps the last ones for a moment and gives
 * them to who comes; when nobody has listened they are read at once, so
 * nobody waits for the first ones either way.
 *
 * Without PostgreSQL or nchan nothing is sent.  Old numbers are never sent
 * again: the next ones come when they can be read.
 */

#include "ngx_http_taskforge_relay.h"


/* milliseconds */
#define NGX_HTTP_TASKFORGE_STATS_INTERVAL  2000


static void ngx_http_taskforge_relay_stats_nchan(void *data,
    ngx_http_taskforge_wsclient_event_e event);
static void ngx_http_taskforge_relay_stats_publish(void *data, PGresult *res,
    tf_buf_t *json);


ngx_int_t
ngx_http_taskforge_relay_stats_init(ngx_http_taskforge_relay_t *relay,
    ngx_cycle_t *cycle)
{
    ngx_http_taskforge_relay_stats_t  *stats;

    stats = &relay->stats;

    stats->ws = ngx_http_taskforge_wsclient_create(cycle, &relay->conf->url,
                                         &relay->conf->stats_uri,
                                         ngx_http_taskforge_relay_stats_nchan,
                                         relay);

    return stats->ws ? NGX_OK : NGX_ERROR;
}


void
ngx_http_taskforge_relay_stats_run(ngx_http_taskforge_relay_t *relay)
{
    ngx_http_taskforge_relay_shm_t    *shm;
    ngx_http_taskforge_relay_stats_t  *stats;

    shm = relay->shm;
    stats = &relay->stats;

    if (stats->reading.op
        || ngx_http_taskforge_relay_count(relay,
                                          NGX_HTTP_TASKFORGE_CHANNEL_STATS)
           == 0)
    {
        return;
    }

    if (!ngx_http_taskforge_wsclient_up(stats->ws)) {
        ngx_http_taskforge_wsclient_connect(stats->ws);
        return;
    }

    /* nchan has not even answered to the last ones */

    if (ngx_http_taskforge_wsclient_unacked(stats->ws)) {
        return;
    }

    if ((ngx_msec_t) (ngx_current_msec - shm->stats_at)
        < NGX_HTTP_TASKFORGE_STATS_INTERVAL)
    {
        return;
    }

    if (ngx_http_taskforge_stats_read(&stats->reading, relay->mcf,
                                      ngx_http_taskforge_relay_stats_publish,
                                      relay)
        == NGX_OK)
    {
        shm->stats_at = ngx_current_msec;
    }
}


static void
ngx_http_taskforge_relay_stats_nchan(void *data,
    ngx_http_taskforge_wsclient_event_e event)
{
    ngx_http_taskforge_relay_t *relay = data;

    switch (event) {

    case NGX_HTTP_TASKFORGE_WSCLIENT_UP:
    case NGX_HTTP_TASKFORGE_WSCLIENT_SENT:
    case NGX_HTTP_TASKFORGE_WSCLIENT_ACK:
        break;

    case NGX_HTTP_TASKFORGE_WSCLIENT_DOWN:

        /* a new nchan has no numbers for who comes */

        relay->shm->stats_at = ngx_current_msec
                               - NGX_HTTP_TASKFORGE_STATS_INTERVAL;
        break;

    case NGX_HTTP_TASKFORGE_WSCLIENT_QUIT:
        ngx_http_taskforge_relay_stats_end(relay);
        break;
    }
}


static void
ngx_http_taskforge_relay_stats_publish(void *data, PGresult *res,
    tf_buf_t *json)
{
    size_t                       size;
    ngx_http_taskforge_relay_t  *relay = data;

    if (json == NULL) {
        (void) ngx_http_taskforge_pg_verdict(relay->log, res);
        return;
    }

    /* a process that stood still may have lost its office */

    if (json->failed || relay->shm->pid != (ngx_atomic_uint_t) ngx_pid) {
        return;
    }

    size = ngx_http_taskforge_wsclient_text(relay->stats.ws,
                                            (u_char *) json->data, json->len);
    relay->shm->bytes[NGX_HTTP_TASKFORGE_CHANNEL_STATS] += size;

    ngx_http_taskforge_wsclient_flush(relay->stats.ws);
}


void
ngx_http_taskforge_relay_stats_end(ngx_http_taskforge_relay_t *relay)
{
    ngx_http_taskforge_stats_forget(&relay->stats.reading);
    ngx_http_taskforge_wsclient_close(relay->stats.ws);
}
