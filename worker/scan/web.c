#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "held.h"
#include "scan/scan.h"

/* The head of an answer: the connection is one to the address that was judged, whatever the certificate. */
typedef struct {
    int status;
    tf_buf_t text; /* as it came, NUL-terminated */
} head_t;

typedef struct {
    SSL *ssl; /* NULL: plain */
    int fd;
} stream_t;

/* -1: not yet, `events` says what for; 0: the end. */
static int move(stream_t *stream, bool out, char *bytes, int len, short *events)
{
    int n, code;

    if (!stream->ssl) {
        n = (int)(out ? send(stream->fd, bytes, (size_t)len, MSG_NOSIGNAL)
                      : recv(stream->fd, bytes, (size_t)len, 0));
        *events = out ? POLLOUT : POLLIN;
        return n >= 0 ? n : errno == EAGAIN ? -1 : 0;
    }
    ERR_clear_error();
    n = out ? SSL_write(stream->ssl, bytes, len) : SSL_read(stream->ssl, bytes, len);
    if (n > 0) {
        return n;
    }
    code = SSL_get_error(stream->ssl, n);
    *events = code == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    return code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static bool exchange(tfw_scan_t *scan, stream_t *stream, tf_buf_t *request, head_t *head)
{
    int64_t until = tfw_monotonic_us() + scan->timeout_ms * 1000;
    size_t sent = 0;

    for (;;) {
        bool out = sent < request->len;
        short events = POLLIN;
        char piece[4096];
        int n = out ? move(stream, true, request->data + sent, (int)(request->len - sent), &events)
                    : move(stream, false, piece, sizeof(piece), &events);

        if (n < 0) {
            if (!tfw_scan_wait(scan, stream->fd, events, until)) {
                return false;
            }
        } else if (out && n > 0) {
            sent += (size_t)n;
        } else {
            tf_buf_add(&head->text, piece, (size_t)n);
            if (n == 0 || head->text.failed || strstr(tf_buf_cstr(&head->text), "\r\n\r\n")) {
                return sscanf(tf_buf_cstr(&head->text), "HTTP/%*d.%*d %3d", &head->status) == 1;
            }
        }
    }
}

/* GET over the port; https: TLS. */
static bool get(tfw_scan_t *scan, bool https, uint16_t port, head_t *head, char *error, size_t error_size)
{
    SSL_CTX *context = https ? tfw_scan_context(scan, 0) : NULL;
    stream_t stream = {.fd = -1};
    tf_buf_t request = TF_BUF_INIT;
    bool ok = false, six = strchr(scan->host, ':') != NULL;

    *head = (head_t){.text = {.limit = TFW_SCAN_HEAD_MAX}};
    if (https) {
        stream.ssl = context ? tfw_scan_tls(scan, context, error, error_size) : NULL;
        stream.fd = stream.ssl ? SSL_get_fd(stream.ssl) : -1;
    } else {
        stream.fd = tfw_scan_connect(scan, port);
        snprintf(error, error_size, "port %u: %s", port, strerror(errno));
    }
    if (stream.fd >= 0) {
        tf_buf_addf(&request, "GET %s HTTP/1.1\r\nHost: %s%s%s", scan->path, six ? "[" : "", scan->host,
                    six ? "]" : "");
        if (port != (https ? 443 : 80)) {
            tf_buf_addf(&request, ":%u", port);
        }
        tf_buf_adds(&request,
                    "\r\nUser-Agent: TaskForge/" TF_VERSION "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
        ok = !request.failed && exchange(scan, &stream, &request, head);
        if (!ok) {
            snprintf(error, error_size, "port %u: no HTTP answer", port);
        }
        if (stream.ssl) {
            tfw_scan_hang_up(stream.ssl);
        } else {
            close(stream.fd);
        }
    }
    SSL_CTX_free(context);
    tf_buf_free(&request);
    return ok;
}

/* The next header of that name behind `from`; data == NULL: there is none. */
static tf_str_t header(const head_t *head, const char *name, const char *from)
{
    const char *line = from ? from : head->text.data;
    size_t len = strlen(name);

    while ((line = strstr(line, "\r\n")) != NULL && strncmp(line, "\r\n\r\n", 4) != 0) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            line += strspn(line, " \t");
            return (tf_str_t){line, strcspn(line, "\r\n")};
        }
    }
    return (tf_str_t){NULL, 0};
}

