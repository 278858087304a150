/* query.h: the operations of data_processing that SQLite does: a request as a statement over the tables
 * "data" and "other". Names are quoted, values are bound. */
#ifndef TFW_QUERY_H
#define TFW_QUERY_H

#include "dataset/request.h"
#include "dataset/table.h"

/* begins as { 0 } */
typedef struct {
    tf_buf_t select; /* without a limit */
    tf_buf_t count;  /* how many rows that has, when there is a quicker way than to read them; empty: there is
                        not */
    const json_t **values; /* bound to the parameters of both, in this order */
    size_t values_count, values_size;
} tfw_query_t;

/* What the statement is made for. */
typedef struct {
    tfw_run_t *run;
    const tfw_request_t *request;
    const char *label; /* of data, for errors */
    const tfw_column_t *columns;
    size_t count;
    const char *other_label; /* of other; NULL: there is none */
    const tfw_column_t *other;
    size_t other_count;
} tfw_query_context_t;

/* group, filter, sort, dedupe or join. */
tfw_outcome_t tfw_query_build(const tfw_query_context_t *context, tfw_query_t *query);
void tfw_query_free(tfw_query_t *query);

/* Binds the values. */
void tfw_query_bind(const tfw_query_t *query, sqlite3_stmt *stmt);

/* Parts of statements, also for describe.
 * " WHERE ..." of the request, or nothing. */
tfw_outcome_t tfw_query_where(const tfw_query_context_t *context, tfw_query_t *query, tf_buf_t *sql);

/* The column of that name; NULL: there is none, and the error is set. */
const tfw_column_t *tfw_query_column(const tfw_query_context_t *context, const char *name);

#endif
