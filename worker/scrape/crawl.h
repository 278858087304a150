/* crawl.h: a crawl of one site: pages in the order of their distance from the first, robots.txt kept. */
#ifndef TFW_CRAWL_H
#define TFW_CRAWL_H

#include <jansson.h>

#include "handler.h"
#include "scrape/extract.h"

#define TFW_CRAWL_PRODUCT "TaskForge" /* what robots.txt may call us */

/* What is asked for. Texts are the payload's. */
typedef struct tfw_crawl_request_s {
    char url[TFW_URL_SIZE]; /* normalized */
    int64_t depth, max_pages, max_bytes, delay_ms, timeout_ms;
    bool domain, respect_robots;
    const json_t *include, *exclude; /* lists of beginnings of paths; NULL: none */
    char agent[200];                 /* User-Agent */
    tfw_extract_t extract;
} tfw_crawl_request_t;

/* Crawls; the run has got its result, or its error. */
tfw_outcome_t tfw_crawl(tfw_run_t *run, const tfw_crawl_request_t *request);

#endif
