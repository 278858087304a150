
/*
 * The connection string, made once at configuration time: host names are
 * resolved now, because libpq would resolve them with a blocking call in a
 * worker process.
 */

#include "ngx_http_taskforge_pg.h"


static const char *ngx_http_taskforge_pg_copy(PQconninfoOption *opts,
    tf_buf_t *out, const char **user_options);
static ngx_int_t ngx_http_taskforge_pg_resolve(ngx_conf_t *cf,
    const char *hosts, tf_buf_t *out);
static void ngx_http_taskforge_pg_conninfo_add(tf_buf_t *out,
    const char *keyword, const char *value);


char *
ngx_http_taskforge_pg_conninfo(ngx_conf_t *cf, ngx_str_t *url,
    ngx_str_t *conninfo, ngx_msec_t statement_timeout)
{
    char              *error;
    tf_buf_t           out, hosts, options;
    ngx_int_t          rc;
    const char        *host, *user_options;
    PQconninfoOption  *opts;

    error = NULL;
    rc = NGX_OK;

    opts = PQconninfoParse((char *) url->data, &error);

    if (opts == NULL) {
        /* the text may repeat the password: say no more than that */
        PQfreemem(error);
        return "is not a libpq URL or conninfo";
    }

    out = (tf_buf_t) TF_BUF_INIT;
    hosts = (tf_buf_t) TF_BUF_INIT;
    options = (tf_buf_t) TF_BUF_INIT;

    /* before the user's own settings: the later of two wins */

    ngx_http_taskforge_pg_conninfo_add(&out, "application_name",
                                       "taskforge-nginx");
    ngx_http_taskforge_pg_conninfo_add(&out, "gssencmode", "disable");

    host = ngx_http_taskforge_pg_copy(opts, &out, &user_options);

    if (host) {
        rc = ngx_http_taskforge_pg_resolve(cf, host, &hosts);
        ngx_http_taskforge_pg_conninfo_add(&out, "hostaddr",
                                           tf_buf_cstr(&hosts));
    }

    tf_buf_addf(&options, "%s " TF_PG_OPTIONS " -c statement_timeout=%lu",
                user_options, (unsigned long) statement_timeout);

    ngx_http_taskforge_pg_conninfo_add(&out, "options", tf_buf_cstr(&options));
    ngx_http_taskforge_pg_conninfo_add(&out, "client_encoding", "UTF8");

    conninfo->len = out.len;
    conninfo->data = ngx_pnalloc(cf->pool, out.len + 1);

    if (conninfo->data && !out.failed && !options.failed) {
        (void) ngx_cpystrn(conninfo->data, (u_char *) tf_buf_cstr(&out),
                           out.len + 1);
    } else {
        rc = NGX_ERROR;
    }

    PQconninfoFree(opts);
    tf_buf_free(&out);
    tf_buf_free(&hosts);
    tf_buf_free(&options);

    return (rc == NGX_OK) ? NGX_CONF_OK : "has a host that cannot be resolved";
}


/*
 * The user's settings but "options", which come back apart ("": none), and
 * client_encoding.  Returns the hosts that are still to be resolved, or NULL.
 */

static const char *
ngx_http_taskforge_pg_copy(PQconninfoOption *opts, tf_buf_t *out,
    const char **user_options)
{
    const char        *host, *hostaddr;
    PQconninfoOption  *o;

    host = NULL;
    hostaddr = NULL;
    *user_options = "";

    for (o = opts; o->keyword; o++) {

        if (o->val == NULL) {
            continue;
        }

        if (ngx_strcmp(o->keyword, "options") == 0) {
            *user_options = o->val;
            continue;
        }

        if (ngx_strcmp(o->keyword, "client_encoding") == 0) {
            continue;
        }

        if (ngx_strcmp(o->keyword, "host") == 0) {
            host = o->val;

        } else if (ngx_strcmp(o->keyword, "hostaddr") == 0) {
            hostaddr = o->val;
        }

        ngx_http_taskforge_pg_conninfo_add(out, o->keyword, o->val);
    }

    return hostaddr ? NULL : host;
}


/* "a,b" becomes "192.0.2.1,192.0.2.2"; a socket directory has no address. */

static ngx_int_t
ngx_http_taskforge_pg_resolve(ngx_conf_t *cf, const char *hosts, tf_buf_t *out)
{
    size_t       len;
    ngx_str_t    name, address;
    const char  *p, *end;

    for (p = hosts; /* void */ ; p = end + 1) {

        end = p + strcspn(p, ",");
        len = end - p;

        if (p != hosts) {
            tf_buf_addc(out, ',');
        }

        if (len && *p != '/' && *p != '@') {

            name.len = len;
            name.data = (u_char *) p;

            if (ngx_http_taskforge_resolve(cf, &name, &address) != NGX_OK) {
                return NGX_ERROR;
            }

            tf_buf_add(out, address.data, address.len);
        }

        if (*end == '\0') {
            return out->failed ? NGX_ERROR : NGX_OK;
        }
    }
}


ngx_int_t
ngx_http_taskforge_resolve(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *address)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.host = *name;

    if (ngx_inet_resolve_host(cf->pool, &u) != NGX_OK || u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s \"%V\"",
                           u.err ? u.err : "no address for", name);
        return NGX_ERROR;
    }

    address->data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN + 1);
    if (address->data == NULL) {
        return NGX_ERROR;
    }

    address->len = ngx_sock_ntop(u.addrs[0].sockaddr, u.addrs[0].socklen,
                                 address->data, NGX_SOCKADDR_STRLEN, 0);
    address->data[address->len] = '\0';

    return NGX_OK;
}


static void
ngx_http_taskforge_pg_conninfo_add(tf_buf_t *out, const char *keyword,
    const char *value)
{
    const char  *p;

    tf_buf_addf(out, "%s='", keyword);

    for (p = value; *p; p++) {
        if (*p == '\'' || *p == '\\') {
            tf_buf_addc(out, '\\');
        }

        tf_buf_addc(out, *p);
    }

    tf_buf_adds(out, "' ");
}
