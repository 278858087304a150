/* aggregate.c: see aggregate.h. Numbers are kept by column, NaN where one is missing; the group of each row
 * stands in an array beside them. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/aggregate.h"
#include "dataset/groups.h"
#include "dataset/number.h"
#include "dataset/stats.h"

#define ROWS_FIRST 1024
#define NAME_SHOWN 64 /* bytes of a name in an error text */
#define NO_COLUMN SIZE_MAX

typedef struct {
    char *name;
    size_t name_len;
    bool selected;
    bool text; /* a value was not a number: values is gone */
    bool has_value;
    double *values; /* one a row, NaN where missing */
} column_t;

struct tfw_aggregate_s {
    column_t *columns;
    size_t count;
    size_t group_columns[TFW_AGGREGATE_GROUP_COLUMNS_MAX];
    size_t group_count; /* of those; 0: not grouped */
    bool group_lists;
    bool selecting;
    tfw_groups_t groups;
    uint32_t *group_of; /* one a row */
    size_t numbers_max;
    size_t rows;
    size_t size; /* rows that fit */
    char error[512];
};

tfw_aggregate_t *tfw_aggregate_new(size_t numbers_max)
{
    tfw_aggregate_t *a = calloc(1, sizeof(*a));

    if (a != NULL) {
        a->numbers_max = numbers_max;
    }
    return a;
}

void tfw_aggregate_free(tfw_aggregate_t *a)
{
    size_t i;

    if (a == NULL) {
        return;
    }
    for (i = 0; i < a->count; i++) {
        free(a->columns[i].name);
        free(a->columns[i].values);
    }
    free(a->columns);
    free(a->group_of);
    tfw_groups_free(&a->groups);
    free(a);
}

const char *tfw_aggregate_error(const tfw_aggregate_t *a)
{
    return a->error;
}

int64_t tfw_aggregate_rows(const tfw_aggregate_t *a)
{
    return (int64_t)a->rows;
}

__attribute__((format(printf, 2, 3))) static tfw_aggregate_status_t bad(tfw_aggregate_t *a, const char *fmt,
                                                                        ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(a->error, sizeof(a->error), fmt, args);
    va_end(args);
    return TFW_AGGREGATE_BAD;
}

/* The error `what` about a column: its name as a JSON string, so that the error stays one line of valid text,
 * and only its beginning when it is long. */
static tfw_aggregate_status_t bad_name(tfw_aggregate_t *a, const char *what, tf_str_t name)
{
    tf_buf_t shown = TF_BUF_INIT;
    size_t len = name.len;

    if (len > NAME_SHOWN) {
        for (len = NAME_SHOWN; len > 0 && ((unsigned char)name.data[len] & 0xC0) == 0x80; len--) {
        }
    }
    tf_json_str(&shown, name.data, len);
    bad(a, "%s %s%s", what, tf_buf_cstr(&shown), len < name.len ? "..." : "");
    tf_buf_free(&shown);
    return TFW_AGGREGATE_BAD;
}

static size_t find_column(const tfw_aggregate_t *a, size_t count, tf_str_t name)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (a->columns[i].name_len == name.len && memcmp(a->columns[i].name, name.data, name.len) == 0) {
            return i;
        }
    }
    return NO_COLUMN;
}

tfw_aggregate_status_t tfw_aggregate_header(tfw_aggregate_t *a, const tf_str_t *names, size_t count)
{
    column_t *c;
    size_t i;

    a->columns = calloc(count, sizeof(*a->columns));
    if (a->columns == NULL) {
        return TFW_AGGREGATE_MEMORY;
    }
    for (i = 0; i < count; i++) {
        if (names[i].len == 0) {
            return bad(a, "column %zu has no name", i + 1);
        }
        if (find_column(a, i, names[i]) != NO_COLUMN) {
            return bad_name(a, "two columns are named", names[i]);
        }
        c = &a->columns[i];
        c->name = malloc(names[i].len);
        if (c->name == NULL) {
            return TFW_AGGREGATE_MEMORY;
        }
        memcpy(c->name, names[i].data, names[i].len);
        c->name_len = names[i].len;
        c->selected = true;
        a->count = i + 1;
    }
    return TFW_AGGREGATE_OK;
}

