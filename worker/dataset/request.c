#include "dataset/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataset/data_settings.h"

#define URL_MAX 2048

static const char *const operations[TFW_OPS] = {"aggregate", "group",    "filter", "sort",
                                                "dedupe",    "describe", "join",   "sql"};

const char *tfw_operation_name(tfw_operation_t operation)
{
    return operations[operation];
}

const char *tfw_request_name(const json_t *item, const char *member)
{
    return json_string_value(json_is_object(item) ? json_object_get(item, member) : item);
}

/* Adds one complaint to the list. */
__attribute__((format(printf, 2, 3))) static void complain(tf_buf_t *errors, const char *fmt, ...)
{
    char text[200];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tf_buf_adds(errors, errors->len == 0 ? "payload: " : "; ");
    tf_buf_adds(errors, text);
}

/* The field's name as a JSON string: whatever it holds, the complaint stays one line of valid text. */
static void complain_unknown(tf_buf_t *errors, const char *key)
{
    complain(errors, "unknown field ");
    tf_json_str(errors, key, strnlen(key, 64));
}

/* ---- kinds of values ---- */

static bool is_name(const json_t *value, size_t max)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value), i;

    if (text == NULL || len == 0 || len > max) {
        return false;
    }
    for (i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool is_column(const json_t *value)
{
    return json_string_length(value) > 0 && json_string_length(value) <= TFW_CSV_FIELD_MAX;
}

/* The number of the word in a list that ends with NULL; -1: none of them. */
static int find_word(const char *text, const char *const *words)
{
    for (int i = 0; text != NULL && words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static int word_of(const json_t *value, const char *const *words)
{
    return find_word(json_string_value(value), words);
}

static bool is_list(const json_t *value, size_t max)
{
    return json_is_array(value) && json_array_size(value) > 0 && json_array_size(value) <= max;
}

static void check_names(const json_t *list, const char *key, size_t max, tf_buf_t *errors)
{
    if (!is_list(list, max)) {
        complain(errors, "\"%s\" must be a list of 1 to %zu column names", key, max);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!is_column(json_array_get(list, i))) {
            complain(errors, "\"%s\"[%zu] must be a column name", key, i);
            return;
        }
    }
}

/* A list of objects that have no members but these; `check` looks at each. */
static void check_objects(const json_t *list, const char *key, const char *const *members,
                          const char *(*check)(const json_t *item), tf_buf_t *errors)
{
    const char *why = NULL, *name;
    json_t *item, *value;
    size_t i;

    if (!is_list(list, TFW_CONDITIONS_MAX)) {
        complain(errors, "\"%s\" must be a list of 1 to %d items", key, TFW_CONDITIONS_MAX);
        return;
    }
    json_array_foreach(list, i, item)
    {
        json_object_foreach(item, name, value)
        {
            if (find_word(name, members) < 0) {
                why = "has an unknown field";
            }
        }
        why = why != NULL ? why : check(item);
        if (why != NULL) {
            complain(errors, "\"%s\"[%zu] %s", key, i, why);
            return;
        }
    }
}

static const char *check_aggregate(const json_t *item)
{
    static const char *const functions[] = {"count", "count_distinct", "sum",    "avg", "min",
                                            "max",   "median",         "stddev", NULL};
    const json_t *column = json_object_get(item, "column"), *as = json_object_get(item, "as");
    int function = word_of(json_object_get(item, "function"), functions);

    if (function < 0) {
        return "must have a \"function\": count, count_distinct, sum, avg, min, max, median or stddev";
    }
    if (column == NULL ? function != 0 : !is_column(column)) {
        return "must have a \"column\" with a column name";
    }
    return as == NULL || is_column(as) ? NULL : "must have a name in \"as\"";
}

static bool is_scalar(const json_t *value)
{
    return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
}

static const char *check_condition(const json_t *item)
{
    static const char *const ops[] = {"is_null",  "is_not_null", "in",        "not_in", "eq",
                                      "ne",       "lt",          "le",        "gt",     "ge",
                                      "contains", "starts_with", "ends_with", NULL};
    const json_t *value = json_object_get(item, "value");
    int op = word_of(json_object_get(item, "op"), ops);

    if (!is_column(json_object_get(item, "column"))) {
        return "must have a \"column\" with a column name";
    }
    if (op < 0) {
        return "must have an \"op\": eq, ne, lt, le, gt, ge, in, not_in, contains, starts_with, ends_with, "
               "is_null or is_not_null";
    }
    if (op < 2) {
        return value == NULL ? NULL : "must have no \"value\"";
    }
    if (op > 3) {
        return is_scalar(value) ? NULL : "must have a \"value\": a text, a number, true or false";
    }
    if (!is_list(value, TFW_IN_MAX)) {
        return "must have a \"value\" with a list of 1 to 1000 values";
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!is_scalar(json_array_get(value, i))) {
            return "must have texts, numbers, true or false in \"value\"";
        }
    }
    return NULL;
}

static const char *check_sort(const json_t *item)
{
    static const char *const orders[] = {"asc", "desc", NULL};

    if (json_is_string(item)) {
        return is_column(item) ? NULL : "must be a column name";
    }
    if (!is_column(json_object_get(item, "column"))) {
        return "must be a column name, or have one in \"column\"";
    }
    return json_object_get(item, "order") == NULL || word_of(json_object_get(item, "order"), orders) >= 0
               ? NULL
               : "must have \"asc\" or \"desc\" in \"order\"";
}

static const char *check_on(const json_t *item)
{
    if (json_is_string(item)) {
        return is_column(item) ? NULL : "must be a column name";
    }
    return is_column(json_object_get(item, "left")) && is_column(json_object_get(item, "right"))
               ? NULL
               : "must be a column name, or have one in \"left\" and in \"right\"";
}

/* ---- members ---- */

/* One member of the payload. */
typedef void (*take_fn)(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors);

static void take_word(const json_t *value, const char *key, const char *const *words, int *number,
                      tf_buf_t *errors)
{
    int found = word_of(value, words);

    if (found >= 0) {
        *number = found;
        return;
    }
    complain(errors, "\"%s\" must be ", key);
    for (size_t i = 0; words[i] != NULL; i++) {
        tf_buf_addf(errors, "%s\"%s\"", i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ", words[i]);
    }
}

static void take_operation(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    /* taken already */
    if (word_of(value, (const char *const[]){"aggregate", "group", "filter", "sort", "dedupe", "describe",
                                             "join", "sql", NULL}) < 0) {
        complain(errors,
                 "\"%s\" must be \"aggregate\", \"group\", \"filter\", \"sort\", \"dedupe\", "
                 "\"describe\", \"join\" or \"sql\"",
                 key);
    }
}

static void take_source(const json_t *value, const char *key, tfw_source_t *source, tf_buf_t *errors)
{
    static const char *const formats[] = {"auto", "csv", "tsv", "jsonl", "json", NULL};
    int format = TFW_FORMAT_BY_NAME;

    if (strcmp(key, "dataset") == 0) {
        source->dataset = json_string_value(value);
        if (!is_name(value, TFW_DATASET_NAME_MAX)) {
            complain(errors, "\"dataset\" must be a name of 1 to %d bytes without control characters",
                     TFW_DATASET_NAME_MAX);
        }
    } else if (strcmp(key, "url") == 0) {
        source->url = json_string_value(value);
        if (!is_name(value, URL_MAX)) {
            complain(errors, "\"url\" must be an http or https URL of at most %d bytes", URL_MAX);
        }
    } else if (strcmp(key, "records") == 0 && json_is_array(value)) {
        source->records = value;
    } else if (strcmp(key, "format") == 0) {
        take_word(value, key, formats, &format, errors);
        source->format = (tfw_format_t)format;
    } else { /* rows, data_size, and a number of records */
        bool records = strcmp(key, "records") == 0;

        source->rows = json_integer_value(value);
        if (!json_is_integer(value) || source->rows < 1) {
            complain(errors, "\"%s\" must be %san integer of at least 1", key,
                     records ? "a list of objects or " : "");
        }
        if (strcmp(key, "rows") != 0 && source->dataset == NULL) {
            source->dataset = tfw_data_settings.default_dataset;
        }
    }
}

static void take_input(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    take_source(value, key, &r->source, errors);
}

static void take_group_by(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->group_by = value;
    if (json_is_array(value)) {
        check_names(value, key, 16, errors);
    } else if (!is_column(value)) {
        complain(errors, "\"group_by\" must be a column name");
    }
}

static void take_columns(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->columns = value;
    check_names(value, key, TFW_CSV_COLUMNS_MAX, errors);
}

static void take_by(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->by = value;
    check_names(value, key, TFW_CSV_COLUMNS_MAX, errors);
}

static void take_aggregates(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->aggregates = value;
    check_objects(value, key, (const char *const[]){"function", "column", "as", NULL}, check_aggregate,
                  errors);
}

static void take_where(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->where = value;
    check_objects(value, key, (const char *const[]){"column", "op", "value", NULL}, check_condition, errors);
}

static void take_match(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    int any = 0;

    take_word(value, key, (const char *const[]){"all", "any", NULL}, &any, errors);
    r->match_any = any != 0;
}

static void take_sort(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->sort = value;
    check_objects(value, key, (const char *const[]){"column", "order", NULL}, check_sort, errors);
}

static void take_keep(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    int last = 0;

    take_word(value, key, (const char *const[]){"first", "last", NULL}, &last, errors);
    r->keep_last = last != 0;
}

static int sources_of(const tfw_source_t *source)
{
    return (source->dataset != NULL) + (source->url != NULL) + (source->records != NULL);
}

static void take_with(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    static const char *const members[] = {"dataset", "url", "records", "format", "rows", NULL};
    const char *name;
    json_t *member;

    r->has_with = true;
    json_object_foreach((json_t *)value, name, member)
    {
        if (find_word(name, members) < 0) {
            complain(errors, "\"with\" has an unknown field");
        } else {
            take_source(member, name, &r->with, errors);
        }
    }
    if (sources_of(&r->with) != 1) {
        complain(errors, "\"with\" must be an object with one of \"dataset\", \"url\" and \"records\"");
    }
}

static void take_on(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->on = value;
    check_objects(value, key, (const char *const[]){"left", "right", NULL}, check_on, errors);
}

static void take_how(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    int left = 0;

    take_word(value, key, (const char *const[]){"inner", "left", NULL}, &left, errors);
    r->left = left != 0;
}

static void take_query(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->query = json_string_value(value);
    if (json_string_length(value) == 0 || json_string_length(value) > TFW_QUERY_MAX) {
        complain(errors, "\"query\" must be a SELECT of at most %d bytes", TFW_QUERY_MAX);
    }
}

static void take_limit(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    r->limit = json_integer_value(value);
    if (!json_is_integer(value) || r->limit < 0 || r->limit > TFW_LIMIT_MAX) {
        complain(errors, "\"limit\" must be an integer from 0 to %d", TFW_LIMIT_MAX);
    }
}

static void take_output(const json_t *value, const char *key, tfw_request_t *r, tf_buf_t *errors)
{
    int jsonl = 0;

    take_word(value, key, (const char *const[]){"csv", "jsonl", NULL}, &jsonl, errors);
    r->to_file = true;
    r->csv = jsonl == 0;
}

enum {
    AGGREGATE = 1 << TFW_OP_AGGREGATE,
    GROUP = 1 << TFW_OP_GROUP,
    FILTER = 1 << TFW_OP_FILTER,
    SORT = 1 << TFW_OP_SORT,
    DEDUPE = 1 << TFW_OP_DEDUPE,
    DESCRIBE = 1 << TFW_OP_DESCRIBE,
    JOIN = 1 << TFW_OP_JOIN,
    SQL = 1 << TFW_OP_SQL,
    ALL = (1 << TFW_OPS) - 1
};

/* Which operations know which members, and which need them. */
static const struct {
    const char *key;
    unsigned known, needed;
    take_fn take;
} members[] = {
    {"dataset", ALL, 0, take_input},
    {"url", ALL, 0, take_input},
    {"records", ALL, 0, take_input},
    {"format", ALL, 0, take_input},
    {"rows", ALL, 0, take_input},
    {"data_size", ALL, 0, take_input},
    {"operation", ALL, 0, take_operation},
    {"group_by", AGGREGATE | GROUP, GROUP, take_group_by},
    {"columns", ALL & ~(GROUP | SQL), 0, take_columns},
    {"aggregates", GROUP, 0, take_aggregates},
    {"where", GROUP | FILTER | SORT | DEDUPE | DESCRIBE, FILTER, take_where},
    {"match", GROUP | FILTER | SORT | DEDUPE | DESCRIBE, 0, take_match},
    {"sort", GROUP | FILTER | SORT | DEDUPE | JOIN, SORT, take_sort},
    {"by", DEDUPE, 0, take_by},
    {"keep", DEDUPE, 0, take_keep},
    {"with", JOIN | SQL, JOIN, take_with},
    {"on", JOIN, JOIN, take_on},
    {"how", JOIN, 0, take_how},
    {"query", SQL, SQL, take_query},
    {"limit", ALL & ~(AGGREGATE | DESCRIBE), 0, take_limit},
    {"output", ALL & ~(AGGREGATE | DESCRIBE), 0, take_output},
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static void take_member(const char *key, const json_t *value, bool lenient, tfw_request_t *r,
                        tf_buf_t *errors)
{
    unsigned bit = 1U << r->operation;

    for (size_t i = 0; i < MEMBERS; i++) {
        if (strcmp(key, members[i].key) == 0) {
            if (members[i].known & bit) {
                members[i].take(value, key, r, errors);
            } else if (!lenient) {
                complain(errors, "\"%s\" is not for \"%s\"", key, operations[r->operation]);
            }
            return;
        }
    }
    if (!lenient) {
        complain_unknown(errors, key);
    }
}

void tfw_request_read(const json_t *payload, bool lenient, tfw_request_t *r, tf_buf_t *errors)
{
    const char *key;
    json_t *value;
    int n;

    *r = (tfw_request_t){.limit = TFW_LIMIT_DEFAULT};
    for (n = 0; n < TFW_OPS; n++) {
        const char *name = json_string_value(json_object_get(payload, "operation"));

        if (name != NULL && strcmp(name, operations[n]) == 0) {
            r->operation = (tfw_operation_t)n;
        }
    }
    if (json_object_get(payload, "dataset") == NULL && json_object_get(payload, "url") == NULL &&
        json_object_get(payload, "records") == NULL && json_object_get(payload, "data_size") == NULL) {
        complain(errors, "\"dataset\" is missing");
    }
    json_object_foreach((json_t *)payload, key, value)
    {
        take_member(key, value, lenient, r, errors);
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        if ((members[i].needed & (1U << r->operation)) && json_object_get(payload, members[i].key) == NULL) {
            complain(errors, "\"%s\" is missing", members[i].key);
        }
    }
    /* a dataset that stands in for a number is no second source */
    if (r->source.dataset == tfw_data_settings.default_dataset && sources_of(&r->source) > 1) {
        r->source.dataset = NULL;
    }
    if (sources_of(&r->source) > 1) {
        complain(errors, "only one of \"dataset\", \"url\" and \"records\" can be there");
    }
}
