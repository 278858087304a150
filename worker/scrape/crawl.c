#include "scrape/crawl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apart.h"
#include "held.h"
#include "http_call.h"
#include "scrape/robots.h"
#include "scrape/sites.h"
#include "transfer.h"

#define REDIRECTS_MAX 5
#define VISITS_MAX 5    /* that a page of the result may cost: the others are errors, or no pages */
#define KNOWN_MAX 20000 /* URLs that are remembered */
#define SHORT_MAX 65536 /* bytes that are read of whatever it is */
#define ERRORS_MAX 100  /* that are listed */
#define TAIL_MAX 65536  /* bytes of the result for what stands around the pages */
#define CLOSE_MAX 64    /* bytes of the ends of what fitted */
/* What a page may take: strangers make them, and callers the selectors. */
#define PAGE_CPU_MS 1500          /* to become a tree; and once more for what follows the selectors */
#define SELECTOR_CPU_MS 1000      /* each */
#define ALL_CPU_MS 5000           /* together */
#define PAGE_MEMORY (384LL << 20) /* bytes */

/* A page that is to be visited. */
typedef struct {
    char *url; /* malloc */
    int depth;
} target_t;

typedef struct {
    tfw_run_t *run;
    const tfw_crawl_request_t *request;
    tfw_site_t site;
    tfw_sites_t hosts;
    json_t *known; /* URLs as the members of an object */
    target_t *targets;
    size_t ntargets, next, size;
    tfw_sheet_t sheet;
    tf_buf_t errors;   /* elements of a JSON array */
    size_t errors_max; /* bytes */
    int64_t pages, bytes, nerrors, by_robots, not_html, redirected;
    bool truncated;        /* something was left out */
    bool full;             /* there is no room for another page */
    tfw_outcome_t outcome; /* of the crawl as a whole: TFW_OK, or it ends */
} crawl_t;

/* A page that was fetched, and what its process says before the texts. */
typedef struct {
    crawl_t *crawl;
    const tfw_http_answer_t *answer;
    int depth;
} page_work_t;

typedef struct {
    int64_t pages;
    bool truncated, full;
    size_t json; /* bytes of it */
} page_head_t;

/* ---- what is to be visited ---- */

