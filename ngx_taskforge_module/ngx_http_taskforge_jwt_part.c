
#include "ngx_http_taskforge_jwt_part.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>


static int ngx_http_taskforge_jwt_base64url(const char *text, size_t len,
    unsigned char *out, size_t *out_len);


json_t *
ngx_http_taskforge_jwt_part(const char *text, size_t len)
{
    size_t          n;
    json_t         *json;
    unsigned char  *data;

    data = malloc(len / 4 * 3 + 3);
    if (data == NULL) {
        return NULL;
    }

    json = NULL;

    if (ngx_http_taskforge_jwt_base64url(text, len, data, &n)) {
        json = json_loadb((char *) data, n, JSON_REJECT_DUPLICATES, NULL);
    }

    free(data);

    if (json && !json_is_object(json)) {
        json_decref(json);
        return NULL;
    }

    return json;
}


/* RFC 4648, section 5, without padding; out: room for len / 4 * 3 + 3. */

static int
ngx_http_taskforge_jwt_base64url(const char *text, size_t len,
    unsigned char *out, size_t *out_len)
{
    size_t       i, n;
    uint32_t     bits;
    const char  *p;

    static const char  digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789-_";

    if (len % 4 == 1) {
        return 0;
    }

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        p = text[i] ? strchr(digits, text[i]) : NULL;

        if (p == NULL) {
            return 0;
        }

        bits = bits << 6 | (uint32_t) (p - digits);

        if (i % 4 != 0) {
            out[n++] = (unsigned char) (bits >> (6 - i % 4 * 2));
        }
    }

    *out_len = n;

    /* bits that say nothing must be zero: one text, one meaning */

    if (len % 4 == 2) {
        return (bits & 0x0f) == 0;
    }

    return len % 4 == 0 || (bits & 0x03) == 0;
}
