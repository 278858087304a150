#include <stdio.h>
#include <string.h>

#include "scan/scan.h"

#define CIPHERS_MAX 48 /* that are asked for, of one version */

typedef struct {
    int version;
    const char *name;
} version_t;

static const version_t versions[] = {{TLS1_VERSION, "TLSv1.0"},
                                     {TLS1_1_VERSION, "TLSv1.1"},
                                     {TLS1_2_VERSION, "TLSv1.2"},
                                     {TLS1_3_VERSION, "TLSv1.3"}};

static bool is_weak(const SSL_CIPHER *cipher)
{
    const char *name = SSL_CIPHER_get_name(cipher);

    return SSL_CIPHER_get_bits(cipher, NULL) < 128 || strstr(name, "RC4") || strstr(name, "DES") ||
           strstr(name, "NULL") || strstr(name, "ADH") || strstr(name, "AECDH") || strstr(name, "MD5") ||
           strstr(name, "EXP");
}

static void judge_version(tfw_scan_t *scan, const version_t *version)
{
    static const tfw_finding_t old = {"tls-old-protocol", TFW_MEDIUM, "An outdated TLS version is accepted",
                                      "Accept TLS 1.2 and 1.3 only (RFC 8996)."};

    if (version->version < TLS1_2_VERSION) {
        tfw_scan_find(scan, &old, "%s", version->name);
    }
}

/* The ciphers that were found are asked for no more. */
static void exclude(SSL_CTX *context, const version_t *version, const tf_buf_t *found)
{
    static const char *const suites[] = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
                                         "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256",
                                         "TLS_AES_128_CCM_8_SHA256"};
    tf_buf_t list = TF_BUF_INIT;

    if (version->version == TLS1_3_VERSION) {
        for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
            tf_buf_t word = TF_BUF_INIT;

            tf_buf_addf(&word, "!%s:", suites[i]);
            if (!found->len || !memmem(found->data, found->len, tf_buf_cstr(&word), word.len)) {
                tf_buf_addf(&list, "%s%s", list.len ? ":" : "", suites[i]);
            }
            tf_buf_free(&word);
        }
        SSL_CTX_set_ciphersuites(context, tf_buf_cstr(&list));
    } else {
        tf_buf_addf(&list, "ALL:COMPLEMENTOFALL:%.*s@SECLEVEL=0", (int)found->len,
                    found->len ? found->data : "");
        SSL_CTX_set_cipher_list(context, tf_buf_cstr(&list));
    }
    tf_buf_free(&list);
}

/* One version with all its ciphers; the certificate of the first connection that had one. false: it is not
 * accepted, error says why. */
static bool try_version(tfw_scan_t *scan, const version_t *version, tf_buf_t *protocols,
                        tf_buf_t *certificate, char *error, size_t error_size)
{
    SSL_CTX *context = tfw_scan_context(scan, version->version);
    static const tfw_finding_t broken = {"tls-weak-cipher", TFW_HIGH, "Broken ciphers are accepted",
                                         "Offer ciphers with AES-GCM or ChaCha20 only."};
    tf_buf_t found = TF_BUF_INIT, weak = TF_BUF_INIT;
    bool accepted = false;
    SSL *ssl;

    for (int i = 0; context && i < CIPHERS_MAX && !tfw_run_cancelled(scan->run); i++) {
        const SSL_CIPHER *cipher;

        exclude(context, version, &found);
        ssl = tfw_scan_tls(scan, context, error, error_size);
        cipher = ssl ? SSL_get_current_cipher(ssl) : NULL;
        if (!cipher) {
            break;
        }
        if (!accepted) {
            tf_buf_addf(protocols, "%s{", protocols->len ? "," : "");
            tf_json_kcstr(protocols, "version", version->name);
            tf_json_key(protocols, "ciphers");
            tf_buf_addc(protocols, '[');
            judge_version(scan, version);
        } else {
            tf_buf_addc(protocols, ',');
        }
        accepted = true;
        tf_json_str(protocols, SSL_CIPHER_get_name(cipher), strlen(SSL_CIPHER_get_name(cipher)));
        if (is_weak(cipher)) {
            tf_buf_addf(&weak, " %s", SSL_CIPHER_get_name(cipher));
        }
        tf_buf_addf(&found, "!%s:", SSL_CIPHER_get_name(cipher));
        if (certificate->len == 0) {
            tfw_scan_certificate(scan, ssl, certificate);
        }
        tfw_scan_hang_up(ssl);
    }
    if (accepted) {
        tf_buf_adds(protocols, "]}");
    }
    if (weak.len > 0) {
        tfw_scan_find(scan, &broken, "%s:%s", version->name, tf_buf_cstr(&weak));
    }
    tf_buf_free(&weak);
    tf_buf_free(&found);
    SSL_CTX_free(context);
    return accepted;
}

bool tfw_scan_tls_all(tfw_scan_t *scan, tf_buf_t *result, char *error, size_t error_size)
{
    static const tfw_finding_t none = {"tls-no-modern-protocol", TFW_MEDIUM, "TLS 1.3 is not accepted",
                                       "Accept TLS 1.3 beside TLS 1.2."};
    tf_buf_t protocols = TF_BUF_INIT, certificate = TF_BUF_INIT;
    bool any = false, newest = false;

    /* the newest first: its certificate is the one that most clients see */
    for (size_t i = sizeof(versions) / sizeof(versions[0]); i-- > 0 && !tfw_run_cancelled(scan->run);) {
        bool accepted = try_version(scan, &versions[i], &protocols, &certificate, error, error_size);

        any = any || accepted;
        newest = newest || (accepted && versions[i].version == TLS1_3_VERSION);
    }
    tf_json_key(result, "tls");
    if (any) {
        tf_buf_addc(result, '{');
        tf_json_kint(result, "port", scan->port);
        tf_json_key(result, "protocols");
        tf_buf_addc(result, '[');
        tf_buf_add(result, protocols.data, protocols.len);
        tf_buf_addc(result, ']');
        tf_buf_addc(result, ',');
        if (certificate.len == 0) {
            tf_json_kraw(&certificate, "certificate", NULL, 0);
        }
        tf_buf_add(result, certificate.data, certificate.len);
        tf_buf_addc(result, '}');
        if (!newest) {
            tfw_scan_find(scan, &none, "port %u", scan->port);
        }
    } else {
        tf_buf_adds(result, "null");
    }
    result->failed = result->failed || protocols.failed || certificate.failed;
    tf_buf_free(&protocols);
    tf_buf_free(&certificate);
    return any;
}
