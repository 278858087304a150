
#include "ngx_http_taskforge_jwt.h"
#include "ngx_http_taskforge_jwt_key.h"
#include "ngx_http_taskforge_jwt_part.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "uuid.h"


#define NGX_HTTP_TASKFORGE_JWT_USE  "access"


struct ngx_http_taskforge_jwt_s {
    char                              *issuer;
    char                              *audience;
    int64_t                            leeway;
    size_t                             max_size;

    ngx_http_taskforge_jwt_key_t       keys[NGX_HTTP_TASKFORGE_JWT_KEYS];
    size_t                             nkeys;
    const ngx_http_taskforge_jwt_key_t
                                      *signer;     /* NULL: none */
};


static int ngx_http_taskforge_jwt_grants(jwt_t *jwt,
    const ngx_http_taskforge_jwt_t *ring,
    const ngx_http_taskforge_jwt_claims_t *claims);
static ngx_http_taskforge_jwt_error_e ngx_http_taskforge_jwt_find(
    const ngx_http_taskforge_jwt_t *ring, json_t *header,
    const ngx_http_taskforge_jwt_key_t **key);
static ngx_http_taskforge_jwt_error_e ngx_http_taskforge_jwt_signature(
    const ngx_http_taskforge_jwt_key_t *key, const char *token, size_t len);
static ngx_http_taskforge_jwt_error_e ngx_http_taskforge_jwt_check(
    const ngx_http_taskforge_jwt_t *ring,
    const ngx_http_taskforge_jwt_key_t *key, json_t *payload, int64_t now,
    ngx_http_taskforge_jwt_claims_t *claims);
static ngx_http_taskforge_jwt_error_e ngx_http_taskforge_jwt_check_times(
    const ngx_http_taskforge_jwt_t *ring, json_t *payload, int64_t now,
    ngx_http_taskforge_jwt_claims_t *claims);
static int ngx_http_taskforge_jwt_audience(json_t *aud, const char *wanted);
static int ngx_http_taskforge_jwt_is(json_t *value, const char *wanted);
static int ngx_http_taskforge_jwt_uuid(json_t *value, uint8_t id[16]);
static void ngx_http_taskforge_jwt_text(json_t *value, char *out,
    size_t size);


static const char *const  ngx_http_taskforge_jwt_errors[] = {
    "the token is good",
    "the token is too long",
    "the token is malformed",
    "the token is signed with a key that is not known here",
    "the token's algorithm is not that of its key",
    "the token's signature is wrong",
    "the token has expired",
    "the token is not valid yet",
    "the token is of another issuer",
    "the token is for another audience",
    "the token is no access token of a user here",
    "out of memory"
};


ngx_http_taskforge_jwt_t *
ngx_http_taskforge_jwt_create(const ngx_http_taskforge_jwt_conf_t *conf)
{
    ngx_http_taskforge_jwt_t  *ring;

    ring = calloc(1, sizeof(ngx_http_taskforge_jwt_t));
    if (ring == NULL) {
        return NULL;
    }

    ring->issuer = strdup(conf->issuer);
    ring->audience = strdup(conf->audience);
    ring->leeway = conf->leeway;
    ring->max_size = conf->max_size;

    if (ring->issuer == NULL || ring->audience == NULL) {
        ngx_http_taskforge_jwt_destroy(ring);
        return NULL;
    }

    return ring;
}


void
ngx_http_taskforge_jwt_destroy(ngx_http_taskforge_jwt_t *ring)
{
    size_t  i;

    if (ring == NULL) {
        return;
    }

    for (i = 0; i < ring->nkeys; i++) {
        ngx_http_taskforge_jwt_key_free(&ring->keys[i]);
    }

    free(ring->issuer);
    free(ring->audience);
    free(ring);
}


