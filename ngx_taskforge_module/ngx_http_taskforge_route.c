
#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_actions.h"
#include "ngx_http_taskforge_apikeys.h"
#include "ngx_http_taskforge_audit.h"
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_change.h"
#include "ngx_http_taskforge_events.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_login.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_session.h"
#include "ngx_http_taskforge_stats.h"
#include "ngx_http_taskforge_submit.h"
#include "ngx_http_taskforge_users.h"
#include "ngx_http_taskforge_webhooks.h"
#include "ngx_http_taskforge_why.h"


static ngx_int_t ngx_http_taskforge_route_match(const ngx_str_t *pattern,
    u_char *path, size_t len, ngx_http_taskforge_ctx_t *ctx);
static void ngx_http_taskforge_route_none(ngx_http_request_t *r,
    ngx_uint_t allow);
static ngx_int_t ngx_http_taskforge_route_args(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx);
static ngx_int_t ngx_http_taskforge_route_arg(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, u_char *p, u_char *end, tf_buf_t *errors);
static ngx_int_t ngx_http_taskforge_route_unescape(ngx_http_request_t *r,
    ngx_str_t *to, u_char *p, u_char *end);
static void ngx_http_taskforge_route_body(ngx_http_request_t *r);


/* What an API key needs: to read, to read jobs, to submit, for the rest. */

#define READ                                                                  \
    (NGX_HTTP_TASKFORGE_SCOPE_READ|NGX_HTTP_TASKFORGE_SCOPE_MANAGE)
#define JOBS                                                                  \
    NGX_HTTP_TASKFORGE_SCOPE_ALL
#define SUBMIT                                                                \
    (NGX_HTTP_TASKFORGE_SCOPE_SUBMIT|NGX_HTTP_TASKFORGE_SCOPE_MANAGE)
#define MANAGE                                                                \
    NGX_HTTP_TASKFORGE_SCOPE_MANAGE


/*
 * Literal segments come before {id} where both would match.  {id} is a UUID.
 */

static const ngx_http_taskforge_route_t  ngx_http_taskforge_routes[] = {

    { NGX_HTTP_POST, ngx_string("/jobs"),
      ngx_http_taskforge_submit_one, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      SUBMIT, ngx_string("jobs_submit"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/jobs/batch"),
      ngx_http_taskforge_submit_batch, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      SUBMIT, ngx_string("jobs_batch"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/jobs/actions"),
      ngx_http_taskforge_actions, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_actions"), NULL, 1 },

    { NGX_HTTP_GET, ngx_string("/jobs"),
      ngx_http_taskforge_jobs_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_list"), ngx_http_taskforge_list_args, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/metrics/summary"),
      ngx_http_taskforge_jobs_summary, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_summary"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}"),
      ngx_http_taskforge_jobs_get, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_get"), NULL, 0 },

    { NGX_HTTP_DELETE, ngx_string("/jobs/{id}"),
      ngx_http_taskforge_delete, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_delete"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/logs"),
      ngx_http_taskforge_jobs_logs, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_logs"), ngx_http_taskforge_logs_args, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/why"),
      ngx_http_taskforge_why, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_why"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/jobs/{id}/cancel"),
      ngx_http_taskforge_cancel, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_cancel"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/jobs/{id}/retry"),
      ngx_http_taskforge_retry, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_retry"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/webhooks"),
      ngx_http_taskforge_webhooks_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("webhooks_list"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/jobs/{id}/webhooks/{id}/replay"),
      ngx_http_taskforge_webhooks_replay, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhooks_replay"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/register"),
      ngx_http_taskforge_register, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_string("auth_register"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/login"),
      ngx_http_taskforge_login, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_string("auth_login"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/refresh"),
      ngx_http_taskforge_refresh, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_string("auth_refresh"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/logout"),
      ngx_http_taskforge_logout, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_logout"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/auth/me"),
      ngx_http_taskforge_me, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("auth_me"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/password"),
      ngx_http_taskforge_password_change, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_password"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/api-key"),
      ngx_http_taskforge_key_replace, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_key_replace"), NULL, 0 },

    { NGX_HTTP_DELETE, ngx_string("/auth/api-key"),
      ngx_http_taskforge_key_revoke, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_key_revoke"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/auth/api-keys"),
      ngx_http_taskforge_keys_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_keys_list"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/api-keys"),
      ngx_http_taskforge_keys_create, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_keys_create"), NULL, 1 },

    { NGX_HTTP_DELETE, ngx_string("/auth/api-keys/{id}"),
      ngx_http_taskforge_keys_revoke, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_keys_revoke"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/ws-ticket"),
      ngx_http_taskforge_ticket, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("auth_ticket"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/auth/webhook-secret"),
      ngx_http_taskforge_webhook_secret_get, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhook_secret_get"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/webhook-secret"),
      ngx_http_taskforge_webhook_secret_rotate,
      NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhook_secret_rotate"), NULL, 0 },

    { NGX_HTTP_DELETE, ngx_string("/auth/webhook-secret"),
      ngx_http_taskforge_webhook_secret_delete,
      NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhook_secret_delete"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/users"),
      ngx_http_taskforge_users_list, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("users_list"), ngx_http_taskforge_users_args, 0 },

    { NGX_HTTP_PATCH, ngx_string("/users/{id}"),
      ngx_http_taskforge_users_change, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("users_change"), NULL, 1 },

    { NGX_HTTP_GET, ngx_string("/audit"),
      ngx_http_taskforge_audit_list, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("audit_list"), ngx_http_taskforge_audit_args, 0 },

    { NGX_HTTP_GET, ngx_string("/stats"),
      ngx_http_taskforge_stats, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("stats"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/events"),
      ngx_http_taskforge_events, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("events_list"), ngx_http_taskforge_events_args, 0 },

    { 0, ngx_null_string, NULL, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_null_string, NULL, 0 }
};


