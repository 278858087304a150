#include "mail/mustache.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"

#define NAME_SHOWN 64 /* bytes of a name in an error */

typedef enum { TEXT, VALUE, RAW_VALUE, SECTION, INVERTED } kind_t;

/* A piece of the template, in order. */
typedef struct {
    kind_t kind;
    tf_str_t text; /* literal text, or the name */
    size_t end;    /* of sections: the index behind what is in them */
} node_t;

typedef struct {
    const char *text;
    size_t len;
    size_t at; /* of what is to be read next */
    node_t *nodes;
    size_t count, room;
    size_t open[TFW_MUSTACHE_DEPTH_MAX]; /* nodes of the sections that are not closed yet */
    int depth;
    char *error;
    size_t error_size;
} parser_t;

typedef struct {
    const node_t *nodes;
    bool html;
    tf_buf_t *out;
    const json_t *stack[TFW_MUSTACHE_DEPTH_MAX + 1]; /* the innermost is the last */
    int depth;                                       /* entries of the stack */
    int steps;
} renderer_t;

/* ---- reading ---- */

__attribute__((format(printf, 3, 4))) static bool fail(const parser_t *p, const char *at, const char *fmt,
                                                       ...)
{
    char text[160];
    va_list args;
    int line = 1;

    for (const char *c = p->text; c < at; c++) {
        line += *c == '\n';
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    snprintf(p->error, p->error_size, "line %d: %s", line, text);
    return false;
}

static bool add(parser_t *p, kind_t kind, const char *text, size_t len)
{
    if (p->count == p->room) {
        size_t room = p->room ? p->room * 2 : 32;
        node_t *longer = realloc(p->nodes, room * sizeof(*longer));

        if (!longer) {
            snprintf(p->error, p->error_size, "out of memory");
            return false;
        }
        p->nodes = longer;
        p->room = room;
    }
    p->nodes[p->count++] = (node_t){.kind = kind, .text = {text, len}};
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_blank(c) || c == '\n' || c == '\r';
}

static tf_str_t trim(const char *from, const char *to)
{
    while (from < to && is_space(*from)) {
        from++;
    }
    while (to > from && is_space(to[-1])) {
        to--;
    }
    return (tf_str_t){from, (size_t)(to - from)};
}

/* Whether nothing else is in the line of a tag: then *left is where the line begins, *right where the next
 * one does. from: what has been read before the tag ends there. */
static bool stands_alone(const parser_t *p, const char *from, const char *open, const char *close,
                         const char **left, const char **right)
{
    const char *end = p->text + p->len, *a = open, *b = close;

    while (a > from && is_blank(a[-1])) {
        a--;
    }
    while (b < end && is_blank(*b)) {
        b++;
    }
    if (b + 1 < end && b[0] == '\r' && b[1] == '\n') {
        b++;
    }
    if ((a > p->text && a[-1] != '\n') || (b < end && *b != '\n')) {
        return false;
    }
    *left = a;
    *right = b < end ? b + 1 : b;
    return true;
}

static bool close_section(parser_t *p, const char *open, tf_str_t name)
{
    const node_t *node;

    if (p->depth == 0) {
        return fail(p, open, "{{/%.*s}} closes nothing", (int)(name.len < NAME_SHOWN ? name.len : NAME_SHOWN),
                    name.data);
    }
    node = &p->nodes[p->open[--p->depth]];
    if (node->text.len != name.len || memcmp(node->text.data, name.data, name.len) != 0) {
        return fail(p, open, "{{/%.*s}} stands where {{/%.*s}} is missing",
                    (int)(name.len < NAME_SHOWN ? name.len : NAME_SHOWN), name.data,
                    (int)(node->text.len < NAME_SHOWN ? node->text.len : NAME_SHOWN), node->text.data);
    }
    p->nodes[p->open[p->depth]].end = p->count;
    return true;
}

static bool open_section(parser_t *p, const char *open, kind_t kind, tf_str_t name)
{
    if (p->depth == TFW_MUSTACHE_DEPTH_MAX) {
        return fail(p, open, "more than %d sections in each other", TFW_MUSTACHE_DEPTH_MAX);
    }
    p->open[p->depth++] = p->count;
    return add(p, kind, name.data, name.len);
}

static bool name_valid(tf_str_t name)
{
    bool dot = true; /* before the first character, too */

    for (size_t i = 0; i < name.len; i++) {
        if (is_space(name.data[i]) || (dot && name.data[i] == '.' && name.len > 1)) {
            return false;
        }
        dot = name.data[i] == '.';
    }
    return name.len == 1 || (name.len && !dot);
}

/* The tag at open, of which `inner` is what stands between its braces, without the sigil. */
static bool read_tag(parser_t *p, const char *open, char sigil, tf_str_t inner)
{
    if (sigil == '!') {
        return true;
    }
    if (sigil == '>' || sigil == '=' || sigil == '<' || sigil == '$') {
        return fail(p, open, "{{%c: partials and other delimiters are not supported", sigil);
    }
    if (!name_valid(inner)) {
        return fail(p, open, "\"%.*s\" is not a name", (int)(inner.len < NAME_SHOWN ? inner.len : NAME_SHOWN),
                    inner.data);
    }
    switch (sigil) {
    case '/':
        return close_section(p, open, inner);
    case '#':
        return open_section(p, open, SECTION, inner);
    case '^':
        return open_section(p, open, INVERTED, inner);
    case '&':
    case '{':
        return add(p, RAW_VALUE, inner.data, inner.len);
    default:
        return add(p, VALUE, inner.data, inner.len);
    }
}

/* The text up to the next tag, and that tag. */
static bool read_piece(parser_t *p)
{
    const char *from = p->text + p->at, *end = p->text + p->len, *open, *close, *left, *right;
    const char *braces = "}}";
    char sigil = '\0';

    open = memmem(from, (size_t)(end - from), "{{", 2);
    if (!open) {
        p->at = p->len;
        return from == end || add(p, TEXT, from, (size_t)(end - from));
    }
    close = open + 2;
    if (close < end && strchr("#^/!&{>=<$", *close) && *close) {
        sigil = *close++;
        braces = sigil == '{' ? "}}}" : "}}";
    }
    left = close;
    close = memmem(close, (size_t)(end - close), braces, strlen(braces));
    if (!close) {
        return fail(p, open, "%.2s is not closed", open);
    }
    {
        tf_str_t inner = trim(left, close);

        close += strlen(braces);
        if (!sigil || sigil == '&' || sigil == '{' || !stands_alone(p, from, open, close, &left, &right)) {
            left = open;
            right = close;
        }
        p->at = (size_t)(right - p->text);
        return (left == from || add(p, TEXT, from, (size_t)(left - from))) && read_tag(p, open, sigil, inner);
    }
}

static bool parse(parser_t *p)
{
    while (p->at < p->len) {
        if (!read_piece(p)) {
            return false;
        }
    }
    if (p->depth) {
        const node_t *node = &p->nodes[p->open[p->depth - 1]];

        return fail(p, node->text.data, "{{#%.*s}} is not closed",
                    (int)(node->text.len < NAME_SHOWN ? node->text.len : NAME_SHOWN), node->text.data);
    }
    return true;
}

/* ---- rendering ---- */

/* NULL: there is none. */
static const json_t *look_up(const renderer_t *r, tf_str_t name)
{
    const char *dot = memchr(name.data, '.', name.len);
    size_t first = dot ? (size_t)(dot - name.data) : name.len;
    const json_t *value = NULL;

    if (first == 0) {
        return r->stack[r->depth - 1]; /* "." */
    }
    for (int i = r->depth; i > 0 && !value; i--) {
        value = json_object_getn(r->stack[i - 1], name.data, first);
    }
    while (value && first < name.len) {
        const char *part = name.data + first + 1, *end = name.data + name.len;

        dot = memchr(part, '.', (size_t)(end - part));
        value = json_object_getn(value, part, (size_t)((dot ? dot : end) - part));
        first = (size_t)((dot ? dot : end) - name.data);
    }
    return value;
}

static bool is_truth(const json_t *value)
{
    return value && !json_is_false(value) && !json_is_null(value) &&
           !(json_is_array(value) && json_array_size(value) == 0) &&
           !(json_is_string(value) && json_string_length(value) == 0);
}

static void put_escaped(tf_buf_t *out, const char *text, size_t len)
{
    static const struct {
        char c;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};

    for (size_t i = 0; i < len; i++) {
        const char *entity = NULL;

        for (size_t k = 0; k < sizeof(entities) / sizeof(entities[0]); k++) {
            entity = text[i] == entities[k].c ? entities[k].entity : entity;
        }
        if (entity) {
            tf_buf_adds(out, entity);
        } else {
            tf_buf_addc(out, text[i]);
        }
    }
}

static void put_value(renderer_t *r, const json_t *value, bool escape)
{
    if (json_is_string(value) && escape) {
        put_escaped(r->out, json_string_value(value), json_string_length(value));
    } else if (json_is_string(value)) {
        tf_buf_add(r->out, json_string_value(value), json_string_length(value));
    } else if (json_is_integer(value)) {
        tf_buf_addi(r->out, json_integer_value(value));
    } else if (json_is_real(value)) {
        tf_json_double(r->out, json_real_value(value));
    } else if (json_is_boolean(value)) {
        tf_buf_adds(r->out, json_is_true(value) ? "true" : "false");
    }
}

static void render(renderer_t *r, size_t from, size_t to);

static void render_section(renderer_t *r, size_t at)
{
    const node_t *node = &r->nodes[at];
    const json_t *value = look_up(r, node->text);
    size_t count = json_is_array(value) ? json_array_size(value) : 1;

    if (is_truth(value) != (node->kind == SECTION)) {
        return;
    }
    if (node->kind == INVERTED) {
        render(r, at + 1, node->end);
        return;
    }
    for (size_t i = 0; i < count && r->steps <= TFW_MUSTACHE_STEPS_MAX; i++) {
        r->steps++;
        r->stack[r->depth++] = json_is_array(value) ? json_array_get(value, i) : value;
        render(r, at + 1, node->end);
        r->depth--;
    }
}

static void render(renderer_t *r, size_t from, size_t to)
{
    for (size_t i = from; i < to && r->steps <= TFW_MUSTACHE_STEPS_MAX && !r->out->failed; i++) {
        const node_t *node = &r->nodes[i];

        r->steps++;
        switch (node->kind) {
        case TEXT:
            tf_buf_add(r->out, node->text.data, node->text.len);
            break;
        case VALUE:
        case RAW_VALUE:
            put_value(r, look_up(r, node->text), r->html && node->kind == VALUE);
            break;
        case SECTION:
        case INVERTED:
            render_section(r, i);
            i = node->end - 1;
            break;
        }
    }
}

bool tfw_mustache_render(const char *text, size_t len, const json_t *variables, bool html, tf_buf_t *out,
                         char *error, size_t error_size)
{
    parser_t p = {.text = text, .len = len, .error = error, .error_size = error_size};
    renderer_t r = {.html = html, .out = out, .stack = {variables}, .depth = 1};
    bool ok = parse(&p);

    if (ok) {
        r.nodes = p.nodes;
        render(&r, 0, p.count);
        if (r.steps > TFW_MUSTACHE_STEPS_MAX) {
            snprintf(error, error_size, "its sections repeat too often: more than %d tags",
                     TFW_MUSTACHE_STEPS_MAX);
            ok = false;
        } else if (out->failed) {
            snprintf(error, error_size, "what it makes is too long");
            ok = false;
        }
    }
    free(p.nodes);
    return ok;
}
