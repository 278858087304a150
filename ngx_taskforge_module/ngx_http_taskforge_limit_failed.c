
#include "ngx_http_taskforge_limit.h"
#include "ngx_http_taskforge_limit_local.h"
#include "uuid.h"


/* no limit of this name can be: it would have no space */
#define NGX_HTTP_TASKFORGE_LIMIT_FAILED  "failed "


ngx_uint_t
ngx_http_taskforge_limit_failed(ngx_http_request_t *r, const uint8_t *user,
    ngx_uint_t count)
{
    u_char                                 text[64], *p;
    ngx_str_t                              key;
    ngx_http_taskforge_limit_local_t       local;
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_limit_module);

    /* an internal redirect is the same request again */

    if (lmcf->failed.quota == 0 || r->internal) {
        return 0;
    }

    p = ngx_cpymem(text, NGX_HTTP_TASKFORGE_LIMIT_FAILED,
                   sizeof(NGX_HTTP_TASKFORGE_LIMIT_FAILED) - 1);

    if (user) {
        *p++ = 'u';
        tf_uuid_format(user, (char *) p);
        p += TF_UUID_TEXT_LEN;

    } else {
        *p++ = 'a';
        p += ngx_http_taskforge_limit_address(r, p);
    }

    key.data = text;
    key.len = p - text;

    if (ngx_http_taskforge_limit_local_take(lmcf->zone, &lmcf->failed, &key,
                                            count ? 1 : 0, 0, &local)
        || (!count && local.free))
    {
        return 0;
    }

    return ngx_max((local.next + 999) / 1000, 1);
}
