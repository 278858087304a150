
/*
 * Redis on nginx's event loop: hiredis' asynchronous API with an adapter of
 * our own.  A connection is made again by itself, with backoff; AUTH and
 * SELECT are sent first.  Redis is disposable: whoever uses it goes on
 * without.
 */

#ifndef _NGX_HTTP_TASKFORGE_REDIS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_REDIS_H_INCLUDED_


#include <hiredis/hiredis.h>
#include <hiredis/async.h>

#include "ngx_http_taskforge_module.h"


/*
 * Called once per command.  reply is valid during the call; an error of the
 * server is a reply of type REDIS_REPLY_ERROR; NULL: the connection was lost
 * or the command took longer than the timeout.
 */

typedef void (*ngx_http_taskforge_redis_handler_pt)(void *data,
    redisReply *reply);


/* Called when the connection became ready (up = 1) or was lost (0). */

typedef void (*ngx_http_taskforge_redis_state_pt)(void *data, ngx_uint_t up);


/*
 * A connection; mcf->redis_conn is the one everybody shares for short
 * commands.  Make another one for commands that block.  timeout: of one
 * command, milliseconds, must be longer than any BLOCK.  name is for the log.
 * state may be NULL.  The memory is the cycle's.  NULL: no memory.
 */

ngx_http_taskforge_redis_t *ngx_http_taskforge_redis_create(
    ngx_cycle_t *cycle, ngx_http_taskforge_redis_conf_t *conf,
    const char *name, ngx_msec_t timeout,
    ngx_http_taskforge_redis_state_pt state, void *data);


/*
 * A worker process that shuts down gracefully waits for the answers to the
 * commands of this connection (bounded by the timeout).
 */

void ngx_http_taskforge_redis_hold(ngx_http_taskforge_redis_t *redis);


/* Sets or replaces state of a connection that was made before. */

void ngx_http_taskforge_redis_on_state(ngx_http_taskforge_redis_t *redis,
    ngx_http_taskforge_redis_state_pt state, void *data);


/* Starts connecting; does nothing when it is connected or on the way. */

void ngx_http_taskforge_redis_start(ngx_http_taskforge_redis_t *redis);


/*
 * Closes the connection and stays closed until start; outstanding handlers
 * get NULL.  Never call it from a handler of the same connection.
 */

void ngx_http_taskforge_redis_stop(ngx_http_taskforge_redis_t *redis);


/*
 * Sends a command; arguments are copied.  All commands of one turn of the
 * event loop leave in one write.  handler may be NULL: fire and forget.
 *
 * NGX_DECLINED: not connected, or more than buffer_size bytes wait already;
 * the command is dropped and the handler is not called.  redis may be NULL.
 */

ngx_int_t ngx_http_taskforge_redis_command(ngx_http_taskforge_redis_t *redis,
    ngx_http_taskforge_redis_handler_pt handler, void *data, int argc,
    const char **argv, const size_t *argvlen);


/* True while commands are taken.  redis may be NULL. */

ngx_uint_t ngx_http_taskforge_redis_ready(ngx_http_taskforge_redis_t *redis);


/*
 * Configuration time: fills conf from a REDIS_URL (resolves the host now,
 * because later it would block).  Returns NGX_CONF_OK or an error text.
 */

char *ngx_http_taskforge_redis_url(ngx_conf_t *cf, ngx_str_t *url,
    ngx_http_taskforge_redis_conf_t *conf);


#endif /* _NGX_HTTP_TASKFORGE_REDIS_H_INCLUDED_ */
