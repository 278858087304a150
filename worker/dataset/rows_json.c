#include "dataset/rows_json.h"

#include <stdlib.h>
#include <string.h>

#include "json_check.h"

#define TAIL_MAX 256 /* bytes that are written after the rows */

typedef enum { AS_IT_IS, BOOLEAN, JSON } kind_t;

/* What a statement returns. */
typedef struct {
    tfw_tables_t *tables;
    sqlite3_stmt *stmt;
    int columns;
    kind_t *kinds;
} results_t;

static tfw_outcome_t check_names(const tfw_tables_t *t, sqlite3_stmt *stmt, int columns)
{
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);

        for (int k = 0; k < i; k++) {
            if (strcmp(name, sqlite3_column_name(stmt, k)) == 0) {
                tfw_run_error(t->run,
                              "%s: two columns of the result are named \"%.64s\": give one of them "
                              "another name with AS",
                              t->what, name);
                return TFW_PERMANENT;
            }
        }
    }
    return TFW_OK;
}

/* How the values of each column are written; malloc. */
static kind_t *kinds_of(sqlite3_stmt *stmt, int columns)
{
    kind_t *kinds = calloc(columns > 0 ? (size_t)columns : 1, sizeof(*kinds));

    for (int i = 0; kinds != NULL && i < columns; i++) {
        const char *type = sqlite3_column_decltype(stmt, i);

        kinds[i] = type == NULL                     ? AS_IT_IS
                   : strcmp(type, "BOOLEAN") == 0   ? BOOLEAN
                   : strcmp(type, "JSON TEXT") == 0 ? JSON
                                                    : AS_IT_IS;
    }
    return kinds;
}

/* false: a blob, which JSON has not. */
static bool write_value(tf_buf_t *out, sqlite3_stmt *stmt, int i, kind_t kind)
{
    const char *text;
    size_t len;

    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        if (kind == BOOLEAN) {
            tf_buf_adds(out, sqlite3_column_int(stmt, i) ? "true" : "false");
        } else {
            tf_buf_addi(out, sqlite3_column_int64(stmt, i));
        }
        return true;
    case SQLITE_FLOAT:
        tf_json_double(out, sqlite3_column_double(stmt, i));
        return true;
    case SQLITE_NULL:
        tf_buf_adds(out, "null");
        return true;
    case SQLITE_TEXT:
        text = (const char *)sqlite3_column_text(stmt, i);
        len = (size_t)sqlite3_column_bytes(stmt, i);
        /* other texts can be behind the type of a column: UNION takes that of its first part */
        if (kind == JSON && text != NULL && tf_json_check(text, len)) {
            tf_buf_add(out, text, len);
        } else {
            tf_json_str(out, text != NULL ? text : "", text != NULL ? len : 0);
        }
        return true;
    default:
        return false;
    }
}

/* The row as an object. */
static tfw_outcome_t write_row(const results_t *r, tf_buf_t *row)
{
    for (int i = 0; i < r->columns; i++) {
        const char *name = sqlite3_column_name(r->stmt, i);

        tf_buf_addc(row, i > 0 ? ',' : '{');
        tf_json_str(row, name, strlen(name));
        tf_buf_addc(row, ':');
        if (!write_value(row, r->stmt, i, r->kinds[i])) {
            tfw_run_error(r->tables->run,
                          "%s: column \"%.64s\" has bytes that are no text: use hex() or CAST",
                          r->tables->what, name);
            return TFW_PERMANENT;
        }
    }
    tf_buf_addc(row, '}');
    return TFW_OK;
}

