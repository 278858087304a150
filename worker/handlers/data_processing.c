/* data_processing: statistics of a dataset, and queries over it. docs/handlers.md says what goes in and comes
 * out. */
#include "dataset/data_processing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/aggregate.h"
#include "dataset/data_schema.h"
#include "dataset/dataset.h"
#include "dataset/describe.h"
#include "dataset/query.h"
#include "dataset/request.h"
#include "dataset/rows_json.h"
#include "dataset/table.h"

#define NUMBERS_MAX 50000000 /* 400 MB */
#define LOADED 80            /* percent of the progress when the tables are there */

/* One run. */
typedef struct {
    tfw_run_t *run;
    tfw_request_t request;
    tfw_dataset_t *dataset, *other;
} work_t;

/* What the result calls the dataset. */
static const char *name_of(const work_t *w)
{
    return w->request.source.dataset != NULL ? w->request.source.dataset : tfw_dataset_label(w->dataset);
}

static void open_result(const work_t *w, tf_buf_t *out)
{
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "dataset", name_of(w));
    tf_json_kcstr(out, "operation", tfw_operation_name(w->request.operation));
}

/* ---- aggregate: an engine of its own, faster than SQLite's and exact ---- */

static tfw_outcome_t table_failure(work_t *w, const tfw_aggregate_t *table, tfw_aggregate_status_t status,
                                   bool at_line)
{
    const char *label = tfw_dataset_label(w->dataset);

    if (status == TFW_AGGREGATE_MEMORY) {
        tfw_run_error(w->run, "%s: out of memory", label);
        return TFW_RETRY;
    }
    if (at_line) {
        tfw_run_error(w->run, "%s: %s: %s", label, tfw_dataset_place(w->dataset), tfw_aggregate_error(table));
    } else {
        tfw_run_error(w->run, "%s: %s", label, tfw_aggregate_error(table));
    }
    return TFW_PERMANENT;
}

static tf_str_t str_of(const json_t *text)
{
    return (tf_str_t){json_string_value(text), json_string_length(text)};
}

static tfw_aggregate_status_t choose_columns(const tfw_request_t *r, tfw_aggregate_t *table)
{
    tfw_aggregate_status_t status = TFW_AGGREGATE_OK;

    for (size_t i = 0; i < json_array_size(r->columns) && status == TFW_AGGREGATE_OK; i++) {
        status = tfw_aggregate_select(table, str_of(json_array_get(r->columns, i)));
    }
    if (json_is_string(r->group_by) && status == TFW_AGGREGATE_OK) {
        status = tfw_aggregate_group_by(table, str_of(r->group_by));
    }
    if (json_is_array(r->group_by)) {
        tfw_aggregate_group_lists(table);
    }
    for (size_t i = 0; i < json_array_size(r->group_by) && status == TFW_AGGREGATE_OK; i++) {
        status = tfw_aggregate_group_by(table, str_of(json_array_get(r->group_by, i)));
    }
    return status;
}

/* The first line, and what the payload wants of it. */
static tfw_outcome_t read_header(work_t *w, tfw_aggregate_t *table)
{
    tfw_outcome_t outcome = tfw_dataset_header(w->dataset);
    tfw_aggregate_status_t status;
    size_t count;
    const tfw_column_t *columns = tfw_dataset_columns(w->dataset, &count);
    tf_str_t *names;

    if (outcome != TFW_OK) {
        return outcome;
    }
    names = calloc(count + 1, sizeof(*names));
    if (names == NULL) {
        return table_failure(w, table, TFW_AGGREGATE_MEMORY, false);
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = (tf_str_t){columns[i].name, strlen(columns[i].name)};
    }
    status = tfw_aggregate_header(table, names, count);
    free(names);
    if (status != TFW_AGGREGATE_OK) {
        return table_failure(w, table, status, true);
    }
    for (size_t i = 0; i < count; i++) {
        if (columns[i].type == TFW_TYPE_TEXT) { /* known of JSON, where "12" is a text */
            tfw_aggregate_text(table, i);
        }
    }
    status = choose_columns(&w->request, table);
    return status == TFW_AGGREGATE_OK ? TFW_OK : table_failure(w, table, status, false);
}

static tfw_outcome_t read_rows(work_t *w, tfw_aggregate_t *table)
{
    tfw_aggregate_status_t status;
    tfw_outcome_t outcome;
    const tfw_type_t *types;
    const tf_str_t *fields;

    while ((outcome = tfw_dataset_next(w->dataset, &fields, &types)) == TFW_OK && fields != NULL) {
        status = tfw_aggregate_row(table, fields);
        if (status != TFW_AGGREGATE_OK) {
            return table_failure(w, table, status, true);
        }
    }
    return outcome == TFW_OK && tfw_run_cancelled(w->run) ? TFW_CANCELLED : outcome;
}