tfw_aggregate_status_t tfw_aggregate_select(tfw_aggregate_t *a, tf_str_t name)
{
    size_t found = find_column(a, a->count, name), i;

    if (found == NO_COLUMN) {
        return bad_name(a, "there is no column", name);
    }
    for (i = 0; !a->selecting && i < a->count; i++) {
        a->columns[i].selected = false;
    }
    a->selecting = true;
    a->columns[found].selected = true;
    return TFW_AGGREGATE_OK;
}

void tfw_aggregate_text(tfw_aggregate_t *a, size_t column)
{
    a->columns[column].text = true;
}

tfw_aggregate_status_t tfw_aggregate_group_by(tfw_aggregate_t *a, tf_str_t name)
{
    size_t found = find_column(a, a->count, name);

    if (found == NO_COLUMN) {
        return bad_name(a, "there is no column", name);
    }
    if (a->group_count == TFW_AGGREGATE_GROUP_COLUMNS_MAX) {
        return bad(a, "more than %d columns to group by", TFW_AGGREGATE_GROUP_COLUMNS_MAX);
    }
    a->group_lists = a->group_lists || a->group_count > 0;
    a->group_columns[a->group_count++] = found;
    return TFW_AGGREGATE_OK;
}

void tfw_aggregate_group_lists(tfw_aggregate_t *a)
{
    a->group_lists = true;
}

static bool keeps_numbers(const column_t *c)
{
    return c->selected && !c->text;
}

/* Room for more rows in every column that may still be numeric. */
static tfw_aggregate_status_t grow(tfw_aggregate_t *a)
{
    size_t size = a->size == 0 ? ROWS_FIRST : a->size + a->size / 2, kept = a->group_count == 0 ? 0 : 1, i;
    double *values;
    uint32_t *group_of;

    for (i = 0; i < a->count; i++) {
        kept += keeps_numbers(&a->columns[i]);
    }
    if (kept > 0 && size > a->numbers_max / kept) {
        size = a->numbers_max / kept;
    }
    if (size <= a->rows) {
        return bad(a, "more than %zu values in the chosen columns: name fewer columns or rows",
                   a->numbers_max);
    }
    for (i = 0; i < a->count; i++) {
        if (!keeps_numbers(&a->columns[i])) {
            continue;
        }
        values = realloc(a->columns[i].values, size * sizeof(*values));
        if (values == NULL) {
            return TFW_AGGREGATE_MEMORY;
        }
        a->columns[i].values = values;
    }
    if (a->group_count > 0) {
        group_of = realloc(a->group_of, size * sizeof(*group_of));
        if (group_of == NULL) {
            return TFW_AGGREGATE_MEMORY;
        }
        a->group_of = group_of;
    }
    a->size = size;
    return TFW_AGGREGATE_OK;
}

static void add_value(column_t *c, size_t row, tf_str_t field)
{
    if (field.len == 0) {
        c->values[row] = NAN;
        return;
    }
    c->has_value = true;
    if (!tfw_number_parse(field.data, field.len, &c->values[row])) {
        c->text = true;
        free(c->values);
        c->values = NULL;
    }
}

/* The values of the group columns, a NUL between each two: no field has one, and so groups are in the order
 * of their first values first. false: too long. */
static bool group_value(const tfw_aggregate_t *a, const tf_str_t *fields, char *value, tf_str_t *group)
{
    size_t len = 0;

    *group = fields[a->group_columns[0]];
    if (a->group_count == 1) {
        return group->len <= TFW_AGGREGATE_GROUP_VALUE_MAX;
    }
    for (size_t i = 0; i < a->group_count; i++) {
        const tf_str_t *field = &fields[a->group_columns[i]];

        if (field->len + 1 > TFW_AGGREGATE_GROUP_VALUE_MAX - len) {
            return false;
        }
        if (i > 0) {
            value[len++] = '\0';
        }
        if (field->len > 0) {
            memcpy(value + len, field->data, field->len);
        }
        len += field->len;
    }
    *group = (tf_str_t){value, len};
    return true;
}

