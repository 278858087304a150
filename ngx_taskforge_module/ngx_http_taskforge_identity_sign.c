
/*
 * From an identity to a token that proves it.
 */

#include "ngx_http_taskforge_access.h"


ngx_int_t
ngx_http_taskforge_identity_sign(ngx_http_request_t *r,
    const uint8_t user_id[16], const uint8_t family_id[16],
    ngx_http_taskforge_role_e role, const ngx_str_t *name, ngx_str_t *token,
    time_t *expires_in)
{
    char                                   *text;
    ngx_http_taskforge_jwt_claims_t         claims;
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);

    if (amcf->ring == NULL || !ngx_http_taskforge_jwt_signs(amcf->ring)) {
        return NGX_DECLINED;
    }

    ngx_memzero(&claims, sizeof(ngx_http_taskforge_jwt_claims_t));

    ngx_memcpy(claims.user, user_id, 16);
    ngx_memcpy(claims.family, family_id, 16);

    (void) ngx_snprintf((u_char *) claims.role, sizeof(claims.role) - 1, "%V",
                        ngx_http_taskforge_role_name(role));
    (void) ngx_snprintf((u_char *) claims.name, sizeof(claims.name) - 1, "%V",
                        name);

    claims.issued = ngx_time();
    claims.expires = claims.issued + amcf->access_ttl;

    text = ngx_http_taskforge_jwt_sign(amcf->ring, &claims);
    if (text == NULL) {
        return NGX_ERROR;
    }

    token->len = ngx_strlen(text);
    token->data = ngx_pnalloc(r->pool, token->len);

    if (token->data) {
        ngx_memcpy(token->data, text, token->len);
    }

    ngx_explicit_memzero(text, token->len);
    free(text);

    if (expires_in) {
        *expires_in = amcf->access_ttl;
    }

    return token->data ? NGX_OK : NGX_ERROR;
}
