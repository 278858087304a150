
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_limit.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"


static ngx_int_t ngx_http_taskforge_access_identify(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_access_ctx_t *actx);
static ngx_int_t ngx_http_taskforge_access_allow(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_role_e role);
static void ngx_http_taskforge_access_credential(ngx_http_request_t *r,
    ngx_http_taskforge_access_ctx_t *actx);
static ngx_int_t ngx_http_taskforge_access_unauthorized(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, const char *error);
static ngx_int_t ngx_http_taskforge_access_refuse(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx,
    ngx_http_taskforge_credential_t *credential);
static ngx_int_t ngx_http_taskforge_access_later(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_int_t status, ngx_uint_t seconds,
    const char *detail);


static const char *const  ngx_http_taskforge_access_roles[] = {
    "",
    "this needs the role viewer, operator or admin",
    "this needs the role operator or admin",
    "this needs the role admin"
};


ngx_http_taskforge_access_ctx_t *
ngx_http_taskforge_access_get_ctx(ngx_http_request_t *r)
{
    ngx_http_taskforge_access_ctx_t  *actx;

    actx = ngx_http_get_module_ctx(r, ngx_http_taskforge_access_module);

    if (actx == NULL) {
        actx = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_access_ctx_t));

        if (actx) {
            ngx_http_set_ctx(r, actx, ngx_http_taskforge_access_module);
        }
    }

    return actx;
}


/*
 * Called again when what it waited for is there.  With taskforge_auth off
 * whoever reaches the port may do everything.  The route is looked up here
 * already, because it says which role it needs.  The limits come before it is
 * said who may not: who is refused is counted like anybody else.
 */

