/* web_scraping: visits the pages of a site and takes from each what is asked for. docs/handlers.md says what
 * goes in and comes out; the crawl itself is in worker/scrape/. */
#include <stdio.h>
#include <string.h>

#include "handler.h"
#include "scrape/crawl.h"

#define PATHS_MAX 50
#define SUFFIX_MAX 100 /* bytes */

static struct {
    char *robots; /* "strict" or "optional" */
} settings;

static const tf_setting_t settings_table[] = {
    {"TASKFORGE_SCRAPING_ROBOTS", TF_SETTING_TEXT, 0, "strict", 0, 0,
     "strict: robots.txt is always kept; optional: jobs may say that they do not"},
};

static bool settings_check(char *error, size_t error_size)
{
    if (strcmp(settings.robots, "strict") == 0 || strcmp(settings.robots, "optional") == 0) {
        return true;
    }
    snprintf(error, error_size, "TASKFORGE_SCRAPING_ROBOTS: \"%.80s\" is neither strict nor optional",
             settings.robots);
    return false;
}

TF_HANDLER_SETTINGS(web_scraping) = {settings_table, 1, &settings, settings_check};

/* A number of the payload, or its default. */
static bool read_number(tfw_run_t *run, const char *name, int64_t min, int64_t max, int64_t fallback,
                        int64_t *out)
{
    const json_t *value = json_object_get(tfw_run_payload(run), name);

    *out = value ? json_integer_value(value) : fallback;
    if (value && (!json_is_integer(value) || *out < min || *out > max)) {
        tfw_run_error(run, "payload: \"%s\" must be an integer from %lld to %lld", name, (long long)min,
                      (long long)max);
        return false;
    }
    return true;
}

/* A list of beginnings of paths; *out is NULL if it is not there. */
static bool read_paths(tfw_run_t *run, const char *name, const json_t **out)
{
    const json_t *value = json_object_get(tfw_run_payload(run), name);
    bool ok = !value || (json_is_array(value) && json_array_size(value) <= PATHS_MAX);

    for (size_t i = 0; ok && i < json_array_size(value); i++) {
        const char *path = json_string_value(json_array_get(value, i));

        ok = path && path[0] == '/' && strlen(path) <= TF_URL_MAX;
    }
    if (!ok) {
        tfw_run_error(run, "payload: \"%s\" must be a list of at most %d paths that begin with '/'", name,
                      PATHS_MAX);
    }
    *out = json_array_size(value) > 0 ? value : NULL;
    return ok;
}

static bool read_url(tfw_run_t *run, char out[TFW_URL_SIZE])
{
    const char *url = json_string_value(json_object_get(tfw_run_payload(run), "url")), *why;
    size_t len = url ? strcspn(url, "#") : 0;
    tf_url_t parsed;

    why = url ? tf_url_parse(url, len, &parsed) : "must be a text";
    if (!why && !tfw_url_resolve(url, "", 0, out)) {
        why = "cannot be parsed";
    }
    if (why) {
        tfw_run_error(run, "payload: \"url\" %s", why);
    }
    return !why;
}

/* "TaskForge/1.0", and what the caller adds. */
static bool read_agent(tfw_run_t *run, char *agent, size_t size)
{
    const json_t *value = json_object_get(tfw_run_payload(run), "user_agent");
    const char *suffix = value ? json_string_value(value) : "";
    bool ok = suffix && strlen(suffix) <= SUFFIX_MAX;

    for (size_t i = 0; ok && suffix[i]; i++) {
        ok = suffix[i] >= ' ' && suffix[i] <= '~';
    }
    if (!ok) {
        tfw_run_error(run, "payload: \"user_agent\" must be a text of at most %d printable ASCII characters",
                      SUFFIX_MAX);
        return false;
    }
    snprintf(agent, size, TFW_CRAWL_PRODUCT "/" TF_VERSION "%s%s", *suffix ? " " : "", suffix);
    return true;
}

static bool read_choices(tfw_run_t *run, tfw_crawl_request_t *request)
{
    const json_t *payload = tfw_run_payload(run), *robots = json_object_get(payload, "respect_robots"),
                 *same_site = json_object_get(payload, "same_site");
    const char *site = same_site ? json_string_value(same_site) : "host";

    request->domain = site && strcmp(site, "domain") == 0;
    if (!site || (!request->domain && strcmp(site, "host") != 0)) {
        tfw_run_error(run, "payload: \"same_site\" must be \"host\" or \"domain\"");
        return false;
    }
    request->respect_robots = !json_is_false(robots);
    if (robots && !json_is_boolean(robots)) {
        tfw_run_error(run, "payload: \"respect_robots\" must be true or false");
        return false;
    }
    if (!request->respect_robots && strcmp(settings.robots, "optional") != 0) {
        tfw_run_error(run, "payload: \"respect_robots\" cannot be false here (TASKFORGE_SCRAPING_ROBOTS)");
        return false;
    }
    return true;
}

