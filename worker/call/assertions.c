#include "assertions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_path.h"

#define SHOWN_MAX 512 /* bytes of a value that is shown */
#define TOLD_MAX 3    /* failures that are told */

enum { EQUALS, NOT_EQUALS, EXISTS, CONTAINS, AT_LEAST, AT_MOST, COMPARISONS };

static const struct {
    const char *name, *words;
} comparisons[COMPARISONS] = {
    [EQUALS] = {"equals", "must equal"},           [NOT_EQUALS] = {"not_equals", "must not equal"},
    [EXISTS] = {"exists", "must exist:"},          [CONTAINS] = {"contains", "must contain"},
    [AT_LEAST] = {"at_least", "must be at least"}, [AT_MOST] = {"at_most", "must be at most"},
};

/* ---- comparing ---- */

static bool equal(const json_t *a, const json_t *b);

static bool equal_members(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)a, key, value)
    {
        if (!equal(value, json_object_get(b, key))) {
            return false;
        }
    }
    return json_object_size(a) == json_object_size(b);
}

static bool equal_elements(const json_t *a, const json_t *b)
{
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!equal(json_array_get(a, i), json_array_get(b, i))) {
            return false;
        }
    }
    return json_array_size(a) == json_array_size(b);
}

/* As json_equal, which takes 1 and 1.0 for different. b may be NULL. */
static bool equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b) && !(json_is_integer(a) && json_is_integer(b))) {
        return !(json_number_value(a) < json_number_value(b)) &&
               !(json_number_value(a) > json_number_value(b));
    }
    if (json_is_object(a) && json_is_object(b)) {
        return equal_members(a, b);
    }
    if (json_is_array(a) && json_is_array(b)) {
        return equal_elements(a, b);
    }
    return json_equal(a, b);
}

static bool contains(const json_t *value, const json_t *part)
{
    if (json_is_string(value) && json_is_string(part)) {
        return memmem(json_string_value(value), json_string_length(value), json_string_value(part),
                      json_string_length(part)) != NULL;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (equal(json_array_get(value, i), part)) {
            return true;
        }
    }
    return json_is_object(value) && json_is_string(part) && json_object_get(value, json_string_value(part));
}

/* found NULL: there is nothing. */
static bool holds(int comparison, const json_t *found, const json_t *wanted)
{
    switch (comparison) {
    case EXISTS:
        return (found != NULL) == json_is_true(wanted);
    case EQUALS:
        return found && equal(found, wanted);
    case NOT_EQUALS:
        return found && !equal(found, wanted);
    case CONTAINS:
        return found && contains(found, wanted);
    case AT_LEAST:
        return json_is_number(found) && json_number_value(found) >= json_number_value(wanted);
    default:
        return json_is_number(found) && json_number_value(found) <= json_number_value(wanted);
    }
}

/* ---- checking ---- */

static bool fail(char *error, size_t error_size, size_t index, const char *what)
{
    snprintf(error, error_size, "\"assertions\": number %zu %s", index + 1, what);
    return false;
}

static bool check_comparison(int comparison, const json_t *wanted)
{
    switch (comparison) {
    case EXISTS:
        return json_is_boolean(wanted);
    case AT_LEAST:
    case AT_MOST:
        return json_is_number(wanted);
    default:
        return true;
    }
}

