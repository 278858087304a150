#include "outgoing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 253 /* RFC 1035: 255 on the wire */
#define LABEL_MAX 63

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; /* ::ffff:0:0/96, RFC 4291 */
static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};                       /* 64:ff9b::/96, RFC 6052 */

/* Of the addresses that the internet routes, or that lie among them: the special ones. The first that fits
 * counts. */
static const struct {
    const char *net;
    const char *refusal;
} special[] = {
    {"0.0.0.0/8", "is an unspecified address"},
    {"10.0.0.0/8", "is a private address"},
    {"100.64.0.0/10", "is an address shared behind a carrier's NAT"},
    {"127.0.0.0/8", "is a loopback address"},
    {"169.254.0.0/16", "is a link-local address"},
    {"172.16.0.0/12", "is a private address"},
    {"192.0.0.0/24", "is a reserved address"},
    {"192.0.2.0/24", "is an address for documentation"},
    {"192.88.99.0/24", "is a 6to4 relay"},
    {"192.168.0.0/16", "is a private address"},
    {"198.18.0.0/15", "is an address for benchmarks"},
    {"198.51.100.0/24", "is an address for documentation"},
    {"203.0.113.0/24", "is an address for documentation"},
    {"168.63.129.16/32", "is a cloud's metadata service"},
    {"224.0.0.0/4", "is a multicast address"},
    {"240.0.0.0/4", "is a reserved address"},
    {"::ffff:0:0/96", NULL}, /* the rest of IPv4 */
    {"::/128", "is an unspecified address"},
    {"::1/128", "is a loopback address"},
    {"fc00::/7", "is a private address"},
    {"fe80::/10", "is a link-local address"},
    {"fec0::/10", "is a private address"},
    {"ff00::/8", "is a multicast address"},
    {"2001::/32", "is a Teredo address"},
    {"2001::/23", "is a reserved address"},
    {"2001:db8::/32", "is an address for documentation"},
    {"2002::/16", "is a 6to4 address"},
    {"3fff::/20", "is an address for documentation"},
    {"2000::/3", NULL}, /* global unicast */
    {"::/0", "is a reserved address"},
};

/* "192.0.2.1" or "2001:db8::1". false: neither; an IPv4 address with leading zeros is none. */
static bool parse_address(const char *text, size_t len, tf_address_t *address)
{
    char copy[INET6_ADDRSTRLEN];

    if (len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET6, copy, address->bytes) == 1) {
        return true;
    }
    memcpy(address->bytes, mapped, sizeof(mapped));
    return inet_pton(AF_INET, copy, address->bytes + sizeof(mapped)) == 1;
}

/* Up to three digits, as a number from 0 to max; -1: it is none. */
static int parse_bits(const char *text, size_t len, int max)
{
    int bits = 0;

    if (len == 0 || len > 3) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        bits = bits * 10 + text[i] - '0';
    }
    return bits <= max ? bits : -1;
}

/* An address, or a network in CIDR notation. bits count from the front of the 16 bytes. */
static bool parse_net(const char *text, size_t len, tf_address_t *net, int *bits)
{
    const char *slash = memchr(text, '/', len);
    size_t address_len = slash ? (size_t)(slash - text) : len;
    bool ipv4 = memchr(text, ':', address_len) == NULL;

    if (!parse_address(text, address_len, net)) {
        return false;
    }
    *bits = slash ? parse_bits(slash + 1, len - address_len - 1, ipv4 ? 32 : 128) : ipv4 ? 32 : 128;
    if (*bits < 0) {
        return false;
    }
    *bits += ipv4 ? 96 : 0;
    return true;
}

static bool within(const tf_address_t *address, const tf_address_t *net, int bits)
{
    int whole = bits / 8, rest = bits % 8;

    return memcmp(address->bytes, net->bytes, (size_t)whole) == 0 &&
           (rest == 0 || (address->bytes[whole] ^ net->bytes[whole]) >> (8 - rest) == 0);
}

/* The host is the rule's name, or below its domain. A dot at the end changes nothing. */
static bool host_matches(const char *rule, tf_str_t host)
{
    size_t len = strlen(rule);

    if (host.len > 0 && host.data[host.len - 1] == '.') {
        host.len--;
    }
    if (*rule == '.') {
        return host.len > len && strncasecmp(host.data + host.len - len, rule, len) == 0;
    }
    return host.len == len && strncasecmp(host.data, rule, len) == 0;
}

