/* redis_tls.h: TLS to Redis, the part that needs no hiredis. hiredis speaks TLS from 1.0 on; Debian 12 has
 * 0.14. */
#ifndef TF_REDIS_TLS_H
#define TF_REDIS_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "settings.h"

/* 1: this build can; redisInitiateSSL() is in hiredis/hiredis_ssl.h. */
#if __has_include(<hiredis/hiredis_ssl.h>)
#define TF_REDIS_TLS 1
#else
#define TF_REDIS_TLS 0
#endif

/* What rediss:// needs: reads the files of url and makes url->tls_context, which tf_redis_url_free frees.
 * TLS 1.2 or newer, the server's certificate is checked. Nothing to do for other URLs. false: error says what
 * is wrong. */
bool tf_redis_tls_open(tf_redis_url_t *url, char *error, size_t error_size);

/* A session for one connection. name: the host or address that the certificate must be for. The caller's, who
 * gives it to redisInitiateSSL() or frees it. NULL: no memory. */
SSL *tf_redis_tls_session(SSL_CTX *context, const char *name);

#endif
