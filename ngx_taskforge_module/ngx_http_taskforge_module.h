
/*
 * The settings, the state of a request and the state of a worker process
 * that the parts of the module share.
 *
 * A feature that needs directives, variables or process hooks of its own is
 * an ngx_module_t of its own (list it in ngx_modules.c and in ./config);
 * a feature that is only a route adds a row to ngx_http_taskforge_route.c.
 */

#ifndef _NGX_HTTP_TASKFORGE_MODULE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <jansson.h>

#include "buf.h"
#include "job.h"
#include "uuid.h"
#include "zone.h"


typedef struct ngx_http_taskforge_pg_s      ngx_http_taskforge_pg_t;
typedef struct ngx_http_taskforge_redis_s   ngx_http_taskforge_redis_t;
typedef struct ngx_http_taskforge_types_s   ngx_http_taskforge_types_t;
typedef struct ngx_http_taskforge_submit_s  ngx_http_taskforge_submit_t;
typedef struct ngx_http_taskforge_route_s   ngx_http_taskforge_route_t;
typedef struct ngx_http_taskforge_shm_s     ngx_http_taskforge_shm_t;
typedef struct ngx_http_taskforge_today_s   ngx_http_taskforge_today_t;

typedef struct ngx_http_taskforge_queue_rules_s
    ngx_http_taskforge_queue_rules_t;
typedef struct ngx_http_taskforge_identity_s
    ngx_http_taskforge_identity_t;
typedef struct ngx_http_taskforge_identities_s
    ngx_http_taskforge_identities_t;


typedef enum {
    NGX_HTTP_TASKFORGE_ROLE_NONE = 0,      /* anyone */
    NGX_HTTP_TASKFORGE_ROLE_VIEWER,
    NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
    NGX_HTTP_TASKFORGE_ROLE_ADMIN
} ngx_http_taskforge_role_e;


/* Where Redis is; texts are NUL-terminated. */

typedef struct {
    ngx_str_t                     socket_path;   /* or: */
    ngx_str_t                     address;       /* numeric */
    ngx_uint_t                    port;

    ngx_str_t                     user;          /* empty: default user */
    ngx_str_t                     password;      /* empty: no AUTH */
    ngx_uint_t                    db;
    ngx_str_t                     host;          /* of the certificate */
    struct ssl_ctx_st            *tls;           /* NULL: without */

    ngx_msec_t                    timeout;       /* connect, one command */
    size_t                        buffer_size;   /* bytes not yet sent */
} ngx_http_taskforge_redis_conf_t;


typedef struct {
    /* conninfo, NUL-terminated, with numeric hostaddr; empty: not set */
    ngx_str_t                     database;
    ngx_uint_t                    write_connections;
    ngx_uint_t                    read_connections;
    ngx_uint_t                    database_queue;     /* statements */
    ngx_msec_t                    connect_timeout;
    ngx_msec_t                    statement_timeout;

    ngx_http_taskforge_redis_conf_t
                                  redis;
    ngx_flag_t                    redis_set;

    ngx_uint_t                    submit_batch_jobs;
    size_t                        submit_batch_size;  /* bytes */
    ngx_uint_t                    submit_queue;       /* jobs */
    ngx_msec_t                    types_refresh;
    tf_zones_t                   *zones;         /* read with the config */

    ngx_shm_zone_t               *shm_zone;
    ngx_int_t                     request_id;    /* index of $request_id */

    /*
     * Of this worker process, made by init_process: NULL in the master
     * and where the part is not configured.
     */
    ngx_http_taskforge_pg_t      *pg;
    ngx_http_taskforge_redis_t   *redis_conn;
    ngx_http_taskforge_types_t   *types;
    ngx_http_taskforge_submit_t  *submit;
    ngx_http_taskforge_queue_rules_t
                                 *queue_rules;
    ngx_http_taskforge_today_t   *today;         /* of GET /stats */

    /* to write an answer in; kept, so that it need not grow each time */
    tf_buf_t                      scratch;
} ngx_http_taskforge_main_conf_t;


typedef struct {
    ngx_flag_t                    problems;  /* errors as problem+json */
    ngx_str_t                     base;      /* "/api/v1"; empty: no API */
} ngx_http_taskforge_loc_conf_t;


#define NGX_HTTP_TASKFORGE_MAX_ARGS  16


typedef struct {
    ngx_str_t                     name;      /* both unescaped */
    ngx_str_t                     value;
} ngx_http_taskforge_arg_t;


/* The state of one API request. */

typedef struct {
    const ngx_http_taskforge_route_t  *route;

    /* the {id} of the path, where there are two the second, the {name}, or
       the {file} */
    uint8_t                       id[16];
    uint8_t                       second_id[16];
    ngx_str_t                     name;

    ngx_http_taskforge_arg_t      args[NGX_HTTP_TASKFORGE_MAX_ARGS];
    ngx_uint_t                    nargs;
    ngx_str_t                     args_errors;  /* of unknown and doubled
                                                   parameters, as errors[] */

    /*
     * The caller, set by the access phase.  identity is NULL, and user and
     * user_id empty, where nobody logged in; with taskforge_auth off the
     * role is admin all the same.
     */
    ngx_http_taskforge_identity_t
                                 *identity;
    ngx_str_t                     user;
    ngx_http_taskforge_role_e     role;
    uint8_t                       user_id[16];

    /* $taskforge_job_id */
    ngx_str_t                     job_id;

    /* of the route's handler */
    void                         *data;

    ngx_str_t                     problem;   /* body that replaces nginx's */
    const char                   *detail;    /* its detail; NULL: by status */

    unsigned                      has_user:1;
    unsigned                      replied:1;
} ngx_http_taskforge_ctx_t;


extern ngx_module_t  ngx_http_taskforge_module;


/* The main conf of the running cycle, for code that has no request. */

#define ngx_http_taskforge_cycle_conf(cycle)                                  \
    ngx_http_cycle_get_module_main_conf(cycle, ngx_http_taskforge_module)


/* Returns the request's ctx, made if there is none; NULL: no memory. */

ngx_http_taskforge_ctx_t *ngx_http_taskforge_get_ctx(ngx_http_request_t *r);


/* Goes on with the phases of a request that a handler has held up. */

void ngx_http_taskforge_resume(ngx_http_request_t *r);


/* Microseconds since 1970-01-01 UTC, read from the clock now. */

int64_t ngx_http_taskforge_now_us(void);


#endif /* _NGX_HTTP_TASKFORGE_MODULE_H_INCLUDED_ */
