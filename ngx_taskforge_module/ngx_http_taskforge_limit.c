
#include "ngx_http_taskforge_limit.h"
#include "ngx_http_taskforge_identity.h"
#include "ngx_http_taskforge_limit_local.h"
#include "ngx_http_taskforge_reply.h"
#include "redis_keys.h"


#define NGX_HTTP_TASKFORGE_LIMITS_MAX  8    /* names of a location */

/* room for one item of RateLimit or RateLimit-Policy */
#define NGX_HTTP_TASKFORGE_LIMIT_ITEM                                         \
    (sizeof("\"\";q=;w=, ") + TF_REDIS_LIMIT_NAME_MAX + 2 * NGX_INT_T_LEN)


typedef struct {
    const ngx_http_taskforge_limit_t *limit;
    ngx_str_t                         key;
    ngx_http_taskforge_permit_t       permit;
} ngx_http_taskforge_limit_item_t;


typedef struct {
    ngx_http_request_t               *request;
    ngx_uint_t                        n;
    ngx_uint_t                        pending;
    ngx_int_t                         rc;
    unsigned                          decided:1;
    ngx_http_taskforge_limit_item_t   items[NGX_HTTP_TASKFORGE_LIMITS_MAX];
} ngx_http_taskforge_limit_ctx_t;


static ngx_int_t ngx_http_taskforge_limit_begin(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_array_t *limits);
static ngx_int_t ngx_http_taskforge_limit_select(
    ngx_http_taskforge_limit_ctx_t *lctx, ngx_http_taskforge_ctx_t *ctx,
    ngx_array_t *limits);
static ngx_int_t ngx_http_taskforge_limit_key(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, const ngx_http_taskforge_limit_t *limit,
    ngx_str_t *key);
static void ngx_http_taskforge_limit_settled(void *data);
static void ngx_http_taskforge_limit_cleanup(void *data);
static ngx_int_t ngx_http_taskforge_limit_decide(
    ngx_http_taskforge_limit_ctx_t *lctx);
static ngx_int_t ngx_http_taskforge_limit_headers(
    ngx_http_taskforge_limit_ctx_t *lctx);
static ngx_int_t ngx_http_taskforge_limit_refuse(
    ngx_http_taskforge_limit_ctx_t *lctx, ngx_http_taskforge_limit_item_t *it);
static ngx_int_t ngx_http_taskforge_limit_number(ngx_http_request_t *r,
    const char *name, ngx_uint_t value);


ngx_int_t
ngx_http_taskforge_limit(ngx_http_request_t *r, ngx_http_taskforge_ctx_t *ctx)
{
    ngx_http_taskforge_limit_ctx_t       *lctx;
    ngx_http_taskforge_limit_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_limit_module);

    /* an internal redirect is the same request again */

    if (llcf->limits == NULL || r != r->main || r->internal) {
        return NGX_OK;
    }

    lctx = ngx_http_get_module_ctx(r, ngx_http_taskforge_limit_module);

    if (lctx == NULL) {
        ctx = ctx ? ctx : ngx_http_taskforge_get_ctx(r);

        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_taskforge_limit_begin(r, ctx, llcf->limits);
    }

    if (lctx->pending) {
        return NGX_AGAIN;
    }

    return lctx->decided ? lctx->rc : ngx_http_taskforge_limit_decide(lctx);
}


/* All limits at once: whatever they are, the request waits one round trip. */

