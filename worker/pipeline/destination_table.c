/* destination_table.c: rows of a table. The state is kept in the same database, in a table of ours beside it,
 * and changes in the same transaction as the rows, so that a batch is there once or not at all. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/destination.h"
#include "json_value.h"
#include "pipeline/table.h"
#include "pipeline/value.h"
#include "uuid.h"

#define CHECKPOINTS TFW_PLACE_CHECKPOINTS

/* Who holds the job: $1 to $4 of the statements about the state. */
#define WHO 4

typedef struct {
    tfw_destination_t face; /* first: tfw_destination_t * is rows_t * */
    tfw_table_t table;
    json_t *columns; /* those that are written; NULL: not known before the first record */
    char *insert;    /* $1: a JSON array of records */
    char id[TF_UUID_TEXT_LEN + 1], epoch[16], attempt[16], incarnation[24];
    json_t *batch;  /* records */
    size_t bytes;   /* of them, roughly */
    int64_t *lines; /* of them: record number and line, in turn */
} rows_t;

static tfw_outcome_t out_of_memory(const rows_t *d)
{
    tfw_run_error(d->table.pipeline->run, "destination: out of memory");
    return TFW_RETRY;
}

/* Runs a statement whose rows nobody wants. */
static bool execute(rows_t *d, const char *statement, int n, const char *const *values)
{
    PGresult *result = tfw_table_run(&d->table, statement, n, values);

    PQclear(result);
    return result != NULL;
}

/* The statement for the columns. */
static bool make_insert(rows_t *d)
{
    const json_t *key = d->table.place->key;
    tf_buf_t columns = TF_BUF_INIT, updates = TF_BUF_INIT, keys = TF_BUF_INIT, text = TF_BUF_INIT;

    for (size_t i = 0; i < json_array_size(d->columns); i++) {
        int column = tfw_table_find(&d->table, json_string_value(json_array_get(d->columns, i)));
        const char *name = tfw_table_column(&d->table, column, TFW_COLUMN_QUOTED);

        tf_buf_addf(&columns, "%s%s", i ? ", " : "", name);
        tf_buf_addf(&updates, "%s%s = excluded.%s", i ? ", " : "", name, name);
    }
    for (size_t i = 0; i < json_array_size(key); i++) {
        int column = tfw_table_find(&d->table, json_string_value(json_array_get(key, i)));

        tf_buf_addf(&keys, "%s%s", i ? ", " : "", tfw_table_column(&d->table, column, TFW_COLUMN_QUOTED));
    }
    tf_buf_addf(&text, "INSERT INTO %s (%s) SELECT %s FROM json_populate_recordset(NULL::%s, $1::json)",
                d->table.name, tf_buf_cstr(&columns), tf_buf_cstr(&columns), d->table.name);
    if (keys.len) {
        tf_buf_addf(&text, " ON CONFLICT (%s) DO UPDATE SET %s", tf_buf_cstr(&keys), tf_buf_cstr(&updates));
    }
    d->insert = strdup(tf_buf_cstr(&text));
    if (columns.failed || updates.failed || keys.failed || text.failed) {
        free(d->insert);
        d->insert = NULL;
    }
    tf_buf_free(&columns);
    tf_buf_free(&updates);
    tf_buf_free(&keys);
    tf_buf_free(&text);
    return d->insert != NULL;
}

static tfw_outcome_t no_column(const rows_t *d, const char *name)
{
    tfw_run_error(d->table.pipeline->run, "destination: %s has no column \"%.100s\"", d->table.place->table,
                  name);
    return TFW_PERMANENT;
}

/* All columns must be the table's, and those of the key among them. */
static tfw_outcome_t use_columns(rows_t *d, json_t *columns)
{
    const json_t *key = d->table.place->key;

    d->columns = columns;
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const char *name = json_string_value(json_array_get(columns, i));

        if (tfw_table_find(&d->table, name) < 0) {
            return no_column(d, name);
        }
    }
    for (size_t i = 0; i < json_array_size(key); i++) {
        const char *name = json_string_value(json_array_get(key, i));
        bool found = false;

        for (size_t k = 0; k < json_array_size(columns); k++) {
            found = found || strcmp(name, json_string_value(json_array_get(columns, k))) == 0;
        }
        if (!found) {
            tfw_run_error(d->table.pipeline->run,
                          "destination: the key's column \"%.100s\" is not among those that are written",
                          name);
            return TFW_PERMANENT;
        }
    }
    return make_insert(d) ? TFW_OK : out_of_memory(d);
}

