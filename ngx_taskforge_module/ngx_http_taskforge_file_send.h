
#ifndef _NGX_HTTP_TASKFORGE_FILE_SEND_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_FILE_SEND_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/*
 * Answers with the content of a file of the job in the request's path, or
 * with the part of it that the request asks for, and finalizes the request.
 * id: of the content, as PostgreSQL sends it.  The headers that say what the
 * file is have been added.
 */

void ngx_http_taskforge_file_send(ngx_http_request_t *r, const uint8_t id[8],
    off_t size);


#endif /* _NGX_HTTP_TASKFORGE_FILE_SEND_H_INCLUDED_ */