static ngx_int_t
ngx_http_taskforge_limit_begin(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, ngx_array_t *limits)
{
    ngx_uint_t                             i;
    ngx_pool_cleanup_t                    *cln;
    ngx_http_taskforge_limit_ctx_t        *lctx;
    ngx_http_taskforge_limit_item_t       *it;
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_limit_module);

    lctx = ngx_pcalloc(r->pool, sizeof(ngx_http_taskforge_limit_ctx_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (lctx == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    lctx->request = r;

    if (ngx_http_taskforge_limit_select(lctx, ctx, limits) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_taskforge_limit_cleanup;
    cln->data = lctx;

    ngx_http_set_ctx(r, lctx, ngx_http_taskforge_limit_module);

    for (i = 0; i < lctx->n; i++) {
        it = &lctx->items[i];

        it->permit.handler = ngx_http_taskforge_limit_settled;
        it->permit.data = lctx;

        if (ngx_http_taskforge_permit_take(lmcf->permits, &it->limit->quota,
                                           &it->key, &it->permit)
            == NGX_AGAIN)
        {
            lctx->pending++;
        }
    }

    if (lctx->pending == 0) {
        return ngx_http_taskforge_limit_decide(lctx);
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


/* Of the limits with one name the first that is meant for the caller. */

static ngx_int_t
ngx_http_taskforge_limit_select(ngx_http_taskforge_limit_ctx_t *lctx,
    ngx_http_taskforge_ctx_t *ctx, ngx_array_t *limits)
{
    ngx_uint_t                         i, n, role;
    ngx_http_taskforge_limit_t        *limit;
    const ngx_http_taskforge_limit_t  *other;

    limit = limits->elts;
    role = 1 << (ctx->has_user ? ctx->role : NGX_HTTP_TASKFORGE_ROLE_NONE);

    for (i = 0; i < limits->nelts; i++) {

        if (limit[i].roles && !(limit[i].roles & role)) {
            continue;
        }

        for (n = 0; n < lctx->n; n++) {
            other = lctx->items[n].limit;

            if (other->name.len == limit[i].name.len
                && ngx_strncmp(other->name.data, limit[i].name.data,
                               other->name.len)
                   == 0)
            {
                break;
            }
        }

        if (n < lctx->n || n == NGX_HTTP_TASKFORGE_LIMITS_MAX) {
            continue;
        }

        lctx->items[n].limit = &limit[i];

        if (ngx_http_taskforge_limit_key(lctx->request, ctx, &limit[i],
                                         &lctx->items[n].key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        lctx->n++;
    }

    /* what has no quota is no limit, only named to except somebody */

    for (i = 0, n = 0; i < lctx->n; i++) {
        if (lctx->items[i].limit->quota.quota) {
            lctx->items[n++] = lctx->items[i];
        }
    }

    lctx->n = n;

    return NGX_OK;
}


/* A letter says what the subject is: user, key or address. */

static ngx_int_t
ngx_http_taskforge_limit_key(ngx_http_request_t *r,
    ngx_http_taskforge_ctx_t *ctx, const ngx_http_taskforge_limit_t *limit,
    ngx_str_t *key)
{
    u_char                          subject[TF_REDIS_LIMIT_SUBJECT_MAX];
    size_t                          len;
    ngx_http_taskforge_identity_t  *identity;

    identity = ctx->identity;

    if (limit->by == NGX_HTTP_TASKFORGE_LIMIT_BY_KEY && identity
        && identity->by == NGX_HTTP_TASKFORGE_BY_KEY)
    {
        subject[0] = 'k';
        tf_uuid_format(identity->source_id, (char *) &subject[1]);
        len = 1 + TF_UUID_TEXT_LEN;

    } else if (limit->by != NGX_HTTP_TASKFORGE_LIMIT_BY_ADDRESS
               && ctx->has_user)
    {
        subject[0] = 'u';
        tf_uuid_format(ctx->user_id, (char *) &subject[1]);
        len = 1 + TF_UUID_TEXT_LEN;

    } else {
        subject[0] = 'a';
        len = 1 + ngx_http_taskforge_limit_address(r, &subject[1]);
    }

    key->data = ngx_pnalloc(r->pool, TF_REDIS_LIMIT_KEY_MAX);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    key->len = tf_redis_limit_key((char *) key->data, TF_REDIS_LIMIT_KEY_MAX,
                                  (char *) limit->name.data, limit->name.len,
                                  (char *) subject, len);
    return NGX_OK;
}


/* Of IPv6 the /64: who has one has all of its addresses. */

size_t
ngx_http_taskforge_limit_address(ngx_http_request_t *r, u_char *out)
{
    u_char               *p;
    size_t                n;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

    case AF_INET:
        p = (u_char *) &((struct sockaddr_in *) sa)->sin_addr;
        n = 4;
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        p = sin6->sin6_addr.s6_addr;
        n = 8;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            p += 12;
            n = 4;
        }

        break;
#endif

    default:
        p = (u_char *) "";
        n = 0;
    }

    return ngx_hex_dump(out, p, n) - out;
}


static void
ngx_http_taskforge_limit_settled(void *data)
{
    ngx_http_taskforge_limit_ctx_t  *lctx = data;

    if (--lctx->pending == 0) {
        ngx_http_taskforge_resume(lctx->request);
    }
}


static void
ngx_http_taskforge_limit_cleanup(void *data)
{
    ngx_uint_t                       i;
    ngx_http_taskforge_limit_ctx_t  *lctx = data;

    for (i = 0; i < lctx->n; i++) {
        ngx_http_taskforge_permit_end(&lctx->items[i].permit, 0);
    }
}


static ngx_int_t
ngx_http_taskforge_limit_decide(ngx_http_taskforge_limit_ctx_t *lctx)
{
    ngx_uint_t                             i;
    ngx_http_request_t                    *r;
    ngx_http_taskforge_limit_local_t       local;
    ngx_http_taskforge_limit_item_t       *it, *refused;
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    r = lctx->request;
    lmcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_limit_module);

    lctx->decided = 1;
    lctx->rc = NGX_OK;
    refused = NULL;

    for (i = 0; i < lctx->n; i++) {
        it = &lctx->items[i];

        if (it->permit.rc == NGX_DECLINED) {
            it->permit.rc = ngx_http_taskforge_limit_local_take(lmcf->zone,
                                                         &it->limit->quota,
                                                         &it->key, 1, 0,
                                                         &local)
                            ? NGX_OK : NGX_BUSY;
            it->permit.remaining = local.free;
            it->permit.next = local.next;
        }

        if (it->permit.rc == NGX_BUSY
            && (refused == NULL || it->permit.next > refused->permit.next))
        {
            refused = it;
        }
    }

    for (i = 0; i < lctx->n; i++) {
        it = &lctx->items[i];

        if (refused && it->permit.rc == NGX_OK) {
            it->permit.remaining++;
        }

        ngx_http_taskforge_permit_end(&it->permit, refused == NULL);
    }

    if (lctx->n && ngx_http_taskforge_limit_headers(lctx) != NGX_OK) {
        lctx->rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else if (refused) {
        lctx->rc = ngx_http_taskforge_limit_refuse(lctx, refused);
    }

    return lctx->rc;
}


/*
 * draft-ietf-httpapi-ratelimit-headers-09 for all limits, and the older
 * X-RateLimit of the one that is nearest to its end.
 */

static ngx_int_t
ngx_http_taskforge_limit_headers(ngx_http_taskforge_limit_ctx_t *lctx)
{
    u_char                           *policy, *state, *p, *s;
    size_t                            room;
    ngx_uint_t                        i;
    ngx_http_request_t               *r;
    ngx_http_taskforge_limit_item_t  *it, *least;

    r = lctx->request;
    room = lctx->n * NGX_HTTP_TASKFORGE_LIMIT_ITEM;

    policy = ngx_pnalloc(r->pool, 2 * room);
    if (policy == NULL) {
        return NGX_ERROR;
    }

    state = policy + room;
    p = policy;
    s = state;
    least = lctx->items;

    for (i = 0; i < lctx->n; i++) {
        it = &lctx->items[i];

        p = ngx_slprintf(p, policy + room, "%s\"%V\";q=%ui;w=%M",
                         i ? ", " : "", &it->limit->name,
                         it->limit->quota.quota,
                         it->limit->quota.window / 1000);

        s = ngx_slprintf(s, state + room, "%s\"%V\";r=%ui;t=%M",
                         i ? ", " : "", &it->limit->name,
                         it->permit.remaining, (it->permit.next + 999) / 1000);

        if (it->permit.remaining < least->permit.remaining) {
            least = it;
        }
    }

    if (ngx_http_taskforge_header_add(r, "RateLimit-Policy", policy,
                                      p - policy)
        != NGX_OK
        || ngx_http_taskforge_header_add(r, "RateLimit", state, s - state)
           != NGX_OK
        || ngx_http_taskforge_limit_number(r, "X-RateLimit-Limit",
                                           least->limit->quota.quota)
           != NGX_OK
        || ngx_http_taskforge_limit_number(r, "X-RateLimit-Remaining",
                                           least->permit.remaining)
           != NGX_OK
        || ngx_http_taskforge_limit_number(r, "X-RateLimit-Reset",
                                           (least->permit.next + 999) / 1000)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_limit_refuse(ngx_http_taskforge_limit_ctx_t *lctx,
    ngx_http_taskforge_limit_item_t *it)
{
    u_char                    *p, *last;
    ngx_uint_t                 seconds;
    ngx_http_request_t        *r;
    ngx_http_taskforge_ctx_t  *ctx;

    r = lctx->request;
    ctx = ngx_http_taskforge_get_ctx(r);
    seconds = ngx_max((it->permit.next + 999) / 1000, 1);

    p = ngx_pnalloc(r->pool, NGX_HTTP_TASKFORGE_LIMIT_ITEM + 64);

    if (p == NULL
        || ngx_http_taskforge_limit_number(r, "Retry-After", seconds)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = p + NGX_HTTP_TASKFORGE_LIMIT_ITEM + 63;

    if (ctx) {
        ctx->detail = (char *) p;
    }

    p = ngx_slprintf(p, last, "the limit \"%V\" is %ui requests in %M seconds",
                     &it->limit->name, it->limit->quota.quota,
                     it->limit->quota.window / 1000);
    *p = '\0';

    return NGX_HTTP_TOO_MANY_REQUESTS;
}


static ngx_int_t
ngx_http_taskforge_limit_number(ngx_http_request_t *r, const char *name,
    ngx_uint_t value)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_taskforge_header_add(r, name, p,
                                         ngx_sprintf(p, "%ui", value) - p);
}
