#include "pipeline/steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/place.h"
#include "pipeline/value.h"

typedef enum { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_CONTAINS, OP_IS_NULL, OPS } op_t;

static const char *const op_names[OPS] = {"eq", "ne", "lt", "le", "gt", "ge", "in", "contains", "is_null"};

typedef struct step_s step_t;

typedef struct {
    const char *name;
    bool (*check)(step_t *step, char *error, size_t error_size);
    tfw_step_result_t (*apply)(step_t *step, json_t **record, char *error, size_t error_size);
} step_kind_t;

struct step_s {
    const step_kind_t *kind;
    const json_t *what;  /* the member's value */
    op_t op;             /* of a filter */
    const char *column;  /* of a filter */
    const json_t *value; /* of a filter */
    json_int_t passed;   /* of a limit */
    json_t *seen;        /* of dedupe: the keys of this batch */
};

struct tfw_steps_s {
    size_t count;
    step_t steps[TFW_STEPS_MAX];
};

__attribute__((format(printf, 3, 4))) static bool refuse(char *error, size_t error_size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(error, error_size, fmt, args);
    va_end(args);
    return false;
}

/* ---- select, rename, default, limit ---- */

static bool check_columns(step_t *step, char *error, size_t error_size)
{
    char where[64];

    snprintf(where, sizeof(where), "the list of a \"%s\" step", step->kind->name);
    return tfw_columns_check(step->what, where, error, error_size);
}

static tfw_step_result_t apply_select(step_t *step, json_t **record, char *error, size_t error_size)
{
    json_t *chosen = json_object();

    for (size_t i = 0; i < json_array_size(step->what); i++) {
        const char *name = json_string_value(json_array_get(step->what, i));
        json_t *value = json_object_get(*record, name);

        if (!value || json_object_set(chosen, name, value) != 0) {
            refuse(error, error_size, "there is no column \"%.100s\"", name);
            json_decref(chosen);
            return TFW_STEP_BAD;
        }
    }
    json_decref(*record);
    *record = chosen;
    return TFW_STEP_KEPT;
}

/* An object of texts. */
static bool check_rename(step_t *step, char *error, size_t error_size)
{
    bool ok = json_object_size(step->what) > 0;
    const char *from;
    json_t *to;

    json_object_foreach((json_t *)step->what, from, to)
    {
        ok = ok && *from && json_string_length(to) > 0;
    }
    return ok ||
           refuse(error, error_size,
                  "payload: a \"rename\" step must be an object of old and new names: {\"old\": \"new\"}");
}

static tfw_step_result_t apply_rename(step_t *step, json_t **record, char *error, size_t error_size)
{
    json_t *renamed = json_object(), *value;
    const char *name, *to;

    json_object_foreach((json_t *)step->what, name, value)
    {
        if (!json_object_get(*record, name)) {
            refuse(error, error_size, "there is no column \"%.100s\"", name);
            json_decref(renamed);
            return TFW_STEP_BAD;
        }
    }
    json_object_foreach(*record, name, value)
    {
        to = json_string_value(json_object_get(step->what, name));
        to = to ? to : name;
        if (json_object_get(renamed, to) || json_object_set(renamed, to, value) != 0) {
            refuse(error, error_size, "two columns would be called \"%.100s\"", to);
            json_decref(renamed);
            return TFW_STEP_BAD;
        }
    }
    json_decref(*record);
    *record = renamed;
    return TFW_STEP_KEPT;
}

static bool check_default(step_t *step, char *error, size_t error_size)
{
    return json_object_size(step->what) > 0 ||
           refuse(error, error_size, "payload: a \"default\" step must be an object of columns and values");
}

static tfw_step_result_t apply_default(step_t *step, json_t **record, char *error, size_t error_size)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)step->what, name, value)
    {
        const json_t *now = json_object_get(*record, name);

        if ((!now || json_is_null(now)) && json_object_set(*record, name, value) != 0) {
            refuse(error, error_size, "out of memory");
            return TFW_STEP_BAD;
        }
    }
    return TFW_STEP_KEPT;
}

static bool check_limit(step_t *step, char *error, size_t error_size)
{
    return (json_is_integer(step->what) && json_integer_value(step->what) >= 1) ||
           refuse(error, error_size, "payload: a \"limit\" step must be an integer of at least 1");
}

static tfw_step_result_t apply_limit(step_t *step, json_t **record, char *error, size_t error_size)
{
    if (step->passed >= json_integer_value(step->what)) {
        return TFW_STEP_DROPPED;
    }
    step->passed++;
    return TFW_STEP_KEPT;
}

/* ---- cast ---- */