static const struct {
    ngx_uint_t   method;
    const char  *name;
} ngx_http_taskforge_methods[] = {
    { NGX_HTTP_GET, "GET, HEAD" },
    { NGX_HTTP_POST, "POST" },
    { NGX_HTTP_PUT, "PUT" },
    { NGX_HTTP_PATCH, "PATCH" },
    { NGX_HTTP_DELETE, "DELETE" },
    { 0, NULL }
};


ngx_int_t
ngx_http_taskforge_route_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_uint_t                  allow;
    ngx_http_taskforge_ctx_t   *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* from here on an answer ends the request, and NGX_DONE ends our hold */

    r->main->count++;

    if (ctx->route == NULL
        && ngx_http_taskforge_route_find(r, ctx, &allow) != NGX_OK)
    {
        ngx_http_taskforge_route_none(r, allow);
        return NGX_DONE;
    }

    if (r->args.len && ngx_http_taskforge_route_args(r, ctx) != NGX_OK) {
        return NGX_DONE;
    }

    if (!ctx->route->body) {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            r->main->count--;
            return rc;
        }

        ctx->route->handler(r);
        return NGX_DONE;
    }

    if (ngx_http_taskforge_body_type(r) != NGX_OK) {
        return NGX_DONE;
    }

    r->request_body_in_single_buf = 1;

    /* reading the body takes a hold of its own */

    r->main->count--;

    rc = ngx_http_read_client_request_body(r, ngx_http_taskforge_route_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_taskforge_route_body(ngx_http_request_t *r)
{
    ngx_http_taskforge_ctx_t  *ctx;

    ctx = ngx_http_taskforge_get_ctx(r);

    ctx->route->handler(r);
}


ngx_int_t
ngx_http_taskforge_route_find(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_uint_t *allow)
{
    u_char                            *path;
    size_t                             len;
    ngx_uint_t                         method;
    ngx_http_taskforge_loc_conf_t     *lcf;
    const ngx_http_taskforge_route_t  *route;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_module);

    *allow = 0;

    if (r->uri.len < lcf->base.len) {
        return NGX_DECLINED;
    }

    path = r->uri.data + lcf->base.len;
    len = r->uri.len - lcf->base.len;
    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;

    for (route = ngx_http_taskforge_routes; route->handler; route++) {

        if (ngx_http_taskforge_route_match(&route->pattern, path, len, ctx)
            != NGX_OK)
        {
            continue;
        }

        if (route->method == method) {
            ctx->route = route;
            return NGX_OK;
        }

        *allow |= route->method;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_taskforge_route_match(const ngx_str_t *pattern, u_char *path,
    size_t len, ngx_http_taskforge_ctx_t *ctx)
{
    u_char   *p, *end, *q, *last;
    uint8_t  *id;

    static const size_t  hole = sizeof("{id}") - 1;

    id = ctx->id;
    p = pattern->data;
    end = p + pattern->len;
    q = path;
    last = path + len;

    while (p < end) {

        if (*p == '{') {
            if (last - q < TF_UUID_TEXT_LEN
                || !tf_uuid_parse((char *) q, TF_UUID_TEXT_LEN, id))
            {
                return NGX_DECLINED;
            }

            id = ctx->second_id;
            p += hole;
            q += TF_UUID_TEXT_LEN;
            continue;
        }

        if (q == last || *p != *q) {
            return NGX_DECLINED;
        }

        p++;
        q++;
    }

    return (q == last) ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_taskforge_route_none(ngx_http_request_t *r, ngx_uint_t allow)
{
    u_char      *value, *p;
    ngx_uint_t   i;

    if (allow == 0) {
        ngx_http_taskforge_problem(r, NGX_HTTP_NOT_FOUND,
                                   "there is nothing here; an id is a UUID");
        return;
    }

    value = ngx_pnalloc(r->pool, sizeof("GET, HEAD, POST, PUT, PATCH, DELETE"));
    if (value == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    p = value;

    for (i = 0; ngx_http_taskforge_methods[i].method; i++) {
        if (allow & ngx_http_taskforge_methods[i].method) {
            p = ngx_sprintf(p, "%s%s", p == value ? "" : ", ",
                            ngx_http_taskforge_methods[i].name);
        }
    }

    if (ngx_http_taskforge_header_add(r, "Allow", value, p - value) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_taskforge_problem(r, NGX_HTTP_NOT_ALLOWED,
                               "the method is not allowed here; allowed: %.*s",
                               (int) (p - value), value);
}


/* NGX_ERROR: the request has been answered. */

static ngx_int_t
ngx_http_taskforge_route_args(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx)
{
    u_char     *p, *end, *last;
    tf_buf_t    errors;
    ngx_int_t   rc;

    errors = (tf_buf_t) TF_BUF_INIT;
    rc = NGX_OK;

    p = r->args.data;
    last = p + r->args.len;

    while (p < last && rc == NGX_OK) {
        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if (end != p) {
            rc = ngx_http_taskforge_route_arg(r, ctx, p, end, &errors);
        }

        p = end + 1;
    }

    if (rc != NGX_OK) {
        ngx_http_taskforge_problem(r, NGX_HTTP_BAD_REQUEST,
                                   "the query has too many parameters or a "
                                   "broken escape");

    } else if (errors.len) {
        ngx_http_taskforge_problem_errors(r, NGX_HTTP_TASKFORGE_INVALID,
                                          &errors, "the query is not valid");
        rc = NGX_ERROR;
    }

    tf_buf_free(&errors);

    return rc;
}


static ngx_int_t
ngx_http_taskforge_route_arg(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, u_char *p, u_char *end, tf_buf_t *errors)
{
    u_char                    *eq;
    ngx_uint_t                 i;
    const ngx_str_t           *known;
    ngx_http_taskforge_arg_t  *arg;

    if (ctx->nargs == NGX_HTTP_TASKFORGE_MAX_ARGS) {
        return NGX_ERROR;
    }

    arg = &ctx->args[ctx->nargs];

    eq = ngx_strlchr(p, end, '=');

    if (ngx_http_taskforge_route_unescape(r, &arg->name, p, eq ? eq : end)
        != NGX_OK
        || ngx_http_taskforge_route_unescape(r, &arg->value,
                                             eq ? eq + 1 : end, end)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    known = ctx->route->args;

    while (known && known->len
           && (known->len != arg->name.len
               || ngx_strncmp(known->data, arg->name.data, known->len) != 0))
    {
        known++;
    }

    if (known == NULL || known->len == 0) {
        ngx_http_taskforge_error_add(errors, "parameter",
                                     (char *) arg->name.data, arg->name.len,
                                     "is not known here");
        return NGX_OK;
    }

    for (i = 0; i < ctx->nargs; i++) {
        if (ctx->args[i].name.len == arg->name.len
            && ngx_strncmp(ctx->args[i].name.data, arg->name.data,
                           arg->name.len)
               == 0)
        {
            ngx_http_taskforge_error_add(errors, "parameter",
                                         (char *) arg->name.data,
                                         arg->name.len, "is given twice");
            return NGX_OK;
        }
    }

    ctx->nargs++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_route_unescape(ngx_http_request_t *r, ngx_str_t *to,
    u_char *p, u_char *end)
{
    u_char     *out;
    ngx_int_t   code;

    out = ngx_pnalloc(r->pool, end - p + 1);
    if (out == NULL) {
        return NGX_ERROR;
    }

    to->data = out;

    for ( /* void */ ; p < end; p++) {

        if (*p == '+') {
            *out++ = ' ';
            continue;
        }

        if (*p != '%') {
            *out++ = *p;
            continue;
        }

        code = (end - p >= 3) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

        if (code == NGX_ERROR) {
            return NGX_ERROR;
        }

        *out++ = (u_char) code;
        p += 2;
    }

    to->len = out - to->data;

    return NGX_OK;
}


ngx_str_t *
ngx_http_taskforge_arg(ngx_http_taskforge_ctx_t *ctx, const char *name)
{
    size_t      len;
    ngx_uint_t  i;

    len = ngx_strlen(name);

    for (i = 0; i < ctx->nargs; i++) {
        if (ctx->args[i].name.len == len
            && ngx_strncmp(ctx->args[i].name.data, name, len) == 0)
        {
            return &ctx->args[i].value;
        }
    }

    return NULL;
}
