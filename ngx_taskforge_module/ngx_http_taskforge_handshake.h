
/*
 * Requests of browsers that cannot set a header: WebSockets and event
 * streams.  They log in with ?ticket=, ?token= or the subprotocol
 * "bearer.<token>"; what came in the query is masked before any log sees it.
 */

#ifndef _NGX_HTTP_TASKFORGE_HANDSHAKE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_HANDSHAKE_H_INCLUDED_


#include "ngx_http_taskforge_access.h"


/* Does the request want a WebSocket? */

ngx_uint_t ngx_http_taskforge_is_websocket(ngx_http_request_t *r);


/* Does it want a WebSocket or an event stream? */

ngx_uint_t ngx_http_taskforge_is_stream(ngx_http_request_t *r);


/*
 * Takes the credential of such a request from where it is; type NONE: there
 * is none.
 */

void ngx_http_taskforge_handshake_credential(ngx_http_request_t *r,
    ngx_http_taskforge_access_ctx_t *actx);


/*
 * NGX_DECLINED: a page of an origin that is not allowed wants a WebSocket.
 * Who sends no Origin is no browser.
 */

ngx_int_t ngx_http_taskforge_handshake_origin(ngx_http_request_t *r);


/* The first request header of that name; NULL: none. */

ngx_str_t *ngx_http_taskforge_header_in(ngx_http_request_t *r,
    const char *name);


/*
 * Ends such a request, from outside of its own events: of HTTP/2 that stream,
 * otherwise the connection.  It is gone when its events have run, so not yet
 * on return.
 */

void ngx_http_taskforge_hang_up(ngx_connection_t *c);


/* The phase handlers and the filter. */

ngx_int_t ngx_http_taskforge_handshake_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TASKFORGE_HANDSHAKE_H_INCLUDED_ */
