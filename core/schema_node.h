/* schema_node.h: a compiled schema, between its two halves: schema.c makes it, schema_check.c applies it. */
#ifndef TF_SCHEMA_NODE_H
#define TF_SCHEMA_NODE_H

#include "schema.h"

/* A place in a JSON value: the way up to its root. */
typedef struct tf_schema_place_s {
    const struct tf_schema_place_s *up; /* NULL: the root, whose key is the pointer's beginning */
    const char *key;                    /* NULL: an element of an array */
    size_t index;
} tf_schema_place_t;

#define TF_SCHEMA_POINTER_SIZE 400

/* The pointer to a place, or to the innermost value around it whose pointer fits. Returns out. */
const char *tf_schema_pointer(char out[TF_SCHEMA_POINTER_SIZE], const tf_schema_place_t *place);

typedef struct tf_schema_node_s tf_schema_node_t;
typedef struct tf_schema_rule_s tf_schema_rule_t;
typedef struct tf_schema_check_s tf_schema_check_t;

/* Holds the value, which is at that place, against one rule. */
typedef void tf_schema_check_fn(tf_schema_check_t *c, const tf_schema_rule_t *rule, json_t *value,
                                const tf_schema_place_t *at);

/* One keyword of one schema. */
struct tf_schema_rule_s {
    tf_schema_check_fn *check;
    json_t *arg;              /* the keyword's value, in the schema's tree */
    const json_t *properties; /* additionalProperties: the members that are not additional; or NULL */
    tf_schema_node_t **nodes; /* the schemas in arg, in its order; NULL: none */
    size_t n;                 /* of nodes; or the bound of minLength and its like */
    unsigned types;           /* of type: bits */
};

struct tf_schema_node_s {
    bool never; /* the schema false */
    size_t n;
    tf_schema_rule_t rules[];
};

enum {
    TF_SCHEMA_OBJECT = 1,
    TF_SCHEMA_ARRAY = 2,
    TF_SCHEMA_STRING = 4,
    TF_SCHEMA_INTEGER = 8,
    TF_SCHEMA_NUMBER = 16,
    TF_SCHEMA_BOOLEAN = 32,
    TF_SCHEMA_NULL = 64,
    TF_SCHEMA_TYPES = 7 /* how many */
};

struct tf_schema_s {
    json_t *tree;
    tf_schema_node_t *root;
    bool open;
};

tf_schema_check_fn tf_schema_check_type, tf_schema_check_enum, tf_schema_check_const,
    tf_schema_check_properties, tf_schema_check_required, tf_schema_check_additional, tf_schema_check_items,
    tf_schema_check_min_properties, tf_schema_check_max_properties, tf_schema_check_min_items,
    tf_schema_check_max_items, tf_schema_check_min_length, tf_schema_check_max_length,
    tf_schema_check_minimum, tf_schema_check_maximum, tf_schema_check_above, tf_schema_check_below,
    tf_schema_check_all_of, tf_schema_check_any_of, tf_schema_check_one_of, tf_schema_check_not;

#endif
