#include "scrape/robots.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "job.h"

typedef struct {
    char *pattern; /* malloc, normalized */
    size_t len;
    bool allow;
} rule_t;

/* The rules of groups that name the crawler, or of those for everybody. */
typedef struct {
    rule_t *rules;
    size_t count, size;
    int64_t delay_ms;
    bool found;
} group_t;

struct tfw_robots_s {
    group_t own, all;
    const group_t *used;
    bool failed; /* out of memory */
};

/* ---- paths ---- */

static int hex_of(char byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

static bool is_unreserved(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

void tfw_path_normalize(tf_buf_t *out, const char *path, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)path[i];

        if (byte == '%' && i + 2 < len && hex_of(path[i + 1]) >= 0 && hex_of(path[i + 2]) >= 0) {
            byte = (unsigned char)(hex_of(path[i + 1]) * 16 + hex_of(path[i + 2]));
            i += 2;
            if (!is_unreserved(byte)) {
                tf_buf_addf(out, "%%%02X", byte);
                continue;
            }
        } else if (byte <= ' ' || byte > '~' || strchr("\"<>\\^`{|}", byte)) {
            tf_buf_addf(out, "%%%02X", byte);
            continue;
        }
        tf_buf_addc(out, (char)byte);
    }
}

/* ---- reading ---- */

static void add_rule(tfw_robots_t *robots, group_t *group, tf_str_t value, bool allow)
{
    tf_buf_t pattern = TF_BUF_INIT;
    size_t from = 0;

    if (value.len == 0 || group->count == TFW_ROBOTS_RULES_MAX) {
        return; /* without a path it says nothing */
    }
    if (group->count == group->size) {
        size_t size = group->size ? group->size * 2 : 16;
        rule_t *rules = realloc(group->rules, size * sizeof(*rules));

        if (!rules) {
            robots->failed = true;
            return;
        }
        group->rules = rules;
        group->size = size;
    }
    for (size_t i = 0; i < value.len; i++) { /* only a '$' at the end is the end */
        if (value.data[i] == '$' && i + 1 < value.len) {
            tfw_path_normalize(&pattern, value.data + from, i - from);
            tf_buf_adds(&pattern, "%24");
            from = i + 1;
        }
    }
    tfw_path_normalize(&pattern, value.data + from, value.len - from);
    (void)tf_buf_cstr(&pattern);
    if (pattern.failed) {
        tf_buf_free(&pattern);
        robots->failed = true;
        return;
    }
    group->rules[group->count++] = (rule_t){pattern.data, pattern.len, allow};
}

static tf_str_t trimmed(const char *from, const char *end)
{
    while (from < end && (*from == ' ' || *from == '\t')) {
        from++;
    }
    while (end > from && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return (tf_str_t){from, (size_t)(end - from)};
}

static bool is(tf_str_t text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

/* The product token that a user-agent line begins with: "TaskForge/1.0" is for TaskForge. */
static bool names(tf_str_t value, const char *product)
{
    size_t len = 0;

    while (len < value.len && (value.data[len] == '-' || value.data[len] == '_' ||
                               ((value.data[len] | 0x20) >= 'a' && (value.data[len] | 0x20) <= 'z'))) {
        len++;
    }
    return is((tf_str_t){value.data, len}, product);
}

/* Seconds, perhaps with a fraction; at most an hour. */
static int64_t delay_of(tf_str_t value)
{
    int64_t ms = 0, unit = 1000;
    bool fraction = false;

    for (size_t i = 0; i < value.len; i++) {
        char byte = value.data[i];

        if (byte == '.' && !fraction) {
            fraction = true;
        } else if (byte < '0' || byte > '9') {
            return 0;
        } else if (fraction) {
            unit /= 10;
            ms += (byte - '0') * unit;
        } else {
            ms = ms * 10 + (byte - '0') * 1000;
            ms = ms < 3600000 ? ms : 3600000;
        }
    }
    return ms < 3600000 ? ms : 3600000;
}

/* Which groups the lines that come are of. */
typedef struct {
    bool own, all;
    bool in_rules; /* the next user-agent line begins another group */
} place_t;

static void read_line(tfw_robots_t *robots, place_t *place, const char *line, const char *end,
                      const char *product)
{
    const char *hash = memchr(line, '#', (size_t)(end - line)), *colon;
    group_t *groups[] = {place->own ? &robots->own : NULL, place->all ? &robots->all : NULL};
    tf_str_t key, value;

    end = hash ? hash : end;
    colon = memchr(line, ':', (size_t)(end - line));
    if (!colon) {
        return;
    }
    key = trimmed(line, colon);
    value = trimmed(colon + 1, end);
    if (is(key, "user-agent")) {
        bool own = names(value, product), all = is(value, "*");

        *place = (place_t){(!place->in_rules && place->own) || own, (!place->in_rules && place->all) || all,
                           false};
        robots->own.found = robots->own.found || own;
        robots->all.found = robots->all.found || all;
        return;
    }
    if (!is(key, "allow") && !is(key, "disallow") && !is(key, "crawl-delay")) {
        return; /* Sitemap and others stand outside of groups */
    }
    place->in_rules = true;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (groups[i] && is(key, "crawl-delay")) {
            groups[i]->delay_ms = delay_of(value);
        } else if (groups[i]) {
            add_rule(robots, groups[i], value, is(key, "allow"));
        }
    }
}

tfw_robots_t *tfw_robots_parse(const char *text, size_t len, const char *product)
{
    tfw_robots_t *robots = calloc(1, sizeof(*robots));
    place_t place = {false, false, false};
    const char *end;

    if (!robots) {
        return NULL;
    }
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        len -= 3;
    }
    end = text + (len < TFW_ROBOTS_MAX ? len : TFW_ROBOTS_MAX);
    while (text < end) {
        const char *stop = text;

        while (stop < end && *stop != '\n' && *stop != '\r') {
            stop++;
        }
        read_line(robots, &place, text, stop, product);
        text = stop + 1;
    }
    robots->used = robots->own.found ? &robots->own : &robots->all;
    if (robots->failed) {
        tfw_robots_free(robots);
        return NULL;
    }
    return robots;
}

