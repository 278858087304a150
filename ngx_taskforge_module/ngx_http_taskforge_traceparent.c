
#include "ngx_http_taskforge_traceparent.h"


#define NGX_HTTP_TASKFORGE_TRACEPARENT_LEN  55


tf_str_t
ngx_http_taskforge_traceparent(ngx_http_request_t *r)
{
    u_char           *p;
    tf_str_t          none;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static const char  shape[] =
        "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

    none.data = NULL;
    none.len = 0;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return none;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof("traceparent") - 1
            && ngx_strncmp(h[i].lowcase_key, "traceparent", h[i].key.len) == 0)
        {
            break;
        }
    }

    if (h[i].value.len != NGX_HTTP_TASKFORGE_TRACEPARENT_LEN) {
        return none;
    }

    p = h[i].value.data;

    for (n = 0; n < NGX_HTTP_TASKFORGE_TRACEPARENT_LEN; n++) {

        if (shape[n] != 'x') {
            if (p[n] != (u_char) shape[n]) {
                return none;
            }

        } else if (!((p[n] >= '0' && p[n] <= '9')
                     || (p[n] >= 'a' && p[n] <= 'f')))
        {
            return none;
        }
    }

    return (tf_str_t) { (char *) p, NGX_HTTP_TASKFORGE_TRACEPARENT_LEN };
}
