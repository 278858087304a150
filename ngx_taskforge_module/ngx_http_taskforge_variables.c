
#include "ngx_http_taskforge_variables.h"
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_route.h"


#define NGX_HTTP_TASKFORGE_REQUEST_ID_MAX  64

/* how the routes begin whose {id} is a job's */
#define NGX_HTTP_TASKFORGE_JOB_ROUTE       "/jobs/{id}"


static ngx_int_t ngx_http_taskforge_job_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_taskforge_request_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_taskforge_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_taskforge_role_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static void ngx_http_taskforge_set_variable(ngx_http_variable_value_t *v,
    const ngx_str_t *value);


/* what the access phase finds out is asked for before it, too: not kept */

static ngx_http_variable_t  ngx_http_taskforge_variables[] = {

    { ngx_string("taskforge_job_id"), NULL,
      ngx_http_taskforge_job_id_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("taskforge_request_id"), NULL,
      ngx_http_taskforge_request_id_variable, 0, 0, 0 },

    { ngx_string("taskforge_user"), NULL,
      ngx_http_taskforge_user_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("taskforge_role"), NULL,
      ngx_http_taskforge_role_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_taskforge_variables_init(ngx_conf_t *cf)
{
    ngx_str_t                        name = ngx_string("request_id");
    ngx_http_variable_t             *var, *v;
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_taskforge_module);

    mcf->request_id = ngx_http_get_variable_index(cf, &name);
    if (mcf->request_id == NGX_ERROR) {
        return NGX_ERROR;
    }

    for (v = ngx_http_taskforge_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_job_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                    *p;
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_module);

    if (ctx && ctx->job_id.len == 0 && ctx->route
        && ngx_strncmp(ctx->route->pattern.data, NGX_HTTP_TASKFORGE_JOB_ROUTE,
                       sizeof(NGX_HTTP_TASKFORGE_JOB_ROUTE) - 1)
           == 0)
    {
        p = ngx_pnalloc(r->pool, TF_UUID_TEXT_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        tf_uuid_format(ctx->id, (char *) p);

        ctx->job_id.data = p;
        ctx->job_id.len = TF_UUID_TEXT_LEN;
    }

    ngx_http_taskforge_set_variable(v, ctx ? &ctx->job_id : NULL);

    return NGX_OK;
}


/* The client's X-Request-ID if it is harmless, else nginx's $request_id. */

static ngx_int_t
ngx_http_taskforge_request_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                           c;
    ngx_str_t                        name = ngx_string("http_x_request_id");
    ngx_uint_t                       i, key;
    ngx_http_variable_value_t       *vv;
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    key = ngx_hash_key(name.data, name.len);
    vv = ngx_http_get_variable(r, &name, key);

    if (vv && !vv->not_found && vv->len
        && vv->len <= NGX_HTTP_TASKFORGE_REQUEST_ID_MAX)
    {
        for (i = 0; i < vv->len; i++) {
            c = vv->data[i];

            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                  || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'
                  || c == '.'))
            {
                break;
            }
        }

        if (i == vv->len) {
            *v = *vv;
            return NGX_OK;
        }
    }

    vv = ngx_http_get_indexed_variable(r, mcf->request_id);
    if (vv == NULL) {
        return NGX_ERROR;
    }

    *v = *vv;

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_module);

    ngx_http_taskforge_set_variable(v, ctx ? &ctx->user : NULL);

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_role_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_module);

    ngx_http_taskforge_set_variable(v,
        (ctx && ctx->has_user) ? ngx_http_taskforge_role_name(ctx->role)
                               : NULL);

    return NGX_OK;
}


/* NULL: empty. */

static void
ngx_http_taskforge_set_variable(ngx_http_variable_value_t *v,
    const ngx_str_t *value)
{
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = value ? value->len : 0;
    v->data = (value && value->len) ? value->data : (u_char *) "";
}
