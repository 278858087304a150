
#include "ngx_http_taskforge_limit_local.h"
#include "ngx_http_taskforge_limit.h"
#include "window.h"


typedef struct {
    ngx_str_node_t                sn;
    ngx_queue_t                   queue;
    tf_window_t                   window;
} ngx_http_taskforge_limit_node_t;


typedef struct {
    ngx_rbtree_t                  tree;
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   queue;      /* newest first */
} ngx_http_taskforge_limit_shm_t;


static ngx_int_t ngx_http_taskforge_limit_local_init(ngx_shm_zone_t *zone,
    void *data);
static ngx_http_taskforge_limit_node_t *ngx_http_taskforge_limit_local_find(
    ngx_slab_pool_t *pool, ngx_str_t *key, uint32_t hash);
static ngx_http_taskforge_limit_node_t *ngx_http_taskforge_limit_local_make(
    ngx_slab_pool_t *pool, ngx_str_t *key, uint32_t hash);
static void ngx_http_taskforge_limit_local_forget(ngx_slab_pool_t *pool);


static ngx_str_t  ngx_http_taskforge_limit_zone_name =
    ngx_string("taskforge_limit");


ngx_shm_zone_t *
ngx_http_taskforge_limit_local_add(ngx_conf_t *cf, size_t size)
{
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, &ngx_http_taskforge_limit_zone_name,
                                 size, &ngx_http_taskforge_limit_module);
    if (zone) {
        zone->init = ngx_http_taskforge_limit_local_init;
    }

    return zone;
}


static ngx_int_t
ngx_http_taskforge_limit_local_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t                 *pool;
    ngx_http_taskforge_limit_shm_t  *shm;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data) {
        /* a reload: the counts stay */
        zone->data = data;
        return NGX_OK;
    }

    if (zone->shm.exists) {
        zone->data = pool->data;
        return NGX_OK;
    }

    shm = ngx_slab_alloc(pool, sizeof(ngx_http_taskforge_limit_shm_t));
    if (shm == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&shm->tree, &shm->sentinel, ngx_str_rbtree_insert_value);
    ngx_queue_init(&shm->queue);

    zone->data = shm;
    pool->data = shm;
    pool->log_nomem = 0;

    return NGX_OK;
}


ngx_uint_t
ngx_http_taskforge_limit_local_take(ngx_shm_zone_t *zone,
    const ngx_http_taskforge_quota_t *quota, ngx_str_t *key, ngx_uint_t n,
    ngx_msec_t lease, ngx_http_taskforge_limit_local_t *local)
{
    int64_t                           now;
    uint32_t                          hash;
    ngx_uint_t                        granted;
    ngx_slab_pool_t                  *pool;
    ngx_http_taskforge_limit_node_t  *node;

    pool = (ngx_slab_pool_t *) zone->shm.addr;
    now = ngx_http_taskforge_permits_now();
    hash = ngx_crc32_short(key->data, key->len);

    granted = 0;
    local->free = n ? 0 : quota->quota;
    local->next = n ? quota->window : 0;
    local->moment = 0;

    ngx_shmtx_lock(&pool->mutex);

    node = ngx_http_taskforge_limit_local_find(pool, key, hash);

    if (node == NULL && n) {
        node = ngx_http_taskforge_limit_local_make(pool, key, hash);
    }

    if (node) {
        granted = tf_window_take(&node->window, quota->quota, quota->window,
                                 lease, now, n, &local->moment);
        local->free = tf_window_free(&node->window, quota->quota, now);
        local->next = tf_window_next_ms(&node->window, quota->quota, now);
    }

    ngx_shmtx_unlock(&pool->mutex);

    return granted;
}


void
ngx_http_taskforge_limit_local_give_back(ngx_shm_zone_t *zone, ngx_str_t *key,
    int64_t moment, ngx_uint_t n)
{
    uint32_t                          hash;
    ngx_slab_pool_t                  *pool;
    ngx_http_taskforge_limit_node_t  *node;

    pool = (ngx_slab_pool_t *) zone->shm.addr;
    hash = ngx_crc32_short(key->data, key->len);

    ngx_shmtx_lock(&pool->mutex);

    node = ngx_http_taskforge_limit_local_find(pool, key, hash);

    if (node) {
        tf_window_give_back(&node->window, moment, n);
    }

    ngx_shmtx_unlock(&pool->mutex);
}


static ngx_http_taskforge_limit_node_t *
ngx_http_taskforge_limit_local_find(ngx_slab_pool_t *pool, ngx_str_t *key,
    uint32_t hash)
{
    ngx_http_taskforge_limit_shm_t   *shm;
    ngx_http_taskforge_limit_node_t  *node;

    shm = pool->data;

    node = (ngx_http_taskforge_limit_node_t *)
               ngx_str_rbtree_lookup(&shm->tree, key, hash);

    if (node) {
        ngx_queue_remove(&node->queue);
        ngx_queue_insert_head(&shm->queue, &node->queue);
    }

    return node;
}


/* NULL: no memory. */

static ngx_http_taskforge_limit_node_t *
ngx_http_taskforge_limit_local_make(ngx_slab_pool_t *pool, ngx_str_t *key,
    uint32_t hash)
{
    size_t                            size;
    ngx_uint_t                        tries;
    ngx_http_taskforge_limit_shm_t   *shm;
    ngx_http_taskforge_limit_node_t  *node;

    shm = pool->data;
    size = sizeof(ngx_http_taskforge_limit_node_t) + key->len;
    node = ngx_slab_calloc_locked(pool, size);

    for (tries = 0; node == NULL && tries < 3; tries++) {
        ngx_http_taskforge_limit_local_forget(pool);
        node = ngx_slab_calloc_locked(pool, size);
    }

    if (node == NULL) {
        return NULL;
    }

    node->sn.node.key = hash;
    node->sn.str.len = key->len;
    node->sn.str.data = (u_char *) node
                        + sizeof(ngx_http_taskforge_limit_node_t);
    ngx_memcpy(node->sn.str.data, key->data, key->len);

    ngx_rbtree_insert(&shm->tree, &node->sn.node);
    ngx_queue_insert_head(&shm->queue, &node->queue);

    return node;
}


static void
ngx_http_taskforge_limit_local_forget(ngx_slab_pool_t *pool)
{
    ngx_queue_t                      *q;
    ngx_http_taskforge_limit_shm_t   *shm;
    ngx_http_taskforge_limit_node_t  *node;

    shm = pool->data;

    if (ngx_queue_empty(&shm->queue)) {
        return;
    }

    q = ngx_queue_last(&shm->queue);
    node = ngx_queue_data(q, ngx_http_taskforge_limit_node_t, queue);

    ngx_queue_remove(q);
    ngx_rbtree_delete(&shm->tree, &node->sn.node);
    ngx_slab_free_locked(pool, node);
}
