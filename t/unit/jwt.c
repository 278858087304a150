/* Access tokens: what is signed is verified, by the key it names, with that key's algorithm, within its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>
#include <jwt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "ngx_taskforge_module/ngx_http_taskforge_jwt.h"

#define NOW 1700000000
#define LEEWAY 5

static const char secret[] = "0123456789abcdef0123456789abcdef";

static ngx_http_taskforge_jwt_t *ring_new(void)
{
    ngx_http_taskforge_jwt_conf_t conf = {"taskforge", "taskforge", LEEWAY, 4096};
    ngx_http_taskforge_jwt_t *ring = ngx_http_taskforge_jwt_create(&conf);

    assert_non_null(ring);
    return ring;
}

static ngx_http_taskforge_jwt_t *ring_hs256(void)
{
    ngx_http_taskforge_jwt_t *ring = ring_new();

    assert_null(ngx_http_taskforge_jwt_add(ring, "k1", "HS256", secret, 32, 0, NULL));
    return ring;
}

static ngx_http_taskforge_jwt_claims_t claims_new(void)
{
    ngx_http_taskforge_jwt_claims_t claims = {
        .user = {1}, .family = {2}, .role = "operator", .name = "alice"};

    claims.issued = NOW;
    claims.expires = NOW + 900;
    return claims;
}

static ngx_http_taskforge_jwt_error_e check(const ngx_http_taskforge_jwt_t *ring, const char *token,
                                            int64_t now)
{
    ngx_http_taskforge_jwt_claims_t claims;

    return ngx_http_taskforge_jwt_verify(ring, token, strlen(token), now, &claims);
}

/* A token of these claims, signed by libjwt itself: what an attacker or an older version may send. */
static char *forge(jwt_alg_t alg, const char *kid, const void *key, int len, const char *claims)
{
    jwt_t *jwt;
    json_t *json;
    char *token, *text;

    assert_int_equal(jwt_new(&jwt), 0);
    if (kid) {
        assert_int_equal(jwt_add_header(jwt, "kid", kid), 0);
    }
    /* of members given twice the last counts: tests change single claims so */
    json = json_loads(claims, 0, NULL);
    text = json_dumps(json, JSON_COMPACT);
    assert_int_equal(jwt_add_grants_json(jwt, text), 0);
    free(text);
    json_decref(json);
    assert_int_equal(jwt_set_alg(jwt, alg, key, len), 0);
    token = jwt_encode_str(jwt);
    assert_non_null(token);
    jwt_free(jwt);
    return token;
}

#define GOOD                                                                                                 \
    "\"iss\":\"taskforge\",\"aud\":\"taskforge\",\"sub\":\"00000000-0000-7000-8000-000000000001\","          \
    "\"fam\":\"00000000-0000-7000-8000-000000000002\",\"use\":\"access\",\"exp\":1700000900"

static ngx_http_taskforge_jwt_error_e check_claims(const char *claims)
{
    ngx_http_taskforge_jwt_t *ring = ring_hs256();
    char *token = forge(JWT_ALG_HS256, "k1", secret, 32, claims);
    ngx_http_taskforge_jwt_error_e rc = check(ring, token, NOW);

    free(token);
    ngx_http_taskforge_jwt_destroy(ring);
    return rc;
}

static void test_round_trip(void **state)
{
    ngx_http_taskforge_jwt_t *ring = ring_hs256();
    ngx_http_taskforge_jwt_claims_t in = claims_new(), out;
    char *token = ngx_http_taskforge_jwt_sign(ring, &in);

    assert_non_null(token);
    assert_int_equal(ngx_http_taskforge_jwt_verify(ring, token, strlen(token), NOW, &out),
                     NGX_HTTP_TASKFORGE_JWT_OK);
    assert_memory_equal(out.user, in.user, 16);
    assert_memory_equal(out.family, in.family, 16);
    assert_string_equal(out.role, "operator");
    assert_string_equal(out.name, "alice");
    assert_int_equal(out.issued, NOW);
    assert_int_equal(out.expires, NOW + 900);
    free(token);
    ngx_http_taskforge_jwt_destroy(ring);
}

static void test_time(void **state)
{
    ngx_http_taskforge_jwt_t *ring = ring_hs256();
    ngx_http_taskforge_jwt_claims_t in = claims_new();
    char *token = ngx_http_taskforge_jwt_sign(ring, &in);

    assert_int_equal(check(ring, token, NOW + 899 + LEEWAY), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check(ring, token, NOW + 900 + LEEWAY), NGX_HTTP_TASKFORGE_JWT_EXPIRED);
    assert_int_equal(check(ring, token, NOW - LEEWAY), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check(ring, token, NOW - LEEWAY - 1), NGX_HTTP_TASKFORGE_JWT_TOO_EARLY);
    free(token);
    ngx_http_taskforge_jwt_destroy(ring);
}

