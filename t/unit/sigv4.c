/* Signatures of S3 requests: the examples of the S3 API reference ("Examples: Signature Calculations"), those
 * of them that sign host, x-amz-content-sha256 and x-amz-date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "worker/sigv4.h"

#define AT 1369353600 /* 2013-05-24T00:00:00Z */

static const tfw_sigv4_t example = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                                    .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                    .region = "us-east-1",
                                    .method = "GET",
                                    .host = "examplebucket.s3.amazonaws.com",
                                    .path = "/",
                                    .query = "",
                                    .at_seconds = AT};

#define AUTHORIZATION(signature)                                                                             \
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"    \
    "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" signature

static void test_examples(void **state)
{
    tfw_sigv4_t request = example;
    tfw_sigv4_headers_t headers;

    request.query = "lifecycle=";
    assert_true(tfw_sigv4_sign(&request, &headers));
    assert_string_equal(headers.date, "x-amz-date: 20130524T000000Z");
    assert_string_equal(
        headers.content,
        "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(headers.authorization,
                        AUTHORIZATION("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
    request.query = "max-keys=2&prefix=J";
    assert_true(tfw_sigv4_sign(&request, &headers));
    assert_string_equal(headers.authorization,
                        AUTHORIZATION("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

static void test_body(void **state)
{
    tfw_sigv4_t request = example;
    tfw_sigv4_headers_t headers, other;

    request.body = "Welcome to Amazon S3.";
    request.body_len = strlen(request.body);
    assert_true(tfw_sigv4_sign(&request, &headers));
    assert_string_equal(
        headers.content,
        "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    request.method = "PUT";
    assert_true(tfw_sigv4_sign(&request, &other));
    assert_string_not_equal(headers.authorization, other.authorization);
}

static void test_too_long(void **state)
{
    tfw_sigv4_t request = example;
    tfw_sigv4_headers_t headers;
    char key[600];

    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = '\0';
    request.secret_key = key;
    assert_false(tfw_sigv4_sign(&request, &headers));
    request = example;
    request.access_key = key;
    assert_false(tfw_sigv4_sign(&request, &headers));
    request = example;
    request.region = key;
    assert_false(tfw_sigv4_sign(&request, &headers));
}

static void test_encode(void **state)
{
    tf_buf_t out = TF_BUF_INIT;

    tfw_sigv4_encode(&out, "a/b c+~\xC3\xA9", true);
    tf_buf_addc(&out, ' ');
    tfw_sigv4_encode(&out, "a/b=&", false);
    assert_string_equal(tf_buf_cstr(&out), "a/b%20c%2B~%C3%A9 a%2Fb%3D%26");
    tf_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_encode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
