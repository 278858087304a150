
#include "ngx_http_taskforge_ws.h"


/* what a client may send in a second; there is nothing it needs to say */
#define NGX_HTTP_TASKFORGE_WS_FRAMES  100


static ngx_int_t ngx_http_taskforge_ws_frame(
    ngx_http_taskforge_ws_sieve_t *sieve);
static ngx_int_t ngx_http_taskforge_ws_header(const u_char *p);
static ngx_uint_t ngx_http_taskforge_ws_is_ping(const u_char *p);


u_char *
ngx_http_taskforge_ws_sieve(ngx_http_taskforge_ws_sieve_t *sieve, u_char *in,
    size_t in_len, u_char *out)
{
    size_t      n;
    u_char     *last;
    ngx_int_t   rc;

    last = in + in_len;

    while (in < last) {

        if (sieve->skip) {
            n = (size_t) ngx_min(sieve->skip, (uint64_t) (last - in));
            sieve->skip -= n;
            in += n;
            continue;
        }

        sieve->frame[sieve->len++] = *in++;

        rc = ngx_http_taskforge_ws_frame(sieve);

        if (rc == NGX_AGAIN) {
            continue;
        }

        if (rc == NGX_ERROR) {
            return NULL;
        }

        if (rc == NGX_OK) {
            out = ngx_cpymem(out, sieve->frame, sieve->len);
        }

        sieve->len = 0;

        if (sieve->second != ngx_time()) {
            sieve->second = ngx_time();
            sieve->frames = 0;
        }

        if (++sieve->frames > NGX_HTTP_TASKFORGE_WS_FRAMES) {
            return NULL;
        }
    }

    return out;
}


/* NGX_OK: let it through, NGX_DECLINED: drop it, NGX_AGAIN: not all there. */

static ngx_int_t
ngx_http_taskforge_ws_frame(ngx_http_taskforge_ws_sieve_t *sieve)
{
    size_t     head, i;
    u_char    *p;
    uint64_t   len;

    p = sieve->frame;

    if (sieve->len < 2) {
        return NGX_AGAIN;
    }

    if (ngx_http_taskforge_ws_header(p) != NGX_OK) {
        return NGX_ERROR;
    }

    len = p[1] & 0x7f;
    head = 2 + 4;

    if (len == 126) {
        head += 2;

    } else if (len == 127) {
        head += 8;
    }

    if (sieve->len < head) {
        return NGX_AGAIN;
    }

    if (len > NGX_HTTP_TASKFORGE_WS_CONTROL) {
        len = 0;

        for (i = 2; i < head - 4; i++) {
            len = len << 8 | p[i];
        }
    }

    /* the text "ping", or a control frame; the rest is nothing to anybody */

    if ((p[0] & 0x08) == 0 && (p[0] != 0x81 || len != 4)) {
        sieve->skip = len;
        return NGX_DECLINED;
    }

    if (sieve->len < head + len) {
        return NGX_AGAIN;
    }

    if ((p[0] & 0x08) == 0 && !ngx_http_taskforge_ws_is_ping(p)) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* No extension was agreed on, and clients mask. */

static ngx_int_t
ngx_http_taskforge_ws_header(const u_char *p)
{
    u_char  opcode;

    opcode = p[0] & 0x0f;

    if ((p[0] & 0x70) || !(p[1] & 0x80)) {
        return NGX_ERROR;
    }

    if (opcode & 0x08) {
        return (opcode <= 0x0a && (p[0] & 0x80)
                && (p[1] & 0x7f) <= NGX_HTTP_TASKFORGE_WS_CONTROL)
                   ? NGX_OK : NGX_ERROR;
    }

    return (opcode <= 0x02) ? NGX_OK : NGX_ERROR;
}


static ngx_uint_t
ngx_http_taskforge_ws_is_ping(const u_char *p)
{
    size_t  i;

    for (i = 0; i < 4; i++) {
        if ((p[2 + 4 + i] ^ p[2 + i]) != (u_char) "ping"[i]) {
            return 0;
        }
    }

    return 1;
}
