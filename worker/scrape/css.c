#include "scrape/css.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "scrape/css_text.h"

typedef struct {
    tfw_css_text_t text;
    tf_buf_t element;    /* of the compound that is read: its name */
    tf_buf_t conditions; /* "[...]" of it, but for: */
    tf_buf_t positions;  /* :first-child and its like, by position(): "(...) and (...)" */
    tf_buf_t counted;    /* the same by counting siblings: "[...]" */
    bool positional;     /* one of the selectors needs position() */
    int parts;
} css_t;

/* A literal of XPath, which knows no escapes. */
static void add_literal(tf_buf_t *b, const char *text, size_t len)
{
    const char *end = text + len;
    bool several = memchr(text, '"', len) != NULL && memchr(text, '\'', len) != NULL;
    char quote = !several && len > 0 && memchr(text, '"', len) ? '\'' : '"';

    if (!several) {
        tf_buf_addc(b, quote);
        tf_buf_add(b, text, len);
        tf_buf_addc(b, quote);
        return;
    }
    tf_buf_adds(b, "concat(");
    while (text < end) {
        const char *stop = memchr(text, '"', (size_t)(end - text));

        if (!stop) {
            stop = end;
        }
        tf_buf_addc(b, '"');
        tf_buf_add(b, text, (size_t)(stop - text));
        tf_buf_adds(b, stop < end ? "\",'\"'," : "\",");
        text = stop + (stop < end);
    }
    tf_buf_adds(b, "\"\")");
}

static void lower(tf_buf_t *b)
{
    for (size_t i = 0; i < b->len; i++) {
        if (b->data[i] >= 'A' && b->data[i] <= 'Z') {
            b->data[i] = (char)(b->data[i] | 0x20);
        }
    }
}

/* XPath can name it as it is. */
static bool is_plain(const tf_buf_t *name)
{
    for (size_t i = 0; i < name->len; i++) {
        char byte = name->data[i];

        if (!tfw_css_is_name(byte) || (byte & 0x80) ||
            (i == 0 && (byte == '-' || (byte >= '0' && byte <= '9')))) {
            return false;
        }
    }
    return name->len > 0;
}

/* c->text.name as the name of an element or attribute, behind "self::", "@" or an axis. */
static void add_name_test(css_t *c, tf_buf_t *b)
{
    lower(&c->text.name);
    if (is_plain(&c->text.name)) {
        tf_buf_add(b, c->text.name.data, c->text.name.len);
        return;
    }
    tf_buf_adds(b, "*[name()=");
    add_literal(b, c->text.name.data, c->text.name.len);
    tf_buf_addc(b, ']');
}

/* One of the words of an attribute. */
static void add_word(tf_buf_t *b, const char *attribute, const tf_buf_t *word)
{
    bool possible = word->len > 0;

    for (size_t i = 0; i < word->len; i++) {
        possible = possible && !tfw_css_is_space(word->data[i]);
    }
    if (!possible) {
        tf_buf_adds(b, "false()");
        return;
    }
    tf_buf_addf(b, "contains(concat(\" \",normalize-space(%s),\" \"),concat(\" \",", attribute);
    add_literal(b, word->data, word->len);
    tf_buf_adds(b, ",\" \"))");
}

static size_t characters(const tf_buf_t *text)
{
    size_t n = 0;

    for (size_t i = 0; i < text->len; i++) {
        n += (text->data[i] & 0xC0) != 0x80;
    }
    return n;
}

/* c->text.name is the value. */
static void add_comparison(css_t *c, tf_buf_t *b, const char *attribute, char kind)
{
    tf_buf_t literal = TF_BUF_INIT;
    const char *value;

    if (kind == '~') {
        add_word(b, attribute, &c->text.name);
        return;
    }
    if (c->text.name.len == 0 && (kind == '^' || kind == '$' || kind == '*')) {
        tf_buf_adds(b, "false()"); /* Selectors Level 4, 6.2 */
        return;
    }
    add_literal(&literal, c->text.name.data, c->text.name.len);
    b->failed = b->failed || literal.failed;
    value = tf_buf_cstr(&literal);
    switch (kind) {
    case '|':
        tf_buf_addf(b, "%s=%s or starts-with(%s,concat(%s,\"-\"))", attribute, value, attribute, value);
        break;
    case '^':
        tf_buf_addf(b, "starts-with(%s,%s)", attribute, value);
        break;
    case '$':
        tf_buf_addf(b, "substring(%s,string-length(%s)-%zu)=%s", attribute, attribute,
                    characters(&c->text.name) - 1, value);
        break;
    case '*':
        tf_buf_addf(b, "contains(%s,%s)", attribute, value);
        break;
    default:
        tf_buf_addf(b, "%s=%s", attribute, value);
    }
    tf_buf_free(&literal);
}

