#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "scan/scan.h"

#define SOON_DAYS 21
#define RSA_BITS_MIN 2048
#define EC_BITS_MIN 224
#define CHAIN_MAX 10 /* certificates that are told */

static void add_name(tf_buf_t *out, const char *key, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        len = BIO_get_mem_data(bio, &text);
    }
    tf_json_kstr(out, key, text, (size_t)len);
    BIO_free(bio);
}

static void add_alternative_names(tf_buf_t *out, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    tf_json_key(out, "names");
    tf_buf_addc(out, '[');
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && i < 200; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS) {
            if (out->data[out->len - 1] != '[') {
                tf_buf_addc(out, ',');
            }
            tf_json_str(out, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                        (size_t)ASN1_STRING_length(name->d.dNSName));
        }
    }
    tf_buf_addc(out, ']');
    GENERAL_NAMES_free(names);
}

static int64_t seconds_of(const ASN1_TIME *at)
{
    struct tm tm;

    return ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void judge_time(tfw_scan_t *scan, int64_t from, int64_t until)
{
    static const tfw_finding_t expired = {"certificate-expired", TFW_HIGH, "The certificate has expired",
                                          "Renew it, and let that happen by itself."},
                               early = {"certificate-not-yet-valid", TFW_HIGH,
                                        "The certificate is not valid yet",
                                        "Check the clocks of both sides."},
                               soon = {"certificate-expires-soon", TFW_LOW, "The certificate expires soon",
                                       "Renew it, and let that happen by itself."};
    int64_t now = (int64_t)time(NULL);

    if (until < now) {
        tfw_scan_find(scan, &expired, "%lld days ago", (long long)((now - until) / 86400));
    } else if (from > now) {
        tfw_scan_find(scan, &early, "for %lld days", (long long)((from - now) / 86400));
    } else if (until - now < SOON_DAYS * 86400) {
        tfw_scan_find(scan, &soon, "in %lld days", (long long)((until - now) / 86400));
    }
}

static void judge_trust(tfw_scan_t *scan, bool matches, bool self_signed, long verified)
{
    static const tfw_finding_t name = {"certificate-name", TFW_HIGH, "The certificate is for another name",
                                       "Have one issued with the name that clients use."},
                               self = {"certificate-self-signed", TFW_MEDIUM,
                                       "The certificate is self-signed",
                                       "Have one issued by an authority that clients trust."},
                               chain = {"certificate-untrusted", TFW_HIGH, "The certificate is not trusted",
                                        "Send the whole chain, up to an authority that clients trust."};

    if (!matches) {
        tfw_scan_find(scan, &name, "it is not for %s", scan->host);
    }
    if (self_signed) {
        tfw_scan_find(scan, &self, "subject and issuer are the same");
    } else if (verified != X509_V_OK && verified != X509_V_ERR_CERT_HAS_EXPIRED &&
               verified != X509_V_ERR_CERT_NOT_YET_VALID) {
        tfw_scan_find(scan, &chain, "%s", X509_verify_cert_error_string(verified));
    }
}

static void judge_key(tfw_scan_t *scan, const char *type, int bits, const char *signature)
{
    static const tfw_finding_t weak = {"certificate-weak-key", TFW_HIGH, "The key is too short",
                                       "Use RSA with 2048 bits or more, or ECDSA with P-256."},
                               digest = {"certificate-weak-signature", TFW_HIGH,
                                         "The certificate is signed with a broken digest",
                                         "Have one issued that is signed with SHA-256."};

    if (bits < (strcmp(type, "RSA") == 0 || strcmp(type, "DSA") == 0 ? RSA_BITS_MIN : EC_BITS_MIN)) {
        tfw_scan_find(scan, &weak, "%s, %d bits", type, bits);
    }
    if (strstr(signature, "md5") || strstr(signature, "sha1") || strstr(signature, "SHA1")) {
        tfw_scan_find(scan, &digest, "%s", signature);
    }
}

/* What is known of a certificate by itself, as members of an object. */
typedef struct {
    const char *key_type, *signature;
    int key_bits;
    int64_t from, until; /* seconds since 1970 */
    bool self_signed;
} facts_t;

static facts_t facts_of(X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL,
               *signature = OBJ_nid2ln(X509_get_signature_nid(certificate));

    return (facts_t){.key_type = type ? type : "unknown",
                     .signature = signature ? signature : "unknown",
                     .key_bits = key ? EVP_PKEY_get_bits(key) : 0,
                     .from = seconds_of(X509_get0_notBefore(certificate)),
                     .until = seconds_of(X509_get0_notAfter(certificate)),
                     .self_signed = X509_self_signed(certificate, 0) == 1};
}

static void add_facts(tf_buf_t *out, X509 *certificate, const facts_t *facts)
{
    add_name(out, "subject", X509_get_subject_name(certificate));
    add_name(out, "issuer", X509_get_issuer_name(certificate));
    tf_json_ktime(out, "not_before", facts->from * 1000000);
    tf_json_ktime(out, "not_after", facts->until * 1000000);
    tf_json_kint(out, "days_left", (facts->until - (int64_t)time(NULL)) / 86400);
    tf_json_kcstr(out, "key_type", facts->key_type);
    tf_json_kint(out, "key_bits", facts->key_bits);
    tf_json_kcstr(out, "signature", facts->signature);
    tf_json_kbool(out, "self_signed", facts->self_signed);
}

/* All that the server sent, its own first. */
static void add_chain(tfw_scan_t *scan, SSL *ssl, tf_buf_t *out)
{
    static const tfw_finding_t expired = {"certificate-chain-expired", TFW_HIGH,
                                          "A certificate of the chain has expired",
                                          "Send the chain that the authority gives out now."};
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

    tf_json_key(out, "chain");
    tf_buf_addc(out, '[');
    for (int i = 0; chain && i < sk_X509_num(chain) && i < CHAIN_MAX; i++) {
        X509 *certificate = sk_X509_value(chain, i);
        facts_t facts = facts_of(certificate);

        tf_buf_adds(out, i ? ",{" : "{");
        add_facts(out, certificate, &facts);
        tf_buf_addc(out, '}');
        if (i > 0 && facts.until < (int64_t)time(NULL)) {
            tfw_scan_find(scan, &expired, "number %d", i + 1);
        }
    }
    tf_buf_addc(out, ']');
}

void tfw_scan_certificate(tfw_scan_t *scan, SSL *ssl, tf_buf_t *result)
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    long verified = SSL_get_verify_result(ssl);
    facts_t facts;
    bool matches;

    if (!certificate) {
        return;
    }
    facts = facts_of(certificate);
    matches = scan->literal ? X509_check_ip_asc(certificate, scan->host, 0) == 1
                            : X509_check_host(certificate, scan->host, 0, 0, NULL) == 1;
    tf_json_key(result, "certificate");
    tf_buf_addc(result, '{');
    add_facts(result, certificate, &facts);
    add_alternative_names(result, certificate);
    tf_json_kbool(result, "name_matches", matches);
    tf_json_kbool(result, "trusted", verified == X509_V_OK);
    tf_json_kcstr(result, "verification", X509_verify_cert_error_string(verified));
    add_chain(scan, ssl, result);
    tf_buf_addc(result, '}');
    judge_time(scan, facts.from, facts.until);
    judge_trust(scan, matches, facts.self_signed, verified);
    judge_key(scan, facts.key_type, facts.key_bits, facts.signature);
    X509_free(certificate);
}
