
#include "ngx_http_taskforge_outgoing.h"
#include "outgoing.h"


typedef struct {
    ngx_str_t                     allow;
    ngx_str_t                     deny;
    tf_outgoing_t                 lists;
} ngx_http_taskforge_outgoing_conf_t;


static void *ngx_http_taskforge_outgoing_create_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_outgoing_init_conf(ngx_conf_t *cf, void *conf);
static void ngx_http_taskforge_outgoing_cleanup(void *data);


/* each takes one word: a list with commas or blanks between, or nothing */

static ngx_command_t  ngx_http_taskforge_outgoing_commands[] = {

    { ngx_string("taskforge_outgoing_allow"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_taskforge_outgoing_conf_t, allow),
      NULL },

    { ngx_string("taskforge_outgoing_deny"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_taskforge_outgoing_conf_t, deny),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_outgoing_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_taskforge_outgoing_create_conf,
                                           /* create main configuration */
    ngx_http_taskforge_outgoing_init_conf, /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_outgoing_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_outgoing_module_ctx,
                                           /* module context */
    ngx_http_taskforge_outgoing_commands,  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_taskforge_outgoing_create_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_outgoing_conf_t));
}


static char *
ngx_http_taskforge_outgoing_init_conf(ngx_conf_t *cf, void *conf)
{
    char                                 error[200];
    const char                          *allow, *deny;
    ngx_pool_cleanup_t                  *cln;
    ngx_http_taskforge_outgoing_conf_t  *ocf = conf;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    /* words of the configuration end with NUL */

    allow = ocf->allow.len ? (char *) ocf->allow.data : "";
    deny = ocf->deny.len ? (char *) ocf->deny.data : "";

    if (!tf_outgoing_init(&ocf->lists, allow, deny, error, sizeof(error))) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"taskforge_outgoing_allow\" or "
                      "\"taskforge_outgoing_deny\": %s", error);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_taskforge_outgoing_cleanup;
    cln->data = &ocf->lists;

    return NGX_CONF_OK;
}


static void
ngx_http_taskforge_outgoing_cleanup(void *data)
{
    tf_outgoing_free(data);
}


const char *
ngx_http_taskforge_outgoing_refusal(ngx_http_request_t *r, tf_str_t url)
{
    const char                          *why;
    tf_url_t                             parsed;
    ngx_http_taskforge_outgoing_conf_t  *ocf;

    ocf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_outgoing_module);

    why = tf_url_parse(url.data, url.len, &parsed);

    return why ? why : tf_outgoing_url_refusal(&ocf->lists, &parsed);
}