/* Behind the '['. */
static bool read_attribute(css_t *c, tf_buf_t *b)
{
    tf_buf_t attribute = TF_BUF_INIT;
    char kind = '\0';
    bool ok;

    tfw_css_skip_space(&c->text);
    if (!tfw_css_name(&c->text, "the name of an attribute", false)) {
        return false;
    }
    tf_buf_addc(&attribute, '@');
    add_name_test(c, &attribute);
    tfw_css_skip_space(&c->text);
    if (tfw_css_peek(&c->text) != ']') {
        kind = tfw_css_peek(&c->text);
        c->text.at += kind != '\0';
        ok = kind == '=' || (kind != '\0' && strchr("~|^$*", kind) && tfw_css_peek(&c->text) == '=');
        if (!ok) {
            tf_buf_free(&attribute);
            c->text.at -= kind != '\0';
            return tfw_css_fail(&c->text, "']' or a comparison with '=' must follow the attribute");
        }
        c->text.at += kind != '=';
        tfw_css_skip_space(&c->text);
        ok = tfw_css_peek(&c->text) == '"' || tfw_css_peek(&c->text) == '\''
                 ? tfw_css_string(&c->text)
                 : tfw_css_name(&c->text, "the value", false);
        if (ok) {
            add_comparison(c, b, tf_buf_cstr(&attribute), kind);
        }
    } else {
        tf_buf_adds(b, tf_buf_cstr(&attribute));
        ok = true;
    }
    b->failed = b->failed || attribute.failed;
    tf_buf_free(&attribute);
    tfw_css_skip_space(&c->text);
    if (ok && tfw_css_peek(&c->text) != ']') {
        return tfw_css_fail(&c->text, "']' is missing");
    }
    c->text.at += ok;
    return ok;
}

static void add_nth(tf_buf_t *out, const char *position, int a, int b)
{
    if (a == 0) {
        tf_buf_addf(out, "%s=%d", position, b);
    } else if (a > 0) {
        tf_buf_addf(out, "%s>=%d and (%s - %d) mod %d=0", position, b, position, b, a);
    } else {
        tf_buf_addf(out, "%s<=%d and (%d - %s) mod %d=0", position, b, b, position, -a);
    }
}

typedef struct {
    enum { FIRST, LAST, NTH } kind;
    int a, b;
} position_t;

/* position() counts the children of one parent in one pass over them; where it would count something else
 * the siblings are counted. */
static void add_position(tf_buf_t *out, const position_t *position, bool counted)
{
    switch (position->kind) {
    case FIRST:
        tf_buf_adds(out, counted ? "not(preceding-sibling::*[1])" : "position()=1");
        break;
    case LAST:
        tf_buf_adds(out, counted ? "not(following-sibling::*[1])" : "position()=last()");
        break;
    case NTH:
        add_nth(out, counted ? "(count(preceding-sibling::*)+1)" : "position()", position->a, position->b);
        break;
    }
}

/* :first-child, :last-child and :nth-child(); the name is in c->text.name. */
static bool read_position(css_t *c, position_t *position)
{
    const char *name;

    lower(&c->text.name);
    name = tf_buf_cstr(&c->text.name);
    *position = (position_t){strcmp(name, "first-child") == 0  ? FIRST
                             : strcmp(name, "last-child") == 0 ? LAST
                                                               : NTH,
                             0, 0};
    if (position->kind != NTH) {
        return true;
    }
    if (strcmp(name, "nth-child") != 0 || tfw_css_peek(&c->text) != '(') {
        return tfw_css_fail(
            &c->text,
            "only :first-child, :last-child, :nth-child() and :not() are known, and no pseudo-elements");
    }
    c->text.at++;
    tfw_css_skip_space(&c->text);
    if (!tfw_css_an_plus_b(&c->text, &position->a, &position->b)) {
        return false;
    }
    tfw_css_skip_space(&c->text);
    if (tfw_css_peek(&c->text) != ')') {
        return tfw_css_fail(&c->text, "')' is missing");
    }
    c->text.at++;
    return true;
}

static bool read_not(css_t *c);

