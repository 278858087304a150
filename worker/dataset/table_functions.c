#include "dataset/table_functions.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "dataset/stats.h"

typedef struct {
    const char *name;
    bool median;
} function_t;

/* The numbers seen; begins as zeros. */
typedef struct {
    double *values; /* sqlite3_malloc: within the bound of its memory */
    size_t count, size;
} numbers_t;

static void add(sqlite3_context *context, int count, sqlite3_value **values)
{
    numbers_t *n = sqlite3_aggregate_context(context, sizeof(*n));
    int type = sqlite3_value_numeric_type(values[0]);
    bool number =
        (type == SQLITE_INTEGER || type == SQLITE_FLOAT) && isfinite(sqlite3_value_double(values[0]));

    if (n == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    if (!number) {
        return;
    }
    if (n->count == n->size) {
        size_t size = n->size > 0 ? n->size * 2 : 64;
        double *longer = sqlite3_realloc64(n->values, size * sizeof(*longer));

        if (longer == NULL) {
            sqlite3_result_error_nomem(context);
            return;
        }
        n->values = longer;
        n->size = size;
    }
    n->values[n->count++] = sqlite3_value_double(values[0]);
}

static void finish(sqlite3_context *context)
{
    numbers_t *n = sqlite3_aggregate_context(context, 0);
    const function_t *function = sqlite3_user_data(context);

    if (n != NULL && n->count > 0) {
        tfw_stats_t stats = tfw_stats(n->values, n->count);

        /* SQLite has no NaN: it becomes NULL */
        sqlite3_result_double(context, function->median ? stats.median : stats.stddev);
        sqlite3_free(n->values);
        n->values = NULL;
        n->count = n->size = 0;
    }
}

int tfw_table_functions_add(sqlite3 *db)
{
    static const function_t functions[] = {{"median", true}, {"stddev", false}};
    int rc = SQLITE_OK;

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]) && rc == SQLITE_OK; i++) {
        rc = sqlite3_create_function_v2(db, functions[i].name, 1,
                                        SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                        (void *)&functions[i], NULL, add, finish, NULL);
    }
    return rc;
}
