
/*
 * The directives of accounts, and the shared memory that counts wrong
 * passwords.
 */

#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_password.h"


static void *ngx_http_taskforge_accounts_create_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_accounts_init_conf(ngx_conf_t *cf,
    void *conf);
static char *ngx_http_taskforge_accounts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_taskforge_accounts_number(ngx_str_t *value,
    ngx_http_taskforge_accounts_conf_t *acf);
static char *ngx_http_taskforge_accounts_threads(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_taskforge_accounts_zone(ngx_shm_zone_t *zone,
    void *data);


static ngx_command_t  ngx_http_taskforge_accounts_commands[] = {

    { ngx_string("taskforge_accounts"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_taskforge_accounts,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskforge_password_threads"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_taskforge_accounts_threads,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_taskforge_accounts_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_taskforge_accounts_create_conf,
                                           /* create main configuration */
    ngx_http_taskforge_accounts_init_conf, /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_taskforge_accounts_module = {
    NGX_MODULE_V1,
    &ngx_http_taskforge_accounts_module_ctx,
                                           /* module context */
    ngx_http_taskforge_accounts_commands,  /* module directives */
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
ngx_http_taskforge_accounts_size(ngx_str_t *text)
{
    return (ngx_int_t) ngx_parse_size(text);
}


static ngx_int_t
ngx_http_taskforge_accounts_seconds(ngx_str_t *text)
{
    return ngx_parse_time(text, 1);
}


static ngx_int_t
ngx_http_taskforge_accounts_count(ngx_str_t *text)
{
    return ngx_atoi(text->data, text->len);
}


static const struct {
    ngx_str_t    name;
    ngx_uint_t   offset;
    ngx_int_t    min;
    ngx_int_t    max;
    ngx_int_t  (*parse)(ngx_str_t *text);
} ngx_http_taskforge_accounts_params[] = {

    { ngx_string("argon2_memory="),
      offsetof(ngx_http_taskforge_accounts_conf_t, argon2_memory),
      1024 * 1024, 1024 * 1024 * 1024, ngx_http_taskforge_accounts_size },

    { ngx_string("argon2_time="),
      offsetof(ngx_http_taskforge_accounts_conf_t, argon2_time),
      1, 100, ngx_http_taskforge_accounts_count },

    { ngx_string("lockout="),
      offsetof(ngx_http_taskforge_accounts_conf_t, lockout),
      1, 1000000, ngx_http_taskforge_accounts_count },

    { ngx_string("lockout_address="),
      offsetof(ngx_http_taskforge_accounts_conf_t, lockout_address),
      1, 1000000, ngx_http_taskforge_accounts_count },

    { ngx_string("lockout_time="),
      offsetof(ngx_http_taskforge_accounts_conf_t, lockout_time),
      1, 7 * 86400, ngx_http_taskforge_accounts_seconds },

    { ngx_null_string, 0, 0, 0, NULL }
};


static void *
ngx_http_taskforge_accounts_create_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_accounts_conf_t  *acf;

    acf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_accounts_conf_t));
    if (acf == NULL) {
        return NULL;
    }

    acf->registration = NGX_CONF_UNSET_UINT;
    acf->argon2_memory = NGX_CONF_UNSET_SIZE;
    acf->argon2_time = NGX_CONF_UNSET_UINT;
    acf->lockout = NGX_CONF_UNSET_UINT;
    acf->lockout_address = NGX_CONF_UNSET_UINT;
    acf->lockout_time = NGX_CONF_UNSET;
    acf->queue = NGX_CONF_UNSET_UINT;

    return acf;
}


static char *
ngx_http_taskforge_accounts_init_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_taskforge_accounts_conf_t  *acf = conf;

    static ngx_str_t  name = ngx_string("taskforge_lockout");

    ngx_conf_init_uint_value(acf->registration, 0);
    /* docs/security.md says why */
    ngx_conf_init_size_value(acf->argon2_memory, 7 * 1024 * 1024);
    ngx_conf_init_uint_value(acf->argon2_time, 5);
    ngx_conf_init_uint_value(acf->lockout, 10);
    ngx_conf_init_uint_value(acf->lockout_address, 100);
    ngx_conf_init_value(acf->lockout_time, 900);
    ngx_conf_init_uint_value(acf->queue, 16);

    if (acf->role == NGX_HTTP_TASKFORGE_ROLE_NONE) {
        acf->role = NGX_HTTP_TASKFORGE_ROLE_VIEWER;
    }

    if (ngx_http_taskforge_password_init(cf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    acf->zone = ngx_shared_memory_add(cf, &name,
                                      sizeof(tf_lockout_t) + 16 * ngx_pagesize,
                                      &ngx_http_taskforge_accounts_module);
    if (acf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    acf->zone->init = ngx_http_taskforge_accounts_zone;

    return NGX_CONF_OK;
}


static char *
ngx_http_taskforge_accounts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                           *value;
    ngx_uint_t                           i;
    ngx_http_taskforge_accounts_conf_t  *acf = conf;

    value = cf->args->elts;

    if (acf->registration != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    acf->registration = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "registration=open") == 0) {
            acf->registration = 1;

        } else if (ngx_strcmp(value[i].data, "registration=closed") == 0) {
            acf->registration = 0;

        } else if (ngx_strcmp(value[i].data, "role=viewer") == 0) {
            acf->role = NGX_HTTP_TASKFORGE_ROLE_VIEWER;

        } else if (ngx_strcmp(value[i].data, "role=operator") == 0) {
            acf->role = NGX_HTTP_TASKFORGE_ROLE_OPERATOR;

        } else if (ngx_http_taskforge_accounts_number(&value[i], acf)
                   != NGX_CONF_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_taskforge_accounts_number(ngx_str_t *value,
    ngx_http_taskforge_accounts_conf_t *acf)
{
    ngx_int_t         n;
    ngx_str_t         text;
    ngx_uint_t       *field, i;
    const ngx_str_t  *name;

    for (i = 0; ngx_http_taskforge_accounts_params[i].name.len; i++) {

        name = &ngx_http_taskforge_accounts_params[i].name;

        if (ngx_strncmp(value->data, name->data, name->len) != 0) {
            continue;
        }

        text.data = value->data + name->len;
        text.len = value->len - name->len;

        n = ngx_http_taskforge_accounts_params[i].parse(&text);

        if (n == NGX_ERROR || n < ngx_http_taskforge_accounts_params[i].min
            || n > ngx_http_taskforge_accounts_params[i].max)
        {
            return NGX_CONF_ERROR;
        }

        /* ngx_uint_t, size_t and time_t are of one size */

        field = (ngx_uint_t *)
                    ((char *) acf
                     + ngx_http_taskforge_accounts_params[i].offset);
        *field = (ngx_uint_t) n;

        return NGX_CONF_OK;
    }

    return NGX_CONF_ERROR;
}


static char *
ngx_http_taskforge_accounts_threads(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_int_t                            n;
    ngx_str_t                           *value;
    ngx_http_taskforge_accounts_conf_t  *acf = conf;

    value = cf->args->elts;

    if (acf->pool) {
        return "is duplicate";
    }

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "queue=", 6) != 0) {
            return "takes \"queue=\" only";
        }

        n = ngx_atoi(value[2].data + 6, value[2].len - 6);

        if (n < 1 || n > 10000) {
            return "needs a queue from 1 to 10000";
        }

        acf->queue = (ngx_uint_t) n;
    }

    acf->pool = ngx_thread_pool_add(cf, &value[1]);

    return acf->pool ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_taskforge_accounts_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data) {
        /* a reload: what was counted stays */
        zone->data = data;
        return NGX_OK;
    }

    if (zone->shm.exists) {
        zone->data = pool->data;
        return NGX_OK;
    }

    zone->data = ngx_slab_calloc(pool, sizeof(tf_lockout_t));
    pool->data = zone->data;

    return zone->data ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_http_taskforge_lockout_take(ngx_http_request_t *r, uint64_t key,
    ngx_uint_t allowed)
{
    ngx_uint_t                           wait;
    ngx_slab_pool_t                     *pool;
    ngx_http_taskforge_accounts_conf_t  *acf;

    acf = ngx_http_taskforge_accounts_conf(r);
    pool = (ngx_slab_pool_t *) acf->zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    wait = tf_lockout_take(acf->zone->data, key, (uint32_t) allowed,
                           (uint32_t) acf->lockout_time,
                           (uint32_t) ngx_time());

    ngx_shmtx_unlock(&pool->mutex);

    return wait;
}


void
ngx_http_taskforge_lockout_give_back(ngx_http_request_t *r, uint64_t key)
{
    ngx_slab_pool_t                     *pool;
    ngx_http_taskforge_accounts_conf_t  *acf;

    acf = ngx_http_taskforge_accounts_conf(r);
    pool = (ngx_slab_pool_t *) acf->zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    tf_lockout_give_back(acf->zone->data, key);

    ngx_shmtx_unlock(&pool->mutex);
}


void
ngx_http_taskforge_lockout_clear(ngx_http_request_t *r, uint64_t key)
{
    ngx_slab_pool_t                     *pool;
    ngx_http_taskforge_accounts_conf_t  *acf;

    acf = ngx_http_taskforge_accounts_conf(r);
    pool = (ngx_slab_pool_t *) acf->zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    tf_lockout_clear(acf->zone->data, key);

    ngx_shmtx_unlock(&pool->mutex);
}
