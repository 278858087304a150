/* robots.h: the rules of a robots.txt for one crawler (RFC 9309), and the form in which paths are compared.
 */
#ifndef TFW_ROBOTS_H
#define TFW_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define TFW_ROBOTS_MAX (512 * 1024) /* bytes that are read of one; RFC 9309, 2.5: at least 500 KiB */
#define TFW_ROBOTS_RULES_MAX 10000  /* rules kept */

typedef struct tfw_robots_s tfw_robots_t;

/* Reads the file for a product token ("TaskForge"): the rules of all groups that name it, or else of those
 * for "*". Whatever is not understood is skipped. NULL: out of memory. */
tfw_robots_t *tfw_robots_parse(const char *text, size_t len, const char *product);

/* NULL is fine. */
void tfw_robots_free(tfw_robots_t *robots);

/* Whether the path of a URL, with its query ("/a?b=c"), may be fetched: the rule with the longest pattern
 * decides, and of two as long the one that allows. */
bool tfw_robots_allows(const tfw_robots_t *robots, const char *path);

/* Crawl-delay, which the RFC does not have but sites use, in ms; 0: not said. */
int64_t tfw_robots_delay_ms(const tfw_robots_t *robots);

/* Adds a path so that the same paths have the same bytes (RFC 3986, 6.2.2; RFC 9309, 2.2.2): escapes of
 * unreserved characters taken out, the others in upper case, bytes beyond ASCII escaped. */
void tfw_path_normalize(tf_buf_t *out, const char *path, size_t len);

#endif
