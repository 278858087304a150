
/*
 * The files that the handler of a job made: their list, and one of them,
 * read from PostgreSQL and sent slice by slice.
 */

#ifndef _NGX_HTTP_TASKFORGE_FILES_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_FILES_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* GET /jobs/{id}/files */
void ngx_http_taskforge_files_list(ngx_http_request_t *r);

/* GET /jobs/{id}/files/{file} */
void ngx_http_taskforge_files_get(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_FILES_H_INCLUDED_ */
