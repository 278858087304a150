#include "schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_error.h"
#include "schema_node.h"
#include "submission.h"

/* The compiling of one schema: it ends with the first error. */
typedef struct {
    char *error;
    size_t error_size;
} compile_t;

static tf_schema_node_t *compile_node(compile_t *c, json_t *schema, const tf_schema_place_t *at, int depth);

static bool fault(const compile_t *c, const tf_schema_place_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool fault(const compile_t *c, const tf_schema_place_t *at, const char *fmt, ...)
{
    char pointer[TF_SCHEMA_POINTER_SIZE], what[200];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    snprintf(c->error, c->error_size, "%s: %s", tf_schema_pointer(pointer, at), what);
    return false;
}

/* Returns the length; a step that does not fit is left out, and so is all below it. */
static size_t add_place(char out[TF_SCHEMA_POINTER_SIZE], const tf_schema_place_t *place, bool *fits)
{
    char step[TF_JSON_POINTER_SIZE];
    size_t len, n;

    if (place->up == NULL) {
        n = (size_t)snprintf(out, TF_SCHEMA_POINTER_SIZE, "%s", place->key);
        *fits = n < TF_SCHEMA_POINTER_SIZE;
        return *fits ? n : TF_SCHEMA_POINTER_SIZE - 1;
    }
    len = add_place(out, place->up, fits);
    if (place->key) {
        tf_json_pointer(step, "", place->key);
    } else {
        snprintf(step, sizeof(step), "/%zu", place->index);
    }
    n = strlen(step);
    *fits = *fits && len + n < TF_SCHEMA_POINTER_SIZE;
    if (*fits) {
        memcpy(out + len, step, n + 1);
        len += n;
    }
    return len;
}

const char *tf_schema_pointer(char out[TF_SCHEMA_POINTER_SIZE], const tf_schema_place_t *place)
{
    bool fits;

    add_place(out, place, &fits);
    return out;
}

/* ---- the values of keywords ---- */

static unsigned type_named(const json_t *name)
{
    static const char *const names[TF_SCHEMA_TYPES] = {"object", "array",   "string", "integer",
                                                       "number", "boolean", "null"};

    for (unsigned i = 0; json_is_string(name) && i < TF_SCHEMA_TYPES; i++) {
        if (strcmp(json_string_value(name), names[i]) == 0) {
            return 1U << i;
        }
    }
    return 0;
}

static bool read_type(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    json_t *item;
    size_t i;

    rule->types = type_named(rule->arg);
    json_array_foreach(rule->arg, i, item)
    {
        unsigned type = type_named(item);

        if (type == 0 || (rule->types & type)) {
            rule->types = 0;
            break;
        }
        rule->types |= type;
    }
    return rule->types ||
           fault(c, at,
                 "must be object, array, string, integer, number, boolean or null, or a list of these");
}

static bool read_any(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    return true;
}

static bool read_list(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    return json_array_size(rule->arg) > 0 || fault(c, at, "must be a list that is not empty");
}

static bool read_names(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    json_t *item;
    size_t i;

    if (!json_is_array(rule->arg)) {
        return fault(c, at, "must be a list of names");
    }
    json_array_foreach(rule->arg, i, item)
    {
        if (!json_is_string(item)) {
            return fault(c, at, "must be a list of names");
        }
    }
    return true;
}

static bool read_count(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    if (!json_is_integer(rule->arg) || json_integer_value(rule->arg) < 0) {
        return fault(c, at, "must be an integer of 0 or more");
    }
    rule->n = (size_t)json_integer_value(rule->arg);
    return true;
}

static bool read_number(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    return json_is_number(rule->arg) || fault(c, at, "must be a number");
}

static bool make_nodes(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, size_t n)
{
    rule->nodes = calloc(n + 1, sizeof(tf_schema_node_t *));
    return rule->nodes || fault(c, at, "out of memory");
}

static bool read_schema(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    if (!make_nodes(c, rule, at, 1)) {
        return false;
    }
    rule->n = 1;
    rule->nodes[0] = compile_node(c, rule->arg, at, depth);
    return rule->nodes[0] != NULL;
}

static bool read_properties(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    const char *key;
    json_t *item;

    if (!json_is_object(rule->arg)) {
        return fault(c, at, "must be an object of schemas");
    }
    if (!make_nodes(c, rule, at, json_object_size(rule->arg))) {
        return false;
    }
    json_object_foreach(rule->arg, key, item)
    {
        const tf_schema_place_t below = {at, key, 0};

        rule->nodes[rule->n] = compile_node(c, item, &below, depth);
        if (rule->nodes[rule->n++] == NULL) {
            return false;
        }
    }
    return true;
}

static bool read_schemas(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    json_t *item;
    size_t i;

    if (json_array_size(rule->arg) == 0) {
        return fault(c, at, "must be a list of schemas that is not empty");
    }
    if (!make_nodes(c, rule, at, json_array_size(rule->arg))) {
        return false;
    }
    json_array_foreach(rule->arg, i, item)
    {
        const tf_schema_place_t below = {at, NULL, i};

        rule->nodes[rule->n] = compile_node(c, item, &below, depth);
        if (rule->nodes[rule->n++] == NULL) {
            return false;
        }
    }
    return true;
}

static bool read_dialect(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth)
{
    static const char dialect[] = "https://json-schema.org/draft/2020-12/schema";

    return (json_is_string(rule->arg) && strcmp(json_string_value(rule->arg), dialect) == 0) ||
           fault(c, at, "must be \"%s\"", dialect);
}

/* ---- the schema ---- */

static const struct keyword {
    const char *name;
    bool (*read)(compile_t *c, tf_schema_rule_t *rule, const tf_schema_place_t *at, int depth);
    tf_schema_check_fn *check; /* NULL: an annotation */
} keywords[] = {
    {"type", read_type, tf_schema_check_type},
    {"enum", read_list, tf_schema_check_enum},
    {"const", read_any, tf_schema_check_const},
    {"properties", read_properties, tf_schema_check_properties},
    {"required", read_names, tf_schema_check_required},
    {"additionalProperties", read_schema, tf_schema_check_additional},
    {"minProperties", read_count, tf_schema_check_min_properties},
    {"maxProperties", read_count, tf_schema_check_max_properties},
    {"items", read_schema, tf_schema_check_items},
    {"minItems", read_count, tf_schema_check_min_items},
    {"maxItems", read_count, tf_schema_check_max_items},
    {"minLength", read_count, tf_schema_check_min_length},
    {"maxLength", read_count, tf_schema_check_max_length},
    {"minimum", read_number, tf_schema_check_minimum},
    {"maximum", read_number, tf_schema_check_maximum},
    {"exclusiveMinimum", read_number, tf_schema_check_above},
    {"exclusiveMaximum", read_number, tf_schema_check_below},
    {"allOf", read_schemas, tf_schema_check_all_of},
    {"anyOf", read_schemas, tf_schema_check_any_of},
    {"oneOf", read_schemas, tf_schema_check_one_of},
    {"not", read_schema, tf_schema_check_not},
    {"$schema", read_dialect, NULL},
    {"$id", read_any, NULL},
    {"$comment", read_any, NULL},
    {"title", read_any, NULL},
    {"description", read_any, NULL},
    {"default", read_any, NULL},
    {"examples", read_any, NULL},
    {"format", read_any, NULL},
    {"deprecated", read_any, NULL},
    {"readOnly", read_any, NULL},
    {"writeOnly", read_any, NULL},
};

static void free_node(tf_schema_node_t *node)
{
    if (node == NULL) {
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        for (size_t k = 0; node->rules[i].nodes && k < node->rules[i].n; k++) {
            free_node(node->rules[i].nodes[k]);
        }
        free(node->rules[i].nodes);
    }
    free(node);
}

/* One keyword into the node's next rule. */
static bool compile_rule(compile_t *c, tf_schema_node_t *node, const json_t *schema, const char *key,
                         json_t *arg, const tf_schema_place_t *at, int depth)
{
    tf_schema_rule_t *rule = &node->rules[node->n];
    const tf_schema_place_t below = {at, key, 0};

    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strcmp(keywords[i].name, key) == 0) {
            rule->check = keywords[i].check;
            rule->arg = arg;
            rule->properties = json_object_get(schema, "properties");
            node->n += rule->check != NULL;
            return keywords[i].read(c, rule, &below, depth + 1);
        }
    }
    return fault(c, &below, "is not a keyword that is checked here");
}

