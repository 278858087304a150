/* table_functions.h: the aggregate functions that SQLite has not: median(x), stddev(x) of a sample. Of
 * numbers; NULL for none, and stddev for one. */
#ifndef TFW_TABLE_FUNCTIONS_H
#define TFW_TABLE_FUNCTIONS_H

#include <sqlite3.h>

/* Returns SQLITE_OK or an error code. */
int tfw_table_functions_add(sqlite3 *db);

#endif
