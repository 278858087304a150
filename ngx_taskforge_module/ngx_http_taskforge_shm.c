
#include "ngx_http_taskforge_shm.h"


static ngx_int_t ngx_http_taskforge_shm_init(ngx_shm_zone_t *zone, void *data);


ngx_shm_zone_t *
ngx_http_taskforge_shm_add(ngx_conf_t *cf, ngx_str_t *name, size_t size)
{
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, name, size, &ngx_http_taskforge_module);

    if (zone) {
        zone->init = ngx_http_taskforge_shm_init;
    }

    return zone;
}


static ngx_int_t
ngx_http_taskforge_shm_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *pool;

    if (data) {
        /* a reload: the memory stays */
        zone->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = pool->data;
        return NGX_OK;
    }

    zone->data = ngx_slab_calloc(pool, sizeof(ngx_http_taskforge_shm_t));
    if (zone->data == NULL) {
        return NGX_ERROR;
    }

    pool->data = zone->data;

    return NGX_OK;
}