static bool read_payload(tfw_run_t *run, tfw_crawl_request_t *request)
{
    const json_t *payload = tfw_run_payload(run);
    char error[300];
    int64_t timeout;

    if (!read_url(run, request->url) || !read_number(run, "depth", 0, 5, 0, &request->depth) ||
        !read_number(run, "max_pages", 1, 1000, 20, &request->max_pages) ||
        !read_number(run, "max_bytes", 1024, 8 << 20, 2 << 20, &request->max_bytes) ||
        !read_number(run, "delay_ms", 0, 60000, 500, &request->delay_ms) ||
        !read_number(run, "timeout", 1, 60, 20, &timeout) || !read_paths(run, "include", &request->include) ||
        !read_paths(run, "exclude", &request->exclude) ||
        !read_agent(run, request->agent, sizeof(request->agent)) || !read_choices(run, request)) {
        return false;
    }
    request->timeout_ms = timeout * 1000;
    if (!tfw_extract_init(&request->extract, json_object_get(payload, "selectors"),
                          json_object_get(payload, "extract"), error, sizeof(error))) {
        tfw_run_error(run, "payload: %s", error);
        return false;
    }
    return true;
}

static tfw_outcome_t web_scraping_run(tfw_run_t *run)
{
    tfw_crawl_request_t request = {.depth = 0};
    tfw_outcome_t outcome;

    if (!read_payload(run, &request)) {
        return TFW_PERMANENT;
    }
    outcome = tfw_crawl(run, &request);
    tfw_extract_free(&request.extract);
    return outcome;
}

#define SELECTOR                                                                                             \
    "{\"anyOf\":[{\"type\":\"string\",\"minLength\":1,\"maxLength\":512,\"description\":\"a CSS selector: "  \
    "the text of its first match\"},"                                                                        \
    "{\"type\":\"object\",\"properties\":{"                                                                  \
    "\"css\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":512},"                                       \
    "\"xpath\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":512},"                                     \
    "\"type\":{\"enum\":[\"text\",\"html\",\"attribute\",\"links\",\"table\"],\"default\":\"text\"},"        \
    "\"attribute\":{\"type\":\"string\",\"minLength\":1,\"description\":\"its name\"},"                      \
    "\"all\":{\"type\":\"boolean\",\"default\":false,\"description\":\"a list of all matches\"}},"           \
    "\"additionalProperties\":false}]}"

TF_HANDLER(web_scraping) = {
    .type = "web_scraping",
    .description = "Visits pages of a web site and extracts texts, links and tables by CSS or XPath.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"url\":{\"type\":\"string\",\"format\":\"uri\",\"minLength\":8,\"maxLength\":2048,"
        "\"description\":\"the page to begin with, http or https\",\"examples\":[\"https://example.com/\"]},"
        "\"depth\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":5,\"default\":0,\"description\":\"links "
        "followed from the first page; 0: only that page\"},"
        "\"max_pages\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":20},"
        "\"max_bytes\":{\"type\":\"integer\",\"minimum\":1024,\"maximum\":8388608,\"default\":2097152,"
        "\"description\":\"of a page; the rest is not read\"},"
        "\"same_site\":{\"enum\":[\"host\",\"domain\"],\"default\":\"host\",\"description\":\"links that are "
        "followed: to the same host, or also to names below it\"},"
        "\"include\":{\"type\":\"array\",\"maxItems\":50,\"items\":{\"type\":\"string\",\"minLength\":1},"
        "\"description\":\"only links whose paths begin with one of these\",\"examples\":[[\"/docs/\"]]},"
        "\"exclude\":{\"type\":\"array\",\"maxItems\":50,\"items\":{\"type\":\"string\",\"minLength\":1},"
        "\"description\":\"no links whose paths begin with one of these\"},"
        "\"selectors\":{\"type\":[\"object\",\"array\"],\"maxProperties\":50,\"maxItems\":50,"
        "\"additionalProperties\":" SELECTOR ",\"items\":{\"type\":\"string\",\"minLength\":1,"
        "\"maxLength\":512},\"description\":\"what to take from each page, by name; or a list of CSS "
        "selectors\",\"examples\":[{\"heading\":\"h1\",\"prices\":{\"css\":\".price\",\"all\":true}}]},"
        "\"extract\":{\"type\":\"array\",\"maxItems\":5,\"items\":{\"enum\":[\"text\",\"links\",\"tables\","
        "\"meta\",\"images\"]},\"description\":\"whole parts of each page\"},"
        "\"user_agent\":{\"type\":\"string\",\"maxLength\":100,\"description\":\"added to the User-Agent, "
        "e.g. an address to complain to\"},"
        "\"respect_robots\":{\"type\":\"boolean\",\"default\":true},"
        "\"delay_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":60000,\"default\":500,\"description\":"
        "\"between two requests to one host\"},"
        "\"timeout\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":60,\"default\":20,\"description\":"
        "\"seconds for each request\"}},\"required\":[\"url\"],\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = 1800,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = web_scraping_run,
    .io_bound = true,
};
