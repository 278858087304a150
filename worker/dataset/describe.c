/* describe.c: see describe.h. SQLite hands over the different values of a column in their order, each with
 * how often it is there; all that is said is made of them as they pass. */
#include "dataset/describe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOP 5
#define TEXT_SHOWN 256 /* bytes */
#define QUARTILES 3

/* A value that outlives its row. */
typedef struct {
    int type; /* of SQLite */
    sqlite3_int64 integer;
    double real;
    char text[TEXT_SHOWN + 4];
    size_t len;
} value_t;

typedef struct {
    value_t value;
    int64_t count;
} top_t;

typedef struct {
    tfw_type_t type;
    int64_t count, nulls, distinct;
    value_t min, max;
    double sum, lost;                          /* Neumaier */
    double mean, squares;                      /* B. Welford, as D. West has it for weights (CACM 22, 1979) */
    double below[QUARTILES], above[QUARTILES]; /* the two values that a quartile lies between */
    top_t top[TOP + 1];
    size_t top_count;
} column_t;

static void take_value(value_t *v, sqlite3_stmt *stmt)
{
    const char *text;
    size_t len;

    v->type = sqlite3_column_type(stmt, 0);
    v->integer = sqlite3_column_int64(stmt, 0);
    v->real = sqlite3_column_double(stmt, 0);
    v->len = 0;
    if (v->type == SQLITE_TEXT) {
        text = (const char *)sqlite3_column_text(stmt, 0);
        len = text != NULL ? (size_t)sqlite3_column_bytes(stmt, 0) : 0;
        v->len = len > TEXT_SHOWN ? tf_utf8_span(text, TEXT_SHOWN) : len;
        memcpy(v->text, text != NULL ? text : "", v->len);
        if (len > TEXT_SHOWN) {
            memcpy(v->text + v->len, "...", 3);
            v->len += 3;
        }
    }
}

static void write_value(tf_buf_t *out, const value_t *v, tfw_type_t type)
{
    switch (v->type) {
    case SQLITE_INTEGER:
        if (type == TFW_TYPE_BOOLEAN) {
            tf_buf_adds(out, v->integer ? "true" : "false");
        } else {
            tf_buf_addi(out, v->integer);
        }
        break;
    case SQLITE_FLOAT:
        tf_json_double(out, v->real);
        break;
    case SQLITE_TEXT:
        tf_json_str(out, v->text, v->len);
        break;
    default:
        tf_buf_adds(out, "null");
    }
}

/* `times` rows with the value x, of which there are `before` lower ones. */
static void add_number(column_t *c, double x, int64_t times, int64_t before, int64_t all)
{
    double weighted = x * (double)times, sum = c->sum + weighted, delta = x - c->mean;

    c->lost += fabs(c->sum) >= fabs(weighted) ? (c->sum - sum) + weighted : (weighted - sum) + c->sum;
    c->sum = sum;
    c->mean += delta * (double)times / (double)(before + times);
    c->squares += (double)times * delta * (x - c->mean);
    for (int64_t i = 0; i < QUARTILES; i++) {
        int64_t lower = (all - 1) * (i + 1) / 4, upper = lower + 1 < all ? lower + 1 : lower;

        if (lower >= before && lower < before + times) {
            c->below[i] = x;
        }
        if (upper >= before && upper < before + times) {
            c->above[i] = x;
        }
    }
}

/* The most frequent, of equally frequent ones the lowest. */
static void add_top(column_t *c, sqlite3_stmt *stmt, int64_t times)
{
    size_t at = c->top_count;

    if (at == TOP && c->top[TOP - 1].count >= times) {
        return;
    }
    while (at > 0 && c->top[at - 1].count < times) {
        c->top[at] = c->top[at - 1];
        at--;
    }
    take_value(&c->top[at].value, stmt);
    c->top[at].count = times;
    c->top_count += c->top_count < TOP;
}

/* One value and how often it is there. all: rows of the table. */
static void add_value(column_t *c, sqlite3_stmt *stmt, int64_t all)
{
    int type = sqlite3_column_type(stmt, 0);
    int64_t times = sqlite3_column_int64(stmt, 1);

    if (type == SQLITE_NULL) {
        c->nulls = times; /* comes first */
        return;
    }
    if (c->type == TFW_TYPE_INTEGER || c->type == TFW_TYPE_REAL) {
        add_number(c, sqlite3_column_double(stmt, 0), times, c->count, all - c->nulls);
    }
    add_top(c, stmt, times);
    take_value(&c->max, stmt);
    if (c->distinct == 0) {
        c->min = c->max;
    }
    c->distinct++;
    c->count += times;
}

