/* scan.h: a look at a server from outside: its ports, TLS, HTTP headers and cookies. Everything goes to one
 * address, which was judged before. */
#ifndef TFW_SCAN_H
#define TFW_SCAN_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "handler.h"

#define TFW_SCAN_PORTS_MAX 1024
#define TFW_SCAN_HEAD_MAX 65536 /* bytes of an answer's headers */

typedef enum { TFW_INFO, TFW_LOW, TFW_MEDIUM, TFW_HIGH, TFW_CRITICAL, TFW_SEVERITIES } tfw_severity_t;

typedef struct {
    tfw_run_t *run;
    char host[256]; /* as the caller named it; for SNI, Host and the certificate */
    bool literal;   /* it is an address */
    bool https;
    uint16_t port;      /* of TLS and HTTP */
    uint16_t http_port; /* of plain HTTP beside https; 0: none that is known */
    char path[2049];
    struct sockaddr_storage address;
    socklen_t address_len;
    const char *ca_file; /* "": the system's */
    int64_t timeout_ms;  /* of each connection, and of each answer */
    uint16_t ports[TFW_SCAN_PORTS_MAX];
    size_t nports;
    bool seen;         /* there was something to look at */
    tf_buf_t findings; /* elements of a JSON array */
    int counts[TFW_SEVERITIES];
} tfw_scan_t;

typedef struct {
    const char *id;
    tfw_severity_t severity;
    const char *title, *advice;
} tfw_finding_t;

/* Adds a finding; evidence: what was seen, a format. */
void tfw_scan_find(tfw_scan_t *scan, const tfw_finding_t *finding, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A connection to a port, not blocking; -1: errno, ECANCELED after a cancel. The caller closes it. */
int tfw_scan_connect(tfw_scan_t *scan, uint16_t port);

/* Waits until the socket can be read (POLLIN) or written (POLLOUT). false: not before `until_us`, or
 * cancelled. */
bool tfw_scan_wait(tfw_scan_t *scan, int fd, short events, int64_t until_us);

/* A TLS handshake with the port; NULL: it failed, error says why. To be ended with tfw_scan_hang_up. */
SSL *tfw_scan_tls(tfw_scan_t *scan, SSL_CTX *context, char *error, size_t error_size);
void tfw_scan_hang_up(SSL *ssl);

/* A context that takes everything that this OpenSSL still speaks. NULL: out of memory. */
SSL_CTX *tfw_scan_context(const tfw_scan_t *scan, int version);

/* Each adds a member to the result, and findings. false: the server could not be looked at, error says why.
 */
void tfw_scan_ports(tfw_scan_t *scan, tf_buf_t *result);
bool tfw_scan_tls_all(tfw_scan_t *scan, tf_buf_t *result, char *error, size_t error_size);
bool tfw_scan_web(tfw_scan_t *scan, bool headers, bool cookies, tf_buf_t *result, char *error,
                  size_t error_size);

/* Adds "certificate": of the server at the other end. Nothing is added where it has none: a cipher without
 * authentication. */
void tfw_scan_certificate(tfw_scan_t *scan, SSL *ssl, tf_buf_t *result);

#endif
