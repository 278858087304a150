
/*
 * The stream tf:events as its readers see it (docs/internals.md, "Redis"),
 * and GET /events, which gives missed events to a client that was away.
 */

#ifndef _NGX_HTTP_TASKFORGE_EVENTS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_EVENTS_H_INCLUDED_


#include "ngx_http_taskforge_redis.h"


/* "18446744073709551615-18446744073709551615" and a NUL */

#define NGX_HTTP_TASKFORGE_STREAM_ID_LEN  42


typedef struct {
    uint64_t     ms;    /* since 1970, by the clock of Redis */
    uint64_t     seq;
} ngx_http_taskforge_stream_id_t;


/* One entry of the stream and the place in it. */

typedef struct {
    ngx_http_taskforge_stream_id_t   id;
    ngx_uint_t                       index;   /* of the next event */
    u_char                          *pos;
    u_char                          *last;
} ngx_http_taskforge_entry_t;


/* NGX_ERROR: not "<number>-<number>". */

ngx_int_t ngx_http_taskforge_stream_id_parse(u_char *p, size_t len,
    ngx_http_taskforge_stream_id_t *id);

/* With a NUL; returns the length. */

size_t ngx_http_taskforge_stream_id_text(
    const ngx_http_taskforge_stream_id_t *id,
    u_char text[NGX_HTTP_TASKFORGE_STREAM_ID_LEN]);

ngx_int_t ngx_http_taskforge_stream_id_cmp(
    const ngx_http_taskforge_stream_id_t *a,
    const ngx_http_taskforge_stream_id_t *b);


/*
 * item: an element of what XRANGE answers.  The entry points into it.  An
 * entry that is no entry of ours has an id, if any, and no events; NGX_ERROR:
 * not even an id.
 */

ngx_int_t ngx_http_taskforge_entry_open(ngx_http_taskforge_entry_t *entry,
    redisReply *item);

/*
 * The next event, with its seq, as a JSON object appended to out.  NGX_DONE:
 * there are no more.  What is no object is left out.
 */

ngx_int_t ngx_http_taskforge_entry_next(ngx_http_taskforge_entry_t *entry,
    tf_buf_t *out);


extern const ngx_str_t  ngx_http_taskforge_events_args[];


/* GET /events */

void ngx_http_taskforge_events(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_EVENTS_H_INCLUDED_ */
