#include "scrape/sites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "held.h"
#include "scrape/crawl.h"
#include "transfer.h"

#define REDIRECTS_MAX 5 /* of a robots.txt: RFC 9309, 2.3.1.2 */

enum { TOO_MANY_REQUESTS = 429, SERVER_ERROR = 500, UNAVAILABLE = 503 };

void tfw_sites_init(tfw_sites_t *sites, tfw_run_t *run, const tfw_crawl_request_t *request)
{
    *sites = (tfw_sites_t){.run = run, .request = request};
}

void tfw_sites_free(tfw_sites_t *sites)
{
    for (size_t i = 0; i < sites->count; i++) {
        tfw_robots_free(sites->hosts[i].robots);
    }
    free(sites->hosts);
}

static void use_robots(tfw_sites_t *sites, tfw_host_t *host, const tfw_http_answer_t *answer)
{
    int64_t asked;

    if (answer->status == 0 || answer->status == TOO_MANY_REQUESTS || answer->status >= SERVER_ERROR) {
        host->state = answer->cancelled ? TFW_SITE_CANCELLED
                      : answer->refused ? TFW_SITE_REFUSED
                                        : TFW_SITE_UNKNOWN;
        if (answer->status) {
            snprintf(host->error, sizeof(host->error), "robots.txt: HTTP status %d", answer->status);
        } else {
            snprintf(host->error, sizeof(host->error), "robots.txt: %s", answer->error);
        }
        return;
    }
    if (answer->status >= 300) {
        return; /* there is none: RFC 9309, 2.3.1.3 */
    }
    host->robots =
        tfw_robots_parse(answer->body.data ? answer->body.data : "", answer->body.len, TFW_CRAWL_PRODUCT);
    if (!host->robots) {
        host->state = TFW_SITE_UNKNOWN;
        snprintf(host->error, sizeof(host->error), "robots.txt: out of memory");
        return;
    }
    asked = tfw_robots_delay_ms(host->robots);
    asked = asked < TFW_CRAWL_DELAY_MAX_MS ? asked : TFW_CRAWL_DELAY_MAX_MS;
    host->delay_ms = asked > sites->request->delay_ms ? asked : sites->request->delay_ms;
}

static void read_robots(tfw_sites_t *sites, tfw_host_t *host)
{
    char agent[sizeof(sites->request->agent) + 16], url[sizeof(host->origin) + 16];
    const char *const headers[] = {agent, NULL};
    const tfw_http_request_t request = {.url = url,
                                        .headers = headers,
                                        .timeout_ms = sites->request->timeout_ms,
                                        .redirects = REDIRECTS_MAX,
                                        .decode = true,
                                        .keep_max = TFW_ROBOTS_MAX,
                                        .read_max = TFW_ROBOTS_MAX};
    tfw_http_answer_t answer;

    snprintf(agent, sizeof(agent), "User-Agent: %s", sites->request->agent);
    snprintf(url, sizeof(url), "%s/robots.txt", host->origin);
    tfw_http_call(sites->run, &request, &answer);
    use_robots(sites, host, &answer);
    tfw_http_answer_free(&answer);
}

/* The host of the URL, added if it is new; NULL: there are too many. */
static tfw_host_t *host_of(tfw_sites_t *sites, const char *url)
{
    size_t len = (size_t)(tfw_url_path(url) - url);
    tfw_host_t *host;

    for (size_t i = 0; i < sites->count; i++) {
        if (strlen(sites->hosts[i].origin) == len && memcmp(sites->hosts[i].origin, url, len) == 0) {
            return &sites->hosts[i];
        }
    }
    if (!sites->hosts) {
        sites->hosts = calloc(TFW_SITES_MAX, sizeof(*sites->hosts));
    }
    if (!sites->hosts || sites->count == TFW_SITES_MAX || len >= sizeof(host->origin)) {
        return NULL;
    }
    host = &sites->hosts[sites->count++];
    memcpy(host->origin, url, len);
    host->state = TFW_SITE_ALLOWED;
    host->delay_ms = sites->request->delay_ms;
    if (sites->request->respect_robots) {
        read_robots(sites, host);
    }
    return host;
}

tfw_site_answer_t tfw_sites_ask(tfw_sites_t *sites, const char *url, const char **why)
{
    tfw_host_t *host = host_of(sites, url);
    int64_t wait;

    if (!host) {
        *why = "the site has too many hosts";
        return TFW_SITE_UNKNOWN;
    }
    *why = host->error;
    if (host->state != TFW_SITE_ALLOWED) {
        return host->state;
    }
    if (host->robots && !tfw_robots_allows(host->robots, tfw_url_path(url))) {
        return TFW_SITE_FORBIDDEN;
    }
    wait = (host->next_at_us - tfw_monotonic_us()) / 1000;
    if (wait > 0 && !tfw_run_wait(sites->run, wait)) {
        return TFW_SITE_CANCELLED;
    }
    return TFW_SITE_ALLOWED;
}

void tfw_sites_done(tfw_sites_t *sites, const char *url, const tfw_http_answer_t *answer)
{
    tfw_host_t *host = host_of(sites, url);
    int64_t wait;

    if (!host) {
        return;
    }
    wait = host->delay_ms;
    if ((answer->status == TOO_MANY_REQUESTS || answer->status == UNAVAILABLE) &&
        answer->retry_after_seconds > 0) {
        int64_t asked = answer->retry_after_seconds * 1000;

        asked = asked < TFW_CRAWL_DELAY_MAX_MS ? asked : TFW_CRAWL_DELAY_MAX_MS;
        wait = asked > wait ? asked : wait;
    }
    host->next_at_us = tfw_monotonic_us() + wait * 1000;
}
