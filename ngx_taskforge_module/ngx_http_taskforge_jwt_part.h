
/*
 * The parts of a token as they are written.
 */

#ifndef _NGX_HTTP_TASKFORGE_JWT_PART_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_JWT_PART_H_INCLUDED_


#include <stddef.h>

#include <jansson.h>


/*
 * A JSON object in base64url.  Strict, where libjwt is not: no padding, no
 * other characters, no member twice.  NULL: it is none, or no memory.  The
 * caller's, with json_decref().
 */

json_t *ngx_http_taskforge_jwt_part(const char *text, size_t len);


#endif /* _NGX_HTTP_TASKFORGE_JWT_PART_H_INCLUDED_ */
