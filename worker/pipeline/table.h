/* table.h: a table of a database that the operator has given a name: connected, with its columns and its
 * primary key as the catalogue has them. Names of callers get into statements only as far as they are found
 * there, and quoted. */
#ifndef TFW_PIPELINE_TABLE_H
#define TFW_PIPELINE_TABLE_H

#include <libpq-fe.h>

#include "pipeline/pipeline.h"

typedef struct {
    tfw_pipeline_t *pipeline;
    const tfw_place_t *place;
    PGconn *conn;
    const char *schema; /* quoted */
    const char *name;   /* quoted, with its schema */
    PGresult *columns;  /* name, quoted name, type's oid, number in the primary key ("0": not in it) */
    char sqlstate[6];   /* of the statement that failed last; "": the connection broke */
    char message[300];  /* what it said about it, one line */
} tfw_table_t;

typedef enum { TFW_COLUMN_NAME, TFW_COLUMN_QUOTED, TFW_COLUMN_TYPE, TFW_COLUMN_KEY } tfw_column_field_t;

/* Connects and looks the table up. What must be closed is closed by tfw_table_close, whatever the outcome.
 * All but TFW_OK: the error is set. */
tfw_outcome_t tfw_table_open(tfw_table_t *table, tfw_pipeline_t *pipeline, const tfw_place_t *place);
void tfw_table_close(tfw_table_t *table);

int tfw_table_width(const tfw_table_t *table);
const char *tfw_table_column(const tfw_table_t *table, int column, tfw_column_field_t field);

/* -1: there is none of that name. */
int tfw_table_find(const tfw_table_t *table, const char *name);

/* Runs a statement with text parameters and texts as results. NULL: tfw_table_failed says what that means. */
PGresult *tfw_table_run(tfw_table_t *table, const char *statement, int n, const char *const *values);

/* Sets the error to what the server said last: of no use to try again unless the server or the connection is
 * the trouble. */
tfw_outcome_t tfw_table_failed(tfw_table_t *table);

#endif