tfw_aggregate_status_t tfw_aggregate_row(tfw_aggregate_t *a, const tf_str_t *fields)
{
    char joined[TFW_AGGREGATE_GROUP_VALUE_MAX];
    tfw_aggregate_status_t status;
    tf_str_t group;
    size_t i;

    if (a->rows == a->size && (status = grow(a)) != TFW_AGGREGATE_OK) {
        return status;
    }
    if (a->group_count > 0) {
        if (!group_value(a, fields, joined, &group)) {
            return bad(a, "a value of the group column is longer than %d bytes",
                       TFW_AGGREGATE_GROUP_VALUE_MAX);
        }
        switch (tfw_groups_find(&a->groups, group.len > 0 ? group.data : "", group.len,
                                TFW_AGGREGATE_GROUPS_MAX, &a->group_of[a->rows])) {
        case TFW_GROUPS_FULL:
            return bad(a, "the group column has more than %d different values", TFW_AGGREGATE_GROUPS_MAX);
        case TFW_GROUPS_MEMORY:
            return TFW_AGGREGATE_MEMORY;
        case TFW_GROUPS_OK:
            break;
        }
    }
    for (i = 0; i < a->count; i++) {
        if (keeps_numbers(&a->columns[i])) {
            add_value(&a->columns[i], a->rows, fields[i]);
        }
    }
    a->rows++;
    return TFW_AGGREGATE_OK;
}

static bool is_numeric(const column_t *c)
{
    return keeps_numbers(c) && c->has_value;
}

static void comma(tf_buf_t *out)
{
    if (out->len > 0 && out->data[out->len - 1] != '{' && out->data[out->len - 1] != '[') {
        tf_buf_addc(out, ',');
    }
}

static void write_stats(tf_buf_t *out, const column_t *c, double *values, size_t count)
{
    tfw_stats_t s = tfw_stats(values, count);

    comma(out);
    tf_json_str(out, c->name, c->name_len);
    tf_buf_adds(out, ":{");
    tf_json_kint(out, "count", (int64_t)s.count);
    tf_json_kdouble(out, "sum", s.sum);
    tf_json_kdouble(out, "mean", s.mean);
    tf_json_kdouble(out, "min", s.min);
    tf_json_kdouble(out, "max", s.max);
    tf_json_kdouble(out, "stddev", s.stddev);
    tf_json_kdouble(out, "median", s.median);
    tf_buf_addc(out, '}');
}

static bool is_group_column(const tfw_aggregate_t *a, size_t column)
{
    for (size_t i = 0; i < a->group_count; i++) {
        if (a->group_columns[i] == column) {
            return true;
        }
    }
    return false;
}

/* The statistics of the rows whose numbers are rows[0..count), without the group columns, or of the first
 * `count` rows, with them, when rows is NULL. scratch: room for count numbers. */
static void write_columns(const tfw_aggregate_t *a, tf_buf_t *out, const uint32_t *rows, size_t count,
                          double *scratch)
{
    size_t i, row, n;
    double value;

    tf_json_key(out, "columns");
    tf_buf_addc(out, '{');
    for (i = 0; i < a->count; i++) {
        if (!is_numeric(&a->columns[i]) || (rows != NULL && is_group_column(a, i))) {
            continue;
        }
        for (n = 0, row = 0; row < count; row++) {
            value = a->columns[i].values[rows != NULL ? rows[row] : row];
            if (!isnan(value)) {
                scratch[n++] = value;
            }
        }
        write_stats(out, &a->columns[i], scratch, n);
    }
    tf_buf_addc(out, '}');
}

static void write_text_columns(const tfw_aggregate_t *a, tf_buf_t *out)
{
    size_t i;

    tf_json_key(out, "text_columns");
    tf_buf_addc(out, '[');
    for (i = 0; i < a->count; i++) {
        if (a->columns[i].selected && !is_numeric(&a->columns[i])) {
            comma(out);
            tf_json_str(out, a->columns[i].name, a->columns[i].name_len);
        }
    }
    tf_buf_addc(out, ']');
}

/* Row numbers so that each group's stand together: group g has order[ends[g - 1]] up to order[ends[g]], in
 * the order of the file (a counting sort). */
