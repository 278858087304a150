#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_error.h"
#include "schema_node.h"

/* A step is a rule, a member looked up or 64 bytes of text: these take a tenth of a second or so, and a
 * payload of 1 MB is far from it unless its schema is made for that. */
#define STEPS_MAX 8000000

/* The checking of one value. */
struct tf_schema_check_s {
    tf_buf_t *errors; /* NULL: inside of anyOf and its like, where it only matters whether there are any */
    unsigned found;   /* errors */
    size_t steps;
};

static bool spent(const tf_schema_check_t *c)
{
    return c->steps > STEPS_MAX;
}

static bool finished(const tf_schema_check_t *c)
{
    return spent(c) || c->found >= (c->errors ? TF_SCHEMA_ERRORS_MAX : 1);
}

static void complain(tf_schema_check_t *c, const tf_schema_place_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void complain(tf_schema_check_t *c, const tf_schema_place_t *at, const char *fmt, ...)
{
    char pointer[TF_SCHEMA_POINTER_SIZE], detail[400];
    va_list args;

    if (finished(c)) {
        return;
    }
    c->found++;
    if (c->errors) {
        va_start(args, fmt);
        vsnprintf(detail, sizeof(detail), fmt, args);
        va_end(args);
        tf_json_error(c->errors, tf_schema_pointer(pointer, at), "%s", detail);
    }
}

/* "<what> <the keyword's value>" */
static void complain_arg(tf_schema_check_t *c, const tf_schema_place_t *at, const char *what,
                         const json_t *arg)
{
    char *text = c->errors ? json_dumps(arg, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

    complain(c, at, "%s %.200s", what, text ? text : "");
    free(text);
}

static void check_node(tf_schema_check_t *c, const tf_schema_node_t *node, json_t *value,
                       const tf_schema_place_t *at)
{
    if (node->never) {
        complain(c, at, "is not allowed");
    }
    for (size_t i = 0; i < node->n && !finished(c); i++) {
        c->steps++;
        node->rules[i].check(c, &node->rules[i], value, at);
    }
}

/* Without reporting why not. */
static bool passes(tf_schema_check_t *c, const tf_schema_node_t *node, json_t *value,
                   const tf_schema_place_t *at)
{
    tf_schema_check_t quiet = {NULL, 0, c->steps};

    check_node(&quiet, node, value, at);
    c->steps = quiet.steps + 1;
    return quiet.found == 0;
}

/* ---- any value ---- */

static unsigned types_of(const json_t *value)
{
    double real;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return TF_SCHEMA_OBJECT;
    case JSON_ARRAY:
        return TF_SCHEMA_ARRAY;
    case JSON_STRING:
        return TF_SCHEMA_STRING;
    case JSON_INTEGER:
        return TF_SCHEMA_INTEGER | TF_SCHEMA_NUMBER;
    case JSON_REAL:
        /* 1.0 is an integer: the number counts, not how it is written */
        real = json_real_value(value);
        return floor(real) == real ? TF_SCHEMA_INTEGER | TF_SCHEMA_NUMBER : TF_SCHEMA_NUMBER;
    case JSON_NULL:
        return TF_SCHEMA_NULL;
    default:
        return TF_SCHEMA_BOOLEAN;
    }
}

void tf_schema_check_type(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                          const tf_schema_place_t *at)
{
    static const char *const names[TF_SCHEMA_TYPES] = {"an object", "an array",  "a string", "an integer",
                                                       "a number",  "a boolean", "null"};
    char list[100];
    size_t len = 0;

    if (rule->types & types_of(value)) {
        return;
    }
    list[0] = '\0';
    for (unsigned i = 0; i < TF_SCHEMA_TYPES; i++) {
        if (rule->types & (1U << i)) {
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? " or " : "", names[i]);
        }
    }
    complain(c, at, "must be %s", list);
}

/* Less than, equal to or greater than 0. Integers exactly, others as doubles. */
static int compare(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);

        return (x > y) - (x < y);
    }
    return (json_number_value(a) > json_number_value(b)) - (json_number_value(a) < json_number_value(b));
}

/* Not json_equal: to that 1 and 1.0 are different. As deep as the schema, which is the bound. */
static bool same(tf_schema_check_t *c, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *item;
    size_t i;

    c->steps++;
    if (json_is_number(a) && json_is_number(b)) {
        return compare(a, b) == 0;
    }
    if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        json_array_foreach(a, i, item)
        {
            if (!same(c, item, json_array_get(b, i))) {
                return false;
            }
        }
        return true;
    }
    if (json_is_object(a) && json_is_object(b) && json_object_size(a) == json_object_size(b)) {
        json_object_foreach((json_t *)a, key, item)
        {
            const json_t *other = json_object_get(b, key);

            if (other == NULL || !same(c, item, other)) {
                return false;
            }
        }
        return true;
    }
    return json_equal(a, b);
}

void tf_schema_check_enum(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                          const tf_schema_place_t *at)
{
    const json_t *item;
    size_t i;

    json_array_foreach(rule->arg, i, item)
    {
        if (same(c, item, value)) {
            return;
        }
    }
    complain_arg(c, at, "must be one of", rule->arg);
}

void tf_schema_check_const(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                           const tf_schema_place_t *at)
{
    if (!same(c, rule->arg, value)) {
        complain_arg(c, at, "must be", rule->arg);
    }
}

/* ---- objects ---- */

void tf_schema_check_properties(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                                const tf_schema_place_t *at)
{
    const char *key;
    const json_t *item;
    size_t i = 0;

    if (!json_is_object(value)) {
        return;
    }
    c->steps += rule->n;
    json_object_foreach(rule->arg, key, item)
    {
        json_t *member = json_object_get(value, key);
        const tf_schema_place_t below = {at, key, 0};

        if (member) {
            check_node(c, rule->nodes[i], member, &below);
        }
        i++;
    }
}

