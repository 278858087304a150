
/*
 * The guard of /events/stream, in front of proxy_pass to nchan: server-sent
 * events.  It refuses what is no event stream, counts who listens, drops
 * clients that do not keep up, and turns nchan's message ids into the seq of
 * our events (_stream_filter.c).
 */

#ifndef _NGX_HTTP_TASKFORGE_STREAM_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_STREAM_H_INCLUDED_


#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_subscriber.h"


#define NGX_HTTP_TASKFORGE_SEQ_LEN  64      /* bytes, at most */


typedef enum {
    NGX_HTTP_TASKFORGE_LINE_HEAD = 0,    /* what line it is, is not known */
    NGX_HTTP_TASKFORGE_LINE_SEQ,         /* an event, within its seq */
    NGX_HTTP_TASKFORGE_LINE_COPY,
    NGX_HTTP_TASKFORGE_LINE_SKIP
} ngx_http_taskforge_line_e;


/* The text of a stream, on its way through. */

typedef struct {
    ngx_http_taskforge_line_e        state;
    size_t                           len;       /* of head */
    u_char                           head[32 + NGX_HTTP_TASKFORGE_SEQ_LEN];
    uint64_t                         bytes;     /* of lines with an event, since
                                                   somebody set it to 0 */
    unsigned                         event:1;   /* the line is one */
    unsigned                         data:1;    /* a message has begun */

    /* Last-Event-ID, until the client was told to resync; len 0: none */
    ngx_str_t                        since;
} ngx_http_taskforge_lines_t;


typedef struct {
    ngx_http_taskforge_subscriber_t  subscriber;
    ngx_http_taskforge_lines_t       lines;

    ngx_chain_t                     *in;
    ngx_chain_t                     *free;
    ngx_chain_t                     *busy;
    ngx_uint_t                       nbufs;
    unsigned                         begun:1;   /* nchan's header is here */
} ngx_http_taskforge_stream_ctx_t;


extern ngx_module_t  ngx_http_taskforge_stream_module;


/*
 * Takes what it can from *in and writes it to [out, end): nchan's ids left
 * out, and before each event of ours a line with its seq as id.  Returns the
 * end of what was written; *in short of last: there is no more room.
 */

u_char *ngx_http_taskforge_stream_lines(ngx_http_taskforge_lines_t *lines,
    u_char **in, const u_char *last, u_char *out, const u_char *end);


/* The filters. */

ngx_int_t ngx_http_taskforge_stream_filter_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TASKFORGE_STREAM_H_INCLUDED_ */
