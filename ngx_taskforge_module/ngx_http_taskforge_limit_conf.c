
/*
 * The directives of the rate limits.
 */

#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_limit.h"
#include "ngx_http_taskforge_limit_local.h"
#include "redis_keys.h"


#define NGX_HTTP_TASKFORGE_LIMIT_SUBJECTS   8192    /* of a worker process */
#define NGX_HTTP_TASKFORGE_LIMIT_ZONE       (8 * 1024 * 1024)

/* a permit must be used within window / 50, but not in less than 100 ms */
#define NGX_HTTP_TASKFORGE_LIMIT_LEASE      50
#define NGX_HTTP_TASKFORGE_LIMIT_LEASE_MIN  100
#define NGX_HTTP_TASKFORGE_LIMIT_LEASE_MAX  1000

/* taskforge_limit_failed */
#define NGX_HTTP_TASKFORGE_LIMIT_FAILED         300
#define NGX_HTTP_TASKFORGE_LIMIT_FAILED_WINDOW  60000


static void *ngx_http_taskforge_limit_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_limit_init_main_conf(ngx_conf_t *cf,
    void *conf);
static void *ngx_http_taskforge_limit_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_limit_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_taskforge_limit_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_taskforge_limit_failed_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_taskforge_limit_param(ngx_str_t *arg,
    ngx_http_taskforge_limit_t *limit);
static char *ngx_http_taskforge_limit_roles(ngx_str_t *text,
    ngx_uint_t *roles);
static ngx_int_t ngx_http_taskforge_limit_init_process(ngx_cycle_t *cycle);
static void ngx_http_taskforge_limit_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_taskforge_limit_commands[] = {

    { ngx_string("taskforge_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_limit_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_limit_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_taskforge_limit_main_conf_t, zone_size),
      NULL },

    { ngx_string("taskforge_limit_failed"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_taskforge_limit_failed_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_limit_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_taskforge_limit_create_main_conf,
    ngx_http_taskforge_limit_init_main_conf,

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_taskforge_limit_create_loc_conf,
    ngx_http_taskforge_limit_merge_loc_conf
};


ngx_module_t  ngx_http_taskforge_limit_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_limit_module_ctx,  /* module context */
    ngx_http_taskforge_limit_commands,     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_taskforge_limit_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_taskforge_limit_exit_process, /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_taskforge_limit_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    lmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_limit_main_conf_t));

    if (lmcf) {
        lmcf->zone_size = NGX_CONF_UNSET_SIZE;
        lmcf->failed.quota = NGX_CONF_UNSET_UINT;
    }

    return lmcf;
}


static char *
ngx_http_taskforge_limit_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_taskforge_limit_main_conf_t   *lmcf = conf;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    ngx_conf_init_size_value(lmcf->zone_size, NGX_HTTP_TASKFORGE_LIMIT_ZONE);

    if (lmcf->failed.quota == NGX_CONF_UNSET_UINT) {
        lmcf->failed.quota = NGX_HTTP_TASKFORGE_LIMIT_FAILED;
        lmcf->failed.window = NGX_HTTP_TASKFORGE_LIMIT_FAILED_WINDOW;
    }

    /* the access module's locations are merged already */

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                             ngx_http_taskforge_access_module);

    if (amcf->used && lmcf->failed.quota) {
        lmcf->used = 1;
    }

    if (!lmcf->used) {
        return NGX_CONF_OK;
    }

    if (lmcf->zone_size < 8 * ngx_pagesize) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"taskforge_limit_zone\" is too small");
        return NGX_CONF_ERROR;
    }

    lmcf->zone = ngx_http_taskforge_limit_local_add(cf, lmcf->zone_size);

    return lmcf->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static void *
ngx_http_taskforge_limit_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_limit_loc_conf_t  *llcf;

    llcf = ngx_palloc(cf->pool, sizeof(ngx_http_taskforge_limit_loc_conf_t));

    if (llcf) {
        llcf->limits = NGX_CONF_UNSET_PTR;
    }

    return llcf;
}


static char *
ngx_http_taskforge_limit_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_taskforge_limit_loc_conf_t  *prev = parent;
    ngx_http_taskforge_limit_loc_conf_t  *conf = child;

    ngx_conf_merge_ptr_value(conf->limits, prev->limits, NULL);

    return NGX_CONF_OK;
}


/* taskforge_limit off | name requests=n window=time [by=...] [role=...] */

static char *
ngx_http_taskforge_limit_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                                  *rv;
    ngx_str_t                             *value;
    ngx_uint_t                             i;
    ngx_http_taskforge_limit_t            *limit;
    ngx_http_taskforge_limit_loc_conf_t   *llcf = conf;
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        if (llcf->limits != NGX_CONF_UNSET_PTR) {
            return "is duplicate";
        }

        llcf->limits = NULL;
        return NGX_CONF_OK;
    }

    if (value[1].len > TF_REDIS_LIMIT_NAME_MAX
        || !tf_queue_name_valid((char *) value[1].data, value[1].len))
    {
        return "needs a name of 1 to 32 letters, digits, \".\", \"_\" or "
               "\"-\"";
    }

    if (llcf->limits == NULL) {
        return "is off here already";
    }

    if (llcf->limits == NGX_CONF_UNSET_PTR) {
        llcf->limits = ngx_array_create(cf->pool, 4,
                                        sizeof(ngx_http_taskforge_limit_t));
        if (llcf->limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    limit = ngx_array_push(llcf->limits);
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(limit, sizeof(ngx_http_taskforge_limit_t));

    limit->name = value[1];
    limit->quota.quota = NGX_CONF_UNSET_UINT;
    limit->quota.window = 60000;

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_taskforge_limit_param(&value[i], limit);

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"taskforge_limit\" %s", &value[i],
                               rv);
            return NGX_CONF_ERROR;
        }
    }

    if (limit->quota.quota == NGX_CONF_UNSET_UINT) {
        return "needs \"requests=\"";
    }

    limit->quota.lease = limit->quota.window / NGX_HTTP_TASKFORGE_LIMIT_LEASE;
    limit->quota.lease = ngx_max(limit->quota.lease,
                                 NGX_HTTP_TASKFORGE_LIMIT_LEASE_MIN);
    limit->quota.lease = ngx_min(limit->quota.lease,
                                 NGX_HTTP_TASKFORGE_LIMIT_LEASE_MAX);

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_taskforge_limit_module);
    lmcf->used = 1;

    return NGX_CONF_OK;
}