static bool has(tf_str_t text, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; text.data && i + len <= text.len; i++) {
        if (strncasecmp(text.data + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Plain HTTP has one thing to say: where https is. */
static void judge_plain(tfw_scan_t *scan, const head_t *head)
{
    static const tfw_finding_t plain = {"http-not-redirected", TFW_MEDIUM,
                                        "Plain HTTP is answered and not redirected to https",
                                        "Redirect every request to https."};
    tf_str_t location = header(head, "location", NULL);

    if (!(head->status >= 300 && head->status < 400 && location.len > 8 &&
          strncasecmp(location.data, "https://", 8) == 0)) {
        tfw_scan_find(scan, &plain, "status %d", head->status);
    }
}

static void judge_transport(tfw_scan_t *scan, const head_t *head)
{
    static const tfw_finding_t hsts = {"header-hsts", TFW_MEDIUM, "Strict-Transport-Security is missing",
                                       "Send Strict-Transport-Security: max-age=31536000."};

    if (!scan->https) {
        judge_plain(scan, head);
    } else if (!header(head, "strict-transport-security", NULL).data) {
        tfw_scan_find(scan, &hsts, "no such header");
    }
}

static void judge_headers(tfw_scan_t *scan, const head_t *head)
{
    static const struct {
        const char *header;
        tfw_finding_t finding;
    } missing[] = {
        {"content-security-policy",
         {"header-csp", TFW_LOW, "Content-Security-Policy is missing",
          "Say where scripts, styles and frames may come from."}},
        {"x-content-type-options",
         {"header-nosniff", TFW_LOW, "X-Content-Type-Options is missing",
          "Send X-Content-Type-Options: nosniff."}},
        {"referrer-policy",
         {"header-referrer-policy", TFW_INFO, "Referrer-Policy is missing",
          "Send Referrer-Policy: same-origin or stricter."}},
        {"permissions-policy",
         {"header-permissions-policy", TFW_INFO, "Permissions-Policy is missing",
          "Switch off what the pages do not use."}},
    };
    static const tfw_finding_t frames = {"header-frames", TFW_LOW, "Any site may show the pages in a frame",
                                         "Send Content-Security-Policy: frame-ancestors 'self'."},
                               server = {"header-server", TFW_INFO, "The version of the server is told",
                                         "Leave it out."},
                               cors = {"header-cors", TFW_LOW, "Every site may read the answers",
                                       "Name the origins in Access-Control-Allow-Origin."};
    tf_str_t csp = header(head, "content-security-policy", NULL), who = header(head, "server", NULL),
             origin = header(head, "access-control-allow-origin", NULL);

    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        if (!header(head, missing[i].header, NULL).data) {
            tfw_scan_find(scan, &missing[i].finding, "no such header");
        }
    }
    if (!has(csp, "frame-ancestors") && !header(head, "x-frame-options", NULL).data) {
        tfw_scan_find(scan, &frames, "neither frame-ancestors nor X-Frame-Options");
    }
    if (who.data && strcspn(who.data, "0123456789\r") < who.len) {
        tfw_scan_find(scan, &server, "%.*s", (int)who.len, who.data);
    }
    if (origin.len == 1 && *origin.data == '*') {
        tfw_scan_find(scan, &cors, "Access-Control-Allow-Origin: *");
    }
    judge_transport(scan, head);
}

static void judge_cookie(tfw_scan_t *scan, tf_str_t cookie)
{
    static const tfw_finding_t secure = {"cookie-secure", TFW_MEDIUM, "A cookie goes over plain HTTP too",
                                         "Set it with Secure."},
                               httponly = {"cookie-httponly", TFW_LOW, "Scripts can read a cookie",
                                           "Set it with HttpOnly."},
                               site = {"cookie-samesite", TFW_LOW, "A cookie does not say SameSite",
                                       "Set it with SameSite=Lax or Strict."},
                               prefix = {"cookie-prefix", TFW_MEDIUM,
                                         "A cookie breaks the promise of its prefix",
                                         "__Secure- needs Secure; __Host- also Path=/ and no Domain."};
    int len = (int)strcspn(cookie.data, "=;\r");
    bool host = strncmp(cookie.data, "__Host-", 7) == 0;

    if (!has(cookie, "; secure") && !has(cookie, ";secure")) {
        tfw_scan_find(scan, &secure, "%.*s", len, cookie.data);
    }
    if (!has(cookie, "httponly")) {
        tfw_scan_find(scan, &httponly, "%.*s", len, cookie.data);
    }
    if (!has(cookie, "samesite=")) {
        tfw_scan_find(scan, &site, "%.*s", len, cookie.data);
    }
    if ((host && (!has(cookie, "path=/") || has(cookie, "domain="))) ||
        ((host || strncmp(cookie.data, "__Secure-", 9) == 0) && !has(cookie, "secure;") &&
         !has(cookie, "; secure"))) {
        tfw_scan_find(scan, &prefix, "%.*s", len, cookie.data);
    }
}

/* {"name": ..., "secure": ...}: the value of a cookie is nobody's business. */
static void add_cookies(tfw_scan_t *scan, const head_t *head, tf_buf_t *result)
{
    tf_str_t cookie = header(head, "set-cookie", NULL);

    tf_json_key(result, "cookies");
    tf_buf_addc(result, '[');
    for (int i = 0; cookie.data && i < 50; i++) {
        if (result->data[result->len - 1] != '[') {
            tf_buf_addc(result, ',');
        }
        tf_buf_addc(result, '{');
        tf_json_kstr(result, "name", cookie.data, strcspn(cookie.data, "=;\r"));
        tf_json_kbool(result, "secure", has(cookie, "; secure") || has(cookie, ";secure"));
        tf_json_kbool(result, "http_only", has(cookie, "httponly"));
        tf_json_kbool(result, "same_site", has(cookie, "samesite="));
        tf_buf_addc(result, '}');
        judge_cookie(scan, cookie);
        cookie = header(head, "set-cookie", cookie.data);
    }
    tf_buf_addc(result, ']');
}

static void add_headers(const head_t *head, tf_buf_t *result)
{
    static const char *const shown[] = {"strict-transport-security",
                                        "content-security-policy",
                                        "x-content-type-options",
                                        "x-frame-options",
                                        "referrer-policy",
                                        "permissions-policy",
                                        "server",
                                        "access-control-allow-origin",
                                        "location"};

    tf_json_key(result, "headers");
    tf_buf_addc(result, '{');
    tf_json_kint(result, "status", head->status);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        tf_str_t value = header(head, shown[i], NULL);

        tf_json_kstr(result, shown[i], value.data, value.len < 2000 ? value.len : 2000);
    }
    tf_buf_addc(result, '}');
}

/* "http": what plain HTTP answers beside https; null: nothing does. */
static void look_at_plain(tfw_scan_t *scan, tf_buf_t *result)
{
    char error[200];
    head_t head;

    tf_json_key(result, "http");
    if (get(scan, false, scan->http_port, &head, error, sizeof(error))) {
        tf_str_t location = header(&head, "location", NULL);

        tf_buf_addc(result, '{');
        tf_json_kint(result, "port", scan->http_port);
        tf_json_kint(result, "status", head.status);
        tf_json_kstr(result, "location", location.data, location.len < 2000 ? location.len : 2000);
        tf_buf_addc(result, '}');
        judge_plain(scan, &head);
    } else {
        tf_buf_adds(result, "null");
    }
    tf_buf_free(&head.text);
}

bool tfw_scan_web(tfw_scan_t *scan, bool headers, bool cookies, tf_buf_t *result, char *error,
                  size_t error_size)
{
    head_t head;
    bool ok = get(scan, scan->https, scan->port, &head, error, error_size);

    if (ok && headers) {
        add_headers(&head, result);
        judge_headers(scan, &head);
    }
    if (headers && scan->https && scan->http_port) {
        look_at_plain(scan, result);
    }
    if (ok && cookies) {
        add_cookies(scan, &head, result);
    }
    tf_buf_free(&head.text);
    return ok;
}
