
/*
 * What nginx looks up in the shared object.  nginx's own ./configure makes
 * such a file itself, so ./config leaves this one out.
 */

#include <ngx_config.h>
#include <ngx_core.h>


extern ngx_module_t  ngx_http_taskforge_module;
extern ngx_module_t  ngx_http_taskforge_relay_module;
extern ngx_module_t  ngx_http_taskforge_ws_module;
extern ngx_module_t  ngx_http_taskforge_stream_module;
extern ngx_module_t  ngx_http_taskforge_access_module;
extern ngx_module_t  ngx_http_taskforge_accounts_module;
extern ngx_module_t  ngx_http_taskforge_headers_module;
extern ngx_module_t  ngx_http_taskforge_limit_module;
extern ngx_module_t  ngx_http_taskforge_outgoing_module;
extern ngx_module_t  ngx_http_taskforge_wait_module;


__attribute__((visibility("default")))
ngx_module_t  *ngx_modules[] = {
    &ngx_http_taskforge_module,
    &ngx_http_taskforge_relay_module,
    &ngx_http_taskforge_ws_module,
    &ngx_http_taskforge_stream_module,
    &ngx_http_taskforge_access_module,
    &ngx_http_taskforge_accounts_module,
    &ngx_http_taskforge_headers_module,
    &ngx_http_taskforge_limit_module,
    &ngx_http_taskforge_outgoing_module,
    &ngx_http_taskforge_wait_module,
    NULL
};

__attribute__((visibility("default")))
char  *ngx_module_names[] = {
    "ngx_http_taskforge_module",
    "ngx_http_taskforge_relay_module",
    "ngx_http_taskforge_ws_module",
    "ngx_http_taskforge_stream_module",
    "ngx_http_taskforge_access_module",
    "ngx_http_taskforge_accounts_module",
    "ngx_http_taskforge_headers_module",
    "ngx_http_taskforge_limit_module",
    "ngx_http_taskforge_outgoing_module",
    "ngx_http_taskforge_wait_module",
    NULL
};

__attribute__((visibility("default")))
char  *ngx_module_order[] = {
    NULL
};
