#include "scrape/url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "scrape/robots.h"

/* "javascript:..." and the like: the scheme of a reference, if it has one, is not ours. */
static bool foreign(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && (((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') ||
                       (i > 0 && ((text[i] >= '0' && text[i] <= '9') || strchr("+-.", text[i]))))) {
        i++;
    }
    if (i == 0 || i == len || text[i] != ':') {
        return false;
    }
    return !(i == 4 && strncasecmp(text, "http", 4) == 0) && !(i == 5 && strncasecmp(text, "https", 5) == 0);
}

/* The reference as ASCII without what browsers drop (URL Standard, 4.4): blanks around it, line ends and tabs
 * in it; and without its fragment. */
static void clean(tf_buf_t *out, const char *text, size_t len)
{
    const char *end = text + len, *hash;

    while (text < end && (unsigned char)*text <= ' ') {
        text++;
    }
    while (end > text && (unsigned char)end[-1] <= ' ') {
        end--;
    }
    hash = memchr(text, '#', (size_t)(end - text));
    end = hash ? hash : end;
    while (text < end) {
        const char *stop = text;

        while (stop < end && *stop != '\t' && *stop != '\n' && *stop != '\r') {
            stop++;
        }
        tfw_path_normalize(out, text, (size_t)(stop - text));
        text = stop + (stop < end);
    }
}

const char *tfw_url_path(const char *url)
{
    const char *authority = strstr(url, "://");

    authority = authority ? authority + 3 : url;
    return authority + strcspn(authority, "/?");
}

/* The host in lower case, the rest with the escapes that it needs. */
static bool finish(const char *url, char out[TFW_URL_SIZE])
{
    const char *path = tfw_url_path(url);
    tf_buf_t normal = {.limit = TF_URL_MAX + 1}; /* with the NUL of tf_buf_cstr */
    tf_url_t parsed;
    bool ok;

    for (const char *at = url; at < path; at++) {
        tf_buf_addc(&normal, *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at);
    }
    if (*path != '/') {
        tf_buf_addc(&normal, '/');
    }
    tfw_path_normalize(&normal, path, strlen(path));
    ok = !normal.failed && !tf_url_parse(tf_buf_cstr(&normal), normal.len, &parsed);
    if (ok) {
        snprintf(out, TFW_URL_SIZE, "%s", tf_buf_cstr(&normal));
    }
    tf_buf_free(&normal);
    return ok;
}

bool tfw_url_resolve(const char *base, const char *reference, size_t len, char out[TFW_URL_SIZE])
{
    tf_buf_t text = {.limit = 4 * TF_URL_MAX};
    CURLU *url = NULL;
    char *whole = NULL;
    bool ok = false;

    clean(&text, reference, len);
    if (!text.failed && !foreign(text.data ? text.data : "", text.len)) {
        url = curl_url();
        ok = url && curl_url_set(url, CURLUPART_URL, base, CURLU_DISALLOW_USER) == CURLUE_OK &&
             (text.len == 0 ||
              curl_url_set(url, CURLUPART_URL, tf_buf_cstr(&text), CURLU_DISALLOW_USER) == CURLUE_OK) &&
             curl_url_get(url, CURLUPART_URL, &whole, CURLU_NO_DEFAULT_PORT) == CURLUE_OK &&
             finish(whole, out);
    }
    curl_free(whole);
    curl_url_cleanup(url);
    tf_buf_free(&text);
    return ok;
}

/* Without "www." and without a dot at its end. */
static tf_str_t bare_host(const tf_url_t *url)
{
    tf_str_t host = url->host;

    if (host.len > 0 && host.data[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len > 4 && strncasecmp(host.data, "www.", 4) == 0) {
        host.data += 4;
        host.len -= 4;
    }
    return host;
}

static uint16_t own_port(const tf_url_t *url)
{
    return url->port == (url->https ? 443 : 80) ? 0 : url->port;
}

void tfw_site_of(tfw_site_t *site, const char *url, bool domain)
{
    tf_url_t parsed = {0};
    tf_str_t host = {"", 0};

    *site = (tfw_site_t){.domain = domain};
    if (!tf_url_parse(url, strlen(url), &parsed)) {
        host = bare_host(&parsed);
        site->port = own_port(&parsed);
    }
    snprintf(site->host, sizeof(site->host), "%.*s", (int)host.len, host.data);
    site->domain = domain && !parsed.literal;
}

bool tfw_site_has(const tfw_site_t *site, const char *url)
{
    size_t len = strlen(site->host);
    tf_url_t parsed;
    tf_str_t host;

    if (len == 0 || tf_url_parse(url, strlen(url), &parsed) || own_port(&parsed) != site->port) {
        return false;
    }
    host = bare_host(&parsed);
    if (host.len > len && site->domain && host.data[host.len - len - 1] == '.') {
        host.data += host.len - len;
        host.len = len;
    }
    return host.len == len && strncasecmp(host.data, site->host, len) == 0;
}
