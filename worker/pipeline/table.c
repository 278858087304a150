#include "pipeline/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                              \
    "SELECT a.attname, quote_ident(a.attname), a.atttypid, coalesce(array_position(i.indkey::int2[], "       \
    "a.attnum) + 1, 0), quote_ident(n.nspname), "                                                            \
    "quote_ident(n.nspname) || '.' || quote_ident(c.relname) "                                               \
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "                                         \
    "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "                     \
    "AND a.attgenerated = '' LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary "                 \
    "WHERE c.relname = $2 AND c.relkind IN ('r', 'p') "                                                      \
    "AND (n.nspname = $1 OR $1 IS NULL AND pg_table_is_visible(c.oid)) ORDER BY a.attnum"

static void keep_message(tfw_table_t *t, const char *sqlstate, const char *message)
{
    snprintf(t->sqlstate, sizeof(t->sqlstate), "%s", sqlstate ? sqlstate : "");
    snprintf(t->message, sizeof(t->message), "%.*s", (int)strcspn(message, "\n"), message);
}

tfw_outcome_t tfw_table_failed(tfw_table_t *t)
{
    /* connection trouble, resources, shutting down, conflicts of transactions, locks */
    static const char *const passing[] = {"08", "40", "53", "55", "57", "58"};
    bool again = t->sqlstate[0] == '\0';

    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        again = again || strncmp(t->sqlstate, passing[i], 2) == 0;
    }
    tfw_run_error(t->pipeline->run, "%s: %s: %s", t->place->label, t->place->connection->name, t->message);
    return again ? TFW_RETRY : TFW_PERMANENT;
}

PGresult *tfw_table_run(tfw_table_t *t, const char *statement, int n, const char *const *values)
{
    PGresult *result = PQexecParams(t->conn, statement, n, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return result;
    }
    keep_message(t, PQresultErrorField(result, PG_DIAG_SQLSTATE),
                 PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)
                     ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)
                     : PQerrorMessage(t->conn));
    PQclear(result);
    return NULL;
}

static bool connect_to(tfw_table_t *t)
{
    static const char *const keywords[] = {"fallback_application_name", "connect_timeout",
                                           "tcp_user_timeout",          "dbname",
                                           "client_encoding",           NULL};
    const char *const values[] = {"taskforge", "10", "30000", t->place->connection->u.postgresql.url,
                                  "UTF8",      NULL};

    t->conn = PQconnectdbParams(keywords, values, 1);
    if (PQstatus(t->conn) == CONNECTION_OK) {
        return true;
    }
    keep_message(t, "", PQerrorMessage(t->conn));
    return false;
}

static tfw_outcome_t look_up(tfw_table_t *t)
{
    const char *dot = strchr(t->place->table, '.');
    char *schema = dot ? strndup(t->place->table, (size_t)(dot - t->place->table)) : NULL;
    const char *const values[] = {schema, dot ? dot + 1 : t->place->table};

    t->columns = tfw_table_run(t, COLUMNS, 2, values);
    free(schema);
    if (!t->columns) {
        return tfw_table_failed(t);
    }
    if (PQntuples(t->columns) == 0) {
        tfw_run_error(t->pipeline->run, "%s: %s: there is no table %s", t->place->label,
                      t->place->connection->name, t->place->table);
        return TFW_PERMANENT;
    }
    t->schema = PQgetvalue(t->columns, 0, 4);
    t->name = PQgetvalue(t->columns, 0, 5);
    return TFW_OK;
}

tfw_outcome_t tfw_table_open(tfw_table_t *t, tfw_pipeline_t *p, const tfw_place_t *place)
{
    static const char *const settings[] = {"SET TIME ZONE 'UTC'", "SET datestyle = 'ISO, YMD'",
                                           "SET extra_float_digits = 1", "SET bytea_output = 'hex'"};

    *t = (tfw_table_t){.pipeline = p, .place = place};
    if (!connect_to(t)) {
        return tfw_table_failed(t);
    }
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        PGresult *result = tfw_table_run(t, settings[i], 0, NULL);

        if (!result) {
            return tfw_table_failed(t);
        }
        PQclear(result);
    }
    return look_up(t);
}

void tfw_table_close(tfw_table_t *t)
{
    PQclear(t->columns);
    PQfinish(t->conn);
    *t = (tfw_table_t){.pipeline = t->pipeline};
}

int tfw_table_width(const tfw_table_t *t)
{
    return PQntuples(t->columns);
}

const char *tfw_table_column(const tfw_table_t *t, int column, tfw_column_field_t field)
{
    return PQgetvalue(t->columns, column, (int)field);
}

int tfw_table_find(const tfw_table_t *t, const char *name)
{
    for (int i = 0; i < tfw_table_width(t); i++) {
        if (strcmp(tfw_table_column(t, i, TFW_COLUMN_NAME), name) == 0) {
            return i;
        }
    }
    return -1;
}