const char *
ngx_http_taskforge_jwt_add(ngx_http_taskforge_jwt_t *ring, const char *kid,
    const char *alg, const void *data, size_t len, int verify,
    const char *issuer)
{
    size_t                               i;
    const char                          *error;
    ngx_http_taskforge_jwt_key_t         key;
    const ngx_http_taskforge_jwt_alg_t  *a;

    if (ring->nkeys == NGX_HTTP_TASKFORGE_JWT_KEYS) {
        return "is one key too many";
    }

    if (kid[0] == '\0' || strlen(kid) > NGX_HTTP_TASKFORGE_JWT_KID_MAX) {
        return "needs a kid of 1 to 64 bytes";
    }

    for (i = 0; i < ring->nkeys; i++) {
        if (strcmp(ring->keys[i].kid, kid) == 0) {
            return "has a kid that is taken";
        }
    }

    a = ngx_http_taskforge_jwt_alg(alg);

    if (a == NULL) {
        return "needs an algorithm of HS256, HS384, HS512, RS256, RS384, "
               "RS512, ES256, ES384, ES512";
    }

    if (issuer && !verify) {
        return "cannot sign for an outside issuer: add \"verify\"";
    }

    memset(&key, 0, sizeof(key));

    key.alg = a;
    key.kid = strdup(kid);
    key.issuer = issuer ? strdup(issuer) : NULL;

    error = (key.kid == NULL || (issuer && key.issuer == NULL))
                ? "does not fit into memory"
                : ngx_http_taskforge_jwt_key_load(&key, data, len, verify);

    if (error) {
        ngx_http_taskforge_jwt_key_free(&key);
        return error;
    }

    ring->keys[ring->nkeys] = key;

    if (key.sign.data && ring->signer == NULL) {
        ring->signer = &ring->keys[ring->nkeys];
    }

    ring->nkeys++;

    return NULL;
}


int
ngx_http_taskforge_jwt_signs(const ngx_http_taskforge_jwt_t *ring)
{
    return ring->signer != NULL;
}


char *
ngx_http_taskforge_jwt_sign(const ngx_http_taskforge_jwt_t *ring,
    const ngx_http_taskforge_jwt_claims_t *claims)
{
    char                                *text;
    jwt_t                               *jwt;
    const ngx_http_taskforge_jwt_key_t  *key;

    key = ring->signer;

    if (key == NULL || jwt_new(&jwt) != 0) {
        return NULL;
    }

    text = NULL;

    if (jwt_add_header(jwt, "kid", key->kid) == 0
        && ngx_http_taskforge_jwt_grants(jwt, ring, claims)
        && jwt_set_alg(jwt, key->alg->alg, key->sign.data,
                       (int) key->sign.len)
           == 0)
    {
        text = jwt_encode_str(jwt);
    }

    jwt_free(jwt);

    return text;
}


static int
ngx_http_taskforge_jwt_grants(jwt_t *jwt,
    const ngx_http_taskforge_jwt_t *ring,
    const ngx_http_taskforge_jwt_claims_t *claims)
{
    char     user[TF_UUID_TEXT_LEN + 1], family[TF_UUID_TEXT_LEN + 1];
    char     jti[TF_UUID_TEXT_LEN + 1];
    uint8_t  id[16];

    if (!tf_uuid7(id)) {
        return 0;
    }

    tf_uuid_format(claims->user, user);
    tf_uuid_format(claims->family, family);
    tf_uuid_format(id, jti);

    user[TF_UUID_TEXT_LEN] = '\0';
    family[TF_UUID_TEXT_LEN] = '\0';
    jti[TF_UUID_TEXT_LEN] = '\0';

    return jwt_add_grant(jwt, "iss", ring->issuer) == 0
           && jwt_add_grant(jwt, "aud", ring->audience) == 0
           && jwt_add_grant(jwt, "sub", user) == 0
           && jwt_add_grant(jwt, "fam", family) == 0
           && jwt_add_grant(jwt, "role", claims->role) == 0
           && jwt_add_grant(jwt, "name", claims->name) == 0
           && jwt_add_grant(jwt, "jti", jti) == 0
           && jwt_add_grant(jwt, "use", NGX_HTTP_TASKFORGE_JWT_USE) == 0
           && jwt_add_grant_int(jwt, "iat", claims->issued) == 0
           && jwt_add_grant_int(jwt, "nbf", claims->issued) == 0
           && jwt_add_grant_int(jwt, "exp", claims->expires) == 0;
}


