/* outgoing.h: what may be called when a caller names the URL (webhooks): the parsing of such URLs and the
 * addresses that are refused, so that nobody reaches a private network through TaskForge (server-side request
 * forgery). No I/O: names are resolved by whoever connects, and each address is judged here. */
#ifndef TF_OUTGOING_H
#define TF_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "job.h"

#define TF_URL_MAX 2048          /* bytes */
#define TF_OUTGOING_RULES_MAX 64 /* in each list */

/* An IPv6 address in network order; an IPv4 address as ::ffff:a.b.c.d. */
typedef struct {
    uint8_t bytes[16];
} tf_address_t;

/* The parts that matter of a URL; host points into its text. */
typedef struct {
    bool https;
    tf_str_t host; /* without the brackets of an IPv6 address */
    uint16_t port;
    bool literal; /* host is an address: */
    tf_address_t address;
} tf_url_t;

/* A network, a name ("hooks.lan") or a domain with all names below it (".lan"). */
typedef struct {
    const char *host; /* NULL: a network */
    tf_address_t net;
    int bits;
} tf_outgoing_rule_t;

/* The lists of settings. Zeroed: both are empty. */
typedef struct {
    tf_outgoing_rule_t allow[TF_OUTGOING_RULES_MAX];
    tf_outgoing_rule_t deny[TF_OUTGOING_RULES_MAX];
    int nallow, ndeny;
    char *text; /* malloc: the names */
} tf_outgoing_t;

/* Reads both lists: networks ("10.1.0.0/16", "fd12::/48"), addresses, names and domains, with commas or
 * blanks between them. false: error says which word is wrong; nothing needs freeing then. */
bool tf_outgoing_init(tf_outgoing_t *outgoing, const char *allow, const char *deny, char *error,
                      size_t error_size);
void tf_outgoing_free(tf_outgoing_t *outgoing);

/* Parses an absolute URL, stricter than RFC 3986: http or https, printable ASCII, no user or password, no
 * fragment, a host name of letters, digits, '-' and '_', or an address in its usual form (no 127.1, 0x7f.1,
 * 2130706433 or 0177.0.0.1). NULL: it is fine; else what is wrong with it ("must ..."). */
const char *tf_url_parse(const char *text, size_t len, tf_url_t *url);

/* false: neither IPv4 nor IPv6. */
bool tf_address_from(tf_address_t *address, const struct sockaddr *from);

#define TF_ADDRESS_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */

/* As people write it: "10.0.0.1", "2001:db8::1". */
void tf_address_text(const tf_address_t *address, char text[TF_ADDRESS_TEXT_SIZE]);

/* Why this address, which is that of host, may not be called: "is a loopback address"; NULL: it may. What
 * the list of denials names is refused, then what the other names is allowed, then everything is refused that
 * is not a public unicast address (IANA's registries of special-purpose addresses, RFC 6890; addresses of
 * clouds' metadata services). An IPv4 address within an IPv6 one (mapped, NAT64) is judged as what it is. */
const char *tf_outgoing_refusal(const tf_outgoing_t *outgoing, tf_str_t host, const tf_address_t *address);

/* Whether the list of denials names the host, or its address; NULL: that is not known yet. */
bool tf_outgoing_denies(const tf_outgoing_t *outgoing, tf_str_t host, const tf_address_t *address);

/* The same as tf_outgoing_refusal for a URL before its name is resolved: names on the list of denials, and
 * literal addresses. */
const char *tf_outgoing_url_refusal(const tf_outgoing_t *outgoing, const tf_url_t *url);

/* Whether the list of what is allowed names the URL's host: as it is, by a domain above it, or, if it is an
 * address, by a network around it. */
bool tf_outgoing_names(const tf_outgoing_t *outgoing, const tf_url_t *url);

#endif