static void write_column(tf_buf_t *out, const tfw_column_t *column, const column_t *c)
{
    bool numbers = (c->type == TFW_TYPE_INTEGER || c->type == TFW_TYPE_REAL) && c->count > 0;

    tf_json_str(out, column->name, strlen(column->name));
    tf_buf_adds(out, ":{");
    tf_json_kcstr(out, "type", tfw_type_name(c->type));
    tf_json_kint(out, "count", c->count);
    tf_json_kint(out, "nulls", c->nulls);
    tf_json_kint(out, "distinct", c->distinct);
    tf_json_key(out, "min");
    write_value(out, &c->min, c->type);
    tf_json_key(out, "max");
    write_value(out, &c->max, c->type);
    tf_json_kdouble(out, "mean", numbers ? (c->sum + c->lost) / (double)c->count : NAN);
    tf_json_kdouble(out, "stddev", numbers && c->count > 1 ? sqrt(c->squares / (double)(c->count - 1)) : NAN);
    tf_json_key(out, "quartiles");
    tf_buf_adds(out, numbers ? "[" : "null");
    for (int64_t i = 0; i < QUARTILES && numbers; i++) {
        double part = (double)((c->count - 1) * (i + 1) % 4) / 4;

        tf_buf_adds(out, i > 0 ? "," : "");
        tf_json_double(out, c->below[i] + part * (c->above[i] - c->below[i]));
    }
    tf_buf_adds(out, numbers ? "]" : "");
    tf_json_key(out, "top");
    tf_buf_addc(out, '[');
    for (size_t i = 0; i < c->top_count; i++) {
        tf_buf_adds(out, i > 0 ? ",{\"value\":" : "{\"value\":");
        write_value(out, &c->top[i].value, c->type);
        tf_json_kint(out, "count", c->top[i].count);
        tf_buf_addc(out, '}');
    }
    tf_buf_adds(out, "]}");
}

static tfw_outcome_t prepare(tfw_tables_t *t, const tfw_query_t *q, tf_buf_t *sql, sqlite3_stmt **stmt)
{
    tfw_outcome_t outcome;

    if (sql->failed) {
        tfw_run_error(t->run, "%s: out of memory", t->what);
        return TFW_RETRY;
    }
    outcome = tfw_tables_prepare(t, sql->data, sql->len, stmt);
    if (outcome == TFW_OK) {
        tfw_query_bind(q, *stmt);
    }
    return outcome;
}

static tfw_outcome_t describe_column(tfw_tables_t *t, const tfw_query_t *q, tf_buf_t *where,
                                     const tfw_column_t *column, int64_t all, tf_buf_t *out)
{
    column_t *c = calloc(1, sizeof(*c));
    tf_buf_t sql = TF_BUF_INIT;
    sqlite3_stmt *stmt = NULL;
    tfw_outcome_t outcome;

    tf_buf_adds(&sql, "SELECT ");
    tfw_tables_add_name(&sql, column->name);
    tf_buf_addf(&sql, ", count(*) FROM data%s GROUP BY 1 ORDER BY 1", tf_buf_cstr(where));
    sql.failed = sql.failed || c == NULL;
    outcome = prepare(t, q, &sql, &stmt);
    if (outcome == TFW_OK) {
        c->type = column->type;
        c->min.type = c->max.type = SQLITE_NULL;
        while (tfw_tables_step(t, stmt, &outcome)) {
            add_value(c, stmt, all);
        }
    }
    if (outcome == TFW_OK) {
        write_column(out, column, c);
    }
    sqlite3_finalize(stmt);
    tf_buf_free(&sql);
    free(c);
    return outcome;
}

static tfw_outcome_t count_rows(tfw_tables_t *t, const tfw_query_t *q, tf_buf_t *where, int64_t *rows)
{
    tf_buf_t sql = TF_BUF_INIT;
    sqlite3_stmt *stmt = NULL;
    tfw_outcome_t outcome;

    tf_buf_addf(&sql, "SELECT count(*) FROM data%s", tf_buf_cstr(where));
    outcome = prepare(t, q, &sql, &stmt);
    if (outcome == TFW_OK && tfw_tables_step(t, stmt, &outcome)) {
        *rows = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    tf_buf_free(&sql);
    return outcome;
}

tfw_outcome_t tfw_describe(tfw_tables_t *t, const tfw_query_context_t *c, int from, tf_buf_t *out)
{
    const json_t *wanted = c->request->columns;
    size_t count = wanted != NULL ? json_array_size(wanted) : c->count;
    tfw_query_t q = {0};
    tf_buf_t where = TF_BUF_INIT;
    tfw_outcome_t outcome = tfw_query_where(c, &q, &where);
    int64_t rows = 0;

    if (outcome == TFW_OK) {
        outcome = count_rows(t, &q, &where, &rows);
    }
    tf_json_kint(out, "row_count", rows);
    tf_json_key(out, "columns");
    tf_buf_addc(out, '{');
    for (size_t i = 0; i < count && outcome == TFW_OK; i++) {
        const tfw_column_t *column = wanted != NULL
                                         ? tfw_query_column(c, json_string_value(json_array_get(wanted, i)))
                                         : &c->columns[i];

        t->percent = from + (int)((size_t)(99 - from) * i / count);
        tf_buf_adds(out, i > 0 ? "," : "");
        outcome = column != NULL ? describe_column(t, &q, &where, column, rows, out) : TFW_PERMANENT;
    }
    tf_buf_addc(out, '}');
    tfw_query_free(&q);
    tf_buf_free(&where);
    return outcome;
}