void tf_schema_check_required(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                              const tf_schema_place_t *at)
{
    const json_t *name;
    size_t i;

    if (!json_is_object(value)) {
        return;
    }
    json_array_foreach(rule->arg, i, name)
    {
        const tf_schema_place_t below = {at, json_string_value(name), 0};

        c->steps++;
        if (json_object_get(value, below.key) == NULL) {
            complain(c, &below, "is required");
        }
    }
}

void tf_schema_check_additional(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                                const tf_schema_place_t *at)
{
    const char *key;
    json_t *member;

    json_object_foreach(value, key, member)
    {
        const tf_schema_place_t below = {at, key, 0};

        if (finished(c)) {
            return;
        }
        c->steps++;
        if (json_object_get(rule->properties, key)) {
            continue;
        }
        if (rule->nodes[0]->never) {
            complain(c, &below, "unknown field \"%.64s\"", key);
        } else {
            check_node(c, rule->nodes[0], member, &below);
        }
    }
}

void tf_schema_check_min_properties(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                                    const tf_schema_place_t *at)
{
    if (json_is_object(value) && json_object_size(value) < rule->n) {
        complain(c, at, "must have at least %zu members", rule->n);
    }
}

void tf_schema_check_max_properties(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                                    const tf_schema_place_t *at)
{
    if (json_is_object(value) && json_object_size(value) > rule->n) {
        complain(c, at, "must have at most %zu members", rule->n);
    }
}

/* ---- arrays ---- */

void tf_schema_check_items(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                           const tf_schema_place_t *at)
{
    json_t *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        const tf_schema_place_t below = {at, NULL, i};

        if (finished(c)) {
            return;
        }
        c->steps++;
        check_node(c, rule->nodes[0], item, &below);
    }
}

void tf_schema_check_min_items(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                               const tf_schema_place_t *at)
{
    if (json_is_array(value) && json_array_size(value) < rule->n) {
        complain(c, at, "must have at least %zu elements", rule->n);
    }
}

void tf_schema_check_max_items(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                               const tf_schema_place_t *at)
{
    if (json_is_array(value) && json_array_size(value) > rule->n) {
        complain(c, at, "must have at most %zu elements", rule->n);
    }
}

/* ---- texts ---- */

/* In code points. */
static size_t length(tf_schema_check_t *c, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value), n = 0;

    c->steps += bytes / 64;
    for (size_t i = 0; i < bytes; i++) {
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return n;
}

void tf_schema_check_min_length(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                                const tf_schema_place_t *at)
{
    if (json_is_string(value) && length(c, value) < rule->n) {
        complain(c, at, "must have at least %zu characters", rule->n);
    }
}

void tf_schema_check_max_length(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                                const tf_schema_place_t *at)
{
    if (json_is_string(value) && length(c, value) > rule->n) {
        complain(c, at, "must have at most %zu characters", rule->n);
    }
}

/* ---- numbers ---- */

void tf_schema_check_minimum(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                             const tf_schema_place_t *at)
{
    if (json_is_number(value) && compare(value, rule->arg) < 0) {
        complain_arg(c, at, "must be at least", rule->arg);
    }
}

void tf_schema_check_maximum(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                             const tf_schema_place_t *at)
{
    if (json_is_number(value) && compare(value, rule->arg) > 0) {
        complain_arg(c, at, "must be at most", rule->arg);
    }
}

void tf_schema_check_above(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                           const tf_schema_place_t *at)
{
    if (json_is_number(value) && compare(value, rule->arg) <= 0) {
        complain_arg(c, at, "must be greater than", rule->arg);
    }
}

void tf_schema_check_below(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                           const tf_schema_place_t *at)
{
    if (json_is_number(value) && compare(value, rule->arg) >= 0) {
        complain_arg(c, at, "must be less than", rule->arg);
    }
}

/* ---- schemas of schemas ---- */

void tf_schema_check_all_of(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                            const tf_schema_place_t *at)
{
    for (size_t i = 0; i < rule->n; i++) {
        check_node(c, rule->nodes[i], value, at);
    }
}

void tf_schema_check_any_of(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                            const tf_schema_place_t *at)
{
    for (size_t i = 0; i < rule->n && !spent(c); i++) {
        if (passes(c, rule->nodes[i], value, at)) {
            return;
        }
    }
    /* forms that only name members, one of which must be there: the first one will do as the answer */
    if (rule->nodes[0]->n == 1 && rule->nodes[0]->rules[0].check == tf_schema_check_required) {
        check_node(c, rule->nodes[0], value, at);
        return;
    }
    complain(c, at, "has none of the %zu forms it may have", rule->n);
}

void tf_schema_check_one_of(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                            const tf_schema_place_t *at)
{
    size_t passed = 0;

    for (size_t i = 0; i < rule->n && !spent(c); i++) {
        passed += passes(c, rule->nodes[i], value, at);
    }
    if (passed != 1) {
        complain(c, at, "has %s of the %zu forms it may have", passed ? "more than one" : "none", rule->n);
    }
}

void tf_schema_check_not(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                         const tf_schema_place_t *at)
{
    if (passes(c, rule->nodes[0], value, at)) {
        complain(c, at, "has a form it must not have");
    }
}

bool tf_schema_check(const tf_schema_t *schema, const json_t *value, const char *pointer, tf_buf_t *errors)
{
    tf_schema_check_t c = {errors, 0, 0};
    const tf_schema_place_t root = {NULL, pointer, 0};

    check_node(&c, schema->root, (json_t *)value, &root);
    if (spent(&c)) {
        tf_json_error(errors, pointer, "takes too many steps to check against the schema of its type");
        return false;
    }
    return c.found == 0;
}