static void free_rules(group_t *group)
{
    for (size_t i = 0; i < group->count; i++) {
        free(group->rules[i].pattern);
    }
    free(group->rules);
}

void tfw_robots_free(tfw_robots_t *robots)
{
    if (robots) {
        free_rules(&robots->own);
        free_rules(&robots->all);
        free(robots);
    }
}

/* ---- asking ---- */

/* '*' is any run of characters, '$' at the end is the end; else the pattern is a beginning. Each piece
 * between stars is looked for as early as possible, so this takes one pass, whatever the pattern. */
static bool matches(const rule_t *rule, const char *path, size_t len)
{
    const char *pattern = rule->pattern, *end = rule->pattern + rule->len, *at = path, *path_end = path + len;
    bool anchored = rule->len > 0 && end[-1] == '$', first = true;

    end -= anchored;
    for (;;) {
        const char *star = memchr(pattern, '*', (size_t)(end - pattern)), *stop = star ? star : end;
        size_t piece = (size_t)(stop - pattern), left = (size_t)(path_end - at);

        if (first) {
            if (piece > left || memcmp(pattern, at, piece) != 0) {
                return false;
            }
            at += piece;
        } else if (!star && anchored) {
            return piece <= left && memcmp(path_end - piece, pattern, piece) == 0;
        } else if (piece > 0) {
            at = memmem(at, left, pattern, piece);
            if (!at) {
                return false;
            }
            at += piece;
        }
        if (!star) {
            return !anchored || at == path_end;
        }
        first = false;
        pattern = star + 1;
    }
}

/* A star or dollar of the path is no wildcard: patterns have them as %2A and %24. */
static void normalize_literally(tf_buf_t *out, const char *path)
{
    size_t span;

    for (; *path; path += span) {
        span = strcspn(path, "*$");
        tfw_path_normalize(out, path, span);
        if (path[span]) {
            tf_buf_addf(out, "%%%02X", path[span]);
            span++;
        }
    }
}

/* Whether one of the rules matches better than what was found. */
static void judge(const group_t *group, const tf_buf_t *path, size_t *longest, bool *allowed)
{
    for (size_t i = 0; i < group->count; i++) {
        const rule_t *rule = &group->rules[i];

        if ((rule->len > *longest || (rule->len == *longest && rule->allow)) &&
            matches(rule, path->data, path->len)) {
            *longest = rule->len;
            *allowed = rule->allow;
        }
    }
}

bool tfw_robots_allows(const tfw_robots_t *robots, const char *path)
{
    tf_buf_t normal = TF_BUF_INIT;
    size_t longest = 0;
    bool allowed = true;

    if (strcmp(path, "/robots.txt") == 0) {
        return true; /* RFC 9309, 2.2.2 */
    }
    normalize_literally(&normal, path);
    if (normal.failed) {
        tf_buf_free(&normal);
        return false;
    }
    if (normal.len > 0) {
        judge(robots->used, &normal, &longest, &allowed);
    }
    tf_buf_free(&normal);
    return allowed;
}

int64_t tfw_robots_delay_ms(const tfw_robots_t *robots)
{
    return robots->used->delay_ms;
}
