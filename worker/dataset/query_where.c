/* query_where.c: the conditions of a request. See query.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/query.h"

#define VALUES_MAX 20000 /* below SQLite's own limit of parameters */

/* "line" of an error about a name that is not there. */
static void no_column(const tfw_query_context_t *c, const char *name)
{
    tf_buf_t shown = {.limit = 512};

    tf_json_str(&shown, name, strnlen(name, 64));
    tfw_run_error(c->run, "%s: there is no column %s", c->label, tf_buf_cstr(&shown));
    tf_buf_free(&shown);
}

const tfw_column_t *tfw_query_column(const tfw_query_context_t *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->columns[i].name, name) == 0) {
            return &c->columns[i];
        }
    }
    no_column(c, name);
    return NULL;
}

static bool add_value(tfw_query_t *q, const json_t *value)
{
    if (q->values_count == q->values_size) {
        size_t size = q->values_size > 0 ? q->values_size * 2 : 16;
        const json_t **longer = size > VALUES_MAX ? NULL : realloc(q->values, size * sizeof(*longer));

        if (longer == NULL) {
            return false;
        }
        q->values = longer;
        q->values_size = size;
    }
    q->values[q->values_count++] = value;
    return true;
}

/* A value that the column can be compared with; NULL: it can. */
static const char *mismatch(const tfw_column_t *column, const json_t *value)
{
    switch (column->type) {
    case TFW_TYPE_INTEGER:
    case TFW_TYPE_REAL:
        return json_is_number(value) ? NULL : "must be a number: the column has numbers";
    case TFW_TYPE_BOOLEAN:
        return json_is_boolean(value) ? NULL : "must be true or false: the column has these";
    case TFW_TYPE_TEXT:
    case TFW_TYPE_JSON:
        return json_is_string(value) ? NULL : "must be a text: the column has texts";
    default:
        return NULL; /* a column without values */
    }
}

static bool is_text(const tfw_column_t *column)
{
    return column->type == TFW_TYPE_TEXT || column->type == TFW_TYPE_JSON || column->type == TFW_TYPE_NONE;
}

static const struct {
    const char *op, *before, *after; /* before the value, after it */
    bool text;
} ops[] = {{"eq", " = ?", "", false},
           {"ne", " <> ?", "", false},
           {"lt", " < ?", "", false},
           {"le", " <= ?", "", false},
           {"gt", " > ?", "", false},
           {"ge", " >= ?", "", false},
           {"is_null", " IS NULL", "", false},
           {"is_not_null", " IS NOT NULL", "", false},
           {"in", " IN (", ")", false},
           {"not_in", " NOT IN (", ")", false},
           {"contains", "instr(", ", ?) > 0", true},
           {"starts_with", "substr(", ", 1, length(?)) = ?", true},
           {"ends_with", "substr(", ", -length(?)) = ?", true}};

enum { IN = 8, NOT_IN = 9, STARTS_WITH = 11, OPS = sizeof(ops) / sizeof(ops[0]) };

static bool add_list(tfw_query_t *q, tf_buf_t *sql, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        tf_buf_adds(sql, i > 0 ? ", ?" : "?");
        if (!add_value(q, json_array_get(list, i))) {
            return false;
        }
    }
    return true;
}

/* One condition. false: too many values. */
static bool add_condition(tfw_query_t *q, tf_buf_t *sql, const char *column, size_t op, const json_t *value)
{
    bool fits = true;

    if (ops[op].text) {
        tf_buf_adds(sql, ops[op].before);
        tfw_tables_add_name(sql, column);
        fits = add_value(q, value) && (op < STARTS_WITH || add_value(q, value));
    } else {
        tfw_tables_add_name(sql, column);
        tf_buf_adds(sql, ops[op].before);
        fits = op == IN || op == NOT_IN ? add_list(q, sql, value) : value == NULL || add_value(q, value);
    }
    tf_buf_adds(sql, ops[op].after);
    return fits;
}

static const char *check(const tfw_column_t *column, size_t op, const json_t *value)
{
    const char *why = NULL;

    if (ops[op].text && !is_text(column)) {
        return "is for columns with texts";
    }
    if (op == IN || op == NOT_IN) {
        for (size_t i = 0; i < json_array_size(value) && why == NULL; i++) {
            why = mismatch(column, json_array_get(value, i));
        }
        return why;
    }
    if (ops[op].text && !json_is_string(value)) {
        return "must be a text";
    }
    return value != NULL ? mismatch(column, value) : NULL;
}

tfw_outcome_t tfw_query_where(const tfw_query_context_t *c, tfw_query_t *q, tf_buf_t *sql)
{
    const json_t *item, *value;
    const tfw_column_t *column;
    const char *why;
    size_t i, op;

    for (i = 0; i < json_array_size(c->request->where); i++) {
        item = json_array_get(c->request->where, i);
        value = json_object_get(item, "value");
        column = tfw_query_column(c, json_string_value(json_object_get(item, "column")));
        if (column == NULL) {
            return TFW_PERMANENT;
        }
        for (op = 0; op < OPS && strcmp(ops[op].op, json_string_value(json_object_get(item, "op"))) != 0;
             op++) {
        }
        why = op < OPS ? check(column, op, value) : "is not known";
        if (why != NULL) {
            tfw_run_error(c->run, "payload: \"where\"[%zu]: \"%s\" %s", i,
                          ops[op < OPS ? op : 0].text && !is_text(column) ? "op" : "value", why);
            return TFW_PERMANENT;
        }
        tf_buf_adds(sql, i == 0 ? " WHERE (" : c->request->match_any ? " OR (" : " AND (");
        if (!add_condition(q, sql, column->name, op, value)) {
            tfw_run_error(c->run, "payload: \"where\" has more than %d values", VALUES_MAX);
            return TFW_PERMANENT;
        }
        tf_buf_addc(sql, ')');
    }
    return TFW_OK;
}

void tfw_query_bind(const tfw_query_t *q, sqlite3_stmt *stmt)
{
    for (size_t i = 0; i < q->values_count; i++) {
        const json_t *value = q->values[i];
        int at = (int)i + 1;

        if (json_is_string(value)) {
            sqlite3_bind_text(stmt, at, json_string_value(value), (int)json_string_length(value),
                              SQLITE_STATIC);
        } else if (json_is_integer(value)) {
            sqlite3_bind_int64(stmt, at, json_integer_value(value));
        } else if (json_is_real(value)) {
            sqlite3_bind_double(stmt, at, json_real_value(value));
        } else {
            sqlite3_bind_int(stmt, at, json_is_true(value));
        }
    }
}

void tfw_query_free(tfw_query_t *q)
{
    tf_buf_free(&q->select);
    tf_buf_free(&q->count);
    free(q->values);
}