static bool check_one(const json_t *assertion, size_t index, char *error, size_t error_size)
{
    const json_t *path = json_object_get(assertion, "path"), *found;
    size_t at, members = 1;
    const char *wrong;
    char text[200];

    if (!json_is_string(path)) {
        return fail(error, error_size, index, "needs a \"path\", a text");
    }
    wrong = tfw_json_path(json_string_value(path), json_string_length(path), NULL, &found, &at);
    if (wrong) {
        snprintf(text, sizeof(text), "has no JSON path: byte %zu: %s", at + 1, wrong);
        return fail(error, error_size, index, text);
    }
    for (int i = 0; i < COMPARISONS; i++) {
        const json_t *wanted = json_object_get(assertion, comparisons[i].name);

        members += wanted != NULL;
        if (wanted && !check_comparison(i, wanted)) {
            snprintf(text, sizeof(text), "has a \"%s\" that is no %s", comparisons[i].name,
                     i == EXISTS ? "boolean" : "number");
            return fail(error, error_size, index, text);
        }
    }
    return (members > 1 && members == json_object_size(assertion)) ||
           fail(
               error, error_size, index,
               "must have a path and one or more of equals, not_equals, exists, contains, at_least, at_most");
}

bool tfw_assertions_check(const json_t *list, char *error, size_t error_size)
{
    if (list && (!json_is_array(list) || json_array_size(list) > TFW_ASSERTIONS_MAX)) {
        snprintf(error, error_size, "\"assertions\" must be a list of at most %d", TFW_ASSERTIONS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!check_one(json_array_get(list, i), i, error, error_size)) {
            return false;
        }
    }
    return true;
}

/* ---- judging ---- */

/* The value as JSON; of one that is large only what it is, as a text. */
static void show(tf_buf_t *out, const json_t *value)
{
    char *text = NULL;

    if (json_is_real(value)) {
        tf_json_double(out, json_real_value(value));
        return;
    }
    if (!json_is_string(value) || json_string_length(value) <= SHOWN_MAX) {
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    }
    if (text && strlen(text) <= SHOWN_MAX) {
        tf_buf_adds(out, text);
    } else if (json_is_string(value)) {
        tf_buf_addf(out, "\"a text of %zu bytes\"", json_string_length(value));
    } else if (json_is_array(value)) {
        tf_buf_addf(out, "\"an array of %zu values\"", json_array_size(value));
    } else {
        tf_buf_addf(out, "\"an object of %zu members\"", json_object_size(value));
    }
    free(text);
}

static void tell(tf_buf_t *out, const json_t *assertion, int comparison, const json_t *found)
{
    if (out->len) {
        tf_buf_adds(out, "; ");
    }
    tf_buf_addf(out, "%.100s %s ", json_string_value(json_object_get(assertion, "path")),
                comparisons[comparison].words);
    show(out, json_object_get(assertion, comparisons[comparison].name));
    if (found) {
        tf_buf_adds(out, ", is ");
        show(out, found);
    } else {
        tf_buf_adds(out, ", is not there");
    }
}

/* The first comparison that does not hold; COMPARISONS: all do. */
static int broken(const json_t *assertion, const json_t *found)
{
    for (int i = 0; i < COMPARISONS; i++) {
        const json_t *wanted = json_object_get(assertion, comparisons[i].name);

        if (wanted && !holds(i, found, wanted)) {
            return i;
        }
    }
    return COMPARISONS;
}

size_t tfw_assertions_judge(const json_t *list, const json_t *value, tf_buf_t *results, tf_buf_t *failures)
{
    size_t failed = 0;

    tf_buf_addc(results, '[');
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *assertion = json_array_get(list, i), *path = json_object_get(assertion, "path"),
                     *found = NULL;
        size_t at;
        int wrong;

        if (value) {
            (void)tfw_json_path(json_string_value(path), json_string_length(path), value, &found, &at);
        }
        wrong = broken(assertion, found);
        if (wrong < COMPARISONS && ++failed <= TOLD_MAX) {
            tell(failures, assertion, wrong, found);
        }
        tf_buf_adds(results, i ? ",{" : "{");
        tf_json_kstr(results, "path", json_string_value(path), json_string_length(path));
        tf_json_kbool(results, "ok", wrong == COMPARISONS);
        if (found) {
            tf_json_key(results, "actual");
            show(results, found);
        }
        tf_buf_addc(results, '}');
    }
    tf_buf_addc(results, ']');
    return failed;
}
