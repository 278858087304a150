
#include "ngx_http_taskforge_prefer.h"


#define NGX_HTTP_TASKFORGE_PREFER_MAX  86400


static ngx_uint_t ngx_http_taskforge_prefer_parse(u_char *p,
    const u_char *last);


ngx_uint_t
ngx_http_taskforge_prefer_wait(ngx_http_request_t *r)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return 0;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof("prefer") - 1
            && ngx_strncmp(h[i].lowcase_key, "prefer", h[i].key.len) == 0)
        {
            n = ngx_http_taskforge_prefer_parse(h[i].value.data,
                                                h[i].value.data
                                                + h[i].value.len);
            if (n) {
                return n;
            }
        }
    }
}


/* respond-async, wait=10; foo="a,b", handling=lenient */

static ngx_uint_t
ngx_http_taskforge_prefer_parse(u_char *p, const u_char *last)
{
    u_char      *end, quoted;
    ngx_int_t    n;

    for ( ;; ) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        if (p == last) {
            return 0;
        }

        if (last - p > 5 && ngx_strncasecmp(p, (u_char *) "wait=", 5) == 0) {
            p += 5 + (p[5] == '"');

            for (end = p; end < last && *end >= '0' && *end <= '9'; end++) {
                /* void */
            }

            n = (end - p > 6) ? NGX_HTTP_TASKFORGE_PREFER_MAX
                              : ngx_atoi(p, end - p);

            return (n == NGX_ERROR)
                       ? 0 : ngx_min(n, NGX_HTTP_TASKFORGE_PREFER_MAX);
        }

        /* to the next comma that is not in quotes */

        for (quoted = 0; p < last && (quoted || *p != ','); p++) {

            if (*p == '\\' && quoted && p + 1 < last) {
                p++;

            } else if (*p == '"') {
                quoted = !quoted;
            }
        }
    }
}