/* Of a schema, an object or a boolean; NULL: a fault. */
static tf_schema_node_t *compile_node(compile_t *c, json_t *schema, const tf_schema_place_t *at, int depth)
{
    tf_schema_node_t *node;
    const char *key;
    json_t *arg;

    if (!json_is_object(schema) && !json_is_boolean(schema)) {
        fault(c, at, "must be a schema: an object, true or false");
        return NULL;
    }
    if (depth > TF_SCHEMA_DEPTH_MAX) {
        fault(c, at, "more than %d schemas in each other", TF_SCHEMA_DEPTH_MAX);
        return NULL;
    }
    node = calloc(1, sizeof(*node) + (json_object_size(schema) + 1) * sizeof(node->rules[0]));
    if (node == NULL) {
        fault(c, at, "out of memory");
        return NULL;
    }
    node->never = json_is_false(schema);
    json_object_foreach(schema, key, arg)
    {
        if (!compile_rule(c, node, schema, key, arg, at, depth)) {
            free_node(node);
            return NULL;
        }
    }
    return node;
}

static bool is_open(const tf_schema_node_t *node)
{
    for (size_t i = 0; i < node->n; i++) {
        if (!(node->rules[i].types & TF_SCHEMA_OBJECT)) {
            return false;
        }
    }
    return !node->never;
}

tf_schema_t *tf_schema_compile(const char *text, size_t len, char *error, size_t error_size)
{
    compile_t c = {error, error_size};
    const tf_schema_place_t root = {NULL, "#", 0};
    tf_schema_t *schema;

    if (len > TF_SCHEMA_MAX) {
        snprintf(error, error_size, "is longer than %d bytes", TF_SCHEMA_MAX);
        return NULL;
    }
    schema = calloc(1, sizeof(*schema));
    if (schema == NULL) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    schema->tree = tf_json_parse(text, len, error, error_size);
    if (schema->tree) {
        schema->root = compile_node(&c, schema->tree, &root, 1);
    }
    if (schema->root == NULL) {
        tf_schema_free(schema);
        return NULL;
    }
    schema->open = is_open(schema->root);
    return schema;
}

void tf_schema_free(tf_schema_t *schema)
{
    if (schema) {
        free_node(schema->root);
        json_decref(schema->tree);
        free(schema);
    }
}

bool tf_schema_is_open(const tf_schema_t *schema)
{
    return schema->open;
}
