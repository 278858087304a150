
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_limit.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_route.h"


static ngx_int_t ngx_http_taskforge_access_identify(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_access_ctx_t *actx,
    ngx_http_taskforge_role_e role);
static ngx_int_t ngx_http_taskforge_access_allow(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_role_e role);
static void ngx_http_taskforge_access_credential(ngx_http_request_t *r,
    ngx_http_taskforge_access_ctx_t *actx);
static ngx_int_t ngx_http_taskforge_access_unauthorized(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, const char *error);
static ngx_int_t ngx_http_taskforge_access_unavailable(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx);


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
 * already, because it says which role it needs.
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

    if (!actx->passed) {

        if (alcf->check_origin && ngx_http_taskforge_is_websocket(r)
            && ngx_http_taskforge_handshake_origin(r) != NGX_OK)
        {
            ctx->detail = "pages of this origin may not connect here";
            return NGX_HTTP_FORBIDDEN;
        }

        if (alcf->auth == NGX_HTTP_TASKFORGE_AUTH_OFF) {
            ctx->role = NGX_HTTP_TASKFORGE_ROLE_ADMIN;

        } else if (role != NGX_HTTP_TASKFORGE_ROLE_NONE) {
            rc = ngx_http_taskforge_access_identify(r, ctx, actx, role);

            if (rc != NGX_OK) {
                return rc;
            }
        }

        actx->passed = 1;
    }

    rc = ngx_http_taskforge_limit(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    return (alcf->auth == NGX_HTTP_TASKFORGE_AUTH_OFF) ? NGX_DECLINED
                                                       : NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_access_identify(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_access_ctx_t *actx,
    ngx_http_taskforge_role_e role)
{
    ngx_int_t                              rc;
    ngx_http_taskforge_identity_t         *identity;
    ngx_http_taskforge_access_loc_conf_t  *alcf;

    if (actx->asked) {
        rc = actx->credential.rc;

    } else {
        actx->asked = 1;

        ngx_http_taskforge_access_credential(r, actx);

        if (actx->credential.type == NGX_HTTP_TASKFORGE_CREDENTIAL_NONE) {
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

        rc = ngx_http_taskforge_identity_resolve(r, &actx->credential);
    }

    switch (rc) {

    case NGX_OK:
        break;

    case NGX_AGAIN:
        r->read_event_handler = ngx_http_test_reading;
        return NGX_AGAIN;

    case NGX_DECLINED:
        return ngx_http_taskforge_access_unauthorized(r, ctx,
                                                      actx->credential.error);

    default:
        return ngx_http_taskforge_access_unavailable(r, ctx);
    }

    identity = &actx->credential.identity;

    ctx->identity = identity;
    ctx->has_user = 1;
    ctx->role = identity->role;
    ctx->user.data = identity->name;
    ctx->user.len = identity->name_len;
    ngx_memcpy(ctx->user_id, identity->user_id, 16);

    rc = ngx_http_taskforge_access_allow(r, ctx, role);

    if (rc == NGX_OK && ngx_http_taskforge_is_stream(r)
        && ngx_http_taskforge_identity_hold(r, identity) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_taskforge_access_allow(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_http_taskforge_role_e role)
{
    ngx_uint_t  scopes;

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


static ngx_int_t
ngx_http_taskforge_access_unavailable(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx)
{
    ctx->detail = "who calls cannot be checked at the moment";

    if (ngx_http_taskforge_header_add(r, "Retry-After", (u_char *) "1", 1)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}
