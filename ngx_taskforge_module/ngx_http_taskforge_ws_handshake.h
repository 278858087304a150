
/*
 * The opening handshake of a WebSocket client, RFC 6455, section 4.1.
 */

#ifndef _NGX_HTTP_TASKFORGE_WS_HANDSHAKE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WS_HANDSHAKE_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


typedef struct {
    size_t   accept_len;
    u_char   accept[32];   /* the Sec-WebSocket-Accept that we wait for */
} ngx_http_taskforge_ws_handshake_t;


/* Appends the request, with a new key.  NGX_ERROR: no memory. */

ngx_int_t ngx_http_taskforge_ws_handshake_request(
    ngx_http_taskforge_ws_handshake_t *hs, ngx_str_t *uri, tf_buf_t *out);


/*
 * Looks at what the server has sent until now.  NGX_OK: it is a WebSocket
 * server that read our key, and its frames begin at *end.  NGX_AGAIN: more
 * must come.  NGX_ERROR: it is something else.
 */

ngx_int_t ngx_http_taskforge_ws_handshake_answer(
    ngx_http_taskforge_ws_handshake_t *hs, u_char *in, size_t len,
    u_char **end);


#endif /* _NGX_HTTP_TASKFORGE_WS_HANDSHAKE_H_INCLUDED_ */
