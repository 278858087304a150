/* url.h: URLs as a crawler needs them: what a link means, whether it stays on the site. */
#ifndef TFW_SCRAPE_URL_H
#define TFW_SCRAPE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outgoing.h"

#define TFW_URL_SIZE (TF_URL_MAX + 1) /* of a buffer for one */

/* What a reference, as in a href, means on a page at base (RFC 3986, 5): an http or https URL that
 * tf_url_parse takes, normalized, without its fragment, NUL-terminated into out. false: it is none. */
bool tfw_url_resolve(const char *base, const char *reference, size_t len, char out[TFW_URL_SIZE]);

/* The path and query of such a URL; a slice of it, at least "/". */
const char *tfw_url_path(const char *url);

/* What belongs together: one host, whose name may have "www." in front or not, at one port (http and https at
 * their own ports count as one). domain: and every name below that host. */
typedef struct {
    char host[256];
    uint16_t port; /* 0: the scheme's */
    bool domain;
} tfw_site_t;

/* The site of a URL. */
void tfw_site_of(tfw_site_t *site, const char *url, bool domain);
bool tfw_site_has(const tfw_site_t *site, const char *url);

#endif
