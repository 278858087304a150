/* table.h: datasets as tables of a SQLite database of one job. It lives in memory as long as it is small, and
 * else in temporary files that have no names, within the bounds of the settings; nothing of it is left when
 * the executor is gone, however it went. What goes wrong is said with tfw_run_error. */
#ifndef TFW_TABLE_H
#define TFW_TABLE_H

#include <sqlite3.h>

#include "handler.h"
#include "dataset/dataset.h"

#define TFW_TABLE_NAME_MAX 255 /* bytes of a column's name */

typedef struct tfw_tables_s {
    tfw_run_t *run;
    sqlite3 *db;
    const char *what; /* begins the error texts: what is being worked on */
    int percent;      /* the progress while a statement runs; 0: as it is */
} tfw_tables_t;

/* To be closed also when it was not opened. */
tfw_outcome_t tfw_tables_open(tfw_tables_t *tables, tfw_run_t *run);
void tfw_tables_close(tfw_tables_t *tables);

/* Reads the dataset, which was scanned, into a new table. The columns have the types of the dataset's, and
 * values that are not there are NULL. *rows: how many. */
tfw_outcome_t tfw_tables_load(tfw_tables_t *tables, tfw_dataset_t *dataset, const char *name, int64_t *rows);

/* From now on nothing but SELECT over the tables, with functions that are known to be harmless. */
void tfw_tables_seal(tfw_tables_t *tables);

/* One statement; *stmt: NULL unless TFW_OK, sqlite3_finalize it. More than a statement, or one that returns
 * no rows, is refused. */
tfw_outcome_t tfw_tables_prepare(tfw_tables_t *tables, const char *sql, size_t len, sqlite3_stmt **stmt);

/* The next row of the statement. false: there is none; *outcome says whether that is its end. */
bool tfw_tables_step(tfw_tables_t *tables, sqlite3_stmt *stmt, tfw_outcome_t *outcome);

/* The name in double quotes, so that it is a name whatever it holds. */
void tfw_tables_add_name(tf_buf_t *sql, const char *name);

#endif
