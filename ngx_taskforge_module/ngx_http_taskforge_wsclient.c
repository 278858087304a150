
#include "ngx_http_taskforge_wsclient.h"
#include "ngx_http_taskforge_ws_handshake.h"


#define NGX_HTTP_TASKFORGE_WSCLIENT_BUFFER   4096

/* of the connection and its handshake, and of an answer, milliseconds */
#define NGX_HTTP_TASKFORGE_WSCLIENT_TIMEOUT  5000

/* before a lost connection is made again, milliseconds */
#define NGX_HTTP_TASKFORGE_WSCLIENT_BACKOFF_MIN  50
#define NGX_HTTP_TASKFORGE_WSCLIENT_BACKOFF_MAX  2000

#define NGX_HTTP_TASKFORGE_WS_TEXT    0x1
#define NGX_HTTP_TASKFORGE_WS_BINARY  0x2
#define NGX_HTTP_TASKFORGE_WS_CLOSE   0x8
#define NGX_HTTP_TASKFORGE_WS_PING    0x9
#define NGX_HTTP_TASKFORGE_WS_PONG    0xa

/* what nchan answers to a message that it took begins so */
#define NGX_HTTP_TASKFORGE_WS_ACK     "queued"


struct ngx_http_taskforge_wsclient_s {
    ngx_peer_connection_t               pc;
    ngx_str_t                           uri;

    ngx_http_taskforge_wsclient_pt      handler;
    void                               *data;

    ngx_http_taskforge_ws_handshake_t   handshake;

    tf_buf_t                            out;
    size_t                              sent;       /* of out */
    ngx_uint_t                          unacked;

    ngx_msec_t                          connect_at;
    ngx_msec_t                          backoff;

    size_t                              in_len;
    u_char                              in[NGX_HTTP_TASKFORGE_WSCLIENT_BUFFER];

    unsigned                            up:1;
    unsigned                            broken:1;
};


static ngx_int_t ngx_http_taskforge_wsclient_open(
    ngx_http_taskforge_wsclient_t *ws);
static void ngx_http_taskforge_wsclient_retry(
    ngx_http_taskforge_wsclient_t *ws);
static void ngx_http_taskforge_wsclient_read(ngx_event_t *rev);
static void ngx_http_taskforge_wsclient_write(ngx_event_t *wev);
static ngx_int_t ngx_http_taskforge_wsclient_handshake(
    ngx_http_taskforge_wsclient_t *ws);
static ngx_int_t ngx_http_taskforge_wsclient_parse(
    ngx_http_taskforge_wsclient_t *ws, ngx_uint_t *acks);
static ngx_int_t ngx_http_taskforge_wsclient_frame(
    ngx_http_taskforge_wsclient_t *ws, u_char first, u_char *payload,
    size_t len);
static ngx_int_t ngx_http_taskforge_wsclient_add(
    ngx_http_taskforge_wsclient_t *ws, u_char opcode, const u_char *data,
    size_t len);
static void ngx_http_taskforge_wsclient_lost(
    ngx_http_taskforge_wsclient_t *ws, const char *why);


ngx_http_taskforge_wsclient_t *
ngx_http_taskforge_wsclient_create(ngx_cycle_t *cycle, ngx_url_t *url,
    ngx_str_t *uri, ngx_http_taskforge_wsclient_pt handler, void *data)
{
    ngx_http_taskforge_wsclient_t  *ws;

    ws = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_wsclient_t));
    if (ws == NULL) {
        return NULL;
    }

    ws->pc.sockaddr = url->addrs[0].sockaddr;
    ws->pc.socklen = url->addrs[0].socklen;
    ws->pc.name = &url->addrs[0].name;
    ws->pc.get = ngx_event_get_peer;
    ws->pc.log = cycle->log;
    ws->pc.log_error = NGX_ERROR_ERR;

    ws->uri = *uri;
    ws->handler = handler;
    ws->data = data;

    ws->connect_at = ngx_current_msec;
    ws->backoff = NGX_HTTP_TASKFORGE_WSCLIENT_BACKOFF_MIN;

    return ws;
}


