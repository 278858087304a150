#include "dataset/table.h"

#include <errno.h>
#include <string.h>

#include "dataset/data_settings.h"
#include "dataset/number.h"
#include "dataset/table_disk.h"
#include "dataset/table_functions.h"
#include "dataset/table_guard.h"

#define CANCEL_STEPS 20000 /* of SQLite's machine between two looks at the cancel flag: some milliseconds */
#define CACHE_SHARE 8      /* of the memory: for pages, and for each sorting */
#define VALUE_MAX (16 << 20)
#define SQL_MAX (8 << 20) /* of our own: a thousand columns, some times */
#define EXPRESSION_DEPTH_MAX 500

/* ---- errors ---- */

static tfw_outcome_t fail(tfw_tables_t *t, int rc)
{
    long long memory = (long long)tfw_data_settings.memory_mb, disk = (long long)tfw_data_settings.disk_mb;

    switch (rc & 0xff) {
    case SQLITE_INTERRUPT:
        return TFW_CANCELLED;
    case SQLITE_NOMEM:
        tfw_run_error(t->run, "%s: takes more than %lld MB of memory (TASKFORGE_DATA_MEMORY_MB)", t->what,
                      memory);
        return TFW_PERMANENT;
    case SQLITE_FULL:
        if (tfw_table_disk_exceeded()) {
            tfw_run_error(t->run, "%s: takes more than %lld MB of temporary files (TASKFORGE_DATA_DISK_MB)",
                          t->what, disk);
            return TFW_PERMANENT;
        }
        tfw_run_error(t->run, "%s: the disk of temporary files is full", t->what);
        return TFW_RETRY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (sqlite3_system_errno(t->db) == EFBIG) {
            tfw_run_error(t->run,
                          "%s: takes a temporary file larger than an executor may write "
                          "(TASKFORGE_EXECUTOR_FILE_MB)",
                          t->what);
            return TFW_PERMANENT;
        }
        tfw_run_error(t->run, "%s: a temporary file: %s", t->what, sqlite3_errmsg(t->db));
        return TFW_RETRY;
    case SQLITE_TOOBIG:
        tfw_run_error(t->run, "%s: a value or the statement is longer than %d MB", t->what, VALUE_MAX >> 20);
        return TFW_PERMANENT;
    case SQLITE_AUTH:
        tfw_run_error(t->run, "%s: only SELECT, over the tables that are there, is allowed: %s", t->what,
                      sqlite3_errmsg(t->db));
        return TFW_PERMANENT;
    default:
        tfw_run_error(t->run, "%s: %s", t->what, sqlite3_errmsg(t->db));
        return TFW_PERMANENT;
    }
}

/* ---- opening ---- */

static int on_progress(void *data)
{
    const tfw_tables_t *t = data;

    if (t->percent > 0) {
        tfw_run_progress(t->run, t->percent);
    }
    return tfw_run_cancelled(t->run);
}

static int pragma(tfw_tables_t *t, const char *text)
{
    return sqlite3_exec(t->db, text, NULL, NULL, NULL);
}