static bool listed(const tf_outgoing_rule_t *rules, int count, tf_str_t host, const tf_address_t *address)
{
    for (int i = 0; i < count; i++) {
        if (rules[i].host ? host_matches(rules[i].host, host)
                          : address && within(address, &rules[i].net, rules[i].bits)) {
            return true;
        }
    }
    return false;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63, with a dot at the end or without. */
static bool name_valid(const char *name, size_t len)
{
    size_t label = 0;

    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len > HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (c == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_') ||
            ++label > LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

/* The last label is a number (WHATWG URL, "ends in a number"): some resolvers take such a name for an
 * address. */
static bool ends_in_number(const char *name, size_t len)
{
    const char *digits = "0123456789";
    size_t start;

    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    for (start = len; start > 0 && name[start - 1] != '.'; start--) {
    }
    if (len - start >= 2 && name[start] == '0' && (name[start + 1] | 0x20) == 'x') {
        digits = "0123456789abcdefABCDEF";
        start += 2;
    }
    for (size_t i = start; i < len; i++) {
        if (strchr(digits, name[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- lists ---- */

static bool add_rule(tf_outgoing_rule_t *rules, int *count, const char *word, char *error, size_t error_size)
{
    tf_outgoing_rule_t *rule = &rules[*count];
    size_t len = strlen(word), dot = *word == '.';

    if (*count == TF_OUTGOING_RULES_MAX) {
        snprintf(error, error_size, "more than %d entries", TF_OUTGOING_RULES_MAX);
        return false;
    }
    if (parse_net(word, len, &rule->net, &rule->bits)) {
        rule->host = NULL;
    } else if (name_valid(word + dot, len - dot) && word[len - 1] != '.' && !ends_in_number(word, len)) {
        rule->host = word;
    } else {
        snprintf(error, error_size, "\"%.80s\" is not an address, a network like 10.1.0.0/16, or a host name",
                 word);
        return false;
    }
    ++*count;
    return true;
}

/* Cuts the list at its commas and blanks, in place. */
static bool add_rules(tf_outgoing_rule_t *rules, int *count, char *list, char *error, size_t error_size)
{
    char *word;

    while ((word = strsep(&list, ", \t")) != NULL) {
        if (*word && !add_rule(rules, count, word, error, error_size)) {
            return false;
        }
    }
    return true;
}

bool tf_outgoing_init(tf_outgoing_t *outgoing, const char *allow, const char *deny, char *error,
                      size_t error_size)
{
    size_t size = strlen(allow) + 1;

    memset(outgoing, 0, sizeof(*outgoing));
    outgoing->text = malloc(size + strlen(deny) + 1);
    if (!outgoing->text) {
        snprintf(error, error_size, "out of memory");
        return false;
    }
    memcpy(outgoing->text, allow, size);
    memcpy(outgoing->text + size, deny, strlen(deny) + 1);
    if (!add_rules(outgoing->allow, &outgoing->nallow, outgoing->text, error, error_size) ||
        !add_rules(outgoing->deny, &outgoing->ndeny, outgoing->text + size, error, error_size)) {
        tf_outgoing_free(outgoing);
        return false;
    }
    return true;
}

void tf_outgoing_free(tf_outgoing_t *outgoing)
{
    free(outgoing->text);
    memset(outgoing, 0, sizeof(*outgoing));
}

/* ---- URLs ---- */

static const char *parse_port(const char *text, size_t len, uint16_t *port)
{
    unsigned value = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || i == 5) {
            return "must have a port from 1 to 65535";
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value == 0 || value > 65535) {
        return "must have a port from 1 to 65535";
    }
    *port = (uint16_t)value;
    return NULL;
}

/* host[:port] */
static const char *parse_authority(const char *text, size_t len, tf_url_t *url)
{
    const char *end = memchr(text, ':', len);

    if (len > 0 && *text == '[') {
        end = memchr(text, ']', len);
        url->literal = end && parse_address(text + 1, (size_t)(end - text) - 1, &url->address) &&
                       memchr(text, ':', (size_t)(end - text)) != NULL;
        if (!url->literal) {
            return "must have an IPv6 address between the brackets";
        }
        url->host = (tf_str_t){text + 1, (size_t)(end - text) - 1};
        end++;
        if (end == text + len) {
            return NULL;
        }
        return *end == ':' ? parse_port(end + 1, (size_t)(text + len - end) - 1, &url->port)
                           : "must have nothing but a port after the address";
    }
    url->host = (tf_str_t){text, end ? (size_t)(end - text) : len};
    if (!name_valid(url->host.data, url->host.len)) {
        return "must have a host of letters, digits, '-' and '.'; other names in their xn-- form";
    }
    if (ends_in_number(url->host.data, url->host.len)) {
        url->literal = parse_address(url->host.data, url->host.len, &url->address);
        if (!url->literal) {
            return "must have an IPv4 address as four decimal numbers";
        }
    }
    return end ? parse_port(end + 1, (size_t)(text + len - end) - 1, &url->port) : NULL;
}

const char *tf_url_parse(const char *text, size_t len, tf_url_t *url)
{
    size_t begin, end;

    memset(url, 0, sizeof(*url));
    if (len == 0 || len > TF_URL_MAX) {
        return "must be a URL of 1 to 2048 bytes";
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"<>\\^`{|}", text[i]) != NULL) {
            return "must be a URL of printable ASCII characters, others as %XX";
        }
    }
    if (len > 8 && strncasecmp(text, "https://", 8) == 0) {
        url->https = true;
        begin = 8;
    } else if (len > 7 && strncasecmp(text, "http://", 7) == 0) {
        begin = 7;
    } else {
        return "must begin with http:// or https:// and have a host";
    }
    url->port = url->https ? 443 : 80;
    for (end = begin; end < len && text[end] != '/' && text[end] != '?' && text[end] != '#'; end++) {
        if (text[end] == '@') {
            return "must not hold a user name or a password";
        }
    }
    if (memchr(text, '#', len)) {
        return "must not have a fragment (#)";
    }
    return parse_authority(text + begin, end - begin, url);
}

/* ---- judging ---- */

bool tf_address_from(tf_address_t *address, const struct sockaddr *from)
{
    if (from->sa_family == AF_INET) {
        memcpy(address->bytes, mapped, sizeof(mapped));
        memcpy(address->bytes + sizeof(mapped), &((const struct sockaddr_in *)(const void *)from)->sin_addr,
               4);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        memcpy(address->bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
        return true;
    }
    return false;
}

void tf_address_text(const tf_address_t *address, char text[TF_ADDRESS_TEXT_SIZE])
{
    bool four = memcmp(address->bytes, mapped, sizeof(mapped)) == 0;

    inet_ntop(four ? AF_INET : AF_INET6, address->bytes + (four ? sizeof(mapped) : 0), text,
              TF_ADDRESS_TEXT_SIZE);
}

/* What an address stands for: within NAT64 it is one of IPv4. */
static tf_address_t real_address(const tf_address_t *address)
{
    tf_address_t real = *address;

    if (memcmp(real.bytes, nat64, sizeof(nat64)) == 0) {
        memcpy(real.bytes, mapped, sizeof(mapped));
    }
    return real;
}

bool tf_outgoing_denies(const tf_outgoing_t *outgoing, tf_str_t host, const tf_address_t *address)
{
    tf_address_t real;

    if (address) {
        real = real_address(address);
    }
    return listed(outgoing->deny, outgoing->ndeny, host, address ? &real : NULL);
}

const char *tf_outgoing_refusal(const tf_outgoing_t *outgoing, tf_str_t host, const tf_address_t *address)
{
    tf_address_t real = real_address(address), net;
    int bits;

    if (listed(outgoing->deny, outgoing->ndeny, host, &real)) {
        return "is on the list of denied addresses";
    }
    if (listed(outgoing->allow, outgoing->nallow, host, &real)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (parse_net(special[i].net, strlen(special[i].net), &net, &bits) && within(&real, &net, bits)) {
            return special[i].refusal;
        }
    }
    return "is a reserved address";
}

const char *tf_outgoing_url_refusal(const tf_outgoing_t *outgoing, const tf_url_t *url)
{
    if (url->literal) {
        return tf_outgoing_refusal(outgoing, url->host, &url->address);
    }
    return listed(outgoing->deny, outgoing->ndeny, url->host, NULL) ? "is on the list of denied addresses"
                                                                    : NULL;
}

bool tf_outgoing_names(const tf_outgoing_t *outgoing, const tf_url_t *url)
{
    return listed(outgoing->allow, outgoing->nallow, url->host, url->literal ? &url->address : NULL);
}
