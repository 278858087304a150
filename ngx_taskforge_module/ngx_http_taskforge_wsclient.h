
/*
 * A WebSocket client (RFC 6455) on nginx's event loop, as much of it as the
 * relay needs to publish into nchan: text messages out, one answer per
 * message in.
 */

#ifndef _NGX_HTTP_TASKFORGE_WSCLIENT_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WSCLIENT_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


typedef struct ngx_http_taskforge_wsclient_s  ngx_http_taskforge_wsclient_t;


typedef enum {
    NGX_HTTP_TASKFORGE_WSCLIENT_UP = 0,   /* messages can be sent */
    NGX_HTTP_TASKFORGE_WSCLIENT_DOWN,     /* lost, or could not be made */
    NGX_HTTP_TASKFORGE_WSCLIENT_SENT,     /* there is no output left */
    NGX_HTTP_TASKFORGE_WSCLIENT_ACK,      /* some messages were answered */
    NGX_HTTP_TASKFORGE_WSCLIENT_QUIT      /* the worker shuts down */
} ngx_http_taskforge_wsclient_event_e;


/*
 * Called from the event loop.  In DOWN the client is closed already and may
 * be connected again; in the others it may be closed.
 */

typedef void (*ngx_http_taskforge_wsclient_pt)(void *data,
    ngx_http_taskforge_wsclient_event_e event);


/* The memory is the cycle's; url must have been parsed.  NULL: no memory. */

ngx_http_taskforge_wsclient_t *ngx_http_taskforge_wsclient_create(
    ngx_cycle_t *cycle, ngx_url_t *url, ngx_str_t *uri,
    ngx_http_taskforge_wsclient_pt handler, void *data);


/*
 * Connects, where no connection is there or being made, and, after one that
 * failed or was lost, not before its time: 50 ms, then twice as long each time
 * up to 2 s, until nchan answers to a message.  The handler will be called
 * with UP or DOWN; not with DOWN where it fails at once.
 */

void ngx_http_taskforge_wsclient_connect(ngx_http_taskforge_wsclient_t *ws);


/* Does not call the handler.  Harmless when there is no connection. */

void ngx_http_taskforge_wsclient_close(ngx_http_taskforge_wsclient_t *ws);


/*
 * Appends a text message to the output; flush sends it.  Returns the bytes
 * the message takes on its way to a subscriber; 0: not up, or no memory.
 */

size_t ngx_http_taskforge_wsclient_text(ngx_http_taskforge_wsclient_t *ws,
    const u_char *data, size_t len);


/*
 * Writes what the socket takes, the rest when it is writable again.  A lost
 * connection is told to the handler later, from the event loop.
 */

void ngx_http_taskforge_wsclient_flush(ngx_http_taskforge_wsclient_t *ws);


ngx_uint_t ngx_http_taskforge_wsclient_up(ngx_http_taskforge_wsclient_t *ws);


/* Messages without an answer, bytes not yet written. */

ngx_uint_t ngx_http_taskforge_wsclient_unacked(
    ngx_http_taskforge_wsclient_t *ws);

size_t ngx_http_taskforge_wsclient_pending(ngx_http_taskforge_wsclient_t *ws);


#endif /* _NGX_HTTP_TASKFORGE_WSCLIENT_H_INCLUDED_ */