void
ngx_http_taskforge_wsclient_connect(ngx_http_taskforge_wsclient_t *ws)
{
    if (ws->pc.connection
        || (ngx_msec_int_t) (ngx_current_msec - ws->connect_at) < 0)
    {
        return;
    }

    if (ngx_http_taskforge_wsclient_open(ws) != NGX_OK) {
        ngx_http_taskforge_wsclient_close(ws);
        ngx_http_taskforge_wsclient_retry(ws);
    }
}


static void
ngx_http_taskforge_wsclient_retry(ngx_http_taskforge_wsclient_t *ws)
{
    ws->connect_at = ngx_current_msec + ws->backoff;
    ws->backoff = ngx_min(ws->backoff * 2,
                          NGX_HTTP_TASKFORGE_WSCLIENT_BACKOFF_MAX);
}


static ngx_int_t
ngx_http_taskforge_wsclient_open(ngx_http_taskforge_wsclient_t *ws)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    rc = ngx_event_connect_peer(&ws->pc);

    if (rc == NGX_ERROR || rc == NGX_DECLINED || rc == NGX_BUSY) {
        return NGX_ERROR;
    }

    c = ws->pc.connection;
    c->data = ws;
    c->log = ws->pc.log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_http_taskforge_wsclient_read;
    c->write->handler = ngx_http_taskforge_wsclient_write;

    /* so that a graceful shutdown calls our read handler, with c->close */

    c->idle = 1;

    if (ngx_http_taskforge_ws_handshake_request(&ws->handshake, &ws->uri,
                                                &ws->out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    c->read->cancelable = 1;
    ngx_add_timer(c->read, NGX_HTTP_TASKFORGE_WSCLIENT_TIMEOUT);

    if (rc == NGX_OK) {
        ngx_http_taskforge_wsclient_flush(ws);
    }

    return NGX_OK;
}


void
ngx_http_taskforge_wsclient_close(ngx_http_taskforge_wsclient_t *ws)
{
    if (ws->pc.connection) {
        ngx_close_connection(ws->pc.connection);
        ws->pc.connection = NULL;
    }

    tf_buf_free(&ws->out);

    ws->sent = 0;
    ws->unacked = 0;
    ws->in_len = 0;
    ws->up = 0;
    ws->broken = 0;
}


size_t
ngx_http_taskforge_wsclient_text(ngx_http_taskforge_wsclient_t *ws,
    const u_char *data, size_t len)
{
    if (!ws->up
        || ngx_http_taskforge_wsclient_add(ws, NGX_HTTP_TASKFORGE_WS_TEXT,
                                           data, len)
           != NGX_OK)
    {
        return 0;
    }

    ws->unacked++;

    return len + (len < 126 ? 2 : len < 65536 ? 4 : 10);
}


/* A client's frame is masked, RFC 6455, section 5.3. */

static ngx_int_t
ngx_http_taskforge_wsclient_add(ngx_http_taskforge_wsclient_t *ws,
    u_char opcode, const u_char *data, size_t len)
{
    u_char    *p, mask[4];
    size_t     i;
    uint32_t   key;

    p = (u_char *) tf_buf_reserve(&ws->out, len + 14);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key = (uint32_t) ngx_random();
    ngx_memcpy(mask, &key, 4);

    *p++ = 0x80 | opcode;

    if (len < 126) {
        *p++ = 0x80 | (u_char) len;

    } else if (len < 65536) {
        *p++ = 0x80 | 126;
        *p++ = (u_char) (len >> 8);
        *p++ = (u_char) len;

    } else {
        *p++ = 0x80 | 127;

        for (i = 8; i > 0; i--) {
            *p++ = (u_char) ((uint64_t) len >> (8 * (i - 1)));
        }
    }

    p = ngx_cpymem(p, mask, 4);

    for (i = 0; i < len; i++) {
        *p++ = data[i] ^ mask[i & 3];
    }

    ws->out.len = p - (u_char *) ws->out.data;

    return NGX_OK;
}


void
ngx_http_taskforge_wsclient_flush(ngx_http_taskforge_wsclient_t *ws)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = ws->pc.connection;

    if (c == NULL || ws->broken) {
        return;
    }

    while (ws->sent < ws->out.len && c->write->ready) {

        n = c->send(c, (u_char *) ws->out.data + ws->sent,
                    ws->out.len - ws->sent);

        if (n == NGX_AGAIN || n == 0) {
            break;
        }

        if (n < 0) {
            /* the caller may be in the middle of something */
            ws->broken = 1;
            ngx_post_event(c->read, &ngx_posted_events);
            return;
        }

        ws->sent += n;
    }

    if (ws->sent == ws->out.len) {
        tf_buf_reset(&ws->out);
        ws->sent = 0;
    }

    if (ws->unacked && !c->read->timer_set) {
        ngx_add_timer(c->read, NGX_HTTP_TASKFORGE_WSCLIENT_TIMEOUT);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ws->broken = 1;
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


static void
ngx_http_taskforge_wsclient_write(ngx_event_t *wev)
{
    ngx_connection_t               *c;
    ngx_http_taskforge_wsclient_t  *ws;

    c = wev->data;
    ws = c->data;

    ngx_http_taskforge_wsclient_flush(ws);

    /* the relay waits for an empty buffer */

    if (ws->up && !ws->broken && ws->out.len == 0) {
        ws->handler(ws->data, NGX_HTTP_TASKFORGE_WSCLIENT_SENT);
    }
}


static void
ngx_http_taskforge_wsclient_read(ngx_event_t *rev)
{
    ssize_t                         n;
    ngx_uint_t                      acks, up;
    ngx_connection_t               *c;
    ngx_http_taskforge_wsclient_t  *ws;

    c = rev->data;
    ws = c->data;

    if (c->close) {
        c->close = 0;
        c->idle = 0;
        ws->handler(ws->data, NGX_HTTP_TASKFORGE_WSCLIENT_QUIT);
        return;
    }

    if (rev->timedout) {
        ngx_http_taskforge_wsclient_lost(ws, "no answer in time");
        return;
    }

    if (ws->broken) {
        ngx_http_taskforge_wsclient_lost(ws, "the message could not be sent");
        return;
    }

    acks = 0;
    up = ws->up;

    do {
        n = c->recv(c, ws->in + ws->in_len, sizeof(ws->in) - ws->in_len);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_taskforge_wsclient_lost(ws, "connection closed");
            return;
        }

        ws->in_len += n;

        if (!ws->up && ngx_http_taskforge_wsclient_handshake(ws) == NGX_ERROR)
        {
            ngx_http_taskforge_wsclient_lost(ws, "no WebSocket there");
            return;
        }

        if (ws->up && ngx_http_taskforge_wsclient_parse(ws, &acks) != NGX_OK) {
            ngx_http_taskforge_wsclient_lost(ws, "a message was not taken");
            return;
        }

    } while (rev->ready);

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_taskforge_wsclient_lost(ws, "event failed");
        return;
    }

    if (acks || up != ws->up) {

        if (rev->timer_set) {
            ngx_del_timer(rev);
        }

        if (ws->unacked) {
            ngx_add_timer(rev, NGX_HTTP_TASKFORGE_WSCLIENT_TIMEOUT);
        }
    }

    /* not when it is up: a full nchan lets us in, and takes nothing */

    if (acks) {
        ws->backoff = NGX_HTTP_TASKFORGE_WSCLIENT_BACKOFF_MIN;
    }

    if (up != ws->up) {
        ws->handler(ws->data, NGX_HTTP_TASKFORGE_WSCLIENT_UP);

    } else if (acks) {
        ws->handler(ws->data, NGX_HTTP_TASKFORGE_WSCLIENT_ACK);
    }
}