/* taskforge_limit_failed off | requests=n [window=time] */

static char *
ngx_http_taskforge_limit_failed_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                                  *rv;
    ngx_str_t                             *value;
    ngx_uint_t                             i;
    ngx_http_taskforge_limit_t             limit;
    ngx_http_taskforge_limit_main_conf_t  *lmcf = conf;

    if (lmcf->failed.quota != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        lmcf->failed.quota = 0;
        return NGX_CONF_OK;
    }

    limit.quota.quota = NGX_CONF_UNSET_UINT;
    limit.quota.window = NGX_HTTP_TASKFORGE_LIMIT_FAILED_WINDOW;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "requests=", 9) == 0
            || ngx_strncmp(value[i].data, "window=", 7) == 0)
        {
            rv = ngx_http_taskforge_limit_param(&value[i], &limit);

        } else {
            rv = "is not known";
        }

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"taskforge_limit_failed\" %s",
                               &value[i], rv);
            return NGX_CONF_ERROR;
        }
    }

    if (limit.quota.quota == NGX_CONF_UNSET_UINT) {
        return "needs \"requests=\"";
    }

    lmcf->failed.quota = limit.quota.quota;
    lmcf->failed.window = limit.quota.window;

    return NGX_CONF_OK;
}


static char *
ngx_http_taskforge_limit_param(ngx_str_t *arg,
    ngx_http_taskforge_limit_t *limit)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (ngx_strncmp(arg->data, "requests=", 9) == 0) {
        n = ngx_atoi(arg->data + 9, arg->len - 9);

        if (n == NGX_ERROR || n > 1000000000) {
            return "is not a number from 0 to 1000000000";
        }

        limit->quota.quota = n;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(arg->data, "window=", 7) == 0) {
        text.data = arg->data + 7;
        text.len = arg->len - 7;
        n = ngx_parse_time(&text, 0);

        if (n == NGX_ERROR || n < 1000 || n > 9999999000 || n % 1000) {
            return "is not whole seconds from 1 to 9999999";
        }

        limit->quota.window = n;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(arg->data, "by=user") == 0) {
        limit->by = NGX_HTTP_TASKFORGE_LIMIT_BY_USER;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(arg->data, "by=key") == 0) {
        limit->by = NGX_HTTP_TASKFORGE_LIMIT_BY_KEY;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(arg->data, "by=address") == 0) {
        limit->by = NGX_HTTP_TASKFORGE_LIMIT_BY_ADDRESS;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(arg->data, "role=", 5) == 0) {
        text.data = arg->data + 5;
        text.len = arg->len - 5;
        return ngx_http_taskforge_limit_roles(&text, &limit->roles);
    }

    return "is not known";
}


/* "anonymous,viewer": names of roles, bits by role. */

static char *
ngx_http_taskforge_limit_roles(ngx_str_t *text, ngx_uint_t *roles)
{
    u_char           *p, *end, *last;
    ngx_uint_t        role;
    const ngx_str_t  *name;

    static const ngx_str_t  anonymous = ngx_string("anonymous");

    p = text->data;
    last = p + text->len;

    do {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        for (role = NGX_HTTP_TASKFORGE_ROLE_NONE;
             role <= NGX_HTTP_TASKFORGE_ROLE_ADMIN;
             role++)
        {
            name = (role == NGX_HTTP_TASKFORGE_ROLE_NONE)
                       ? &anonymous : ngx_http_taskforge_role_name(role);

            if (name->len == (size_t) (end - p)
                && ngx_strncmp(name->data, p, name->len) == 0)
            {
                break;
            }
        }

        if (role > NGX_HTTP_TASKFORGE_ROLE_ADMIN) {
            return "names an unknown role";
        }

        *roles |= 1 << role;
        p = end + 1;

    } while (end < last);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_taskforge_limit_init_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    lmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_taskforge_limit_module);

    if (lmcf == NULL || !lmcf->used) {
        return NGX_OK;
    }

    lmcf->permits = ngx_http_taskforge_permits_create(cycle,
                                          ngx_http_taskforge_cycle_conf(cycle),
                                          lmcf->zone,
                                          NGX_HTTP_TASKFORGE_LIMIT_SUBJECTS);

    return lmcf->permits ? NGX_OK : NGX_ERROR;
}


/* After ngx_http_taskforge_module's: Redis answers no more. */

static void
ngx_http_taskforge_limit_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    lmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_taskforge_limit_module);

    if (lmcf && lmcf->permits) {
        ngx_http_taskforge_permits_destroy(lmcf->permits);
    }
}