/* The row as a line of a CSV file: texts as they are, other values as in JSON, nothing for NULL. */
static tfw_outcome_t write_csv(const results_t *r, tf_buf_t *value, tfw_rows_file_t *file)
{
    for (int i = 0; i < r->columns; i++) {
        int type = sqlite3_column_type(r->stmt, i);

        if (type == SQLITE_TEXT) {
            const char *text = (const char *)sqlite3_column_text(r->stmt, i);

            tfw_rows_file_field(file, i == 0, text != NULL ? text : "",
                                text != NULL ? (size_t)sqlite3_column_bytes(r->stmt, i) : 0);
            continue;
        }
        tf_buf_reset(value);
        if (type != SQLITE_NULL) {
            write_value(value, r->stmt, i, r->kinds[i]);
        }
        tfw_rows_file_field(file, i == 0, value->len > 0 ? value->data : "", value->len);
    }
    return tfw_rows_file_end_row(file);
}

static tfw_outcome_t write_names(const results_t *r, tfw_rows_file_t *file, tf_buf_t *out)
{
    tf_json_key(out, "columns");
    for (int i = 0; i < r->columns; i++) {
        const char *name = sqlite3_column_name(r->stmt, i);

        tf_buf_addc(out, i > 0 ? ',' : '[');
        tf_json_str(out, name, strlen(name));
        if (file != NULL && file->csv) {
            tfw_rows_file_field(file, i == 0, name, strlen(name));
        }
    }
    tf_buf_addc(out, ']');
    return file != NULL && file->csv ? tfw_rows_file_end_row(file) : TFW_OK;
}

/* One row to where it is wanted. *room: it still fits into out, which so many rows are in. */
static tfw_outcome_t take_row(const results_t *r, tf_buf_t *row, tfw_rows_file_t *file, bool *room,
                              int64_t *written, tf_buf_t *out)
{
    tfw_outcome_t outcome = TFW_OK;

    tf_buf_reset(row);
    if (*room || (file != NULL && !file->csv)) {
        outcome = write_row(r, row);
    }
    *room = *room && !row->failed && out->len + row->len + TAIL_MAX < out->limit;
    if (*room && outcome == TFW_OK) {
        tf_buf_adds(out, *written > 0 ? "," : "");
        tf_buf_add(out, row->data, row->len);
        (*written)++;
    }
    if (file == NULL || outcome != TFW_OK) {
        return outcome;
    }
    if (file->csv) {
        return write_csv(r, row, file);
    }
    file->buf.failed = file->buf.failed || row->failed;
    tf_buf_add(&file->buf, row->data, row->len);
    return tfw_rows_file_end_row(file);
}

tfw_outcome_t tfw_rows_json(tfw_tables_t *t, sqlite3_stmt *stmt, int64_t limit, int64_t count,
                            tfw_rows_file_t *file, tf_buf_t *out)
{
    results_t r = {.tables = t, .stmt = stmt, .columns = sqlite3_column_count(stmt)};
    tfw_outcome_t outcome = check_names(t, stmt, r.columns);
    tf_buf_t row = TF_BUF_INIT;
    int64_t seen = 0, written = 0;
    bool room = limit > 0;

    r.kinds = kinds_of(stmt, r.columns);
    if (r.kinds == NULL) {
        tfw_run_error(t->run, "%s: out of memory", t->what);
        return TFW_RETRY;
    }
    if (outcome == TFW_OK) {
        outcome = write_names(&r, file, out);
    }
    tf_json_key(out, "rows");
    tf_buf_addc(out, '[');
    while (outcome == TFW_OK && (count < 0 || seen < limit) && tfw_tables_step(t, stmt, &outcome)) {
        seen++;
        outcome = take_row(&r, &row, file, &room, &written, out);
        room = room && written < limit;
    }
    seen = count >= 0 ? count : seen;
    tf_buf_addc(out, ']');
    tf_json_kint(out, "row_count", seen);
    tf_json_kbool(out, "truncated", written < seen);
    free(r.kinds);
    tf_buf_free(&row);
    if (outcome == TFW_OK && written < seen && written < limit) {
        tfw_run_log(t->run, "warning", "%lld rows fit into the result", (long long)written);
    }
    return outcome;
}
