
#include "ngx_http_taskforge_access_keys.h"

#include <openssl/crypto.h>


#define NGX_HTTP_TASKFORGE_KEY_FILE_MAX  16384    /* bytes */


/* taskforge_jwt_key, until all settings are known. */

typedef struct {
    ngx_str_t                             kid;
    ngx_str_t                             alg;
    ngx_str_t                             where;
    ngx_str_t                             issuer;    /* empty: our own */
    ngx_uint_t                            verify;
} ngx_http_taskforge_access_key_t;


static char *ngx_http_taskforge_jwt_param(
    ngx_http_taskforge_access_main_conf_t *amcf, ngx_str_t *arg);
static const char *ngx_http_taskforge_access_add(ngx_conf_t *cf,
    ngx_http_taskforge_jwt_t *ring, ngx_http_taskforge_access_key_t *key);
static const char *ngx_http_taskforge_access_read(ngx_conf_t *cf,
    ngx_str_t *where, u_char *buf, size_t *len);
static void ngx_http_taskforge_access_cleanup(void *data);


ngx_int_t
ngx_http_taskforge_access_keys_init(ngx_conf_t *cf,
    ngx_http_taskforge_access_main_conf_t *amcf)
{
    return ngx_array_init(&amcf->keys, cf->pool, 2,
                          sizeof(ngx_http_taskforge_access_key_t));
}


