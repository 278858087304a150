
#include "ngx_http_taskforge_handshake.h"
#include "ngx_http_taskforge_reply.h"


static ngx_int_t ngx_http_taskforge_mask_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_mask_log_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_mask_line(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskforge_mask_keep(ngx_http_request_t *r);
static void ngx_http_taskforge_mask_request(ngx_http_request_t *r,
    ngx_uint_t all);
static void ngx_http_taskforge_mask(ngx_str_t *text, ngx_uint_t query,
    ngx_uint_t all);
static size_t ngx_http_taskforge_mask_name(u_char *p, const u_char *last);
static ngx_uint_t ngx_http_taskforge_mask_ours(u_char *p, const u_char *last);
static void ngx_http_taskforge_subprotocols(ngx_http_request_t *r,
    ngx_http_taskforge_access_ctx_t *actx);
static ngx_int_t ngx_http_taskforge_handshake_filter(ngx_http_request_t *r);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


static ngx_str_t  ngx_http_taskforge_secret_args[] = {
    ngx_string("token="),
    ngx_string("ticket="),
    ngx_string("access_token="),
    ngx_null_string
};


ngx_uint_t
ngx_http_taskforge_is_websocket(ngx_http_request_t *r)
{
    return r->headers_in.upgrade
           && ngx_strcasestrn(r->headers_in.upgrade->value.data, "websocket",
                              9 - 1)
              != NULL;
}


ngx_uint_t
ngx_http_taskforge_is_stream(ngx_http_request_t *r)
{
    ngx_str_t  *accept;

    if (r->method != NGX_HTTP_GET) {
        return 0;
    }

    if (ngx_http_taskforge_is_websocket(r)) {
        return 1;
    }

    accept = ngx_http_taskforge_header_in(r, "Accept");

    return accept && ngx_strnstr(accept->data, "text/event-stream",
                                 accept->len) != NULL;
}


ngx_str_t *
ngx_http_taskforge_header_in(ngx_http_request_t *r, const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);
    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == len
            && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
        {
            return &h[i].value;
        }
    }
}


void
ngx_http_taskforge_hang_up(ngx_connection_t *c)
{
    ngx_http_request_t  *r;

    r = c->data;

    if (r->stream) {
        /* other streams share the socket */
        c->close = 1;
        ngx_post_event(c->read, &ngx_posted_events);
        return;
    }

    (void) shutdown(c->fd, SHUT_RDWR);
}


/*
 * As early as the location is known.  The secrets are overwritten where they
 * are, so whatever refers to the request line afterwards refers to asterisks,
 * the error log included.
 */

