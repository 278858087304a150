
/*
 * CORS by allow-list: taskforge_cors in a location.  A preflight is answered
 * before anybody is asked who he is; browsers send no credentials with it.
 *
 * The headers that are the same in every answer are add_header in
 * conf/nginx.conf.
 */

#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_reply.h"


#define NGX_HTTP_TASKFORGE_CORS_METHODS                                       \
    "GET, HEAD, POST, PUT, PATCH, DELETE"

#define NGX_HTTP_TASKFORGE_CORS_HEADERS                                       \
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, "           \
    "Last-Event-ID, Prefer, Range, X-API-Key, X-Request-ID, traceparent, "    \
    "tracestate"

#define NGX_HTTP_TASKFORGE_CORS_EXPOSED                                       \
    "Location, Retry-After, Idempotent-Replayed, RateLimit, "                 \
    "RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, "            \
    "X-RateLimit-Reset, X-Request-ID, WWW-Authenticate, ETag, "               \
    "Content-Disposition, Content-Range, Preference-Applied"


typedef struct {
    ngx_array_t                  *origins;    /* of ngx_str_t; NULL: none */
} ngx_http_taskforge_headers_loc_conf_t;


static ngx_int_t ngx_http_taskforge_preflight(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_cors_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_taskforge_cors_allowed(ngx_array_t *origins,
    const ngx_str_t *origin);
static ngx_int_t ngx_http_taskforge_cors_vary(ngx_http_request_t *r,
    const char *value);
static ngx_int_t ngx_http_taskforge_cors_add(ngx_http_request_t *r,
    const char *key, const char *value);
static ngx_str_t *ngx_http_taskforge_cors_header(ngx_http_request_t *r,
    const char *name, size_t len);
static ngx_int_t ngx_http_taskforge_headers_init(ngx_conf_t *cf);
static void *ngx_http_taskforge_headers_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_headers_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_taskforge_cors(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_taskforge_cors_origin(const ngx_str_t *text);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


static ngx_command_t  ngx_http_taskforge_headers_commands[] = {

    { ngx_string("taskforge_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_cors,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_headers_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_taskforge_headers_init,       /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_taskforge_headers_create_loc_conf,
    ngx_http_taskforge_headers_merge_loc_conf
};


ngx_module_t  ngx_http_taskforge_headers_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_headers_module_ctx,
    ngx_http_taskforge_headers_commands,   /* module directives */
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


static ngx_int_t
ngx_http_taskforge_preflight(ngx_http_request_t *r)
{
    ngx_str_t                              *origin;
    ngx_http_taskforge_ctx_t               *ctx;
    ngx_http_taskforge_headers_loc_conf_t  *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_headers_module);

    if (hlcf->origins == NULL || r->method != NGX_HTTP_OPTIONS
        || r != r->main)
    {
        return NGX_DECLINED;
    }

    origin = ngx_http_taskforge_cors_header(r, "origin", 6);

    if (origin == NULL
        || ngx_http_taskforge_cors_header(r, "access-control-request-method",
                                          29)
           == NULL)
    {
        return NGX_DECLINED;
    }

    if (!ngx_http_taskforge_cors_allowed(hlcf->origins, origin)) {
        ctx = ngx_http_taskforge_get_ctx(r);

        if (ctx) {
            ctx->detail = "the origin is not allowed";
        }

        return NGX_HTTP_FORBIDDEN;
    }

    if (ngx_http_taskforge_cors_add(r, "Access-Control-Allow-Methods",
                                    NGX_HTTP_TASKFORGE_CORS_METHODS)
        != NGX_OK
        || ngx_http_taskforge_cors_add(r, "Access-Control-Allow-Headers",
                                       NGX_HTTP_TASKFORGE_CORS_HEADERS)
           != NGX_OK
        || ngx_http_taskforge_cors_add(r, "Access-Control-Max-Age", "600")
           != NGX_OK
        || ngx_http_taskforge_cors_vary(r, "Access-Control-Request-Method")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_NO_CONTENT;
}


/*
 * Caches must not mix up origins, so Vary is there without an Origin too.
 */

static ngx_int_t
ngx_http_taskforge_cors_filter(ngx_http_request_t *r)
{
    ngx_str_t                              *origin;
    ngx_http_taskforge_headers_loc_conf_t  *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_headers_module);

    if (hlcf->origins == NULL || r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_http_taskforge_cors_vary(r, "Origin") != NGX_OK) {
        return NGX_ERROR;
    }

    origin = ngx_http_taskforge_cors_header(r, "origin", 6);

    if (origin && ngx_http_taskforge_cors_allowed(hlcf->origins, origin)) {

        if (ngx_http_taskforge_header_add(r, "Access-Control-Allow-Origin",
                                          origin->data, origin->len)
            != NGX_OK
            || ngx_http_taskforge_cors_add(r,
                                           "Access-Control-Allow-Credentials",
                                           "true")
               != NGX_OK
            || ngx_http_taskforge_cors_add(r, "Access-Control-Expose-Headers",
                                           NGX_HTTP_TASKFORGE_CORS_EXPOSED)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


static ngx_uint_t
ngx_http_taskforge_cors_allowed(ngx_array_t *origins, const ngx_str_t *origin)
{
    ngx_str_t   *allowed;
    ngx_uint_t   i;

    allowed = origins->elts;

    for (i = 0; i < origins->nelts; i++) {
        if (allowed[i].len == origin->len
            && ngx_strncmp(allowed[i].data, origin->data, origin->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_taskforge_cors_vary(ngx_http_request_t *r, const char *value)
{
    return ngx_http_taskforge_cors_add(r, "Vary", value);
}


static ngx_int_t
ngx_http_taskforge_cors_add(ngx_http_request_t *r, const char *key,
    const char *value)
{
    return ngx_http_taskforge_header_add(r, key, (u_char *) value,
                                         ngx_strlen(value));
}


/* A header of the request by its name in lower case; NULL: not there. */

static ngx_str_t *
ngx_http_taskforge_cors_header(ngx_http_request_t *r, const char *name,
    size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncmp(h[i].lowcase_key, name, len) == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_taskforge_headers_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    /* before the access phase */

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_taskforge_preflight;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_taskforge_cors_filter;

    return NGX_OK;
}


static void *
ngx_http_taskforge_headers_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_headers_loc_conf_t  *hlcf;

    hlcf = ngx_palloc(cf->pool, sizeof(ngx_http_taskforge_headers_loc_conf_t));

    if (hlcf) {
        hlcf->origins = NGX_CONF_UNSET_PTR;
    }

    return hlcf;
}


static char *
ngx_http_taskforge_headers_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_taskforge_headers_loc_conf_t  *prev = parent;
    ngx_http_taskforge_headers_loc_conf_t  *conf = child;

    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);

    return NGX_CONF_OK;
}


/* taskforge_cors off | origin ... */

static char *
ngx_http_taskforge_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                              *value, *origin;
    ngx_uint_t                              i;
    ngx_http_taskforge_headers_loc_conf_t  *hlcf = conf;

    value = cf->args->elts;

    if (hlcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        hlcf->origins = NULL;
        return NGX_CONF_OK;
    }

    hlcf->origins = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
    if (hlcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_taskforge_cors_origin(&value[i]) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"taskforge_cors\" is not an origin "
                               "like https://app.example.com or "
                               "http://localhost:5173", &value[i]);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(hlcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


/*
 * Browsers send scheme://host[:port] in lower case and nothing after it
 * (RFC 6454 section 7).  "null" is no origin to trust: anybody can have it.
 */

static ngx_int_t
ngx_http_taskforge_cors_origin(const ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    if (text->len > 8 && ngx_strncmp(p, "https://", 8) == 0) {
        p += 8;

    } else if (text->len > 7 && ngx_strncmp(p, "http://", 7) == 0) {
        p += 7;

    } else {
        return NGX_ERROR;
    }

    for ( /* void */ ; p < last; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')
              || *p == '.' || *p == '-' || *p == ':' || *p == '['
              || *p == ']'))
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
