
/*
 * What the routes of accounts share: their settings, who asks, parameters of
 * statements, fields of bodies, and how a user is written.
 */

#ifndef _NGX_HTTP_TASKFORGE_ACCOUNTS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_ACCOUNTS_H_INCLUDED_


#include "ngx_http_taskforge_identity.h"
#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_pg.h"
#include "lockout.h"


typedef struct ngx_http_taskforge_passwords_s
    ngx_http_taskforge_passwords_t;


/* Main conf of ngx_http_taskforge_accounts_module. */

typedef struct {
    /* taskforge_accounts */
    ngx_uint_t                        registration;    /* 1: open */
    ngx_http_taskforge_role_e         role;            /* of who registers */
    size_t                            argon2_memory;   /* bytes */
    ngx_uint_t                        argon2_time;     /* passes */
    ngx_uint_t                        lockout;         /* per name */
    ngx_uint_t                        lockout_address; /* per address */
    time_t                            lockout_time;    /* seconds */

    /* taskforge_password_threads */
    ngx_thread_pool_t                *pool;            /* NULL: not set */
    ngx_uint_t                        queue;           /* hashes at a time */

    ngx_shm_zone_t                   *zone;            /* a tf_lockout_t */

    /* of this worker process: hashes that run or wait */
    ngx_uint_t                        hashing;
} ngx_http_taskforge_accounts_conf_t;


extern ngx_module_t  ngx_http_taskforge_accounts_module;


#define ngx_http_taskforge_accounts_conf(r)                                   \
    ((ngx_http_taskforge_accounts_conf_t *)                                   \
     ngx_http_get_module_main_conf(r, ngx_http_taskforge_accounts_module))


/* The parameters of a statement; what they point to must last until it is
 * sent.  Start with nargs = 0. */

#define NGX_HTTP_TASKFORGE_SQL_ARGS  13

typedef struct {
    const char                       *values[NGX_HTTP_TASKFORGE_SQL_ARGS];
    int                               lengths[NGX_HTTP_TASKFORGE_SQL_ARGS];
    uint8_t                           wire[NGX_HTTP_TASKFORGE_SQL_ARGS][8];
    ngx_uint_t                        nargs;
} ngx_http_taskforge_sql_args_t;

void ngx_http_taskforge_sql_bytes(ngx_http_taskforge_sql_args_t *args,
    const void *data, size_t len);                       /* data NULL: NULL */
void ngx_http_taskforge_sql_str(ngx_http_taskforge_sql_args_t *args,
    const ngx_str_t *text);                              /* data NULL: NULL */
void ngx_http_taskforge_sql_uuid(ngx_http_taskforge_sql_args_t *args,
    const uint8_t id[16]);                               /* NULL: NULL */
void ngx_http_taskforge_sql_int4(ngx_http_taskforge_sql_args_t *args,
    int32_t n);
void ngx_http_taskforge_sql_int8(ngx_http_taskforge_sql_args_t *args,
    int64_t n);
void ngx_http_taskforge_sql_bool(ngx_http_taskforge_sql_args_t *args,
    ngx_uint_t flag);


/*
 * Who counts (core/sql.h), int2: each process has a number of its own, so
 * that nobody else locks its counters.
 */

void ngx_http_taskforge_sql_writer(ngx_http_taskforge_sql_args_t *args);


/*
 * Who does it, for the audit: actor uuid, name, address.  Nobody logged in:
 * NULL, "-", the address.
 */

void ngx_http_taskforge_sql_actor(ngx_http_taskforge_sql_args_t *args,
    ngx_http_request_t *r);


/* Of the same, the two texts alone. */

void ngx_http_taskforge_sql_actor_name(ngx_http_taskforge_sql_args_t *args,
    ngx_http_request_t *r);


/*
 * ngx_http_taskforge_pg_request() on a writing connection.  NGX_ERROR: the
 * request has been answered.
 */

ngx_int_t ngx_http_taskforge_accounts_query(ngx_http_request_t *r,
    const tf_sql_t *sql, ngx_http_taskforge_sql_args_t *args,
    ngx_http_taskforge_pg_request_pt handler, void *data);


/* The same of the id in the path: $1 uuid, then who does it. */

void ngx_http_taskforge_accounts_query_id(ngx_http_request_t *r,
    const tf_sql_t *sql, ngx_http_taskforge_pg_request_pt handler);


/*
 * The caller.  NULL where nobody logged in, which happens with
 * taskforge_auth off: the request has been answered (401).
 */

ngx_http_taskforge_identity_t *ngx_http_taskforge_caller(
    ngx_http_request_t *r);


/* 401 with WWW-Authenticate. */

void ngx_http_taskforge_unauthorized(ngx_http_request_t *r,
    const char *detail);


/* An answer with a status of its own and Retry-After (429 or 503). */

void ngx_http_taskforge_retry_after(ngx_http_request_t *r, ngx_uint_t status,
    ngx_uint_t seconds, const char *detail);


/* Answers with secrets are for nobody's cache.  NGX_ERROR: answered. */

ngx_int_t ngx_http_taskforge_no_store(ngx_http_request_t *r);


/* A field that a body may have. */

typedef struct {
    const char                       *name;
    json_type                         type;     /* JSON_TRUE: a boolean */
    ngx_uint_t                        required;
    json_t                           *value;    /* NULL: absent, or null */
} ngx_http_taskforge_field_t;


/*
 * The body as an object with these fields (the last one has no name) and no
 * others.  What is wrong is added to errors, more may follow.  NGX_ERROR: the
 * request has been answered.  wipe: it holds passwords or tokens; the body is
 * overwritten when the request ends.
 */

ngx_int_t ngx_http_taskforge_fields(ngx_http_request_t *r,
    ngx_http_taskforge_field_t *fields, tf_buf_t *errors, ngx_uint_t wipe);


/* The bytes of a string field; data NULL: it is absent. */

ngx_str_t ngx_http_taskforge_field_str(const ngx_http_taskforge_field_t *field);


/* Adds to errors: "#/<name>": why.  why NULL: nothing is wrong. */

void ngx_http_taskforge_field_error(tf_buf_t *errors, const char *name,
    const char *why);


/*
 * Answers 422 with the errors, if there are any, and frees them.  NGX_OK:
 * there are none.
 */

ngx_int_t ngx_http_taskforge_fields_done(ngx_http_request_t *r,
    tf_buf_t *errors);


/* "prefix_" and 32 random bytes in base64url, 47 characters. */

#define NGX_HTTP_TASKFORGE_SECRET_LEN  47

ngx_int_t ngx_http_taskforge_secret(const char *prefix,
    u_char secret[NGX_HTTP_TASKFORGE_SECRET_LEN]);


/* True when a column is this text. */

ngx_uint_t ngx_http_taskforge_is(PGresult *res, int column,
    const char *text);


/* A user, from a row that starts with NGX_HTTP_TASKFORGE_SQL_USER. */

void ngx_http_taskforge_user_write(ngx_http_request_t *r, tf_buf_t *out,
    PGresult *res, int row);


/*
 * The lockout table, in shared memory.  take: 0, or the seconds to wait.
 */

ngx_uint_t ngx_http_taskforge_lockout_take(ngx_http_request_t *r,
    uint64_t key, ngx_uint_t allowed);
void ngx_http_taskforge_lockout_give_back(ngx_http_request_t *r,
    uint64_t key);
void ngx_http_taskforge_lockout_clear(ngx_http_request_t *r, uint64_t key);


#endif /* _NGX_HTTP_TASKFORGE_ACCOUNTS_H_INCLUDED_ */
