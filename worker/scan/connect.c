#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "held.h"
#include "scan/scan.h"

#define LOOK_MS 100 /* so often a scan looks for its cancel */

void tfw_scan_find(tfw_scan_t *scan, const tfw_finding_t *finding, const char *fmt, ...)
{
    static const char *const names[] = {"info", "low", "medium", "high", "critical"};
    tf_buf_t *out = &scan->findings;
    char evidence[400];
    va_list args;

    va_start(args, fmt);
    vsnprintf(evidence, sizeof(evidence), fmt, args);
    va_end(args);
    if (out->len > 0) {
        tf_buf_addc(out, ',');
    }
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "id", finding->id);
    tf_json_kcstr(out, "severity", names[finding->severity]);
    tf_json_kcstr(out, "title", finding->title);
    tf_json_kcstr(out, "advice", finding->advice);
    tf_json_kcstr(out, "evidence", evidence);
    tf_buf_addc(out, '}');
    scan->counts[finding->severity]++;
}

bool tfw_scan_wait(tfw_scan_t *scan, int fd, short events, int64_t until_us)
{
    while (!tfw_run_cancelled(scan->run)) {
        int64_t left = (until_us - tfw_monotonic_us()) / 1000;
        struct pollfd one = {.fd = fd, .events = events};

        if (left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        if (poll(&one, 1, (int)(left < LOOK_MS ? left : LOOK_MS)) > 0) {
            return true;
        }
    }
    errno = ECANCELED;
    return false;
}

int tfw_scan_connect(tfw_scan_t *scan, uint16_t port)
{
    struct sockaddr_storage to = scan->address;
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), why = 0;
    socklen_t len = sizeof(why);

    if (fd < 0) {
        return -1;
    }
    if (to.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)&to)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)&to)->sin_port = htons(port);
    }
    if (connect(fd, (struct sockaddr *)&to, scan->address_len) == 0) {
        return fd;
    }
    if (errno == EINPROGRESS &&
        tfw_scan_wait(scan, fd, POLLOUT, tfw_monotonic_us() + scan->timeout_ms * 1000) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0) {
        if (why == 0) {
            return fd;
        }
        errno = why;
    }
    why = errno;
    close(fd);
    errno = why;
    return -1;
}

SSL_CTX *tfw_scan_context(const tfw_scan_t *scan, int version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context) {
        return NULL;
    }
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_min_proto_version(context, version ? version : TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_cipher_list(context, "ALL:COMPLEMENTOFALL:@SECLEVEL=0");
    if (*scan->ca_file) {
        SSL_CTX_load_verify_locations(context, scan->ca_file, NULL);
    } else {
        SSL_CTX_set_default_verify_paths(context);
    }
    ERR_clear_error();
    return context;
}

static void say_why(int code, char *error, size_t error_size)
{
    unsigned long reason = ERR_peek_last_error();
    const char *text = reason ? ERR_reason_error_string(reason) : NULL;

    snprintf(error, error_size, "%s",
             text                        ? text
             : code == SSL_ERROR_SYSCALL ? "the server hung up"
                                         : "no TLS");
}

SSL *tfw_scan_tls(tfw_scan_t *scan, SSL_CTX *context, char *error, size_t error_size)
{
    int64_t until = tfw_monotonic_us() + scan->timeout_ms * 1000;
    int fd = tfw_scan_connect(scan, scan->port), code = SSL_ERROR_NONE;
    SSL *ssl;

    if (fd < 0) {
        snprintf(error, error_size, "port %u: %s", scan->port, strerror(errno));
        return NULL;
    }
    ssl = SSL_new(context);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        snprintf(error, error_size, "out of memory");
        SSL_free(ssl);
        close(fd);
        return NULL;
    }
    if (!scan->literal) {
        SSL_set_tlsext_host_name(ssl, scan->host);
    }
    ERR_clear_error();
    for (;;) {
        int done = SSL_connect(ssl);

        if (done == 1) {
            return ssl;
        }
        code = SSL_get_error(ssl, done);
        if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE) {
            say_why(code, error, error_size);
            break;
        }
        if (!tfw_scan_wait(scan, fd, code == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) {
            snprintf(error, error_size, "port %u: %s", scan->port, strerror(errno));
            break;
        }
    }
    tfw_scan_hang_up(ssl);
    return NULL;
}

void tfw_scan_hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    SSL_free(ssl);
    close(fd);
    ERR_clear_error();
}