static bool begins_with_one_of(const char *path, const json_t *prefixes)
{
    for (size_t i = 0; i < json_array_size(prefixes); i++) {
        const char *prefix = json_string_value(json_array_get(prefixes, i));
        tf_buf_t normal = TF_BUF_INIT;
        bool yes;

        tfw_path_normalize(&normal, prefix, strlen(prefix));
        yes = normal.len > 0 && strncmp(path, normal.data, normal.len) == 0;
        tf_buf_free(&normal);
        if (yes) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const crawl_t *c, const char *url)
{
    const char *path = tfw_url_path(url);

    return tfw_site_has(&c->site, url) &&
           (!c->request->include || begins_with_one_of(path, c->request->include)) &&
           !begins_with_one_of(path, c->request->exclude);
}

/* true: it is a new one, and known from now on. */
static bool learn(crawl_t *c, const char *url)
{
    if (json_object_get(c->known, url)) {
        return false;
    }
    if (json_object_size(c->known) >= KNOWN_MAX) {
        c->truncated = true;
        return false;
    }
    return json_object_set_new(c->known, url, json_true()) == 0;
}

static void add_target(crawl_t *c, const char *url, int depth)
{
    if (!learn(c, url)) {
        return;
    }
    if (c->ntargets == c->size) {
        size_t size = c->size ? c->size * 2 : 64;
        target_t *targets = realloc(c->targets, size * sizeof(*targets));

        if (!targets) {
            return;
        }
        c->targets = targets;
        c->size = size;
    }
    c->targets[c->ntargets] = (target_t){strdup(url), depth};
    c->ntargets += c->targets[c->ntargets].url != NULL;
}

static bool has_word(const char *text, const char *word)
{
    return text && strcasestr(text, word) != NULL;
}

/* The page asks that its links are not followed. */
static bool forbids_links(const tfw_page_t *page)
{
    xmlNodePtr root = (xmlNodePtr)page->doc;

    for (xmlNodePtr node = root; node; node = tfw_node_next(root, node, true)) {
        const char *content = tfw_node_is(node, "meta") ? tfw_node_attribute(node, "content") : NULL;
        const char *name = content ? tfw_node_attribute(node, "name") : NULL;

        if (name && (strcasecmp(name, "robots") == 0 || strcasecmp(name, TFW_CRAWL_PRODUCT) == 0)) {
            return has_word(content, "nofollow") || has_word(content, "none");
        }
    }
    return false;
}

/* Appends the URLs of the links that are to be followed, each with a NUL. */
static void list_links(const crawl_t *c, const tfw_page_t *page, tf_buf_t *urls)
{
    xmlNodePtr root = (xmlNodePtr)page->doc;
    size_t count = 0;

    if (c->request->respect_robots && forbids_links(page)) {
        return;
    }
    for (xmlNodePtr node = root; node && count < TFW_LINKS_MAX; node = tfw_node_next(root, node, true)) {
        const char *href = tfw_node_link(node);
        char url[TFW_URL_SIZE];

        if (!href || (c->request->respect_robots && has_word(tfw_node_attribute(node, "rel"), "nofollow"))) {
            continue;
        }
        count++;
        if (tfw_url_resolve(page->base, href, strlen(href), url) && is_wanted(c, url)) {
            tf_buf_add(urls, url, strlen(url) + 1);
        }
    }
}

/* ---- what is said ---- */

/* The start page decides about the job; the others are listed. */
static void fail(crawl_t *c, const char *url, tfw_outcome_t outcome, const char *why)
{
    if (c->next == 1) {
        tfw_run_error(c->run, "%s: %s", url, why);
        c->outcome = outcome;
        return;
    }
    c->nerrors++;
    if (c->nerrors <= ERRORS_MAX && c->errors.len < c->errors_max) {
        if (c->errors.len) {
            tf_buf_addc(&c->errors, ',');
        }
        tf_buf_addc(&c->errors, '{');
        tf_json_kcstr(&c->errors, "url", url);
        tf_json_kcstr(&c->errors, "error", why);
        tf_buf_addc(&c->errors, '}');
    }
}

static void add_title(tf_buf_t *json, const tfw_page_t *page)
{
    xmlNodePtr root = (xmlNodePtr)page->doc, node = root;
    tf_buf_t title = {.limit = 1024};

    while (node && !tfw_node_is(node, "title")) {
        node = tfw_node_next(root, node, true);
    }
    if (node) {
        tfw_node_text(&title, node, false);
    }
    tf_json_kstr(json, "title", node ? (title.data ? title.data : "") : NULL, title.len);
    tf_buf_free(&title);
}

/* The members that every page has; the object stays open. */
static size_t begin_page(crawl_t *c, const tfw_http_answer_t *answer, int depth)
{
    tf_buf_t *json = &c->sheet.json;
    size_t from = json->len;

    if (from > 0) {
        tf_buf_addc(json, ',');
    }
    tf_buf_addc(json, '{');
    tf_json_kcstr(json, "url", answer->url);
    tf_json_kint(json, "status", answer->status);
    tf_json_kint(json, "depth", depth);
    return from;
}

/* What has no room is forgotten. */
static void end_page(crawl_t *c, size_t from)
{
    tf_buf_addc(&c->sheet.json, '}');
    if (c->sheet.json.len > c->sheet.max + CLOSE_MAX) {
        c->sheet.json.len = from;
        c->truncated = c->full = true;
        return;
    }
    c->pages++;
}

static void write_redirect(crawl_t *c, const tfw_http_answer_t *answer, const char *to, int depth)
{
    size_t from = begin_page(c, answer, depth);

    tf_json_kcstr(&c->sheet.json, "redirect", to);
    end_page(c, from);
}

/* Closes the object, too. */
static void write_page(crawl_t *c, const page_work_t *work, const tfw_page_t *page, char *warning,
                       size_t warning_size)
{
    const tfw_http_answer_t *answer = work->answer;
    size_t from = begin_page(c, answer, work->depth);
    bool whole = !answer->cut && !page->cut;

    add_title(&c->sheet.json, page);
    tf_json_kint(&c->sheet.json, "bytes", (int64_t)answer->body.len);
    c->sheet.truncated = false;
    tfw_extract_page(&c->request->extract, page, &c->sheet, warning, warning_size);
    c->truncated = c->truncated || c->sheet.truncated;
    c->full = c->sheet.truncated && c->sheet.json.len + 2 * TFW_URL_SIZE > c->sheet.max;
    if (!whole || c->sheet.truncated) {
        tf_json_kbool(&c->sheet.json, "truncated", true);
    }
    end_page(c, from);
}

/* ---- a page, in a process of its own ---- */

static void begin_selector(void *data, const tfw_selector_t *selector)
{
    if (selector) {
        tfw_apart_step(data, SELECTOR_CPU_MS, "the selector \"%.64s\"", selector->name);
    } else {
        tfw_apart_step(data, PAGE_CPU_MS, "the page");
    }
}

/* Answers with what has changed in the crawl, the page's JSON, a warning and the links. */
static void read_apart(void *data, tfw_apart_t *apart, tf_buf_t *answer)
{
    const page_work_t *work = data;
    crawl_t *c = work->crawl; /* a copy */
    const tfw_http_answer_t *http = work->answer;
    size_t from = c->sheet.json.len;
    char warning[200] = "";
    page_head_t head;
    tfw_page_t page;

    tfw_apart_step(apart, PAGE_CPU_MS, "the page");
    if (!tfw_page_parse(&page, http->body.data ? http->body.data : "", http->body.len, http->content_type,
                        http->url)) {
        answer->failed = true;
        return;
    }
    c->sheet.begins = begin_selector;
    c->sheet.data = apart;
    write_page(c, work, &page, warning, sizeof(warning));
    head = (page_head_t){
        .pages = c->pages, .truncated = c->truncated, .full = c->full, .json = c->sheet.json.len - from};
    tf_buf_add(answer, &head, sizeof(head));
    tf_buf_add(answer, c->sheet.json.data + from, head.json);
    tf_buf_add(answer, warning, strlen(warning) + 1);
    if (work->depth < c->request->depth) {
        list_links(c, &page, answer);
    }
    answer->failed = answer->failed || c->sheet.json.failed;
}

/* The answer of read_apart. false: it is none. */
static bool take_page(crawl_t *c, const page_work_t *work, const tf_buf_t *answer)
{
    const char *at = answer->data, *end;
    page_head_t head;

    if (answer->len < sizeof(head) || at[answer->len - 1] != '\0') {
        return false;
    }
    end = at + answer->len;
    memcpy(&head, at, sizeof(head));
    at += sizeof(head);
    if (head.json >= (size_t)(end - at)) {
        return false;
    }
    tf_buf_add(&c->sheet.json, at, head.json);
    at += head.json;
    c->pages = head.pages;
    c->truncated = head.truncated;
    c->full = head.full;
    if (head.json > 0 && *at) {
        tfw_run_log(c->run, "warning", "%s: %s", work->answer->url, at);
    }
    for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) {
        add_target(c, at, work->depth + 1);
    }
    return true;
}