/* NGX_OK: done, NGX_AGAIN: more must come. */

static ngx_int_t
ngx_http_taskforge_wsclient_handshake(ngx_http_taskforge_wsclient_t *ws)
{
    u_char     *end;
    ngx_int_t   rc;

    rc = ngx_http_taskforge_ws_handshake_answer(&ws->handshake, ws->in,
                                                ws->in_len, &end);

    if (rc == NGX_AGAIN && ws->in_len == sizeof(ws->in)) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ws->in_len -= end - ws->in;
    ngx_memmove(ws->in, end, ws->in_len);
    ws->up = 1;

    return NGX_OK;
}


/* Takes all whole frames out of the buffer. */

static ngx_int_t
ngx_http_taskforge_wsclient_parse(ngx_http_taskforge_wsclient_t *ws,
    ngx_uint_t *acks)
{
    u_char      *p, *last;
    size_t       len, head;
    ngx_uint_t   before;

    p = ws->in;
    last = p + ws->in_len;
    before = ws->unacked;

    while (last - p >= 2) {

        len = p[1];
        head = 2;

        if (len == 126) {
            if (last - p < 4) {
                break;
            }

            len = (size_t) p[2] << 8 | p[3];
            head = 4;
        }

        /* an answer is short and a server does not mask */

        if (len > sizeof(ws->in) - head || p[1] > 126) {
            return NGX_ERROR;
        }

        if ((size_t) (last - p) < head + len) {
            break;
        }

        if (ngx_http_taskforge_wsclient_frame(ws, p[0], p + head, len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        p += head + len;
    }

    ws->in_len = last - p;
    ngx_memmove(ws->in, p, ws->in_len);

    *acks += before - ws->unacked;

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_wsclient_frame(ngx_http_taskforge_wsclient_t *ws,
    u_char first, u_char *payload, size_t len)
{
    static const char  ack[] = NGX_HTTP_TASKFORGE_WS_ACK;

    switch (first) {

    case 0x80 | NGX_HTTP_TASKFORGE_WS_TEXT:
    case 0x80 | NGX_HTTP_TASKFORGE_WS_BINARY:

        if (ws->unacked == 0 || len < sizeof(ack) - 1
            || ngx_strncmp(payload, ack, sizeof(ack) - 1) != 0)
        {
            ngx_log_error(NGX_LOG_ERR, ws->pc.log, 0,
                          "taskforge relay: nchan answered \"%*s\"",
                          ngx_min(len, 100), payload);
            return NGX_ERROR;
        }

        ws->unacked--;
        return NGX_OK;

    case 0x80 | NGX_HTTP_TASKFORGE_WS_PING:

        /* a peer that pings and does not read gets no pong */

        if (ws->out.len - ws->sent < NGX_HTTP_TASKFORGE_WSCLIENT_BUFFER) {
            (void) ngx_http_taskforge_wsclient_add(ws,
                                                   NGX_HTTP_TASKFORGE_WS_PONG,
                                                   payload, len);
            ngx_http_taskforge_wsclient_flush(ws);
        }

        return NGX_OK;

    case 0x80 | NGX_HTTP_TASKFORGE_WS_PONG:
        return NGX_OK;

    default:
        /* a close, or what we never asked for */
        return NGX_ERROR;
    }
}


static void
ngx_http_taskforge_wsclient_lost(ngx_http_taskforge_wsclient_t *ws,
    const char *why)
{
    ngx_log_error(NGX_LOG_ERR, ws->pc.log, 0,
                  "taskforge relay: connection to nchan %V: %s",
                  ws->pc.name, why);

    ngx_http_taskforge_wsclient_close(ws);
    ngx_http_taskforge_wsclient_retry(ws);

    ws->handler(ws->data, NGX_HTTP_TASKFORGE_WSCLIENT_DOWN);
}


ngx_uint_t
ngx_http_taskforge_wsclient_up(ngx_http_taskforge_wsclient_t *ws)
{
    return ws->up;
}


ngx_uint_t
ngx_http_taskforge_wsclient_unacked(ngx_http_taskforge_wsclient_t *ws)
{
    return ws->unacked;
}


size_t
ngx_http_taskforge_wsclient_pending(ngx_http_taskforge_wsclient_t *ws)
{
    return ws->out.len - ws->sent;
}
