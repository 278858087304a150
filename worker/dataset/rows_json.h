/* rows_json.h: what a statement returns, as JSON. */
#ifndef TFW_ROWS_JSON_H
#define TFW_ROWS_JSON_H

#include "dataset/rows_file.h"
#include "dataset/table.h"

/* Adds the members "columns":[names],"rows":[objects],"row_count":n,"truncated":bool to the open object in
 * out: the first `limit` rows, and as many of them as out has room for (its limit). count: how many rows
 * there are if that is known, else -1: then all are read. file: gets all rows; NULL: there is none, and with
 * one count must be -1. */
tfw_outcome_t tfw_rows_json(tfw_tables_t *tables, sqlite3_stmt *stmt, int64_t limit, int64_t count,
                            tfw_rows_file_t *file, tf_buf_t *out);

#endif
