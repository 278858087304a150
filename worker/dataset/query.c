#include "dataset/query.h"

#include <stdio.h>
#include <string.h>

/* A name of SQLite's for the number of a row that no column hides; NULL: they hide all three. */
static const char *row_number(const tfw_query_context_t *c)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        size_t i = 0;

        while (i < c->count && sqlite3_stricmp(c->columns[i].name, names[n]) != 0) {
            i++;
        }
        if (i == c->count) {
            return names[n];
        }
    }
    tfw_run_error(c->run,
                  "%s: there are columns named rowid, _rowid_ and oid, one of which must not be there",
                  c->label);
    return NULL;
}

/* "a", "b": the columns of the list, or all without one. */
static tfw_outcome_t add_columns(const tfw_query_context_t *c, const json_t *list, tf_buf_t *sql)
{
    size_t count = list != NULL ? json_array_size(list) : c->count;

    for (size_t i = 0; i < count; i++) {
        const tfw_column_t *column =
            list != NULL ? tfw_query_column(c, json_string_value(json_array_get(list, i))) : &c->columns[i];

        if (column == NULL) {
            return TFW_PERMANENT;
        }
        tf_buf_adds(sql, i > 0 ? ", " : "");
        tfw_tables_add_name(sql, column->name);
    }
    return TFW_OK;
}

/* " ORDER BY ..." of the request, with `last` behind it so that equal rows have an order too; any name is
 * taken that `known` knows. */
static tfw_outcome_t add_order(const tfw_query_context_t *c, tf_buf_t *sql, const char *last,
                               bool (*known)(const tfw_query_context_t *c, const char *name))
{
    size_t count = json_array_size(c->request->sort);

    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(c->request->sort, i);
        const char *name = tfw_request_name(item, "column"),
                   *order = json_string_value(json_object_get(item, "order"));

        if (!known(c, name)) {
            tfw_query_column(&(tfw_query_context_t){.run = c->run, .label = c->label}, name);
            return TFW_PERMANENT;
        }
        tf_buf_adds(sql, i > 0 ? ", " : " ORDER BY ");
        tfw_tables_add_name(sql, name);
        tf_buf_adds(sql, order != NULL && strcmp(order, "desc") == 0 ? " DESC" : "");
    }
    if (last != NULL) {
        tf_buf_addf(sql, "%s%s", count > 0 ? ", " : " ORDER BY ", last);
    }
    return TFW_OK;
}