static tfw_outcome_t put(tfw_destination_t *destination, json_t *record, int64_t number, int64_t line)
{
    rows_t *d = (rows_t *)destination;
    tfw_outcome_t outcome = TFW_OK;
    size_t n = json_array_size(d->batch);
    const char *name;
    char why[200];

    if (json_object_size(record) == 0) {
        return tfw_pipeline_refuse(d->table.pipeline, number, line, "it is empty") ? TFW_OK : TFW_PERMANENT;
    }
    outcome = d->columns ? TFW_OK : use_columns(d, tfw_record_names(record));
    if (outcome != TFW_OK) {
        return outcome;
    }
    name = tfw_record_surplus(record, d->columns);
    if (name) {
        snprintf(why, sizeof(why), "the destination has no column \"%.100s\"", name);
        return tfw_pipeline_refuse(d->table.pipeline, number, line, why) ? TFW_OK : TFW_PERMANENT;
    }
    d->bytes += json_dumpb(record, NULL, 0, JSON_COMPACT);
    d->lines[2 * n] = number;
    d->lines[2 * n + 1] = line;
    return json_array_append(d->batch, record) == 0 ? TFW_OK : out_of_memory(d);
}

static size_t pending(const tfw_destination_t *destination)
{
    return ((const rows_t *)destination)->bytes;
}

/* Records as a JSON array: from the n-th on, so many. false: the error is in the table, or out of memory. */
static bool insert(rows_t *d, size_t from, size_t count)
{
    tf_buf_t text = TF_BUF_INIT;
    const char *values[1];
    bool ok;

    tf_buf_addc(&text, '[');
    for (size_t i = from; i < from + count; i++) {
        if (i > from) {
            tf_buf_addc(&text, ',');
        }
        tf_json_value(&text, json_array_get(d->batch, i));
    }
    tf_buf_addc(&text, ']');
    values[0] = tf_buf_cstr(&text);
    ok = !text.failed && execute(d, d->insert, 1, values);
    tf_buf_free(&text);
    return ok;
}

/* The server's word about the data, not about the statement or itself: 21 a row twice in one statement, 22
 * bad values, 23 constraints. */
static bool is_about_data(const tfw_table_t *t)
{
    return strncmp(t->sqlstate, "21", 2) == 0 || strncmp(t->sqlstate, "22", 2) == 0 ||
           strncmp(t->sqlstate, "23", 2) == 0;
}

/* One record by itself. */
static tfw_outcome_t insert_one(rows_t *d, size_t i)
{
    tfw_pipeline_t *p = d->table.pipeline;

    if (!execute(d, "SAVEPOINT record", 0, NULL)) {
        return tfw_table_failed(&d->table);
    }
    if (insert(d, i, 1)) {
        p->written++;
    } else {
        if (!is_about_data(&d->table)) {
            return tfw_table_failed(&d->table);
        }
        if (!tfw_pipeline_refuse(p, d->lines[2 * i], d->lines[2 * i + 1], d->table.message)) {
            return TFW_PERMANENT;
        }
        if (!execute(d, "ROLLBACK TO SAVEPOINT record", 0, NULL)) {
            return tfw_table_failed(&d->table);
        }
    }
    return execute(d, "RELEASE SAVEPOINT record", 0, NULL) ? TFW_OK : tfw_table_failed(&d->table);
}

/* Record by record, to find those that the table does not take. */
static tfw_outcome_t insert_each(rows_t *d)
{
    tfw_outcome_t outcome = TFW_OK;

    for (size_t i = 0; i < json_array_size(d->batch) && outcome == TFW_OK; i++) {
        outcome = tfw_run_cancelled(d->table.pipeline->run) ? TFW_CANCELLED : insert_one(d, i);
    }
    return outcome;
}

static tfw_outcome_t insert_batch(rows_t *d)
{
    size_t n = json_array_size(d->batch);

    if (n == 0) {
        return TFW_OK;
    }
    if (!execute(d, "SAVEPOINT batch", 0, NULL)) {
        return tfw_table_failed(&d->table);
    }
    if (insert(d, 0, n)) {
        d->table.pipeline->written += (int64_t)n;
        return TFW_OK;
    }
    if (!is_about_data(&d->table) || !execute(d, "ROLLBACK TO SAVEPOINT batch", 0, NULL)) {
        return tfw_table_failed(&d->table);
    }
    return insert_each(d);
}

