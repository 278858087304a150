
/*
 * The access phase: who calls, and may they.  Works in every location with
 * taskforge_auth: the API, WebSockets, files, somebody else's proxy_pass.
 */

#ifndef _NGX_HTTP_TASKFORGE_ACCESS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_ACCESS_H_INCLUDED_


#include "ngx_http_taskforge_identity.h"
#include "ngx_http_taskforge_jwt.h"
#include "ngx_http_taskforge_module.h"


#define NGX_HTTP_TASKFORGE_AUTH_OFF       0
#define NGX_HTTP_TASKFORGE_AUTH_ON        1
#define NGX_HTTP_TASKFORGE_AUTH_OPTIONAL  2


/* Main conf of ngx_http_taskforge_access_module. */

typedef struct {
    /* taskforge_jwt */
    ngx_str_t                         issuer;        /* NUL-terminated */
    ngx_str_t                         audience;      /* NUL-terminated */
    time_t                            access_ttl;    /* seconds */
    time_t                            refresh_ttl;   /* seconds */
    time_t                            leeway;        /* seconds */
    size_t                            max_size;      /* bytes */

    ngx_array_t                       keys;          /* taskforge_jwt_key */
    ngx_http_taskforge_jwt_t         *ring;          /* NULL: no keys */

    ngx_uint_t                        cache;         /* entries */
    ngx_uint_t                        used;          /* auth is on somewhere */

    /* of this worker process */
    ngx_http_taskforge_identities_t  *identities;
} ngx_http_taskforge_access_main_conf_t;


/* Location conf of the same. */

typedef struct {
    ngx_uint_t                        auth;
    ngx_uint_t                        require;       /* role */
    ngx_array_t                      *origins;       /* of ngx_str_t */
    ngx_flag_t                        check_origin;  /* of WebSockets */
} ngx_http_taskforge_access_loc_conf_t;


/* What the access phase knows of a request. */

typedef struct {
    ngx_http_taskforge_credential_t   credential;
    ngx_str_t                         query;         /* taken from there */
    ngx_http_taskforge_credential_e   query_type;
    unsigned                          asked:1;       /* resolve was called */
    unsigned                          identified:1;
    unsigned                          subprotocol:1; /* offers "taskforge" */
} ngx_http_taskforge_access_ctx_t;


extern ngx_module_t  ngx_http_taskforge_access_module;


ngx_int_t ngx_http_taskforge_access_handler(ngx_http_request_t *r);


/* Made if there is none; NULL: no memory. */

ngx_http_taskforge_access_ctx_t *ngx_http_taskforge_access_get_ctx(
    ngx_http_request_t *r);


/* "viewer", "operator", "admin"; empty for none. */

const ngx_str_t *ngx_http_taskforge_role_name(ngx_http_taskforge_role_e role);


#endif /* _NGX_HTTP_TASKFORGE_ACCESS_H_INCLUDED_ */
