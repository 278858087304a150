/* sites.h: the hosts that a crawl meets: their robots.txt, and the pause that each is left between two
 * requests. */
#ifndef TFW_SITES_H
#define TFW_SITES_H

#include "handler.h"
#include "http_call.h"
#include "scrape/robots.h"
#include "scrape/url.h"

#define TFW_SITES_MAX 32             /* hosts of one crawl */
#define TFW_CRAWL_DELAY_MAX_MS 10000 /* that a robots.txt or a Retry-After may ask for */

struct tfw_crawl_request_s;

typedef enum {
    TFW_SITE_ALLOWED,
    TFW_SITE_FORBIDDEN, /* by robots.txt */
    TFW_SITE_REFUSED,   /* the host may not be called */
    TFW_SITE_UNKNOWN,   /* robots.txt cannot be had at the moment, so nothing is fetched: RFC 9309, 2.3.1.4 */
    TFW_SITE_CANCELLED
} tfw_site_answer_t;

typedef struct {
    char origin[320]; /* scheme, host and port */
    tfw_site_answer_t state;
    tfw_robots_t *robots; /* NULL: everything is allowed */
    char error[600];
    int64_t delay_ms, next_at_us;
} tfw_host_t;

typedef struct {
    tfw_run_t *run;
    const struct tfw_crawl_request_s *request;
    tfw_host_t *hosts; /* malloc */
    size_t count;
} tfw_sites_t;

void tfw_sites_init(tfw_sites_t *sites, tfw_run_t *run, const struct tfw_crawl_request_s *request);
void tfw_sites_free(tfw_sites_t *sites);

/* Whether the URL may be fetched now: reads the robots.txt of a host that is new, and waits until the host
 * has had its pause. why: set if it is refused or unknown; the sites'. */
tfw_site_answer_t tfw_sites_ask(tfw_sites_t *sites, const char *url, const char **why);

/* The URL was fetched: the pause begins. */
void tfw_sites_done(tfw_sites_t *sites, const char *url, const tfw_http_answer_t *answer);

#endif