static void begin_statement(const rows_t *d, tf_buf_t *text, const char *verb)
{
    tf_buf_reset(text);
    tf_buf_addf(text, "%s %s." CHECKPOINTS " ", verb, d->table.schema);
}

/* In the transaction of the rows. Another run that has taken the job over has made the row its own. */
static tfw_outcome_t save(rows_t *d, bool last)
{
    json_t *own = json_pack("{sO*}", "columns", d->columns),
           *state = tfw_pipeline_state(d->table.pipeline, own, last);
    char *data = state ? json_dumps(state, JSON_COMPACT) : NULL;
    const char *const values[] = {d->id, d->epoch, d->attempt, d->incarnation, data};
    tf_buf_t text = TF_BUF_INIT;
    tfw_outcome_t outcome = TFW_OK;
    PGresult *result = NULL;

    begin_statement(d, &text, "UPDATE");
    tf_buf_adds(&text, "SET data = $5, updated_at = now() WHERE job_id = $1 AND epoch = $2 AND attempt = $3 "
                       "AND incarnation = $4");
    if (!data || text.failed) {
        outcome = out_of_memory(d);
    } else {
        result = tfw_table_run(&d->table, tf_buf_cstr(&text), WHO + 1, values);
        if (!result) {
            outcome = tfw_table_failed(&d->table);
        } else if (strcmp(PQcmdTuples(result), "1") != 0) {
            tfw_run_error(d->table.pipeline->run, "another run has taken over: nothing more is written");
            outcome = TFW_RETRY;
        }
    }
    PQclear(result);
    tf_buf_free(&text);
    free(data);
    json_decref(state);
    return outcome;
}

static tfw_outcome_t commit(tfw_destination_t *destination, bool last)
{
    rows_t *d = (rows_t *)destination;
    int64_t committed = d->table.pipeline->written;
    tfw_outcome_t outcome;

    if (!execute(d, "BEGIN", 0, NULL)) {
        return tfw_table_failed(&d->table);
    }
    outcome = insert_batch(d);
    if (outcome == TFW_OK) {
        outcome = save(d, last);
    }
    if (outcome == TFW_OK && !execute(d, "COMMIT", 0, NULL)) {
        outcome = tfw_table_failed(&d->table);
    }
    if (outcome != TFW_OK) {
        d->table.pipeline->written = committed; /* the rows of this batch are rolled back */
    }
    json_array_clear(d->batch);
    d->bytes = 0;
    return outcome;
}

static void release(tfw_destination_t *destination)
{
    rows_t *d = (rows_t *)destination;

    tfw_table_close(&d->table);
    json_decref(d->columns);
    json_decref(d->batch);
    free(d->lines);
    free(d->insert);
    free(d);
}

/* Our table beside theirs. It is made where that is allowed; elsewhere the operator does it once. */
static tfw_outcome_t make_checkpoints(rows_t *d)
{
    static const char columns[] =
        "(job_id uuid PRIMARY KEY, epoch integer NOT NULL, attempt integer NOT NULL, "
        "incarnation bigint NOT NULL, data text, updated_at timestamptz NOT NULL)";
    tf_buf_t name = TF_BUF_INIT, text = TF_BUF_INIT;
    const char *value;
    PGresult *result;
    tfw_outcome_t outcome = TFW_OK;

    tf_buf_addf(&name, "%s." CHECKPOINTS, d->table.schema);
    value = tf_buf_cstr(&name);
    result = tfw_table_run(&d->table, "SELECT to_regclass($1) IS NULL", 1, &value);
    if (!result) {
        outcome = tfw_table_failed(&d->table);
    } else if (PQgetvalue(result, 0, 0)[0] == 't') {
        tf_buf_addf(&text, "CREATE TABLE IF NOT EXISTS %s %s", value, columns);
        if (!execute(d, tf_buf_cstr(&text), 0, NULL) && strncmp(d->table.sqlstate, "23", 2) != 0 &&
            strcmp(d->table.sqlstate, "42P07") != 0) { /* two made it at once */
            outcome = tfw_table_failed(&d->table);
            tfw_run_error(d->table.pipeline->run, "destination: %s: %s; somebody who may must do it once: %s",
                          d->table.place->connection->name, d->table.message, tf_buf_cstr(&text));
        }
    }
    PQclear(result);
    tf_buf_free(&name);
    tf_buf_free(&text);
    return outcome;
}