ngx_int_t
ngx_http_taskforge_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_uint_t                             allow;
    ngx_http_taskforge_ctx_t              *ctx;
    ngx_http_taskforge_role_e              role;
    ngx_http_taskforge_loc_conf_t         *lcf;
    ngx_http_taskforge_access_ctx_t       *actx;
    ngx_http_taskforge_access_loc_conf_t  *alcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_access_module);

    if (lcf->base.len == 0 && alcf->auth == NGX_HTTP_TASKFORGE_AUTH_OFF
        && !alcf->check_origin)
    {
        rc = ngx_http_taskforge_limit(r, NULL);
        return (rc == NGX_OK) ? NGX_DECLINED : rc;
    }

    ctx = ngx_http_taskforge_get_ctx(r);
    actx = ngx_http_taskforge_access_get_ctx(r);

    if (ctx == NULL || actx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    role = alcf->require;

    if (lcf->base.len
        && (ctx->route
            || ngx_http_taskforge_route_find(r, ctx, &allow) == NGX_OK))
    {
        role = ctx->route->role;

        if (role != NGX_HTTP_TASKFORGE_ROLE_NONE) {
            role = ngx_max(role, alcf->require);
        }
    }

    if (!actx->identified) {

        if (alcf->check_origin && ngx_http_taskforge_is_websocket(r)
            && ngx_http_taskforge_handshake_origin(r) != NGX_OK)
        {
            ctx->detail = "pages of this origin may not connect here";
            return NGX_HTTP_FORBIDDEN;
        }

        if (alcf->auth == NGX_HTTP_TASKFORGE_AUTH_OFF) {
            ctx->role = NGX_HTTP_TASKFORGE_ROLE_ADMIN;

        } else if (role != NGX_HTTP_TASKFORGE_ROLE_NONE) {
            rc = ngx_http_taskforge_access_identify(r, ctx, actx);

            if (rc != NGX_OK) {
                return rc;
            }
        }

        actx->identified = 1;
    }

    rc = ngx_http_taskforge_limit(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    if (alcf->auth == NGX_HTTP_TASKFORGE_AUTH_OFF) {
        return NGX_DECLINED;
    }

    return (role == NGX_HTTP_TASKFORGE_ROLE_NONE)
               ? NGX_OK : ngx_http_taskforge_access_allow(r, ctx, role);
}


/* NGX_OK also where there is no credential: then ctx has no identity. */

static ngx_int_t
ngx_http_taskforge_access_identify(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_access_ctx_t *actx)
{
    ngx_int_t                         rc;
    ngx_http_taskforge_identity_t    *identity;
    ngx_http_taskforge_credential_t  *credential;

    credential = &actx->credential;

    if (actx->asked) {
        rc = credential->rc;

    } else {
        actx->asked = 1;

        ngx_http_taskforge_access_credential(r, actx);

        if (credential->type == NGX_HTTP_TASKFORGE_CREDENTIAL_NONE) {
            return NGX_OK;
        }

        rc = ngx_http_taskforge_identity_resolve(r, credential);
    }

    switch (rc) {

    case NGX_OK:
        break;

    case NGX_AGAIN:
        r->read_event_handler = ngx_http_test_reading;
        return NGX_AGAIN;

    case NGX_DECLINED:
        credential->retry = ngx_http_taskforge_limit_failed(r,
                                credential->issued ? credential->user_id
                                                   : NULL, 1);
        /* fall through */

    case NGX_BUSY:
        return ngx_http_taskforge_access_refuse(r, ctx, credential);

    default:
        return ngx_http_taskforge_access_later(r, ctx,
                            NGX_HTTP_SERVICE_UNAVAILABLE, 1,
                            "who calls cannot be checked at the moment");
    }

    identity = &credential->identity;

    ctx->identity = identity;
    ctx->has_user = 1;
    ctx->role = identity->role;
    ctx->user.data = identity->name;
    ctx->user.len = identity->name_len;
    ngx_memcpy(ctx->user_id, identity->user_id, 16);

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_access_allow(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_role_e role)
{
    ngx_uint_t                             scopes;
    ngx_http_taskforge_access_ctx_t       *actx;
    ngx_http_taskforge_access_loc_conf_t  *alcf;

    if (ctx->identity == NULL) {
        alcf = ngx_http_get_module_loc_conf(r,
                                            ngx_http_taskforge_access_module);

        /* there is nobody to be of a role on an optional page */

        if (alcf->auth == NGX_HTTP_TASKFORGE_AUTH_OPTIONAL
            && ctx->route == NULL)
        {
            return NGX_OK;
        }

        return ngx_http_taskforge_access_unauthorized(r, ctx, NULL);
    }

    if (ctx->role < role) {
        ctx->detail = ngx_http_taskforge_access_roles[role];
        return NGX_HTTP_FORBIDDEN;
    }

    if (ctx->route) {
        scopes = ctx->route->scopes;

    } else {
        scopes = NGX_HTTP_TASKFORGE_SCOPE_MANAGE;

        if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
            scopes |= NGX_HTTP_TASKFORGE_SCOPE_READ;
        }
    }

    if (ctx->identity->scopes & scopes) {

        actx = ngx_http_get_module_ctx(r, ngx_http_taskforge_access_module);

        if (ngx_http_taskforge_is_stream(r)
            && ngx_http_taskforge_identity_hold(r, &actx->credential)
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_OK;
    }

    if (scopes & NGX_HTTP_TASKFORGE_SCOPE_READ) {
        ctx->detail = "the API key needs the scope read";

    } else if (scopes & NGX_HTTP_TASKFORGE_SCOPE_SUBMIT) {
        ctx->detail = "the API key needs the scope submit";

    } else {
        ctx->detail = "the API key needs the scope manage";
    }

    return NGX_HTTP_FORBIDDEN;
}


/* The first of: Authorization, X-API-Key, and what a handshake may use. */

static void
ngx_http_taskforge_access_credential(ngx_http_request_t *r,
    ngx_http_taskforge_access_ctx_t *actx)
{
    ngx_str_t                        *value;
    ngx_http_taskforge_credential_t  *credential;

    credential = &actx->credential;

    if (r->headers_in.authorization) {
        value = &r->headers_in.authorization->value;

        if (value->len > 7
            && ngx_strncasecmp(value->data, (u_char *) "Bearer ", 7) == 0)
        {
            credential->text.data = value->data + 7;
            credential->text.len = value->len - 7;

            while (credential->text.len && credential->text.data[0] == ' ') {
                credential->text.data++;
                credential->text.len--;
            }

            credential->type =
                (credential->text.len > 4
                 && ngx_strncmp(credential->text.data, "tfk_", 4) == 0)
                    ? NGX_HTTP_TASKFORGE_CREDENTIAL_KEY
                    : NGX_HTTP_TASKFORGE_CREDENTIAL_TOKEN;
            return;
        }
    }

    value = ngx_http_taskforge_header_in(r, "X-API-Key");

    if (value) {
        credential->text = *value;
        credential->type = NGX_HTTP_TASKFORGE_CREDENTIAL_KEY;
        return;
    }

    if (ngx_http_taskforge_is_stream(r)) {
        ngx_http_taskforge_handshake_credential(r, actx);
    }
}


/* RFC 6750, section 3.  error NULL: there was no credential. */

static ngx_int_t
ngx_http_taskforge_access_unauthorized(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, const char *error)
{
    ngx_table_elt_t  *h;

    ctx->detail = error ? error : "log in first: Authorization: Bearer "
                                  "with an access token, or X-API-Key";

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    h->lowcase_key = NULL;
    ngx_str_set(&h->key, "WWW-Authenticate");
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    if (error) {
        ngx_str_set(&h->value,
                    "Bearer realm=\"taskforge\", error=\"invalid_token\"");
    } else {
        ngx_str_set(&h->value, "Bearer realm=\"taskforge\"");
    }

    /* nginx takes it back where "satisfy any" lets the request in */

    r->headers_out.www_authenticate = h;

    return NGX_HTTP_UNAUTHORIZED;
}


/* A credential that is nobody's, or was not looked up. */

static ngx_int_t
ngx_http_taskforge_access_refuse(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_credential_t *credential)
{
    ngx_http_core_loc_conf_t  *clcf;

    static const char  too_many[] = "too many credentials were refused";

    if (credential->retry == 0) {
        return ngx_http_taskforge_access_unauthorized(r, ctx,
                                                      credential->error);
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* somebody else may let it in: any other status than this ends it */

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY) {
        return ngx_http_taskforge_access_unauthorized(r, ctx, too_many);
    }

    return ngx_http_taskforge_access_later(r, ctx, NGX_HTTP_TOO_MANY_REQUESTS,
                                           credential->retry, too_many);
}


static ngx_int_t
ngx_http_taskforge_access_later(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_int_t status, ngx_uint_t seconds,
    const char *detail)
{
    u_char  *p;

    ctx->detail = detail;

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);

    if (p == NULL
        || ngx_http_taskforge_header_add(r, "Retry-After", p,
                                         ngx_sprintf(p, "%ui", seconds) - p)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return status;
}