static void test_every_changed_byte(void **state)
{
    ngx_http_taskforge_jwt_t *ring = ring_hs256();
    ngx_http_taskforge_jwt_claims_t in = claims_new();
    char *token = ngx_http_taskforge_jwt_sign(ring, &in);
    size_t i, len = strlen(token);

    for (i = 0; i < len; i++) {
        char was = token[i];

        token[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(check(ring, token, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
        token[i] = was;
        /* and cut short */
        assert_int_not_equal(ngx_http_taskforge_jwt_verify(ring, token, i, NOW, &in),
                             NGX_HTTP_TASKFORGE_JWT_OK);
    }
    assert_int_equal(check(ring, token, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
    free(token);
    ngx_http_taskforge_jwt_destroy(ring);
}

static void test_rotation(void **state)
{
    ngx_http_taskforge_jwt_t *old = ring_hs256(), *ring = ring_new();
    ngx_http_taskforge_jwt_claims_t in = claims_new();
    char *before = ngx_http_taskforge_jwt_sign(old, &in), *after;

    assert_null(ngx_http_taskforge_jwt_add(ring, "k1", "HS256", secret, 32, 1, NULL));
    assert_false(ngx_http_taskforge_jwt_signs(ring));
    assert_null(ngx_http_taskforge_jwt_sign(ring, &in));
    assert_null(
        ngx_http_taskforge_jwt_add(ring, "k2", "HS256", "another secret of thirty-two bytes", 34, 0, NULL));
    assert_true(ngx_http_taskforge_jwt_signs(ring));
    after = ngx_http_taskforge_jwt_sign(ring, &in);
    assert_int_equal(check(ring, before, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check(ring, after, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check(old, after, NOW), NGX_HTTP_TASKFORGE_JWT_UNKNOWN_KEY);
    free(before);
    free(after);
    ngx_http_taskforge_jwt_destroy(old);
    ngx_http_taskforge_jwt_destroy(ring);
}

static char *pem(EVP_PKEY *key, int private_key)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text, *copy;
    long n;

    assert_int_equal(private_key ? PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL)
                                 : PEM_write_bio_PUBKEY(out, key),
                     1);
    n = BIO_get_mem_data(out, &text);
    copy = strndup(text, n);
    BIO_free(out);
    return copy;
}

static void test_key_pairs(void **state)
{
    static const char *const algs[] = {"RS256", "ES256"};
    size_t i;

    for (i = 0; i < 2; i++) {
        EVP_PKEY *key = i == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
        char *private_pem = pem(key, 1), *public_pem = pem(key, 0), *token, *forged;
        ngx_http_taskforge_jwt_t *signer = ring_new(), *verifier = ring_new();
        ngx_http_taskforge_jwt_claims_t in = claims_new();

        assert_null(
            ngx_http_taskforge_jwt_add(signer, "p", algs[i], private_pem, strlen(private_pem), 0, NULL));
        assert_null(
            ngx_http_taskforge_jwt_add(verifier, "p", algs[i], public_pem, strlen(public_pem), 1, NULL));
        token = ngx_http_taskforge_jwt_sign(signer, &in);
        assert_non_null(token);
        assert_int_equal(check(signer, token, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
        assert_int_equal(check(verifier, token, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
        /* the public key as the secret of an HMAC: what libjwt alone would take */
        forged = forge(JWT_ALG_HS256, "p", public_pem, (int)strlen(public_pem), "{" GOOD "}");
        assert_int_equal(check(verifier, forged, NOW), NGX_HTTP_TASKFORGE_JWT_ALGORITHM);
        /* keys of another kind */
        assert_non_null(
            ngx_http_taskforge_jwt_add(verifier, "q", algs[1 - i], public_pem, strlen(public_pem), 1, NULL));
        assert_non_null(
            ngx_http_taskforge_jwt_add(verifier, "q", "HS256", public_pem, strlen(public_pem), 0, NULL));
        assert_non_null(
            ngx_http_taskforge_jwt_add(verifier, "q", algs[i], public_pem, strlen(public_pem), 0, NULL));
        free(token);
        free(forged);
        free(private_pem);
        free(public_pem);
        EVP_PKEY_free(key);
        ngx_http_taskforge_jwt_destroy(signer);
        ngx_http_taskforge_jwt_destroy(verifier);
    }
}

static void test_algorithms(void **state)
{
    ngx_http_taskforge_jwt_t *ring = ring_hs256();
    static const char long_secret[64] = "0123456789abcdef0123456789abcdef";
    char *none = forge(JWT_ALG_NONE, "k1", NULL, 0, "{" GOOD "}");
    char *other = forge(JWT_ALG_HS512, "k1", long_secret, 64, "{" GOOD "}");
    char *anonymous = forge(JWT_ALG_HS256, NULL, secret, 32, "{" GOOD "}");

    assert_int_not_equal(check(ring, none, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check(ring, other, NOW), NGX_HTTP_TASKFORGE_JWT_ALGORITHM);
    assert_int_equal(check(ring, anonymous, NOW), NGX_HTTP_TASKFORGE_JWT_UNKNOWN_KEY);
    free(none);
    free(other);
    free(anonymous);
    ngx_http_taskforge_jwt_destroy(ring);
}

static void test_claims(void **state)
{
    assert_int_equal(check_claims("{" GOOD "}"), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check_claims("{" GOOD ",\"aud\":[\"x\",\"taskforge\"]}"), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check_claims("{" GOOD ",\"aud\":[\"x\",1]}"), NGX_HTTP_TASKFORGE_JWT_AUDIENCE);
    assert_int_equal(check_claims("{" GOOD ",\"iss\":\"taskforge2\"}"), NGX_HTTP_TASKFORGE_JWT_ISSUER);
    assert_int_equal(check_claims("{" GOOD ",\"exp\":1700000900.5}"), NGX_HTTP_TASKFORGE_JWT_CLAIMS);
    assert_int_equal(check_claims("{" GOOD ",\"exp\":\"1700000900\"}"), NGX_HTTP_TASKFORGE_JWT_CLAIMS);
    assert_int_equal(check_claims("{" GOOD ",\"nbf\":\"1\"}"), NGX_HTTP_TASKFORGE_JWT_CLAIMS);
    assert_int_equal(check_claims("{" GOOD ",\"nbf\":1700000006}"), NGX_HTTP_TASKFORGE_JWT_TOO_EARLY);
    assert_int_equal(check_claims("{" GOOD ",\"use\":\"refresh\"}"), NGX_HTTP_TASKFORGE_JWT_CLAIMS);
    assert_int_equal(check_claims("{" GOOD ",\"fam\":null}"), NGX_HTTP_TASKFORGE_JWT_CLAIMS);
    assert_int_equal(check_claims("{" GOOD ",\"sub\":\"alice\"}"), NGX_HTTP_TASKFORGE_JWT_CLAIMS);
    assert_int_equal(check_claims("{}"), NGX_HTTP_TASKFORGE_JWT_CLAIMS);
}

static void test_outside_issuer(void **state)
{
    ngx_http_taskforge_jwt_t *ring = ring_hs256();
    char *theirs, *ours;

    assert_null(ngx_http_taskforge_jwt_add(ring, "idp", "HS256", secret, 32, 1, "https://idp"));
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "idp2", "HS256", secret, 32, 0, "https://idp"));
    theirs = forge(
        JWT_ALG_HS256, "idp", secret, 32,
        "{\"iss\":\"https://idp\",\"aud\":\"taskforge\",\"sub\":\"00000000-0000-7000-8000-000000000001\","
        "\"exp\":1700000900}");
    ours = forge(JWT_ALG_HS256, "idp", secret, 32, "{" GOOD "}");
    assert_int_equal(check(ring, theirs, NOW), NGX_HTTP_TASKFORGE_JWT_OK);
    assert_int_equal(check(ring, ours, NOW), NGX_HTTP_TASKFORGE_JWT_ISSUER);
    free(theirs);
    free(ours);
    ngx_http_taskforge_jwt_destroy(ring);
}

static void test_keys_refused(void **state)
{
    ngx_http_taskforge_jwt_t *ring = ring_hs256();

    assert_string_equal(ngx_http_taskforge_jwt_add(ring, "k2", "HS256", "", 0, 0, NULL), "is empty");
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "k2", "HS256", secret, 31, 0, NULL));
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "k2", "HS512", secret, 32, 0, NULL));
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "k2", "none", secret, 32, 0, NULL));
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "k2", "hs256", secret, 32, 0, NULL));
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "k2", "RS256", secret, 32, 1, NULL));
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "k1", "HS256", secret, 32, 0, NULL));
    assert_non_null(ngx_http_taskforge_jwt_add(ring, "", "HS256", secret, 32, 0, NULL));
    ngx_http_taskforge_jwt_destroy(ring);
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {"", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.AA", "e30=.e30.AA",
                                      "bnVsbA.e30.AA",
                                      /* {"alg":"HS256","alg":"HS256","kid":"k1"} */
                                      "eyJhbGciOiJIUzI1NiIsImFsZyI6IkhTMjU2Iiwia2lkIjoiazEifQ.e30.AA"};
    ngx_http_taskforge_jwt_t *ring = ring_hs256();
    char *huge = malloc(5000);
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check(ring, bad[i], NOW), NGX_HTTP_TASKFORGE_JWT_MALFORMED);
    }
    memset(huge, 'a', 4999);
    huge[4999] = '\0';
    assert_int_equal(check(ring, huge, NOW), NGX_HTTP_TASKFORGE_JWT_TOO_LONG);
    free(huge);
    ngx_http_taskforge_jwt_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_every_changed_byte),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_key_pairs),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_outside_issuer),
        cmocka_unit_test(test_keys_refused),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