static bool check_cast(step_t *step, char *error, size_t error_size)
{
    tfw_value_type_t type;
    const char *name;
    json_t *to;

    json_object_foreach((json_t *)step->what, name, to)
    {
        if (!tfw_value_type(json_string_value(to), &type)) {
            return refuse(error, error_size,
                          "payload: a \"cast\" step: the type of \"%.100s\" must be integer, number, text, "
                          "boolean or timestamp",
                          name);
        }
    }
    return json_object_size(step->what) > 0 ||
           refuse(error, error_size, "payload: a \"cast\" step must be an object of columns and types");
}

static tfw_step_result_t apply_cast(step_t *step, json_t **record, char *error, size_t error_size)
{
    const char *name;
    json_t *to;

    json_object_foreach((json_t *)step->what, name, to)
    {
        const json_t *value = json_object_get(*record, name);
        tfw_value_type_t type = TFW_VALUE_TEXT;
        json_t *cast;

        if (!value) {
            refuse(error, error_size, "there is no column \"%.100s\"", name);
            return TFW_STEP_BAD;
        }
        tfw_value_type(json_string_value(to), &type);
        cast = tfw_value_cast(value, type);
        if (!cast || json_object_set_new(*record, name, cast) != 0) {
            tf_buf_t text = {.limit = 4096};

            tfw_value_write(&text, value);
            refuse(error, error_size, "column \"%.100s\": \"%.*s\" is no %s", name,
                   text.len < 80 ? (int)text.len : 80, text.data ? text.data : "", json_string_value(to));
            tf_buf_free(&text);
            return TFW_STEP_BAD;
        }
    }
    return TFW_STEP_KEPT;
}

/* ---- filter ---- */

static bool check_filter(step_t *step, char *error, size_t error_size)
{
    const char *op = json_string_value(json_object_get(step->what, "op"));
    bool fits;

    step->column = json_string_value(json_object_get(step->what, "column"));
    step->value = json_object_get(step->what, "value");
    for (step->op = 0; step->op < OPS && (!op || strcmp(op, op_names[step->op]) != 0); step->op++) {
    }
    if (!step->column || step->op == OPS) {
        return refuse(error, error_size,
                      "payload: a \"filter\" step must have \"column\", \"op\" (eq, ne, lt, le, gt, ge, in, "
                      "contains or is_null) and \"value\"");
    }
    switch (step->op) {
    case OP_IN:
        fits = json_array_size(step->value) > 0 && json_array_size(step->value) <= 1000;
        break;
    case OP_CONTAINS:
        fits = json_is_string(step->value);
        break;
    case OP_IS_NULL:
        fits = !step->value || json_is_boolean(step->value);
        break;
    default:
        fits = json_is_string(step->value) || json_is_number(step->value) || json_is_boolean(step->value);
    }
    return fits || refuse(error, error_size, "payload: a \"filter\" step: the \"value\" of %s must be %s", op,
                          step->op == OP_IN         ? "a list of 1 to 1000 values"
                          : step->op == OP_CONTAINS ? "a text"
                          : step->op == OP_IS_NULL  ? "true or false"
                                                    : "a text, a number, true or false");
}

/* Numbers with a number, texts by their bytes, booleans with a boolean. false: they cannot be compared. */
static bool compare(const json_t *value, const json_t *with, int *order)
{
    double number;

    if (json_is_number(with)) {
        if (!tfw_value_number(value, &number)) {
            return false;
        }
        if (json_is_integer(with) && json_is_integer(value)) {
            *order = (json_integer_value(value) > json_integer_value(with)) -
                     (json_integer_value(value) < json_integer_value(with));
        } else {
            *order = (number > json_number_value(with)) - (number < json_number_value(with));
        }
        return true;
    }
    if (json_is_boolean(with)) {
        *order = json_is_true(value) - json_is_true(with);
        return json_is_boolean(value);
    }
    if (!json_is_string(value) || !json_is_string(with)) {
        return false;
    }
    *order = strcmp(json_string_value(value), json_string_value(with));
    return true;
}

static bool is_in(const json_t *value, const json_t *list)
{
    int order;

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (compare(value, json_array_get(list, i), &order) && order == 0) {
            return true;
        }
    }
    return false;
}

static bool passes(const step_t *step, const json_t *value)
{
    int order = 0;
    bool comparable;

    switch (step->op) {
    case OP_IS_NULL:
        return json_is_null(value) == (!step->value || json_is_true(step->value));
    case OP_IN:
        return is_in(value, step->value);
    case OP_CONTAINS:
        return json_is_string(value) && strstr(json_string_value(value), json_string_value(step->value));
    default:
        break;
    }
    if (json_is_null(value)) {
        return false;
    }
    comparable = compare(value, step->value, &order);
    switch (step->op) {
    case OP_EQ:
        return comparable && order == 0;
    case OP_NE:
        return !comparable || order != 0;
    case OP_LT:
        return comparable && order < 0;
    case OP_LE:
        return comparable && order <= 0;
    case OP_GT:
        return comparable && order > 0;
    default:
        return comparable && order >= 0;
    }
}