static tfw_outcome_t write_aggregate(work_t *w, tfw_aggregate_t *table)
{
    tf_buf_t out = TF_BUF_INIT;
    tfw_aggregate_status_t status;

    open_result(w, &out);
    status = tfw_aggregate_write(table, &out);
    tf_buf_addc(&out, '}');
    if (status == TFW_AGGREGATE_OK && !out.failed) {
        tfw_run_result(w->run, out.data, out.len);
    } else {
        status = TFW_AGGREGATE_MEMORY;
    }
    tf_buf_free(&out);
    return status == TFW_AGGREGATE_OK ? TFW_OK : table_failure(w, table, status, false);
}

static tfw_outcome_t aggregate(work_t *w)
{
    tfw_aggregate_t *table = tfw_aggregate_new(NUMBERS_MAX);
    tfw_outcome_t outcome;

    if (table == NULL) {
        tfw_run_error(w->run, "%s: out of memory", tfw_dataset_label(w->dataset));
        return TFW_RETRY;
    }
    outcome = read_header(w, table);
    if (outcome == TFW_OK) {
        outcome = read_rows(w, table);
        tfw_run_log(w->run, "info", "read %lld rows", (long long)tfw_aggregate_rows(table));
    }
    if (outcome == TFW_OK) {
        outcome = write_aggregate(w, table);
    }
    tfw_aggregate_free(table);
    return outcome;
}

/* ---- the other operations: SQLite ---- */

static tfw_outcome_t load(work_t *w, tfw_tables_t *tables, tfw_dataset_t *dataset, const char *name, int from,
                          int to, int64_t *rows)
{
    tfw_outcome_t outcome;

    tfw_dataset_progress(dataset, from, from + (to - from) / 3);
    outcome = tfw_dataset_scan(dataset);
    if (outcome == TFW_OK) {
        tfw_dataset_progress(dataset, from + (to - from) / 3, to);
        outcome = tfw_tables_load(tables, dataset, name, rows);
    }
    if (outcome == TFW_OK) {
        tfw_run_log(w->run, "info", "%lld rows are in table %s", (long long)*rows, name);
    }
    return outcome;
}

/* The statement, its values bound. */
static tfw_outcome_t prepare(tfw_tables_t *tables, const tfw_query_t *query, const tf_buf_t *sql,
                             sqlite3_stmt **stmt)
{
    tfw_outcome_t outcome = tfw_tables_prepare(tables, sql->data, sql->len, stmt);

    if (outcome == TFW_OK) {
        tfw_query_bind(query, *stmt);
    }
    return outcome;
}

static tfw_outcome_t count_rows(tfw_tables_t *tables, tfw_query_t *query, int64_t limit, int64_t *count)
{
    sqlite3_stmt *stmt = NULL;
    tfw_outcome_t outcome = prepare(tables, query, &query->count, &stmt);

    if (outcome == TFW_OK && tfw_tables_step(tables, stmt, &outcome)) {
        *count = sqlite3_column_int64(stmt, 0);
        tf_buf_addf(&query->select, " LIMIT %lld", (long long)limit);
    }
    sqlite3_finalize(stmt);
    return outcome;
}

/* The rows go into a file of the job as well. */
static tfw_outcome_t write_file(work_t *w, tfw_tables_t *tables, sqlite3_stmt *stmt, tf_buf_t *out)
{
    tfw_rows_file_t file;
    tfw_outcome_t outcome = tfw_rows_file_open(&file, w->run, w->request.csv);

    if (outcome == TFW_OK) {
        outcome = tfw_rows_json(tables, stmt, w->request.limit, -1, &file, out);
    }
    if (outcome == TFW_OK) {
        outcome = tfw_rows_file_store(&file, out);
    }
    tfw_rows_file_close(&file);
    return outcome;
}