ngx_http_taskforge_jwt_error_e
ngx_http_taskforge_jwt_verify(const ngx_http_taskforge_jwt_t *ring,
    const char *token, size_t len, int64_t now,
    ngx_http_taskforge_jwt_claims_t *claims)
{
    json_t                              *header, *payload;
    const char                          *dot, *dot2;
    ngx_http_taskforge_jwt_error_e       rc;
    ngx_http_taskforge_jwt_claims_t      found;
    const ngx_http_taskforge_jwt_key_t  *key = NULL;

    if (len > ring->max_size) {
        return NGX_HTTP_TASKFORGE_JWT_TOO_LONG;
    }

    dot = memchr(token, '.', len);
    dot2 = dot ? memchr(dot + 1, '.', token + len - dot - 1) : NULL;

    if (dot2 == NULL || dot2 + 1 == token + len) {
        return NGX_HTTP_TASKFORGE_JWT_MALFORMED;
    }

    header = ngx_http_taskforge_jwt_part(token, dot - token);

    if (header == NULL) {
        return NGX_HTTP_TASKFORGE_JWT_MALFORMED;
    }

    rc = ngx_http_taskforge_jwt_find(ring, header, &key);

    json_decref(header);

    if (rc == NGX_HTTP_TASKFORGE_JWT_OK) {
        rc = ngx_http_taskforge_jwt_signature(key, token, len);
    }

    if (rc != NGX_HTTP_TASKFORGE_JWT_OK) {
        return rc;
    }

    payload = ngx_http_taskforge_jwt_part(dot + 1, dot2 - dot - 1);

    if (payload == NULL) {
        return NGX_HTTP_TASKFORGE_JWT_MALFORMED;
    }

    memset(&found, 0, sizeof(found));

    rc = ngx_http_taskforge_jwt_check(ring, key, payload, now, &found);

    json_decref(payload);

    if (rc == NGX_HTTP_TASKFORGE_JWT_OK) {
        *claims = found;
    }

    return rc;
}


static ngx_http_taskforge_jwt_error_e
ngx_http_taskforge_jwt_find(const ngx_http_taskforge_jwt_t *ring,
    json_t *header, const ngx_http_taskforge_jwt_key_t **key)
{
    size_t   i;
    json_t  *kid, *alg;

    kid = json_object_get(header, "kid");
    alg = json_object_get(header, "alg");

    /* "crit" names extensions that must be understood: there are none */

    if (!json_is_string(alg) || json_object_get(header, "crit")) {
        return NGX_HTTP_TASKFORGE_JWT_MALFORMED;
    }

    for (i = 0; i < ring->nkeys; i++) {

        if (!ngx_http_taskforge_jwt_is(kid, ring->keys[i].kid)) {
            continue;
        }

        *key = &ring->keys[i];

        return ngx_http_taskforge_jwt_is(alg, (*key)->alg->name)
                   ? NGX_HTTP_TASKFORGE_JWT_OK
                   : NGX_HTTP_TASKFORGE_JWT_ALGORITHM;
    }

    return NGX_HTTP_TASKFORGE_JWT_UNKNOWN_KEY;
}


static ngx_http_taskforge_jwt_error_e
ngx_http_taskforge_jwt_signature(const ngx_http_taskforge_jwt_key_t *key,
    const char *token, size_t len)
{
    int     rc;
    char   *copy;
    jwt_t  *jwt;

    copy = malloc(len + 1);
    if (copy == NULL) {
        return NGX_HTTP_TASKFORGE_JWT_MEMORY;
    }

    memcpy(copy, token, len);
    copy[len] = '\0';

    jwt = NULL;
    rc = jwt_decode(&jwt, copy, key->verify.data, (int) key->verify.len);

    OPENSSL_cleanse(copy, len);
    free(copy);

    if (rc != 0) {
        return NGX_HTTP_TASKFORGE_JWT_SIGNATURE;
    }

    /* it has read the header once more, with eyes of its own */

    rc = (jwt_get_alg(jwt) == key->alg->alg);

    jwt_free(jwt);

    return rc ? NGX_HTTP_TASKFORGE_JWT_OK : NGX_HTTP_TASKFORGE_JWT_ALGORITHM;
}


