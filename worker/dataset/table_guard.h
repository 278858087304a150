/* table_guard.h: what a query of a caller may do. */
#ifndef TFW_TABLE_GUARD_H
#define TFW_TABLE_GUARD_H

#include <sqlite3.h>

/* Statements that are prepared from now on may only SELECT, from the tables data and other and from JSON
 * texts, with functions of a list. No ATTACH, no PRAGMA, no writing, nothing of the schema. */
void tfw_table_guard(sqlite3 *db);

#endif
