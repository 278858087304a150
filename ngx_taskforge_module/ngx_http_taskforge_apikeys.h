
/*
 * API keys of the caller: several with names, and the one of POST
 * /auth/api-key, which is called "default".
 */

#ifndef _NGX_HTTP_TASKFORGE_APIKEYS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_APIKEYS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* GET /auth/api-keys */
void ngx_http_taskforge_keys_list(ngx_http_request_t *r);

/* POST /auth/api-keys */
void ngx_http_taskforge_keys_create(ngx_http_request_t *r);

/* DELETE /auth/api-keys/{id} */
void ngx_http_taskforge_keys_revoke(ngx_http_request_t *r);

/* POST /auth/api-key: a new "default" in place of the old one */
void ngx_http_taskforge_key_replace(ngx_http_request_t *r);

/* DELETE /auth/api-key */
void ngx_http_taskforge_key_revoke(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_APIKEYS_H_INCLUDED_ */