static tfw_step_result_t apply_filter(step_t *step, json_t **record, char *error, size_t error_size)
{
    const json_t *value = json_object_get(*record, step->column);

    if (!value) {
        refuse(error, error_size, "there is no column \"%.100s\"", step->column);
        return TFW_STEP_BAD;
    }
    return passes(step, value) ? TFW_STEP_KEPT : TFW_STEP_DROPPED;
}

/* ---- dedupe ---- */

static tfw_step_result_t apply_dedupe(step_t *step, json_t **record, char *error, size_t error_size)
{
    json_t *key = json_array();
    char *text = NULL;
    tfw_step_result_t result = TFW_STEP_KEPT;

    for (size_t i = 0; i < json_array_size(step->what); i++) {
        const char *name = json_string_value(json_array_get(step->what, i));
        json_t *value = json_object_get(*record, name);

        if (!value) {
            refuse(error, error_size, "there is no column \"%.100s\"", name);
            result = TFW_STEP_BAD;
        }
        json_array_append(key, value);
    }
    text = result == TFW_STEP_KEPT ? json_dumps(key, JSON_COMPACT) : NULL;
    if (text && json_object_get(step->seen, text)) {
        result = TFW_STEP_DROPPED;
    } else if (result == TFW_STEP_KEPT && (!text || json_object_set_new(step->seen, text, json_true()))) {
        refuse(error, error_size, "out of memory");
        result = TFW_STEP_BAD;
    }
    free(text);
    json_decref(key);
    return result;
}

/* ---- all of them ---- */

static const step_kind_t kinds[] = {
    {"select", check_columns, apply_select},   {"rename", check_rename, apply_rename},
    {"cast", check_cast, apply_cast},          {"filter", check_filter, apply_filter},
    {"default", check_default, apply_default}, {"limit", check_limit, apply_limit},
    {"dedupe", check_columns, apply_dedupe},
};

static bool read_step(step_t *step, const json_t *object, char *error, size_t error_size)
{
    const char *name = json_object_iter_key(json_object_iter((json_t *)object));

    for (size_t i = 0; name && json_object_size(object) == 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            step->kind = &kinds[i];
            step->what = json_object_get(object, name);
            return step->kind->check(step, error, error_size);
        }
    }
    return refuse(error, error_size,
                  "payload: a step must be an object with one of \"select\", \"rename\", \"cast\", "
                  "\"filter\", \"default\", \"limit\" and \"dedupe\"");
}

tfw_steps_t *tfw_steps_new(const json_t *list, char *error, size_t error_size)
{
    tfw_steps_t *steps = calloc(1, sizeof(*steps));

    if (!steps || (list && !json_is_array(list)) || json_array_size(list) > TFW_STEPS_MAX) {
        refuse(error, error_size, "payload: \"steps\" must be a list of at most %d steps", TFW_STEPS_MAX);
        free(steps);
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!read_step(&steps->steps[i], json_array_get(list, i), error, error_size)) {
            tfw_steps_free(steps);
            return NULL;
        }
        steps->count++;
    }
    return steps;
}

void tfw_steps_free(tfw_steps_t *steps)
{
    for (size_t i = 0; steps && i < steps->count; i++) {
        json_decref(steps->steps[i].seen);
    }
    free(steps);
}

tfw_step_result_t tfw_steps_apply(tfw_steps_t *steps, json_t **record, char *error, size_t error_size)
{
    tfw_step_result_t result = TFW_STEP_KEPT;

    for (size_t i = 0; i < steps->count && result == TFW_STEP_KEPT; i++) {
        step_t *step = &steps->steps[i];

        result = step->kind->apply(step, record, error, error_size);
    }
    return result;
}

void tfw_steps_begin_batch(tfw_steps_t *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        step_t *step = &steps->steps[i];

        if (step->kind->apply == apply_dedupe) {
            json_decref(step->seen);
            step->seen = json_object();
        }
    }
}

bool tfw_steps_exhausted(const tfw_steps_t *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        const step_t *step = &steps->steps[i];

        if (step->kind->apply == apply_limit && step->passed >= json_integer_value(step->what)) {
            return true;
        }
    }
    return false;
}

json_t *tfw_steps_state(const tfw_steps_t *steps)
{
    json_t *passed = json_array();

    for (size_t i = 0; i < steps->count; i++) {
        json_array_append_new(passed, json_integer(steps->steps[i].passed));
    }
    return passed;
}

void tfw_steps_restore(tfw_steps_t *steps, const json_t *state)
{
    for (size_t i = 0; i < steps->count; i++) {
        steps->steps[i].passed = json_integer_value(json_array_get(state, i));
    }
}
