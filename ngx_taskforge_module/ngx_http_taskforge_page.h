
/*
 * Lists in pages: {"items":[...],"next_cursor":...}.  Rows ascend or descend
 * by their first column; a full page has a cursor, which is that column of
 * its last row.
 */

#ifndef _NGX_HTTP_TASKFORGE_PAGE_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_PAGE_H_INCLUDED_


#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_pg.h"


#define NGX_HTTP_TASKFORGE_PAGE_ID  16    /* bytes of a cursor at most */


/* Writes one row as a JSON object. */

typedef void (*ngx_http_taskforge_page_write_pt)(ngx_http_request_t *r,
    tf_buf_t *out, PGresult *res, int row);


/*
 * limit and cursor of the query; the cursor has id_len bytes, as PostgreSQL
 * sends the first column.  cursor: filled, when *found is set.  errors: what
 * the caller found wrong with its own parameters; NULL: it has none.  It is
 * freed.  NGX_ERROR: answered.
 */

ngx_int_t ngx_http_taskforge_page(ngx_http_request_t *r, ngx_int_t *limit,
    uint8_t *cursor, size_t id_len, ngx_uint_t *found, tf_buf_t *errors);


/*
 * Answers with the first n rows of a page that has room for limit.  text: the
 * first column is a text that is a cursor as it is; otherwise the cursor is
 * its bytes in base64url.
 */

void ngx_http_taskforge_page_reply(ngx_http_request_t *r, PGresult *res,
    int n, ngx_int_t limit, ngx_uint_t text,
    ngx_http_taskforge_page_write_pt write);


/*
 * Answers with a page of rows that begin with a uuid, which is the cursor.
 * sql: $1 uuid, the last one of the page before or NULL; $2 int4, how many
 * rows at most.
 */

void ngx_http_taskforge_page_list(ngx_http_request_t *r, const tf_sql_t *sql,
    ngx_http_taskforge_page_write_pt write);


#endif /* _NGX_HTTP_TASKFORGE_PAGE_H_INCLUDED_ */