/* Behind the ':'. within: inside of :not(), the condition goes to c->conditions. */
static bool read_pseudo(css_t *c, bool within)
{
    position_t position;

    if (!tfw_css_name(&c->text, "the name of a pseudo-class", false)) {
        return false;
    }
    if (!within && tfw_css_peek(&c->text) == '(' && c->text.name.len == 3 &&
        strncasecmp(c->text.name.data, "not", 3) == 0) {
        c->text.at++;
        return read_not(c);
    }
    if (!read_position(c, &position)) {
        return false;
    }
    if (within) {
        add_position(&c->conditions, &position, true);
        return true;
    }
    tf_buf_adds(&c->positions, c->positions.len ? " and (" : "(");
    add_position(&c->positions, &position, false);
    tf_buf_addc(&c->positions, ')');
    tf_buf_addc(&c->counted, '[');
    add_position(&c->counted, &position, true);
    tf_buf_addc(&c->counted, ']');
    return true;
}

/* A simple selector other than a type, as a condition. */
static bool read_condition(css_t *c, tf_buf_t *out)
{
    if (++c->parts > TFW_CSS_PARTS_MAX) {
        return tfw_css_fail(&c->text, "more than %d parts", TFW_CSS_PARTS_MAX);
    }
    switch (*c->text.at++) {
    case '.':
        if (!tfw_css_name(&c->text, "the name of a class", false)) {
            return false;
        }
        add_word(out, "@class", &c->text.name);
        return true;
    case '#':
        if (!tfw_css_name(&c->text, "an id", true)) {
            return false;
        }
        tf_buf_adds(out, "@id=");
        add_literal(out, c->text.name.data, c->text.name.len);
        return true;
    default: /* '[' */
        return read_attribute(c, out);
    }
}

/* Behind ":not(": one simple selector. */
static bool read_not(css_t *c)
{
    tf_buf_t *out = &c->conditions;
    bool ok;

    tf_buf_adds(out, "[not(");
    tfw_css_skip_space(&c->text);
    if (tfw_css_peek(&c->text) == '*') {
        c->text.at++;
        tf_buf_adds(out, "true()");
        ok = true;
    } else if (tfw_css_peek(&c->text) == ':') {
        c->text.at++;
        ok = read_pseudo(c, true);
    } else if (tfw_css_peek(&c->text) == '.' || tfw_css_peek(&c->text) == '#' ||
               tfw_css_peek(&c->text) == '[') {
        ok = read_condition(c, out);
    } else {
        ok = tfw_css_name(&c->text, "a simple selector", false);
        tf_buf_adds(out, "self::");
        add_name_test(c, out);
    }
    tfw_css_skip_space(&c->text);
    if (ok && tfw_css_peek(&c->text) != ')') {
        return tfw_css_fail(&c->text, ":not() takes one simple selector; ')' is missing");
    }
    c->text.at += ok;
    tf_buf_adds(out, ")]");
    return ok;
}

/* Conditions until something else comes. */
static bool read_conditions(css_t *c)
{
    while (c->text.at < c->text.end && strchr(".#[:", *c->text.at)) {
        if (*c->text.at == ':') {
            if (++c->parts > TFW_CSS_PARTS_MAX) {
                return tfw_css_fail(&c->text, "more than %d parts", TFW_CSS_PARTS_MAX);
            }
            c->text.at++;
            if (!read_pseudo(c, false)) {
                return false;
            }
            continue;
        }
        tf_buf_addc(&c->conditions, '[');
        if (!read_condition(c, &c->conditions)) {
            return false;
        }
        tf_buf_addc(&c->conditions, ']');
    }
    return true;
}

/* A type or none, and conditions: c->element, c->conditions and the positions. */
static bool read_compound(css_t *c)
{
    c->element.len = c->conditions.len = c->positions.len = c->counted.len = 0;
    if (++c->parts > TFW_CSS_PARTS_MAX) {
        return tfw_css_fail(&c->text, "more than %d parts", TFW_CSS_PARTS_MAX);
    }
    if (tfw_css_is_name(tfw_css_peek(&c->text)) || tfw_css_peek(&c->text) == '\\') {
        if (!tfw_css_name(&c->text, "the name of an element", false)) {
            return false;
        }
        add_name_test(c, &c->element);
    } else {
        if (tfw_css_peek(&c->text) == '\0' || !strchr("*.#[:", tfw_css_peek(&c->text))) {
            return tfw_css_fail(&c->text, "a selector is missing");
        }
        c->text.at += tfw_css_peek(&c->text) == '*';
        tf_buf_addc(&c->element, '*');
    }
    return read_conditions(c);
}

