
/*
 * Where Redis is, found out once at configuration time.
 */

#include "ngx_http_taskforge_redis.h"
#include "ngx_http_taskforge_pg.h"
#include "redis_tls.h"

#include <openssl/ssl.h>


static ngx_int_t ngx_http_taskforge_redis_text(ngx_conf_t *cf, ngx_str_t *to,
    const char *from);
static void ngx_http_taskforge_redis_tls_free(void *data);


char *
ngx_http_taskforge_redis_url(ngx_conf_t *cf, ngx_str_t *url,
    ngx_http_taskforge_redis_conf_t *conf)
{
    char                 error[320];
    ngx_int_t            rc;
    ngx_str_t            name;
    tf_redis_url_t       u;
    ngx_pool_cleanup_t  *cln;

    if (!tf_redis_url_parse((char *) url->data, &u, error, sizeof(error))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "taskforge_redis: %s", error);
        return "is not a Redis URL";
    }

    if (!tf_redis_tls_open(&u, error, sizeof(error))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "taskforge_redis: %s", error);
        tf_redis_url_free(&u);
        return "cannot be used";
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        tf_redis_url_free(&u);
        return NGX_CONF_ERROR;
    }

    conf->tls = u.tls_context;
    u.tls_context = NULL;
    cln->handler = ngx_http_taskforge_redis_tls_free;
    cln->data = conf->tls;

    rc = NGX_OK;

    if (u.socket_path) {
        rc |= ngx_http_taskforge_redis_text(cf, &conf->socket_path,
                                            u.socket_path);
    } else {
        name.data = (u_char *) u.host;
        name.len = ngx_strlen(u.host);
        rc |= ngx_http_taskforge_resolve(cf, &name, &conf->address);
    }

    rc |= ngx_http_taskforge_redis_text(cf, &conf->host, u.host);
    rc |= ngx_http_taskforge_redis_text(cf, &conf->user, u.user);
    rc |= ngx_http_taskforge_redis_text(cf, &conf->password, u.password);

    conf->port = u.port;
    conf->db = u.db;

    tf_redis_url_free(&u);

    return (rc == NGX_OK) ? NGX_CONF_OK : "cannot be used";
}


static ngx_int_t
ngx_http_taskforge_redis_text(ngx_conf_t *cf, ngx_str_t *to, const char *from)
{
    size_t  len;

    if (from == NULL) {
        return NGX_OK;
    }

    len = ngx_strlen(from);

    to->data = ngx_pnalloc(cf->pool, len + 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(to->data, (u_char *) from, len + 1);
    to->len = len;

    return NGX_OK;
}


static void
ngx_http_taskforge_redis_tls_free(void *data)
{
    SSL_CTX_free(data);
}
