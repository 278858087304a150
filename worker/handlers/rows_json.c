#include "handlers/rows_json.h"

#include <stdlib.h>
#include <string.h>

#include "json_check.h"

#define TAIL_MAX 256 /* bytes that are written after the rows */

typedef enum { AS_IT_IS, BOOLEAN, JSON } kind_t;

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

/* true: the row is in out. */
static bool write_row(const tfw_tables_t *t, sqlite3_stmt *stmt, int columns, const kind_t *kinds,
                      tf_buf_t *out, tfw_outcome_t *outcome)
{
    tf_buf_t row = {.limit = out->limit - TAIL_MAX - out->len};
    bool fits;

    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);

        tf_buf_addc(&row, i > 0 ? ',' : '{');
        tf_json_str(&row, name, strlen(name));
        tf_buf_addc(&row, ':');
        if (!write_value(&row, stmt, i, kinds[i])) {
            tfw_run_error(t->run, "%s: column \"%.64s\" has bytes that are no text: use hex() or CAST",
                          t->what, name);
            *outcome = TFW_PERMANENT;
            break;
        }
    }
    tf_buf_adds(&row, "},");
    fits = !row.failed;
    if (fits) {
        tf_buf_add(out, row.data, row.len);
    }
    tf_buf_free(&row);
    return fits;
}

tfw_outcome_t tfw_rows_json(tfw_tables_t *t, sqlite3_stmt *stmt, int64_t limit, int64_t count, tf_buf_t *out)
{
    int columns = sqlite3_column_count(stmt);
    tfw_outcome_t outcome = check_names(t, stmt, columns);
    kind_t *kinds = kinds_of(stmt, columns);
    int64_t seen = 0, written = 0;
    bool room = out->limit > out->len + TAIL_MAX;

    if (kinds == NULL) {
        tfw_run_error(t->run, "%s: out of memory", t->what);
        return TFW_RETRY;
    }
    tf_json_key(out, "columns");
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);

        tf_buf_addc(out, i > 0 ? ',' : '[');
        tf_json_str(out, name, strlen(name));
    }
    tf_buf_adds(out, "],\"rows\":[");
    while (outcome == TFW_OK && (count < 0 || seen < limit) && tfw_tables_step(t, stmt, &outcome)) {
        seen++;
        room = room && out->limit > out->len + TAIL_MAX;
        if (seen <= limit && room) {
            room = write_row(t, stmt, columns, kinds, out, &outcome);
            written += room;
        }
    }
    if (written > 0) {
        out->len--; /* the last comma */
    }
    seen = count >= 0 ? count : seen;
    tf_buf_addc(out, ']');
    tf_json_kint(out, "row_count", seen);
    tf_json_kbool(out, "truncated", written < seen);
    free(kinds);
    if (outcome == TFW_OK && !room && written < seen && written < limit) {
        tfw_run_log(t->run, "warning", "%lld rows fit into the result", (long long)written);
    }
    return outcome;
}