static bool is_column(const tfw_query_context_t *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- filter, sort ---- */

static tfw_outcome_t build_rows(const tfw_query_context_t *c, tfw_query_t *q)
{
    tf_buf_t where = TF_BUF_INIT;
    const char *number = row_number(c);
    tfw_outcome_t outcome = number != NULL ? tfw_query_where(c, q, &where) : TFW_PERMANENT;

    if (outcome == TFW_OK) {
        tf_buf_adds(&q->select, "SELECT ");
        outcome = add_columns(c, c->request->columns, &q->select);
    }
    if (outcome == TFW_OK) {
        tf_buf_addf(&q->select, " FROM data%s", tf_buf_cstr(&where));
        tf_buf_addf(&q->count, "SELECT count(*) FROM data%s", tf_buf_cstr(&where));
        outcome = add_order(c, &q->select, number, is_column);
    }
    q->select.failed = q->select.failed || where.failed;
    tf_buf_free(&where);
    return outcome;
}

/* ---- dedupe ---- */

static tfw_outcome_t build_dedupe(const tfw_query_context_t *c, tfw_query_t *q)
{
    tf_buf_t group = TF_BUF_INIT;
    const char *number = row_number(c);
    tfw_outcome_t outcome = number != NULL ? tfw_query_where(c, q, &group) : TFW_PERMANENT;

    if (outcome == TFW_OK) {
        tf_buf_adds(&group, " GROUP BY ");
        outcome = add_columns(c, c->request->by, &group);
    }
    if (outcome == TFW_OK) {
        tf_buf_adds(&q->select, "SELECT ");
        outcome = add_columns(c, c->request->columns, &q->select);
    }
    if (outcome == TFW_OK) {
        tf_buf_addf(&q->select, " FROM data WHERE %s IN (SELECT %s(%s) FROM data%s)", number,
                    c->request->keep_last ? "max" : "min", number, tf_buf_cstr(&group));
        tf_buf_addf(&q->count, "SELECT count(*) FROM (SELECT 1 FROM data%s)", tf_buf_cstr(&group));
        outcome = add_order(c, &q->select, number, is_column);
    }
    q->select.failed = q->select.failed || group.failed;
    tf_buf_free(&group);
    return outcome;
}

/* ---- group ---- */

/* The aggregate's name in the result: "as", or sum_revenue, or count. */
static void add_alias(const json_t *item, tf_buf_t *name)
{
    const char *as = json_string_value(json_object_get(item, "as")),
               *column = json_string_value(json_object_get(item, "column"));

    if (as != NULL) {
        tf_buf_adds(name, as);
        return;
    }
    tf_buf_addf(name, "%s", json_string_value(json_object_get(item, "function")));
    if (column != NULL) {
        tf_buf_addf(name, "_%s", column);
    }
}

static tfw_outcome_t add_aggregate(const tfw_query_context_t *c, const json_t *item, tf_buf_t *sql)
{
    const char *function = json_string_value(json_object_get(item, "function")),
               *name = json_string_value(json_object_get(item, "column"));
    const tfw_column_t *column = name != NULL ? tfw_query_column(c, name) : NULL;
    bool distinct = strcmp(function, "count_distinct") == 0,
         numeric = !distinct && strcmp(function, "count") != 0 && strcmp(function, "min") != 0 &&
                   strcmp(function, "max") != 0;
    tf_buf_t alias = TF_BUF_INIT;

    if (name != NULL && column == NULL) {
        return TFW_PERMANENT;
    }
    if (numeric && column != NULL && column->type != TFW_TYPE_INTEGER && column->type != TFW_TYPE_REAL &&
        column->type != TFW_TYPE_NONE) {
        tfw_run_error(c->run, "%s: %s of a column that does not have numbers: %.64s", c->label, function,
                      name);
        return TFW_PERMANENT;
    }
    tf_buf_addf(sql, "%s(%s", distinct ? "count" : function, distinct ? "DISTINCT " : "");
    if (name != NULL) {
        tfw_tables_add_name(sql, name);
    } else {
        tf_buf_addc(sql, '*');
    }
    tf_buf_adds(sql, ") AS ");
    add_alias(item, &alias);
    tfw_tables_add_name(sql, tf_buf_cstr(&alias));
    sql->failed = sql->failed || alias.failed;
    tf_buf_free(&alias);
    return TFW_OK;
}

/* The names of a group's result: what it is grouped by, and the aggregates. */
static bool is_group_result(const tfw_query_context_t *c, const char *name)
{
    const json_t *by = c->request->group_by, *aggregates = c->request->aggregates;
    bool found = json_is_string(by) && strcmp(json_string_value(by), name) == 0;

    for (size_t i = 0; i < json_array_size(by) && !found; i++) {
        found = strcmp(json_string_value(json_array_get(by, i)), name) == 0;
    }
    for (size_t i = 0; i < json_array_size(aggregates) && !found; i++) {
        tf_buf_t alias = TF_BUF_INIT;

        add_alias(json_array_get(aggregates, i), &alias);
        found = strcmp(tf_buf_cstr(&alias), name) == 0;
        tf_buf_free(&alias);
    }
    return found || (aggregates == NULL && strcmp(name, "count") == 0);
}

static tfw_outcome_t build_group(const tfw_query_context_t *c, tfw_query_t *q)
{
    const json_t *by = c->request->group_by, *aggregates = c->request->aggregates;
    json_t *list = json_is_string(by) ? json_pack("[O]", by) : json_incref((json_t *)by);
    tf_buf_t names = TF_BUF_INIT;
    tfw_outcome_t outcome = list != NULL ? add_columns(c, list, &names) : TFW_RETRY;

    tf_buf_addf(&q->select, "SELECT %s%s", tf_buf_cstr(&names),
                aggregates == NULL ? ", count(*) AS \"count\"" : "");
    for (size_t i = 0; i < json_array_size(aggregates) && outcome == TFW_OK; i++) {
        tf_buf_adds(&q->select, ", ");
        outcome = add_aggregate(c, json_array_get(aggregates, i), &q->select);
    }
    tf_buf_adds(&q->select, " FROM data");
    if (outcome == TFW_OK) {
        outcome = tfw_query_where(c, q, &q->select);
    }
    if (outcome == TFW_OK) {
        tf_buf_addf(&q->select, " GROUP BY %s", tf_buf_cstr(&names));
        outcome = add_order(c, &q->select, tf_buf_cstr(&names), is_group_result);
    }
    q->select.failed = q->select.failed || names.failed;
    json_decref(list);
    tf_buf_free(&names);
    return outcome;
}

/* ---- join ---- */

static bool is_shared(const tfw_query_context_t *c, const char *right)
{
    for (size_t i = 0; i < json_array_size(c->request->on); i++) {
        const json_t *item = json_array_get(c->request->on, i);

        if (json_is_string(item) && strcmp(json_string_value(item), right) == 0) {
            return true;
        }
    }
    return false;
}

/* How the result calls a column of the second dataset. */
static void add_other_name(const tfw_query_context_t *c, const char *name, tf_buf_t *out)
{
    bool taken = false;

    for (size_t i = 0; i < c->count && !taken; i++) {
        taken = sqlite3_stricmp(c->columns[i].name, name) == 0;
    }
    tf_buf_addf(out, "%s%s", name, taken ? "_2" : "");
}

static bool is_wanted(const tfw_query_context_t *c, const char *name)
{
    for (size_t i = 0; i < json_array_size(c->request->columns); i++) {
        if (strcmp(json_string_value(json_array_get(c->request->columns, i)), name) == 0) {
            return true;
        }
    }
    return c->request->columns == NULL;
}

/* A name of the join's result, wanted or not. */
static bool is_join_result(const tfw_query_context_t *c, const char *name)
{
    bool found = is_column(c, name);

    for (size_t i = 0; i < c->other_count && !found; i++) {
        tf_buf_t other = TF_BUF_INIT;

        add_other_name(c, c->other[i].name, &other);
        found = !is_shared(c, c->other[i].name) && strcmp(tf_buf_cstr(&other), name) == 0;
        tf_buf_free(&other);
    }
    return found;
}

static void add_joined_columns(const tfw_query_context_t *c, tf_buf_t *sql)
{
    bool first = true;

    for (size_t i = 0; i < c->count + c->other_count; i++) {
        bool right = i >= c->count;
        const char *column = right ? c->other[i - c->count].name : c->columns[i].name;
        tf_buf_t name = TF_BUF_INIT;

        if (right) {
            add_other_name(c, column, &name);
        } else {
            tf_buf_adds(&name, column);
        }
        if (is_wanted(c, tf_buf_cstr(&name)) && !(right && is_shared(c, column))) {
            tf_buf_addf(sql, "%s%s.", first ? "" : ", ", right ? "other" : "data");
            tfw_tables_add_name(sql, column);
            tf_buf_adds(sql, " AS ");
            tfw_tables_add_name(sql, tf_buf_cstr(&name));
            first = false;
        }
        sql->failed = sql->failed || name.failed;
        tf_buf_free(&name);
    }
}

static tfw_outcome_t build_join(const tfw_query_context_t *c, tfw_query_t *q)
{
    const tfw_query_context_t other = {
        .run = c->run, .label = c->other_label, .columns = c->other, .count = c->other_count};

    for (size_t i = 0; i < json_array_size(c->request->columns); i++) {
        const char *name = json_string_value(json_array_get(c->request->columns, i));

        if (!is_join_result(c, name)) {
            tfw_query_column(&(tfw_query_context_t){.run = c->run, .label = "the join"}, name);
            return TFW_PERMANENT;
        }
    }
    tf_buf_adds(&q->select, "SELECT ");
    add_joined_columns(c, &q->select);
    /* CROSS: the first table stays the outer one, so that the rows come in its order */
    tf_buf_addf(&q->select, " FROM data %s JOIN other", c->request->left ? "LEFT" : "CROSS");
    for (size_t i = 0; i < json_array_size(c->request->on); i++) {
        const json_t *item = json_array_get(c->request->on, i);
        const tfw_column_t *a = tfw_query_column(c, tfw_request_name(item, "left")),
                           *b = a != NULL ? tfw_query_column(&other, tfw_request_name(item, "right")) : NULL;

        if (b == NULL) {
            return TFW_PERMANENT;
        }
        tf_buf_adds(&q->select, i > 0 ? " AND data." : " ON data.");
        tfw_tables_add_name(&q->select, a->name);
        tf_buf_adds(&q->select, " = other.");
        tfw_tables_add_name(&q->select, b->name);
    }
    return add_order(c, &q->select, NULL, is_join_result);
}

tfw_outcome_t tfw_query_build(const tfw_query_context_t *c, tfw_query_t *q)
{
    tfw_outcome_t outcome;

    switch (c->request->operation) {
    case TFW_OP_GROUP:
        outcome = build_group(c, q);
        break;
    case TFW_OP_DEDUPE:
        outcome = build_dedupe(c, q);
        break;
    case TFW_OP_JOIN:
        outcome = build_join(c, q);
        break;
    default:
        outcome = build_rows(c, q);
    }
    if (outcome == TFW_OK && (q->select.failed || q->count.failed)) {
        tfw_run_error(c->run, "%s: out of memory", c->label);
        return TFW_RETRY;
    }
    return outcome;
}
