/* source_table.c: the rows of a table in the order of its primary key, page by page. Where a run stands is
 * the key of the row read last, so that rows that come or go meanwhile move nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/source.h"
#include "pipeline/table.h"

#define PAGE_MAX 1000
#define KEY_MAX 32 /* columns of a primary key, PostgreSQL's own limit */

/* pg_type.dat */
enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_JSONB = 3802
};

typedef struct {
    tfw_source_t face; /* first: tfw_source_t * is rows_t * */
    tfw_table_t table;
    int nkeys;
    int keys[KEY_MAX];  /* columns, in the order of the key */
    char *first, *rest; /* statements: the first page; one behind a key */
    PGresult *page;     /* NULL: not read yet */
    int row;            /* the next one of it */
    bool ended;         /* the page is the last */
    json_t *at;         /* the key of the row read last, texts; NULL: none */
} rows_t;

/* Text of the row's column as a value. */
static json_t *value_of(const rows_t *s, int column)
{
    const char *text = PQgetvalue(s->page, s->row, column);

    if (PQgetisnull(s->page, s->row, column)) {
        return json_null();
    }
    switch (PQftype(s->page, column)) {
    case OID_BOOL:
        return json_boolean(text[0] == 't');
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return json_integer(strtoll(text, NULL, 10));
    case OID_FLOAT4:
    case OID_FLOAT8: {
        json_t *number = json_real(strtod(text, NULL));

        return number ? number : json_string(text); /* NaN and infinities are no JSON numbers */
    }
    case OID_JSON:
    case OID_JSONB: {
        json_t *parsed = json_loads(text, JSON_DECODE_ANY, NULL);

        return parsed ? parsed : json_string(text);
    }
    default:
        return json_string(text);
    }
}

/* false: the error is in the table. */
static bool read_page(rows_t *s)
{
    const char *values[KEY_MAX];

    for (int i = 0; i < s->nkeys; i++) {
        values[i] = json_string_value(json_array_get(s->at, (size_t)i));
    }
    PQclear(s->page);
    s->row = 0;
    s->page = s->at ? tfw_table_run(&s->table, s->rest, s->nkeys, values)
                    : tfw_table_run(&s->table, s->first, 0, NULL);
    s->ended = s->page && PQntuples(s->page) < PAGE_MAX;
    return s->page != NULL;
}

static tfw_read_status_t next(tfw_source_t *source, json_t **record)
{
    rows_t *s = (rows_t *)source;

    *record = NULL;
    if (!s->page || (s->row == PQntuples(s->page) && !s->ended)) {
        if (!read_page(s)) {
            snprintf(source->error, sizeof(source->error), "%s: %s", s->table.place->connection->name,
                     s->table.message);
            return tfw_table_failed(&s->table) == TFW_RETRY ? TFW_READ_FAILED : TFW_READ_BROKEN;
        }
    }
    if (s->row == PQntuples(s->page)) {
        return TFW_READ_END;
    }
    *record = json_object();
    for (int i = 0; i < PQnfields(s->page); i++) {
        if (json_object_set_new(*record, PQfname(s->page, i), value_of(s, i)) != 0) {
            json_decref(*record);
            *record = NULL;
            snprintf(source->error, sizeof(source->error), "a row that cannot be read as UTF-8");
            return TFW_READ_BROKEN;
        }
    }
    json_decref(s->at);
    s->at = json_array();
    for (int i = 0; i < s->nkeys; i++) {
        json_array_append_new(s->at, json_string(PQgetvalue(s->page, s->row, s->keys[i])));
    }
    s->row++;
    return TFW_READ_RECORD;
}

static json_t *position(const tfw_source_t *source)
{
    const rows_t *s = (const rows_t *)source;

    return json_pack("{sO*}", "key", s->at);
}

static int percent(const tfw_source_t *source)
{
    return -1;
}

static void release(tfw_source_t *source)
{
    rows_t *s = (rows_t *)source;

    PQclear(s->page);
    tfw_table_close(&s->table);
    json_decref(s->at);
    free(s->first);
    free(s->rest);
    free(s);
}

/* The columns of the primary key, in its order. */
static tfw_outcome_t find_key(rows_t *s)
{
    tfw_table_t *t = &s->table;

    for (int n = 1; n <= KEY_MAX; n++) {
        for (int i = 0; i < tfw_table_width(t); i++) {
            if (strtol(tfw_table_column(t, i, TFW_COLUMN_KEY), NULL, 10) == n) {
                s->keys[s->nkeys++] = i;
            }
        }
    }
    if (s->nkeys == 0) {
        tfw_run_error(t->pipeline->run,
                      "source: %s has no primary key: there is no order in which its rows could be read",
                      t->place->table);
        return TFW_PERMANENT;
    }
    return TFW_OK;
}

static bool make_statements(rows_t *s)
{
    tf_buf_t columns = TF_BUF_INIT, key = TF_BUF_INIT, values = TF_BUF_INIT, text = TF_BUF_INIT;
    bool ok;

    for (int i = 0; i < tfw_table_width(&s->table); i++) {
        tf_buf_addf(&columns, "%s%s", i ? ", " : "", tfw_table_column(&s->table, i, TFW_COLUMN_QUOTED));
    }
    for (int i = 0; i < s->nkeys; i++) {
        tf_buf_addf(&key, "%s%s", i ? ", " : "", tfw_table_column(&s->table, s->keys[i], TFW_COLUMN_QUOTED));
        tf_buf_addf(&values, "%s$%d", i ? ", " : "", i + 1);
    }
    tf_buf_addf(&text, "SELECT %s FROM %s ORDER BY %s LIMIT %d", tf_buf_cstr(&columns), s->table.name,
                tf_buf_cstr(&key), PAGE_MAX);
    s->first = strdup(tf_buf_cstr(&text));
    tf_buf_reset(&text);
    tf_buf_addf(&text, "SELECT %s FROM %s WHERE (%s) > (%s) ORDER BY %s LIMIT %d", tf_buf_cstr(&columns),
                s->table.name, tf_buf_cstr(&key), tf_buf_cstr(&values), tf_buf_cstr(&key), PAGE_MAX);
    s->rest = strdup(tf_buf_cstr(&text));
    ok = s->first && s->rest && !columns.failed && !key.failed && !values.failed && !text.failed;
    tf_buf_free(&columns);
    tf_buf_free(&key);
    tf_buf_free(&values);
    tf_buf_free(&text);
    if (!ok) {
        tfw_run_error(s->table.pipeline->run, "out of memory");
    }
    return ok;
}

tfw_outcome_t tfw_table_source_open(tfw_pipeline_t *p, const json_t *earlier, tfw_source_t **source)
{
    rows_t *s = calloc(1, sizeof(*s));
    tfw_outcome_t outcome;

    if (!s) {
        tfw_run_error(p->run, "out of memory");
        return TFW_RETRY;
    }
    s->face = (tfw_source_t){.next = next, .position = position, .percent = percent, .free = release};
    *source = &s->face;
    outcome = tfw_table_open(&s->table, p, &p->source);
    if (outcome == TFW_OK) {
        outcome = find_key(s);
    }
    if (outcome != TFW_OK) {
        return outcome;
    }
    s->at = json_incref(json_object_get(earlier, "key"));
    if (s->at && json_array_size(s->at) != (size_t)s->nkeys) {
        tfw_run_error(p->run, "source: the primary key of %s has changed since an earlier attempt",
                      p->source.table);
        return TFW_PERMANENT;
    }
    return make_statements(s) ? TFW_OK : TFW_RETRY;
}