static void read_page(crawl_t *c, const tfw_http_answer_t *http, int depth)
{
    page_work_t data = {.crawl = c, .answer = http, .depth = depth};
    const tfw_apart_work_t work = {.work = read_apart,
                                   .data = &data,
                                   .cpu_ms = ALL_CPU_MS,
                                   .memory_bytes = PAGE_MEMORY,
                                   .answer_max = c->sheet.max + TFW_LINKS_MAX * TFW_URL_SIZE + TAIL_MAX};
    tf_buf_t answer = TF_BUF_INIT;
    char error[300];
    tfw_apart_end_t end = tfw_apart(c->run, &work, &answer, error, sizeof(error));

    if (end == TFW_APART_DONE && !take_page(c, &data, &answer)) {
        snprintf(error, sizeof(error), "the process that read it gave no answer");
        end = TFW_APART_FAILED;
    }
    if (end == TFW_APART_TOO_MUCH || end == TFW_APART_FAILED) {
        fail(c, http->url, end == TFW_APART_FAILED ? TFW_RETRY : TFW_PERMANENT, error);
    }
    tf_buf_free(&answer);
}

/* ---- a visit ---- */

static bool is_html(const tfw_http_answer_t *answer)
{
    const char *type = answer->content_type;
    size_t len = strcspn(type, "; \t");

    return len == 0 || (len == 9 && strncasecmp(type, "text/html", len) == 0) ||
           (len == 21 && strncasecmp(type, "application/xhtml+xml", len) == 0);
}

