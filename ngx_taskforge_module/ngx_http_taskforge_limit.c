
#include "ngx_http_taskforge_limit.h"
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_limit_local.h"
#include "ngx_http_taskforge_permits.h"
#include "ngx_http_taskforge_reply.h"
#include "redis_keys.h"


#define NGX_HTTP_TASKFORGE_LIMITS_MAX       8       /* names of a location */
#define NGX_HTTP_TASKFORGE_LIMIT_SUBJECTS   8192    /* of a worker process */
#define NGX_HTTP_TASKFORGE_LIMIT_ZONE       (4 * 1024 * 1024)

/* a permit must be used within window / 50, but not in less than 100 ms */
#define NGX_HTTP_TASKFORGE_LIMIT_LEASE      50
#define NGX_HTTP_TASKFORGE_LIMIT_LEASE_MIN  100
#define NGX_HTTP_TASKFORGE_LIMIT_LEASE_MAX  1000

/* room for one item of RateLimit or RateLimit-Policy */
#define NGX_HTTP_TASKFORGE_LIMIT_ITEM                                         \
    (sizeof("\"\";q=;w=, ") + TF_REDIS_LIMIT_NAME_MAX + 2 * NGX_INT_T_LEN)


typedef enum {
    NGX_HTTP_TASKFORGE_LIMIT_BY_USER = 0,
    NGX_HTTP_TASKFORGE_LIMIT_BY_KEY,
    NGX_HTTP_TASKFORGE_LIMIT_BY_ADDRESS
} ngx_http_taskforge_limit_by_e;


typedef struct {
    ngx_str_t                         name;
    ngx_http_taskforge_quota_t        quota;
    ngx_http_taskforge_limit_by_e     by;
    ngx_uint_t                        roles;      /* bits; 0: everybody */
} ngx_http_taskforge_limit_t;


typedef struct {
    ngx_shm_zone_t                   *zone;
    size_t                            zone_size;
    ngx_uint_t                        used;

    /* of this worker process */
    ngx_http_taskforge_permits_t     *permits;
} ngx_http_taskforge_limit_main_conf_t;


typedef struct {
    ngx_array_t                      *limits;     /* NULL: none */
} ngx_http_taskforge_limit_loc_conf_t;


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
static size_t ngx_http_taskforge_limit_address(ngx_http_request_t *r,
    u_char *out);
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

static void *ngx_http_taskforge_limit_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_limit_init_main_conf(ngx_conf_t *cf,
    void *conf);
static void *ngx_http_taskforge_limit_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_taskforge_limit_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_taskforge_limit_directive(ngx_conf_t *cf,
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

static size_t
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
    ngx_connection_t                *c;
    ngx_http_request_t              *r;
    ngx_http_taskforge_limit_ctx_t  *lctx = data;

    if (--lctx->pending) {
        return;
    }

    r = lctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
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
            (void) ngx_http_taskforge_limit_local_take(lmcf->zone,
                                                       &it->limit->quota,
                                                       &it->key, &it->permit);
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


static void *
ngx_http_taskforge_limit_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_taskforge_limit_main_conf_t  *lmcf;

    lmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskforge_limit_main_conf_t));

    if (lmcf) {
        lmcf->zone_size = NGX_CONF_UNSET_SIZE;
    }

    return lmcf;
}


static char *
ngx_http_taskforge_limit_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_taskforge_limit_main_conf_t  *lmcf = conf;

    ngx_conf_init_size_value(lmcf->zone_size, NGX_HTTP_TASKFORGE_LIMIT_ZONE);

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