static void order_by_group(const tfw_aggregate_t *a, uint32_t *order, size_t *ends)
{
    size_t row, g, at = 0, n;

    for (row = 0; row < a->rows; row++) {
        ends[a->group_of[row]]++;
    }
    for (g = 0; g < a->groups.count; g++) {
        n = ends[g];
        ends[g] = at; /* for now where the group begins */
        at += n;
    }
    for (row = 0; row < a->rows; row++) {
        order[ends[a->group_of[row]]++] = (uint32_t)row;
    }
}

static void write_group_by(const tfw_aggregate_t *a, tf_buf_t *out)
{
    tf_json_key(out, "group_by");
    tf_buf_adds(out, a->group_lists ? "[" : "");
    for (size_t i = 0; i < a->group_count; i++) {
        const column_t *c = &a->columns[a->group_columns[i]];

        tf_buf_adds(out, i > 0 ? "," : "");
        tf_json_str(out, c->name, c->name_len);
    }
    tf_buf_adds(out, a->group_lists ? "]" : "");
}

static void write_group_value(const tfw_aggregate_t *a, tf_buf_t *out, const tfw_group_t *group)
{
    const char *at = group->value, *end = group->value + group->len;

    if (!a->group_lists) {
        tf_json_kstr(out, "value", group->value, group->len);
        return;
    }
    tf_json_key(out, "value");
    for (size_t i = 0; i < a->group_count; i++) {
        const char *stop = i + 1 < a->group_count ? memchr(at, '\0', (size_t)(end - at)) : end;

        tf_buf_addc(out, i > 0 ? ',' : '[');
        tf_json_str(out, at, (size_t)(stop - at));
        at = stop + 1;
    }
    tf_buf_addc(out, ']');
}

static tfw_aggregate_status_t write_groups(const tfw_aggregate_t *a, tf_buf_t *out, double *scratch)
{
    uint32_t *order = malloc((a->rows + 1) * sizeof(*order)), *sorted = tfw_groups_sorted(&a->groups);
    size_t *ends = calloc(a->groups.count + 1, sizeof(*ends)), i, g, first;
    tfw_aggregate_status_t status = TFW_AGGREGATE_OK;

    if (order == NULL || sorted == NULL || ends == NULL) {
        status = TFW_AGGREGATE_MEMORY;
        goto done;
    }
    order_by_group(a, order, ends);
    write_group_by(a, out);
    tf_json_key(out, "groups");
    tf_buf_addc(out, '[');
    for (i = 0; i < a->groups.count; i++) {
        g = sorted[i];
        first = g == 0 ? 0 : ends[g - 1];
        tf_buf_adds(out, i == 0 ? "{" : ",{");
        write_group_value(a, out, &a->groups.items[g]);
        tf_json_kint(out, "rows", (int64_t)(ends[g] - first));
        write_columns(a, out, order + first, ends[g] - first, scratch);
        tf_buf_addc(out, '}');
    }
    tf_buf_addc(out, ']');

done:
    free(order);
    free(sorted);
    free(ends);
    return status;
}

/* Room for one column's numbers. Rows are bounded only while a column may be numeric. */
static double *new_scratch(const tfw_aggregate_t *a)
{
    size_t i;

    for (i = 0; i < a->count; i++) {
        if (is_numeric(&a->columns[i])) {
            return malloc(a->rows * sizeof(double));
        }
    }
    return malloc(sizeof(double));
}

tfw_aggregate_status_t tfw_aggregate_write(tfw_aggregate_t *a, tf_buf_t *out)
{
    double *scratch = new_scratch(a);
    tfw_aggregate_status_t status = TFW_AGGREGATE_OK;

    if (scratch == NULL) {
        return TFW_AGGREGATE_MEMORY;
    }
    tf_json_kint(out, "rows", (int64_t)a->rows);
    write_columns(a, out, NULL, a->rows, scratch);
    write_text_columns(a, out);
    if (a->group_count > 0) {
        status = write_groups(a, out, scratch);
    }
    free(scratch);
    if (status == TFW_AGGREGATE_OK && out->failed) {
        status = TFW_AGGREGATE_MEMORY;
    }
    return status;
}