/* What is no page is not read, unless that is cheaper than another connection. */
static bool on_body(void *data, const tfw_http_answer_t *answer, const char *bytes, size_t len)
{
    (void)data;
    (void)bytes;
    (void)len;
    return answer->body_read <= SHORT_MAX || (answer->status < 300 && is_html(answer));
}

static void fetch(crawl_t *c, const char *url, tfw_http_answer_t *answer)
{
    char agent[sizeof(c->request->agent) + 16];
    const char *const headers[] = {agent, "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.1", NULL};
    const tfw_http_request_t request = {.url = url,
                                        .headers = headers,
                                        .timeout_ms = c->request->timeout_ms,
                                        .decode = true,
                                        .keep_max = (size_t)c->request->max_bytes,
                                        .read_max = (size_t)c->request->max_bytes,
                                        .on_body = on_body};

    snprintf(agent, sizeof(agent), "User-Agent: %s", c->request->agent);
    tfw_http_call(c->run, &request, answer);
    c->bytes += (int64_t)answer->body_read;
}

/* No answer, or one that is an error. */
static void judge(crawl_t *c, const tfw_http_answer_t *answer)
{
    enum { REQUEST_TIMEOUT = 408, TOO_EARLY = 425, TOO_MANY = 429, SERVER_ERROR = 500 };
    int status = answer->status;
    bool again = status ? status >= SERVER_ERROR || status == REQUEST_TIMEOUT || status == TOO_EARLY ||
                              status == TOO_MANY
                        : !answer->refused;
    char why[600];

    if (status) {
        snprintf(why, sizeof(why), "HTTP status %d", status);
    } else {
        snprintf(why, sizeof(why), "%s", answer->error);
    }
    if (again && answer->retry_after_seconds >= 0 && c->next == 1) {
        tfw_run_retry_after(c->run, answer->retry_after_seconds);
    }
    fail(c, answer->url, again ? TFW_RETRY : TFW_PERMANENT, why);
}

/* The answer of a page; true: it is a redirect that leads on to url, within the site. */
static bool use_answer(crawl_t *c, const tfw_http_answer_t *answer, int depth, char url[TFW_URL_SIZE])
{
    enum { NOT_MODIFIED = 304 };
    tf_str_t location = tfw_http_header(answer, "location");
    char why[200];

    if (answer->status >= 300 && answer->status < 400 && answer->status != NOT_MODIFIED && location.data) {
        if (!tfw_url_resolve(answer->url, location.data, location.len, url)) {
            fail(c, answer->url, TFW_PERMANENT, "it redirects to what is no http or https URL");
            return false;
        }
        if (!tfw_site_has(&c->site, url)) {
            c->redirected++;
            write_redirect(c, answer, url, depth);
            return false;
        }
        if (c->next == 1 && json_object_get(c->known, url)) {
            fail(c, answer->url, TFW_PERMANENT, "it redirects in a circle");
        }
        return learn(c, url);
    }
    if (answer->status < 200 || answer->status >= 300) {
        judge(c, answer);
    } else if (!is_html(answer)) {
        c->not_html++;
        snprintf(why, sizeof(why), "it is not HTML but %s", answer->content_type);
        if (c->next == 1) {
            fail(c, answer->url, TFW_PERMANENT, why);
        }
    } else {
        read_page(c, answer, depth);
    }
    return false;
}

/* Whether robots.txt lets us; what it asks for in time is waited for. */
static bool may_fetch(crawl_t *c, const char *url)
{
    const char *why = NULL;
    tfw_site_answer_t answer = tfw_sites_ask(&c->hosts, url, &why);

    switch (answer) {
    case TFW_SITE_ALLOWED:
        return true;
    case TFW_SITE_FORBIDDEN:
        c->by_robots++;
        if (c->next == 1) {
            fail(c, url, TFW_PERMANENT, "robots.txt does not allow it");
        }
        return false;
    case TFW_SITE_REFUSED:
        fail(c, url, TFW_PERMANENT, why);
        return false;
    case TFW_SITE_UNKNOWN:
        fail(c, url, TFW_RETRY, why);
        return false;
    case TFW_SITE_CANCELLED:
        break;
    }
    return false;
}