static tfw_outcome_t run_query(work_t *w, tfw_tables_t *tables, const tfw_query_context_t *context,
                               tf_buf_t *out)
{
    tfw_query_t query = {0};
    tfw_outcome_t outcome = TFW_OK;
    sqlite3_stmt *stmt = NULL;
    int64_t count = -1;

    if (w->request.operation == TFW_OP_SQL) {
        tables->what = "query";
        tf_buf_adds(&query.select, w->request.query);
    } else {
        outcome = tfw_query_build(context, &query);
    }
    if (outcome == TFW_OK && query.count.len > 0 && !w->request.to_file) {
        outcome = count_rows(tables, &query, w->request.limit, &count);
    }
    if (outcome == TFW_OK) {
        outcome = prepare(tables, &query, &query.select, &stmt);
    }
    if (outcome == TFW_OK && w->request.to_file) {
        outcome = write_file(w, tables, stmt, out);
    } else if (outcome == TFW_OK) {
        outcome = tfw_rows_json(tables, stmt, w->request.limit, count, NULL, out);
    }
    sqlite3_finalize(stmt);
    tfw_query_free(&query);
    return outcome;
}

static tfw_outcome_t query(work_t *w, tfw_tables_t *tables)
{
    bool two = w->other != NULL;
    tf_buf_t out = {.limit = tfw_run_result_max(w->run)};
    tfw_query_context_t context = {
        .run = w->run, .request = &w->request, .label = tfw_dataset_label(w->dataset)};
    int64_t rows = 0, other_rows = 0;
    tfw_outcome_t outcome = load(w, tables, w->dataset, "data", 0, two ? LOADED / 2 : LOADED, &rows);

    if (outcome == TFW_OK && two) {
        outcome = load(w, tables, w->other, "other", LOADED / 2, LOADED, &other_rows);
        context.other_label = tfw_dataset_label(w->other);
        context.other = tfw_dataset_columns(w->other, &context.other_count);
    }
    if (outcome != TFW_OK) {
        return outcome;
    }
    context.columns = tfw_dataset_columns(w->dataset, &context.count);
    tables->what = context.label;
    tables->percent = LOADED;
    tfw_tables_seal(tables);
    tfw_run_log(w->run, "info", "%s", tfw_operation_name(w->request.operation));
    open_result(w, &out);
    tf_json_kint(&out, "input_rows", rows);
    outcome = w->request.operation == TFW_OP_DESCRIBE ? tfw_describe(tables, &context, LOADED, &out)
                                                      : run_query(w, tables, &context, &out);
    tf_buf_addc(&out, '}');
    if (outcome == TFW_OK && out.failed) {
        tfw_run_error(w->run, "the result has more than %zu bytes: name fewer columns", out.limit);
        outcome = TFW_PERMANENT;
    }
    if (outcome == TFW_OK) {
        tfw_run_result(w->run, out.data, out.len);
    }
    tf_buf_free(&out);
    return outcome;
}

static tfw_outcome_t process(work_t *w)
{
    tfw_outcome_t outcome = tfw_dataset_open(w->run, &w->request.source, &w->dataset);
    tfw_tables_t tables;

    if (outcome == TFW_OK && w->request.has_with) {
        outcome = tfw_dataset_open(w->run, &w->request.with, &w->other);
    }
    if (outcome != TFW_OK) {
        return outcome;
    }
    if (w->request.operation == TFW_OP_AGGREGATE) {
        return aggregate(w);
    }
    outcome = tfw_tables_open(&tables, w->run);
    if (outcome == TFW_OK) {
        outcome = query(w, &tables);
    }
    tfw_tables_close(&tables);
    return outcome;
}

tfw_outcome_t tfw_data_process(tfw_run_t *run, const json_t *payload, bool lenient)
{
    work_t w = {.run = run};
    tf_buf_t errors = {.limit = 4096};
    tfw_outcome_t outcome = TFW_PERMANENT;

    tfw_request_read(payload, lenient, &w.request, &errors);
    if (errors.len > 0 || errors.failed) {
        /* a list over the limit lacks only its tail */
        tfw_run_error(run, "%.*s", (int)errors.len,
                      errors.data != NULL ? errors.data : "payload: out of memory");
    } else {
        outcome = process(&w);
    }
    tfw_dataset_free(w.dataset);
    tfw_dataset_free(w.other);
    tf_buf_free(&errors);
    return outcome;
}

static tfw_outcome_t data_processing_run(tfw_run_t *run)
{
    return tfw_data_process(run, tfw_run_payload(run), false);
}

TF_HANDLER(data_processing) = {
    .type = "data_processing",
    .description =
        "Statistics of a dataset (CSV, TSV, JSON), and queries over it: group, filter, sort, dedupe, "
        "describe, join, SQL.",
    .payload_schema = TFW_DATA_SCHEMA,
    .max_retries = 3,
    .timeout_seconds = 300,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = data_processing_run,
};