char *
ngx_http_taskforge_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                              *value;
    ngx_uint_t                              i;
    ngx_http_taskforge_access_key_t        *key;
    ngx_http_taskforge_access_main_conf_t  *amcf = conf;

    value = cf->args->elts;

    key = ngx_array_push(&amcf->keys);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(key, sizeof(ngx_http_taskforge_access_key_t));

    key->kid = value[1];
    key->alg = value[2];
    key->where = value[3];

    for (i = 4; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "verify") == 0) {
            key->verify = 1;

        } else if (ngx_strncmp(value[i].data, "issuer=", 7) == 0
                   && value[i].len > 7)
        {
            key->issuer.data = value[i].data + 7;
            key->issuer.len = value[i].len - 7;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_taskforge_jwt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_taskforge_jwt_param(conf, &value[i]) != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_taskforge_jwt_param(ngx_http_taskforge_access_main_conf_t *amcf,
    ngx_str_t *arg)
{
    u_char      *eq;
    time_t       n;
    ngx_str_t    name, text;

    eq = ngx_strlchr(arg->data, arg->data + arg->len, '=');
    if (eq == NULL || eq + 1 == arg->data + arg->len) {
        return NGX_CONF_ERROR;
    }

    name.data = arg->data;
    name.len = eq - arg->data;
    text.data = eq + 1;
    text.len = arg->data + arg->len - text.data;

    if (name.len == 6 && ngx_strncmp(name.data, "issuer", 6) == 0) {
        amcf->issuer = text;
        return NGX_CONF_OK;
    }

    if (name.len == 8 && ngx_strncmp(name.data, "audience", 8) == 0) {
        amcf->audience = text;
        return NGX_CONF_OK;
    }

    if (name.len == 8 && ngx_strncmp(name.data, "max_size", 8) == 0) {
        n = ngx_parse_size(&text);
        amcf->max_size = n;
        return (n >= 256 && n <= 65536) ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    n = ngx_parse_time(&text, 1);

    if (name.len == 10 && ngx_strncmp(name.data, "access_ttl", 10) == 0) {
        amcf->access_ttl = n;
        return (n >= 1 && n <= 24 * 3600) ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (name.len == 11 && ngx_strncmp(name.data, "refresh_ttl", 11) == 0) {
        amcf->refresh_ttl = n;
        return (n >= 60 && n <= 366 * 24 * 3600) ? NGX_CONF_OK
                                                 : NGX_CONF_ERROR;
    }

    if (name.len == 6 && ngx_strncmp(name.data, "leeway", 6) == 0) {
        amcf->leeway = n;
        return (n >= 0 && n <= 300) ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_taskforge_access_ring(ngx_conf_t *cf,
    ngx_http_taskforge_access_main_conf_t *amcf)
{
    ngx_uint_t                        i;
    const char                       *error;
    ngx_pool_cleanup_t               *cln;
    ngx_http_taskforge_jwt_conf_t     jcf;
    ngx_http_taskforge_access_key_t  *keys;

    jcf.issuer = (char *) amcf->issuer.data;
    jcf.audience = (char *) amcf->audience.data;
    jcf.leeway = amcf->leeway;
    jcf.max_size = amcf->max_size;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    amcf->ring = ngx_http_taskforge_jwt_create(&jcf);

    if (cln == NULL || amcf->ring == NULL) {
        ngx_http_taskforge_jwt_destroy(amcf->ring);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_taskforge_access_cleanup;
    cln->data = amcf->ring;

    keys = amcf->keys.elts;

    for (i = 0; i < amcf->keys.nelts; i++) {
        error = ngx_http_taskforge_access_add(cf, amcf->ring, &keys[i]);

        if (error) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "the key \"%V\" of \"taskforge_jwt_key\" %s",
                          &keys[i].kid, error);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static const char *
ngx_http_taskforge_access_add(ngx_conf_t *cf, ngx_http_taskforge_jwt_t *ring,
    ngx_http_taskforge_access_key_t *key)
{
    u_char      *buf;
    size_t       len;
    const char  *error;

    buf = ngx_alloc(NGX_HTTP_TASKFORGE_KEY_FILE_MAX, cf->log);
    if (buf == NULL) {
        return "does not fit into memory";
    }

    error = ngx_http_taskforge_access_read(cf, &key->where, buf, &len);

    if (error == NULL) {
        error = ngx_http_taskforge_jwt_add(ring, (char *) key->kid.data,
                                           (char *) key->alg.data, buf, len,
                                           (int) key->verify,
                                           key->issuer.len
                                               ? (char *) key->issuer.data
                                               : NULL);
    }

    OPENSSL_cleanse(buf, NGX_HTTP_TASKFORGE_KEY_FILE_MAX);
    ngx_free(buf);

    return error;
}


/* Without the line end that an editor leaves. */

static const char *
ngx_http_taskforge_access_read(ngx_conf_t *cf, ngx_str_t *where, u_char *buf,
    size_t *len)
{
    char       *value;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_str_t   path;

    if (ngx_strncmp(where->data, "env:", 4) == 0) {
        value = getenv((char *) where->data + 4);

        if (value == NULL) {
            return "names a variable that is not in the environment";
        }

        n = ngx_strlen(value);

        if (n > NGX_HTTP_TASKFORGE_KEY_FILE_MAX) {
            return "is too long";
        }

        ngx_memcpy(buf, value, n);

    } else if (ngx_strncmp(where->data, "file:", 5) == 0) {
        path.data = where->data + 5;
        path.len = where->len - 5;

        if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
            return "does not fit into memory";
        }

        fd = ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

        if (fd == NGX_INVALID_FILE) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, ngx_errno,
                          ngx_open_file_n " \"%V\" failed", &path);
            return "cannot be read";
        }

        n = ngx_read_fd(fd, buf, NGX_HTTP_TASKFORGE_KEY_FILE_MAX);
        (void) ngx_close_file(fd);

        if (n == -1 || n == NGX_HTTP_TASKFORGE_KEY_FILE_MAX) {
            return "cannot be read, or is too long";
        }

    } else {
        return "must be \"file:PATH\" or \"env:NAME\"";
    }

    while (n && (buf[n - 1] == '\n' || buf[n - 1] == '\r')) {
        n--;
    }

    *len = n;

    return NULL;
}


static void
ngx_http_taskforge_access_cleanup(void *data)
{
    ngx_http_taskforge_jwt_destroy(data);
}