static int configure(tfw_tables_t *t)
{
    char cache[64];
    int rc;

    sqlite3_progress_handler(t->db, CANCEL_STEPS, on_progress, t);
    sqlite3_limit(t->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    sqlite3_limit(t->db, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX);
    sqlite3_limit(t->db, SQLITE_LIMIT_EXPR_DEPTH, EXPRESSION_DEPTH_MAX);
    sqlite3_limit(t->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(t->db, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_db_config(t->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(t->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    /* "name" is a name, or an error, never a text */
    sqlite3_db_config(t->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(t->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    snprintf(cache, sizeof(cache), "PRAGMA cache_size = -%lld",
             (long long)(tfw_data_settings.memory_mb * 1024 / CACHE_SHARE));
    rc = pragma(t, cache);
    rc = rc ? rc : pragma(t, "PRAGMA journal_mode = OFF");
    rc = rc ? rc : pragma(t, "PRAGMA synchronous = OFF");
    rc = rc ? rc : pragma(t, "PRAGMA locking_mode = EXCLUSIVE");
    rc = rc ? rc : pragma(t, "PRAGMA temp_store = FILE");
    sqlite3_db_config(t->db, SQLITE_DBCONFIG_DEFENSIVE, 1,
                      NULL); /* which also refuses to be without a journal */
    return rc ? rc : tfw_table_functions_add(t->db);
}

tfw_outcome_t tfw_tables_open(tfw_tables_t *t, tfw_run_t *run)
{
    int rc;

    *t = (tfw_tables_t){.run = run, .what = "the table"};
    if (!tfw_table_disk_limit(tfw_data_settings.disk_mb << 20)) {
        tfw_run_error(run, "SQLite cannot be used: out of memory");
        return TFW_RETRY;
    }
    sqlite3_soft_heap_limit64(tfw_data_settings.memory_mb << 19);
    sqlite3_hard_heap_limit64(tfw_data_settings.memory_mb << 20);
    /* without a name: a file that is removed as soon as it is opened, and written when memory is short, in
     * TMPDIR or /var/tmp */
    rc = sqlite3_open_v2("", &t->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                         TFW_TABLE_VFS);
    rc = rc ? rc : configure(t);
    return rc == SQLITE_OK ? TFW_OK : fail(t, rc);
}

void tfw_tables_close(tfw_tables_t *t)
{
    sqlite3_close_v2(t->db);
    t->db = NULL;
}

void tfw_tables_seal(tfw_tables_t *t)
{
    tfw_table_guard(t->db);
}

/* ---- loading ---- */

void tfw_tables_add_name(tf_buf_t *sql, const char *name)
{
    tf_buf_addc(sql, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"') {
            tf_buf_addc(sql, '"');
        }
        tf_buf_addc(sql, *name);
    }
    tf_buf_addc(sql, '"');
}

static tfw_outcome_t bad_name(tfw_tables_t *t, const char *what, const char *name)
{
    tf_buf_t shown = {.limit = 512};

    tf_json_str(&shown, name, strnlen(name, 64));
    tfw_run_error(t->run, "%s: %s %s", t->what, what, tf_buf_cstr(&shown));
    tf_buf_free(&shown);
    return TFW_PERMANENT;
}

/* SQLite's names differ in more than the case of ASCII letters. */
static tfw_outcome_t check_names(tfw_tables_t *t, const tfw_column_t *columns, size_t count)
{
    if (count == 0) {
        tfw_run_error(t->run, "%s: there are no columns", t->what);
        return TFW_PERMANENT;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = columns[i].name;

        if (*name == '\0') {
            tfw_run_error(t->run, "%s: column %zu has no name", t->what, i + 1);
            return TFW_PERMANENT;
        }
        if (strlen(name) > TFW_TABLE_NAME_MAX) {
            return bad_name(t, "longer than 255 bytes is the column name", name);
        }
        for (size_t k = 0; k < i; k++) {
            if (sqlite3_stricmp(columns[k].name, name) == 0) {
                return bad_name(t, "two columns are named (but for upper and lower case)", name);
            }
        }
    }
    return TFW_OK;
}

static tfw_outcome_t create(tfw_tables_t *t, const char *table, const tfw_column_t *columns, size_t count)
{
    static const char *const types[] = {"TEXT", "INTEGER", "REAL", "BOOLEAN", "TEXT", "JSON TEXT"};
    tf_buf_t sql = TF_BUF_INIT;
    int rc;

    tf_buf_addf(&sql, "CREATE TABLE %s (", table);
    for (size_t i = 0; i < count; i++) {
        tf_buf_adds(&sql, i > 0 ? ", " : "");
        tfw_tables_add_name(&sql, columns[i].name);
        tf_buf_addf(&sql, " %s", types[columns[i].type]);
    }
    tf_buf_addc(&sql, ')');
    rc = sql.failed ? SQLITE_NOMEM : sqlite3_exec(t->db, tf_buf_cstr(&sql), NULL, NULL, NULL);
    tf_buf_free(&sql);
    return rc == SQLITE_OK ? TFW_OK : fail(t, rc);
}

static tfw_outcome_t prepare_insert(tfw_tables_t *t, const char *table, size_t count, sqlite3_stmt **stmt)
{
    tf_buf_t sql = TF_BUF_INIT;
    int rc;

    tf_buf_addf(&sql, "INSERT INTO %s VALUES (?", table);
    for (size_t i = 1; i < count; i++) {
        tf_buf_adds(&sql, ", ?");
    }
    tf_buf_addc(&sql, ')');
    rc = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(t->db, tf_buf_cstr(&sql), -1, stmt, NULL);
    tf_buf_free(&sql);
    return rc == SQLITE_OK ? TFW_OK : fail(t, rc);
}

/* Decimal digits that are known to fit. */
static sqlite3_int64 integer_of(tf_str_t text)
{
    bool negative = text.data[0] == '-';
    uint64_t value = 0;

    for (size_t i = negative; i < text.len; i++) {
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    return (sqlite3_int64)(negative ? -value : value);
}

static int bind_value(sqlite3_stmt *stmt, int at, tf_str_t text, tfw_type_t type)
{
    double value = 0;

    switch (type) {
    case TFW_TYPE_INTEGER:
        return sqlite3_bind_int64(stmt, at, integer_of(text));
    case TFW_TYPE_REAL:
        tfw_number_parse(text.data, text.len, &value);
        return sqlite3_bind_double(stmt, at, value);
    case TFW_TYPE_BOOLEAN:
        return sqlite3_bind_int(stmt, at, text.data[0] == 't');
    default:
        return sqlite3_bind_text(stmt, at, text.data, (int)text.len, SQLITE_STATIC);
    }
}

static int insert(sqlite3_stmt *stmt, const tfw_column_t *columns, size_t count, const tf_str_t *fields,
                  const tfw_type_t *types)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < count && rc == SQLITE_OK; i++) {
        bool missing = types != NULL ? types[i] == TFW_TYPE_NONE : fields[i].len == 0;

        rc = missing ? sqlite3_bind_null(stmt, (int)i + 1)
                     : bind_value(stmt, (int)i + 1, fields[i], columns[i].type);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

tfw_outcome_t tfw_tables_load(tfw_tables_t *t, tfw_dataset_t *dataset, const char *name, int64_t *rows)
{
    sqlite3_stmt *stmt = NULL;
    const tfw_type_t *types;
    const tf_str_t *fields;
    tfw_outcome_t outcome;
    size_t count;
    const tfw_column_t *columns = tfw_dataset_columns(dataset, &count);
    int rc = SQLITE_OK;

    t->what = tfw_dataset_label(dataset);
    outcome = check_names(t, columns, count);
    outcome = outcome != TFW_OK ? outcome : create(t, name, columns, count);
    outcome = outcome != TFW_OK ? outcome : prepare_insert(t, name, count, &stmt);
    if (outcome == TFW_OK) {
        rc = sqlite3_exec(t->db, "BEGIN", NULL, NULL, NULL);
    }
    while (outcome == TFW_OK && rc == SQLITE_OK) {
        outcome = tfw_dataset_next(dataset, &fields, &types);
        if (outcome != TFW_OK || fields == NULL) {
            break;
        }
        rc = insert(stmt, columns, count, fields, types);
    }
    sqlite3_finalize(stmt);
    if (outcome == TFW_OK && rc == SQLITE_OK) {
        rc = sqlite3_exec(t->db, "COMMIT", NULL, NULL, NULL);
    }
    *rows = tfw_dataset_rows(dataset);
    return outcome == TFW_OK && rc != SQLITE_OK ? fail(t, rc) : outcome;
}

/* ---- queries ---- */

tfw_outcome_t tfw_tables_prepare(tfw_tables_t *t, const char *sql, size_t len, sqlite3_stmt **stmt)
{
    sqlite3_stmt *second = NULL;
    const char *rest = NULL;
    int rc = sqlite3_prepare_v2(t->db, sql, (int)len, stmt, &rest);

    if (rc == SQLITE_OK && *stmt != NULL) {
        rc = sqlite3_prepare_v2(t->db, rest, (int)(len - (size_t)(rest - sql)), &second, NULL);
    }
    if (rc == SQLITE_OK && *stmt != NULL && second == NULL && sqlite3_stmt_readonly(*stmt) &&
        sqlite3_column_count(*stmt) > 0) {
        return TFW_OK;
    }
    if (rc == SQLITE_OK) {
        tfw_run_error(t->run, "%s: must be one SELECT", t->what);
    }
    sqlite3_finalize(second);
    sqlite3_finalize(*stmt);
    *stmt = NULL;
    return rc == SQLITE_OK ? TFW_PERMANENT : fail(t, rc);
}

bool tfw_tables_step(tfw_tables_t *t, sqlite3_stmt *stmt, tfw_outcome_t *outcome)
{
    int rc = sqlite3_step(stmt);

    *outcome = rc == SQLITE_ROW || rc == SQLITE_DONE ? TFW_OK : fail(t, rc);
    return rc == SQLITE_ROW;
}