/* Makes the row of the state this run's; what an earlier life of the job has left is forgotten. */
static tfw_outcome_t take_over(rows_t *d, json_t **state)
{
    const char *const values[] = {d->id, d->epoch, d->attempt, d->incarnation};
    tf_buf_t text = TF_BUF_INIT;
    tfw_outcome_t outcome = TFW_OK;
    PGresult *result;

    begin_statement(d, &text, "DELETE FROM");
    tf_buf_addf(&text, "WHERE updated_at < now() - interval '%d seconds'", TFW_LEFT_BEHIND_SECONDS);
    if (!execute(d, tf_buf_cstr(&text), 0, NULL)) {
        tfw_run_log(d->table.pipeline->run, "warning", "old checkpoints stay: %s", d->table.message);
    }
    begin_statement(d, &text, "INSERT INTO");
    tf_buf_adds(&text,
                "AS c (job_id, epoch, attempt, incarnation, updated_at) VALUES ($1, $2, $3, $4, now()) "
                "ON CONFLICT (job_id) DO UPDATE SET epoch = excluded.epoch, attempt = "
                "excluded.attempt, incarnation = excluded.incarnation, updated_at = now(), "
                "data = CASE WHEN c.epoch = excluded.epoch THEN c.data END "
                "WHERE (c.epoch, c.attempt) <= (excluded.epoch, excluded.attempt) RETURNING data");
    result = tfw_table_run(&d->table, tf_buf_cstr(&text), WHO, values);
    if (!result) {
        outcome = tfw_table_failed(&d->table);
    } else if (PQntuples(result) == 0) {
        tfw_run_error(d->table.pipeline->run, "another run has taken over: nothing is written");
        outcome = TFW_RETRY;
    } else if (!PQgetisnull(result, 0, 0)) {
        *state = json_loads(PQgetvalue(result, 0, 0), 0, NULL);
        if (!*state) {
            tfw_run_error(d->table.pipeline->run, "destination: the checkpoint cannot be read");
            outcome = TFW_PERMANENT;
        }
    }
    PQclear(result);
    tf_buf_free(&text);
    return outcome;
}

static void read_fence(rows_t *d)
{
    tfw_fence_t fence = tfw_run_fence(d->table.pipeline->run);

    tf_uuid_format(tfw_run_id(d->table.pipeline->run), d->id);
    d->id[TF_UUID_TEXT_LEN] = '\0';
    snprintf(d->epoch, sizeof(d->epoch), "%" PRId32, fence.epoch);
    snprintf(d->attempt, sizeof(d->attempt), "%" PRId32, fence.attempt);
    snprintf(d->incarnation, sizeof(d->incarnation), "%" PRId64, fence.incarnation);
}

/* The columns that an earlier run has begun with, or those that the payload names. */
static tfw_outcome_t choose_columns(rows_t *d, const json_t *state)
{
    json_t *columns = json_object_get(json_object_get(state, "destination"), "columns");

    if (!columns) {
        columns = (json_t *)d->table.place->columns;
    }
    for (size_t i = 0; i < json_array_size(d->table.place->key); i++) {
        const char *name = json_string_value(json_array_get(d->table.place->key, i));

        if (tfw_table_find(&d->table, name) < 0) {
            return no_column(d, name);
        }
    }
    return columns ? use_columns(d, json_incref(columns)) : TFW_OK;
}

tfw_outcome_t tfw_table_destination_open(tfw_pipeline_t *p, tfw_destination_t **destination, json_t **state)
{
    rows_t *d = calloc(1, sizeof(*d));
    tfw_outcome_t outcome;

    if (!d) {
        tfw_run_error(p->run, "out of memory");
        return TFW_RETRY;
    }
    d->face = (tfw_destination_t){put, pending, commit, NULL, release};
    *destination = &d->face;
    outcome = tfw_table_open(&d->table, p, &p->destination);
    d->batch = json_array();
    d->lines = calloc((size_t)p->batch_size, 2 * sizeof(*d->lines));
    if (!d->batch || !d->lines) {
        return out_of_memory(d);
    }
    if (outcome == TFW_OK) {
        read_fence(d);
        outcome = make_checkpoints(d);
    }
    if (outcome == TFW_OK) {
        outcome = take_over(d, state);
    }
    return outcome == TFW_OK ? choose_columns(d, *state) : outcome;
}
