/* URLs and lists of addresses. libcurl, which makes the calls, must see the same host as we do, and no
 * address may look better in other clothes. The first byte chooses. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "outgoing.h"

static const tf_outgoing_t no_lists;

/* libcurl drops a dot at the end and writes addresses in its own way: compared as addresses where they are.
 */
static bool same_host(const tf_url_t *url, const char *host)
{
    struct in6_addr six;
    struct in_addr four;
    size_t len = url->host.len;
    char copy[INET6_ADDRSTRLEN];

    if (!url->literal) {
        size_t other = strlen(host);

        len -= url->host.data[len - 1] == '.';
        other -= other > 0 && host[other - 1] == '.';
        return len == other && strncasecmp(host, url->host.data, len) == 0;
    }
    if (*host != '[') {
        return inet_pton(AF_INET, host, &four) == 1 && memcmp(&four, url->address.bytes + 12, 4) == 0;
    }
    snprintf(copy, sizeof(copy), "%.*s", (int)strlen(host) - 2, host + 1);
    return inet_pton(AF_INET6, copy, &six) == 1 && memcmp(&six, url->address.bytes, 16) == 0;
}

static void try_url(const char *text, size_t len)
{
    CURLU *parsed;
    char *copy, *host;
    tf_url_t url;

    if (tf_url_parse(text, len, &url)) {
        return;
    }
    copy = strndup(text, len);
    parsed = curl_url();
    if (copy && parsed && curl_url_set(parsed, CURLUPART_URL, copy, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        if (!same_host(&url, host)) {
            abort();
        }
        curl_free(host);
    }
    curl_url_cleanup(parsed);
    free(copy);
}

static void try_lists(const char *text, size_t len)
{
    char *copy = strndup(text, len), error[200] = "";
    tf_outgoing_t lists;

    if (!copy) {
        abort();
    }
    if (tf_outgoing_init(&lists, copy, copy, error, sizeof(error))) {
        if (lists.nallow != lists.ndeny) {
            abort();
        }
        tf_outgoing_free(&lists);
    } else if (error[0] == '\0') {
        abort();
    }
    free(copy);
}

/* Four bytes as IPv4, mapped and behind NAT64: one judgement; compatible and 6to4: never called. */
static void try_address(const char *bytes, size_t len)
{
    static const uint8_t nat64[] = {0, 0x64, 0xff, 0x9b};
    struct sockaddr_in four = {.sin_family = AF_INET};
    tf_address_t plain, other = {{0}};
    const char *why;

    if (len < 4) {
        return;
    }
    memcpy(&four.sin_addr, bytes, 4);
    if (!tf_address_from(&plain, (struct sockaddr *)&four)) {
        abort();
    }
    why = tf_outgoing_refusal(&no_lists, TF_STR("x"), &plain);
    memcpy(other.bytes + 12, bytes, 4);
    if (!tf_outgoing_refusal(&no_lists, TF_STR("x"), &other)) {
        abort();
    }
    memcpy(other.bytes, nat64, sizeof(nat64));
    if (tf_outgoing_refusal(&no_lists, TF_STR("x"), &other) != why) {
        abort();
    }
    memset(other.bytes, 0, sizeof(other.bytes));
    other.bytes[0] = 0x20;
    other.bytes[1] = 0x02;
    memcpy(other.bytes + 2, bytes, 4);
    if (!tf_outgoing_refusal(&no_lists, TF_STR("x"), &other)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const char *text, size_t len) = {try_url, try_lists, try_address};

    if (size > 0) {
        targets[data[0] % 3]((const char *)data + 1, size - 1);
    }
    return 0;
}
