
/*
 * The guard of /ws and /ws/stats, in front of proxy_pass to nchan.  It refuses
 * what is no WebSocket, counts who listens, lets through of what clients send
 * only what nchan needs, and drops clients that do not keep up.
 */

#ifndef _NGX_HTTP_TASKFORGE_WS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


extern ngx_module_t  ngx_http_taskforge_ws_module;


/* Frames that a client sends, RFC 6455, section 5.2. */

#define NGX_HTTP_TASKFORGE_WS_HEAD     14    /* bytes, at most */
#define NGX_HTTP_TASKFORGE_WS_CONTROL  125   /* payload of a control frame */


typedef struct {
    uint64_t     skip;        /* bytes of a dropped frame yet to come */
    size_t       len;         /* of frame */
    time_t       second;
    ngx_uint_t   frames;      /* in that second */
    u_char       frame[NGX_HTTP_TASKFORGE_WS_HEAD
                       + NGX_HTTP_TASKFORGE_WS_CONTROL];
} ngx_http_taskforge_ws_sieve_t;


/*
 * Lets through control frames and the text "ping", drops all other messages
 * whatever their length.  in is consumed; out needs room for in_len bytes
 * and one whole frame (sizeof sieve->frame) and may be in itself while
 * nothing is held back.  Returns the end of what was written; NULL: this is
 * not the protocol, or too much of it.
 */

u_char *ngx_http_taskforge_ws_sieve(ngx_http_taskforge_ws_sieve_t *sieve,
    u_char *in, size_t in_len, u_char *out);


#endif /* _NGX_HTTP_TASKFORGE_WS_H_INCLUDED_ */