static ngx_int_t
ngx_http_taskforge_mask_handler(ngx_http_request_t *r)
{
    ngx_http_taskforge_access_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_access_module);

    if (r != r->main
        || (r->args.len == 0 && r->headers_in.referer == NULL))
    {
        return NGX_DECLINED;
    }

    if (alcf->auth == NGX_HTTP_TASKFORGE_AUTH_OFF) {
        return r->args.len ? ngx_http_taskforge_mask_line(r) : NGX_DECLINED;
    }

    if (r->args.len && ngx_http_taskforge_is_stream(r)
        && ngx_http_taskforge_mask_keep(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_taskforge_mask_request(r, 1);

    return NGX_DECLINED;
}


/*
 * Without taskforge_auth the arguments may be somebody else's, who needs them
 * as they are: error_log gets a line of its own, in which what looks like one
 * of our secrets is overwritten.
 */

static ngx_int_t
ngx_http_taskforge_mask_line(ngx_http_request_t *r)
{
    ngx_str_t  line;

    line.len = r->request_line.len;
    line.data = ngx_pstrdup(r->pool, &r->request_line);

    if (line.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_taskforge_mask(&line, 0, 0);

    r->request_line = line;

    return NGX_DECLINED;
}


/*
 * Before the access log.  Requests that ended before they had a location, or
 * have one without taskforge_auth: what looks like one of our secrets.
 */

static ngx_int_t
ngx_http_taskforge_mask_log_handler(ngx_http_request_t *r)
{
    ngx_http_taskforge_mask_request(r, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_mask_keep(ngx_http_request_t *r)
{
    ngx_str_t                         value;
    ngx_http_taskforge_access_ctx_t  *actx;

    actx = ngx_http_taskforge_access_get_ctx(r);
    if (actx == NULL) {
        return NGX_ERROR;
    }

    if (actx->query.len) {
        return NGX_OK;
    }

    if (ngx_http_arg(r, (u_char *) "ticket", 6, &value) == NGX_OK
        && value.len)
    {
        actx->query_type = NGX_HTTP_TASKFORGE_CREDENTIAL_TICKET;

    } else if (ngx_http_arg(r, (u_char *) "token", 5, &value) == NGX_OK
               && value.len)
    {
        actx->query_type = NGX_HTTP_TASKFORGE_CREDENTIAL_TOKEN;

    } else {
        return NGX_OK;
    }

    actx->query.data = ngx_pstrdup(r->pool, &value);
    if (actx->query.data == NULL) {
        return NGX_ERROR;
    }

    actx->query.len = value.len;

    return NGX_OK;
}


static void
ngx_http_taskforge_mask_request(ngx_http_request_t *r, ngx_uint_t all)
{
    if (r->args.len) {
        ngx_http_taskforge_mask(&r->args, 1, all);
    }

    ngx_http_taskforge_mask(&r->unparsed_uri, 0, all);
    ngx_http_taskforge_mask(&r->request_line, 0, all);

    if (r->headers_in.referer) {
        ngx_http_taskforge_mask(&r->headers_in.referer->value, 0, all);
    }
}


/* query: text begins with an argument.  all: whatever the value looks like. */

static void
ngx_http_taskforge_mask(ngx_str_t *text, ngx_uint_t query, ngx_uint_t all)
{
    u_char  *p, *last;
    size_t   len;

    p = text->data;
    last = p + text->len;

    if (!query) {
        p = ngx_strlchr(p, last, '?');

        if (p == NULL) {
            return;
        }

        p++;
    }

    while (p < last) {
        len = ngx_http_taskforge_mask_name(p, last);
        p += len;

        if (len && (all || ngx_http_taskforge_mask_ours(p, last))) {
            while (p < last && *p != '&' && *p != ' ' && *p != '#') {
                *p++ = '*';
            }
        }

        while (p < last && *p++ != '&') { /* void */ }
    }
}


static size_t
ngx_http_taskforge_mask_name(u_char *p, const u_char *last)
{
    ngx_str_t  *name;

    for (name = ngx_http_taskforge_secret_args; name->len; name++) {
        if ((size_t) (last - p) >= name->len
            && ngx_strncasecmp(p, name->data, name->len) == 0)
        {
            return name->len;
        }
    }

    return 0;
}


/* "eyJ" is how every JWT begins, "tf?_" how our others do. */

static ngx_uint_t
ngx_http_taskforge_mask_ours(u_char *p, const u_char *last)
{
    return last - p > 4
           && (ngx_strncmp(p, "eyJ", 3) == 0
               || (ngx_strncmp(p, "tf", 2) == 0 && p[3] == '_'));
}


void
ngx_http_taskforge_handshake_credential(ngx_http_request_t *r,
    ngx_http_taskforge_access_ctx_t *actx)
{
    if (actx->query.len) {
        actx->credential.type = actx->query_type;
        actx->credential.text = actx->query;

    } else {
        ngx_http_taskforge_subprotocols(r, actx);
    }
}


/* Sec-WebSocket-Protocol: taskforge, bearer.<token> */

static void
ngx_http_taskforge_subprotocols(ngx_http_request_t *r,
    ngx_http_taskforge_access_ctx_t *actx)
{
    u_char     *p, *end, *last;
    ngx_str_t  *value;

    value = ngx_http_taskforge_header_in(r, "Sec-WebSocket-Protocol");

    if (value == NULL) {
        return;
    }

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        for (end = p; end < last && *end != ',' && *end != ' '; end++) {
            /* void */
        }

        if (end - p == 9 && ngx_strncmp(p, "taskforge", 9) == 0) {
            actx->subprotocol = 1;

        } else if (end - p > 7 && ngx_strncmp(p, "bearer.", 7) == 0
                   && actx->credential.type
                      == NGX_HTTP_TASKFORGE_CREDENTIAL_NONE)
        {
            actx->credential.type = NGX_HTTP_TASKFORGE_CREDENTIAL_TOKEN;
            actx->credential.text.data = p + 7;
            actx->credential.text.len = end - p - 7;
        }

        p = end;
    }
}


ngx_int_t
ngx_http_taskforge_handshake_origin(ngx_http_request_t *r)
{
    u_char                                *p;
    ngx_str_t                             *origin, *allowed, *host;
    ngx_uint_t                             i;
    ngx_http_taskforge_access_loc_conf_t  *alcf;

    origin = ngx_http_taskforge_header_in(r, "Origin");

    if (origin == NULL) {
        return NGX_OK;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_taskforge_access_module);
    allowed = alcf->origins->elts;

    for (i = 0; i < alcf->origins->nelts; i++) {

        if (allowed[i].len == 1 && allowed[i].data[0] == '*') {
            return NGX_OK;
        }

        if (allowed[i].len == origin->len
            && ngx_strncasecmp(allowed[i].data, origin->data, origin->len)
               == 0)
        {
            return NGX_OK;
        }
    }

    /* its own: what the browser connects to is what it came from */

    if (r->headers_in.host == NULL) {
        return NGX_DECLINED;
    }

    host = &r->headers_in.host->value;
    p = ngx_strnstr(origin->data, "://", origin->len);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    p += 3;

    return ((size_t) (origin->data + origin->len - p) == host->len
            && ngx_strncasecmp(p, host->data, host->len) == 0)
               ? NGX_OK : NGX_DECLINED;
}


/* nchan answers a subprotocol with an empty one, which browsers refuse. */

static ngx_int_t
ngx_http_taskforge_handshake_filter(ngx_http_request_t *r)
{
    ngx_uint_t                        i;
    ngx_list_part_t                  *part;
    ngx_table_elt_t                  *h;
    ngx_http_taskforge_access_ctx_t  *actx;

    static const char  name[] = "Sec-WebSocket-Protocol";

    actx = ngx_http_get_module_ctx(r, ngx_http_taskforge_access_module);

    if (actx == NULL || !actx->subprotocol
        || r->headers_out.status != NGX_HTTP_SWITCHING_PROTOCOLS)
    {
        return ngx_http_next_header_filter(r);
    }

    part = &r->headers_out.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof(name) - 1
            && ngx_strncasecmp(h[i].key.data, (u_char *) name, h[i].key.len)
               == 0)
        {
            h[i].hash = 0;
        }
    }

    if (ngx_http_taskforge_header_add(r, name, (u_char *) "taskforge", 9)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


ngx_int_t
ngx_http_taskforge_handshake_init(ngx_conf_t *cf)
{
    ngx_array_t                *log;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_taskforge_mask_handler;

    /* handlers of this phase run first to last, and ours before access_log's */

    log = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;

    if (ngx_array_push(log) == NULL) {
        return NGX_ERROR;
    }

    h = log->elts;
    ngx_memmove(h + 1, h, (log->nelts - 1) * sizeof(ngx_http_handler_pt));
    h[0] = ngx_http_taskforge_mask_log_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_taskforge_handshake_filter;

    return NGX_OK;
}