static ngx_http_taskforge_jwt_error_e
ngx_http_taskforge_jwt_check(const ngx_http_taskforge_jwt_t *ring,
    const ngx_http_taskforge_jwt_key_t *key, json_t *payload, int64_t now,
    ngx_http_taskforge_jwt_claims_t *claims)
{
    ngx_http_taskforge_jwt_error_e  rc;

    rc = ngx_http_taskforge_jwt_check_times(ring, payload, now, claims);

    if (rc != NGX_HTTP_TASKFORGE_JWT_OK) {
        return rc;
    }

    if (!ngx_http_taskforge_jwt_is(json_object_get(payload, "iss"),
                                   key->issuer ? key->issuer : ring->issuer))
    {
        return NGX_HTTP_TASKFORGE_JWT_ISSUER;
    }

    if (!ngx_http_taskforge_jwt_audience(json_object_get(payload, "aud"),
                                         ring->audience))
    {
        return NGX_HTTP_TASKFORGE_JWT_AUDIENCE;
    }

    if (!ngx_http_taskforge_jwt_uuid(json_object_get(payload, "sub"),
                                     claims->user))
    {
        return NGX_HTTP_TASKFORGE_JWT_CLAIMS;
    }

    /* an outside issuer knows nothing of our families and uses */

    if (key->issuer == NULL
        && (!ngx_http_taskforge_jwt_is(json_object_get(payload, "use"),
                                       NGX_HTTP_TASKFORGE_JWT_USE)
            || !ngx_http_taskforge_jwt_uuid(json_object_get(payload, "fam"),
                                            claims->family)))
    {
        return NGX_HTTP_TASKFORGE_JWT_CLAIMS;
    }

    ngx_http_taskforge_jwt_text(json_object_get(payload, "role"),
                                claims->role, sizeof(claims->role));
    ngx_http_taskforge_jwt_text(json_object_get(payload, "name"),
                                claims->name, sizeof(claims->name));

    return NGX_HTTP_TASKFORGE_JWT_OK;
}


/* exp must be there; nbf and iat may be missing, but not be nonsense. */

static ngx_http_taskforge_jwt_error_e
ngx_http_taskforge_jwt_check_times(const ngx_http_taskforge_jwt_t *ring,
    json_t *payload, int64_t now, ngx_http_taskforge_jwt_claims_t *claims)
{
    json_t   *exp, *nbf, *iat;
    int64_t   early;

    exp = json_object_get(payload, "exp");
    nbf = json_object_get(payload, "nbf");
    iat = json_object_get(payload, "iat");

    if (!json_is_integer(exp) || (nbf && !json_is_integer(nbf))
        || (iat && !json_is_integer(iat)))
    {
        return NGX_HTTP_TASKFORGE_JWT_CLAIMS;
    }

    claims->expires = json_integer_value(exp);
    claims->issued = iat ? json_integer_value(iat) : 0;

    if (claims->expires <= now - ring->leeway) {
        return NGX_HTTP_TASKFORGE_JWT_EXPIRED;
    }

    early = now + ring->leeway;

    if (claims->issued > early || (nbf && json_integer_value(nbf) > early)) {
        return NGX_HTTP_TASKFORGE_JWT_TOO_EARLY;
    }

    return NGX_HTTP_TASKFORGE_JWT_OK;
}


/* RFC 7519, section 4.1.3: a text, or an array of texts. */

static int
ngx_http_taskforge_jwt_audience(json_t *aud, const char *wanted)
{
    size_t   i;
    json_t  *value;

    json_array_foreach(aud, i, value) {
        if (ngx_http_taskforge_jwt_is(value, wanted)) {
            return 1;
        }
    }

    return ngx_http_taskforge_jwt_is(aud, wanted);
}


static int
ngx_http_taskforge_jwt_is(json_t *value, const char *wanted)
{
    return json_is_string(value)
           && json_string_length(value) == strlen(wanted)
           && memcmp(json_string_value(value), wanted, strlen(wanted)) == 0;
}


static int
ngx_http_taskforge_jwt_uuid(json_t *value, uint8_t id[16])
{
    return json_is_string(value)
           && tf_uuid_parse(json_string_value(value),
                            json_string_length(value), id);
}


/* Empty when it is no text or too long. */

static void
ngx_http_taskforge_jwt_text(json_t *value, char *out, size_t size)
{
    size_t  len;

    len = json_string_length(value);

    if (len >= size) {
        len = 0;
    }

    memcpy(out, len ? json_string_value(value) : "", len);
    out[len] = '\0';
}


const char *
ngx_http_taskforge_jwt_strerror(ngx_http_taskforge_jwt_error_e error)
{
    return ngx_http_taskforge_jwt_errors[error];
}
