
/*
 * The form of credentials: what can be said about them without asking
 * anybody.
 */

#include "ngx_http_taskforge_access.h"

#include <openssl/sha.h>


static const ngx_str_t  ngx_http_taskforge_role_names[] = {
    ngx_null_string,
    ngx_string("viewer"),
    ngx_string("operator"),
    ngx_string("admin")
};


const ngx_str_t *
ngx_http_taskforge_role_name(ngx_http_taskforge_role_e role)
{
    return &ngx_http_taskforge_role_names[role];
}


ngx_http_taskforge_role_e
ngx_http_taskforge_role(const char *name, size_t len)
{
    ngx_uint_t  i;

    for (i = NGX_HTTP_TASKFORGE_ROLE_VIEWER;
         i <= NGX_HTTP_TASKFORGE_ROLE_ADMIN;
         i++)
    {
        if (ngx_http_taskforge_role_names[i].len == len
            && ngx_memcmp(ngx_http_taskforge_role_names[i].data, name, len)
               == 0)
        {
            return i;
        }
    }

    return NGX_HTTP_TASKFORGE_ROLE_NONE;
}


void
ngx_http_taskforge_credential_hash(const u_char *text, size_t len,
    uint8_t hash[32])
{
    (void) SHA256(text, len, hash);
}


void
ngx_http_taskforge_key_checksum(const u_char *key, u_char sum[6])
{
    uint32_t    crc;
    ngx_uint_t  i;

    static const char  digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz";

    crc = ngx_crc32_long((u_char *) key, NGX_HTTP_TASKFORGE_KEY_LEN - 6);

    for (i = 6; i > 0; i--) {
        sum[i - 1] = digits[crc % 62];
        crc /= 62;
    }
}


void
ngx_http_taskforge_ticket_key(const ngx_str_t *ticket,
    u_char key[NGX_HTTP_TASKFORGE_TICKET_REDIS])
{
    uint8_t  hash[32];

    ngx_http_taskforge_credential_hash(ticket->data, ticket->len, hash);

    (void) ngx_hex_dump(ngx_cpymem(key, "tf:ticket:", 10), hash, 32);
}


size_t
ngx_http_taskforge_ticket_value(const ngx_http_taskforge_identity_t *identity,
    u_char value[NGX_HTTP_TASKFORGE_TICKET_VALUE])
{
    u_char  *p;

    p = value;

    tf_uuid_format(identity->user_id, (char *) p);
    p += TF_UUID_TEXT_LEN;
    *p++ = ':';

    tf_uuid_format(identity->source_id, (char *) p);
    p += TF_UUID_TEXT_LEN;

    p = ngx_sprintf(p, ":%T%Z", identity->expires);

    return p - 1 - value;
}
