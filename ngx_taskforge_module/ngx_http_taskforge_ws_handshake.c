
#include "ngx_http_taskforge_ws_handshake.h"

#include <ngx_sha1.h>


static ngx_int_t ngx_http_taskforge_ws_handshake_accepted(
    ngx_http_taskforge_ws_handshake_t *hs, u_char *p, u_char *end);


ngx_int_t
ngx_http_taskforge_ws_handshake_request(ngx_http_taskforge_ws_handshake_t *hs,
    ngx_str_t *uri, tf_buf_t *out)
{
    u_char      sha1[20], nonce[16], key_data[32];
    ngx_str_t   key, text, accept;
    ngx_sha1_t  ctx;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(nonce); i++) {
        nonce[i] = (u_char) ngx_random();
    }

    text.data = nonce;
    text.len = sizeof(nonce);
    key.data = key_data;
    ngx_encode_base64(&key, &text);

    ngx_sha1_init(&ctx);
    ngx_sha1_update(&ctx, key.data, key.len);
    ngx_sha1_update(&ctx, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    ngx_sha1_final(sha1, &ctx);

    text.data = sha1;
    text.len = sizeof(sha1);
    accept.data = hs->accept;
    ngx_encode_base64(&accept, &text);
    hs->accept_len = accept.len;

    tf_buf_addf(out,
                "GET %.*s HTTP/1.1" CRLF
                "Host: taskforge" CRLF
                "Upgrade: websocket" CRLF
                "Connection: Upgrade" CRLF
                "Sec-WebSocket-Version: 13" CRLF
                "Sec-WebSocket-Key: %.*s" CRLF CRLF,
                (int) uri->len, uri->data, (int) key.len, key.data);

    return out->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_taskforge_ws_handshake_answer(ngx_http_taskforge_ws_handshake_t *hs,
    u_char *in, size_t len, u_char **end)
{
    u_char  *p;

    static const char  status[] = "HTTP/1.1 101 ";

    p = ngx_strlcasestrn(in, in + len, (u_char *) CRLF CRLF, 4 - 1);
    if (p == NULL) {
        return NGX_AGAIN;
    }

    if (ngx_strncmp(in, status, sizeof(status) - 1) != 0
        || ngx_http_taskforge_ws_handshake_accepted(hs, in, p) != NGX_OK)
    {
        return NGX_ERROR;
    }

    *end = p + 4;

    return NGX_OK;
}


static ngx_int_t
ngx_http_taskforge_ws_handshake_accepted(ngx_http_taskforge_ws_handshake_t *hs,
    u_char *p, u_char *end)
{
    static u_char  name[] = CRLF "Sec-WebSocket-Accept:";

    p = ngx_strlcasestrn(p, end, name, sizeof(name) - 1 - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p += sizeof(name) - 1;

    while (p < end && *p == ' ') {
        p++;
    }

    if ((size_t) (end - p) < hs->accept_len
        || ngx_strncmp(p, hs->accept, hs->accept_len) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