static void add_buf(tf_buf_t *out, const tf_buf_t *more)
{
    tf_buf_add(out, more->data, more->len);
    out->failed = out->failed || more->failed;
}

/* The compound that was read, beside what stands left of it, takes the place of that:
 * "p[...][ancestor::div]". The element that is sought is looked at first, so that each is looked at once and
 * none comes twice. */
static void join(css_t *c, tf_buf_t *left, char combinator, bool last)
{
    tf_buf_t whole = TF_BUF_INIT;

    add_buf(&whole, &c->element);
    add_buf(&whole, &c->conditions);
    if (!last) {
        add_buf(&whole, &c->counted);
    }
    if (combinator) {
        tf_buf_adds(&whole, combinator == '>'   ? "[parent::"
                            : combinator == '+' ? "[preceding-sibling::*[1]/self::"
                            : combinator == '~' ? "[preceding-sibling::"
                                                : "[ancestor::");
        add_buf(&whole, left);
        tf_buf_addc(&whole, ']');
    }
    tf_buf_free(left);
    *left = whole;
}

/* What stands between two compounds; '\0': nothing more of this selector. */
static char read_combinator(css_t *c)
{
    const char *from = c->text.at;
    char byte;

    tfw_css_skip_space(&c->text);
    byte = tfw_css_peek(&c->text);
    if (byte == '>' || byte == '+' || byte == '~') {
        c->text.at++;
        tfw_css_skip_space(&c->text);
        return byte;
    }
    return byte == '\0' || byte == ',' || c->text.at == from ? '\0' : ' ';
}

/* One selector of the list, as a condition. */
static bool read_selector(css_t *c, tf_buf_t *out)
{
    tf_buf_t left = TF_BUF_INIT;
    char combinator = '\0', next;

    do {
        if (!read_compound(c)) {
            tf_buf_free(&left);
            return false;
        }
        next = read_combinator(c);
        join(c, &left, combinator, next == '\0');
        combinator = next;
    } while (next);
    if (c->positions.len > 0) {
        c->positional = true;
        add_buf(out, &c->positions);
        tf_buf_adds(out, " and ");
    }
    tf_buf_adds(out, "self::");
    add_buf(out, &left);
    tf_buf_free(&left);
    return true;
}

static bool read_list(css_t *c, tf_buf_t *xpath)
{
    tf_buf_t conditions = TF_BUF_INIT;
    bool ok, more;

    do {
        tfw_css_skip_space(&c->text);
        ok = read_selector(c, &conditions);
        more = ok && tfw_css_peek(&c->text) == ',';
        if (more) {
            c->text.at++;
            tf_buf_adds(&conditions, " or ");
        }
    } while (more);
    ok = ok && (c->text.at == c->text.end || tfw_css_fail(&c->text, "'%c' cannot stand here", *c->text.at));
    tf_buf_adds(xpath, c->positional ? "/descendant-or-self::node()/child::*[" : "/descendant::*[");
    add_buf(xpath, &conditions);
    tf_buf_addc(xpath, ']');
    xpath->failed = xpath->failed || c->text.name.failed;
    tf_buf_free(&conditions);
    return ok;
}

bool tfw_css_xpath(const char *css, size_t len, tf_buf_t *xpath, char *error, size_t error_size)
{
    css_t c = {.text = {.start = css, .at = css, .end = css + len}};
    bool ok;

    c.text.error = error;
    c.text.error_size = error_size;
    if (len > TFW_CSS_MAX) {
        return tfw_css_fail(&c.text, "more than %d bytes", TFW_CSS_MAX);
    }
    for (; c.text.at < c.text.end; c.text.at++) {
        if (((unsigned char)*c.text.at < 0x20 && !tfw_css_is_space(*c.text.at)) || *c.text.at == 0x7F) {
            return tfw_css_fail(&c.text, "a control character");
        }
    }
    c.text.at = css + tf_utf8_span(css, len);
    if (c.text.at < c.text.end) {
        return tfw_css_fail(&c.text, "not UTF-8");
    }
    c.text.at = css;
    ok = read_list(&c, xpath);
    if (ok && xpath->failed) {
        ok = tfw_css_fail(&c.text, "out of memory");
    }
    tf_buf_free(&c.text.name);
    tf_buf_free(&c.element);
    tf_buf_free(&c.conditions);
    tf_buf_free(&c.positions);
    tf_buf_free(&c.counted);
    return ok;
}
