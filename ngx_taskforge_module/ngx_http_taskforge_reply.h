
/*
 * Answers: JSON and RFC 9457 problems.  Each function here ends the request:
 * call exactly one, once, and touch the request no more.
 */

#ifndef _NGX_HTTP_TASKFORGE_REPLY_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_REPLY_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* RFC 9110 section 15.5.21, which nginx has no name for */
#define NGX_HTTP_TASKFORGE_INVALID  422


/*
 * Answers with a JSON text.  The buffer stays the caller's; a large text is
 * taken out of it instead of copied, so it may be empty afterwards.
 * body->failed: the answer is 500.
 */

void ngx_http_taskforge_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    tf_buf_t *body);


/* Answers without a body (204). */

void ngx_http_taskforge_reply_empty(ngx_http_request_t *r, ngx_uint_t status);


/*
 * Answers with a problem; detail is for people, as printf.  503 gets
 * Retry-After: 1 unless the header is there.
 */

void ngx_http_taskforge_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));


/*
 * The same with errors[]: the members of a JSON array, as
 * tf_submission_check() and ngx_http_taskforge_error_add() write them.
 */

void ngx_http_taskforge_problem_errors(ngx_http_request_t *r,
    ngx_uint_t status, const tf_buf_t *errors, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));


/*
 * Adds a member to errors: where is "pointer" (into the body, "#/priority")
 * or "parameter" (of the query).
 */

void ngx_http_taskforge_error_add(tf_buf_t *errors, const char *where,
    const char *name, size_t name_len, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));


/*
 * Writes the problem object itself, for answers that hold several.
 * errors and instance may be NULL.
 */

void ngx_http_taskforge_problem_write(tf_buf_t *out, ngx_uint_t status,
    const char *detail, const tf_buf_t *errors, const ngx_str_t *instance);


/*
 * Adds a response header before the answer.  key is a literal, value must
 * live as long as the request.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_taskforge_header_add(ngx_http_request_t *r,
    const char *key, u_char *value, size_t value_len);


/* The filters that turn nginx's own error pages into problems. */

ngx_int_t ngx_http_taskforge_reply_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TASKFORGE_REPLY_H_INCLUDED_ */