static void visit(crawl_t *c, const target_t *target)
{
    char url[TFW_URL_SIZE];
    bool more = true;

    snprintf(url, sizeof(url), "%s", target->url);
    for (int hops = 0; more; hops++) {
        tfw_http_answer_t answer;

        if (hops > REDIRECTS_MAX) {
            fail(c, url, TFW_PERMANENT, "more than 5 redirects");
            return;
        }
        if (!may_fetch(c, url)) {
            return;
        }
        fetch(c, url, &answer);
        tfw_sites_done(&c->hosts, url, &answer);
        more = !answer.cancelled && use_answer(c, &answer, target->depth, url);
        tfw_http_answer_free(&answer);
    }
}

/* ---- the whole ---- */

static void write_result(crawl_t *c)
{
    tf_buf_t json = TF_BUF_INIT;
    bool more = c->next < c->ntargets;

    tf_buf_addc(&json, '{');
    tf_json_kcstr(&json, "url", c->request->url);
    tf_json_kint(&json, "depth", c->request->depth);
    tf_json_key(&json, "pages");
    tf_buf_addc(&json, '[');
    tf_buf_add(&json, c->sheet.json.data, c->sheet.json.len);
    tf_buf_addc(&json, ']');
    tf_json_key(&json, "stats");
    tf_buf_addc(&json, '{');
    tf_json_kint(&json, "pages", c->pages);
    tf_json_kint(&json, "bytes", c->bytes);
    tf_json_kint(&json, "skipped_by_robots", c->by_robots);
    tf_json_kint(&json, "skipped_not_html", c->not_html);
    tf_json_kint(&json, "redirected_off_site", c->redirected);
    tf_json_kint(&json, "errors", c->nerrors);
    tf_buf_addc(&json, '}');
    tf_json_key(&json, "errors");
    tf_buf_addc(&json, '[');
    tf_buf_add(&json, c->errors.data, c->errors.len);
    tf_buf_addc(&json, ']');
    tf_json_kbool(&json, "truncated", c->truncated || more);
    tf_buf_addc(&json, '}');
    json.failed = json.failed || c->sheet.json.failed || c->errors.failed;
    tfw_run_result(c->run, tf_buf_cstr(&json), json.failed ? 0 : json.len);
    tf_buf_free(&json);
}

static void visit_all(crawl_t *c)
{
    add_target(c, c->request->url, 0);
    while (c->next < c->ntargets && c->pages < c->request->max_pages &&
           (int64_t)c->next < VISITS_MAX * c->request->max_pages && c->outcome == TFW_OK && !c->full &&
           !c->sheet.json.failed) {
        const target_t target = c->targets[c->next++]; /* the list may move */

        visit(c, &target);
        if (tfw_run_cancelled(c->run)) {
            c->outcome = TFW_CANCELLED;
        }
        tfw_run_progress(c->run, (int)(100 * c->pages / c->request->max_pages));
    }
}

tfw_outcome_t tfw_crawl(tfw_run_t *run, const tfw_crawl_request_t *request)
{
    size_t room = tfw_run_result_max(run), tail = room / 4 < TAIL_MAX ? room / 4 : TAIL_MAX;
    crawl_t c = {.run = run,
                 .request = request,
                 .known = json_object(),
                 .sheet = {.max = room - tail},
                 .errors_max = tail / 2,
                 .outcome = TFW_OK};

    tfw_site_of(&c.site, request->url, request->domain);
    tfw_sites_init(&c.hosts, run, request);
    visit_all(&c);
    if (c.outcome == TFW_OK || c.outcome == TFW_CANCELLED) {
        write_result(&c);
        tfw_run_log(run, "info", "%lld pages, %lld errors", (long long)c.pages, (long long)c.nerrors);
    }
    for (size_t i = 0; i < c.ntargets; i++) {
        free(c.targets[i].url);
    }
    free(c.targets);
    json_decref(c.known);
    tfw_sites_free(&c.hosts);
    tf_buf_free(&c.sheet.json);
    tf_buf_free(&c.errors);
    return c.outcome;
}
