
/*
 * Users: those who register, those who ask for themselves, and the admin's
 * list.
 */

#ifndef _NGX_HTTP_TASKFORGE_USERS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_USERS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


extern const ngx_str_t  ngx_http_taskforge_users_args[];


/* POST /auth/register */
void ngx_http_taskforge_register(ngx_http_request_t *r);

/* GET /auth/me */
void ngx_http_taskforge_me(ngx_http_request_t *r);

/* POST /auth/password */
void ngx_http_taskforge_password_change(ngx_http_request_t *r);

/* GET /users */
void ngx_http_taskforge_users_list(ngx_http_request_t *r);

/* PATCH /users/{id} */
void ngx_http_taskforge_users_change(ngx_http_request_t *r);


/* Answers with a user, read anew: 404 where there is none. */

void ngx_http_taskforge_user_reply(ngx_http_request_t *r,
    const uint8_t id[16], ngx_uint_t status);


#endif /* _NGX_HTTP_TASKFORGE_USERS_H_INCLUDED_ */
