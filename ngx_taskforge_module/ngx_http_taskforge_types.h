
/*
 * The job types that workers have registered: a copy of the table job_types
 * in each worker process, read when the database connection is ready, every
 * few seconds, and at once (but not more than five times a second) when
 * somebody asks for a type that is not there.  The schemas of their payloads
 * are compiled when they change.
 */

#ifndef _NGX_HTTP_TASKFORGE_TYPES_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_TYPES_H_INCLUDED_


#include "ngx_http_taskforge_module.h"
#include "submission.h"


/* Waits for the next reading of the table; lives as long as it is queued. */

typedef struct {
    ngx_queue_t                   queue;
    void                        (*handler)(void *data, ngx_uint_t ok);
    void                         *data;
} ngx_http_taskforge_types_wait_t;


/* NULL: no memory. */

ngx_http_taskforge_types_t *ngx_http_taskforge_types_create(
    ngx_cycle_t *cycle, ngx_http_taskforge_main_conf_t *mcf);

void ngx_http_taskforge_types_destroy(ngx_http_taskforge_types_t *types);


/* Reads the table now; data is the ngx_http_taskforge_types_t. */

void ngx_http_taskforge_types_load(void *data);


/* A tf_type_lookup_fn; data is the ngx_http_taskforge_types_t. */

const tf_type_defaults_t *ngx_http_taskforge_types_lookup(void *data,
    const char *type, size_t len);


/*
 * Calls the handler once after the table has been read anew (ok = 1) or could
 * not be read (0), from the event loop.  Unlink wait->queue to forget it.
 */

void ngx_http_taskforge_types_wait(ngx_http_taskforge_types_t *types,
    ngx_http_taskforge_types_wait_t *wait);


/* True once the table has been read. */

ngx_uint_t ngx_http_taskforge_types_ready(ngx_http_taskforge_types_t *types);

ngx_uint_t ngx_http_taskforge_types_count(ngx_http_taskforge_types_t *types);


/* Adds "a, b, c" for people, cut short when there are many. */

void ngx_http_taskforge_types_names(ngx_http_taskforge_types_t *types,
    tf_buf_t *out);


#endif /* _NGX_HTTP_TASKFORGE_TYPES_H_INCLUDED_ */
