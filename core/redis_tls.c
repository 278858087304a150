#include "redis_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static bool fail(char *error, size_t size, const char *what, const char *file)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());

    snprintf(error, size, "%s %.150s: %s", what, file, why ? why : "cannot be used");
    ERR_clear_error();
    return false;
}

static bool read_files(SSL_CTX *context, const tf_redis_url_t *url, char *error, size_t size)
{
    if (url->cacert ? SSL_CTX_load_verify_locations(context, url->cacert, NULL) != 1
                    : SSL_CTX_set_default_verify_paths(context) != 1) {
        return fail(error, size, "cacert", url->cacert ? url->cacert : "of the system");
    }
    if (url->cert && SSL_CTX_use_certificate_chain_file(context, url->cert) != 1) {
        return fail(error, size, "cert", url->cert);
    }
    if (url->key && SSL_CTX_use_PrivateKey_file(context, url->key, SSL_FILETYPE_PEM) != 1) {
        return fail(error, size, "key", url->key);
    }
    return true;
}

bool tf_redis_tls_open(tf_redis_url_t *url, char *error, size_t error_size)
{
    if (!url->tls) {
        return true;
    }
    if (!TF_REDIS_TLS) {
        snprintf(
            error, error_size,
            "rediss:// needs a hiredis with TLS, and this was built with one that has none, as Debian 12's; "
            "docs/install.md says what to do instead");
        return false;
    }
    url->tls_context = SSL_CTX_new(TLS_client_method());
    if (url->tls_context == NULL || SSL_CTX_set_min_proto_version(url->tls_context, TLS1_2_VERSION) != 1) {
        return fail(error, error_size, "TLS", "");
    }
    SSL_CTX_set_verify(url->tls_context, SSL_VERIFY_PEER, NULL);
    return read_files(url->tls_context, url, error, error_size);
}

SSL *tf_redis_tls_session(SSL_CTX *context, const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool is_address = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    SSL *ssl = SSL_new(context);
    bool ok = ssl != NULL;

    if (ok && is_address) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    } else if (ok) {
        ok = SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
    }
    if (!ok) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}
