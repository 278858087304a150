/* table_disk.h: a VFS for SQLite, over its own, that bounds what all files of this process take together. */
#ifndef TFW_TABLE_DISK_H
#define TFW_TABLE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define TFW_TABLE_VFS "taskforge-data"

/* Bytes of all files from now on; what would be more is SQLITE_FULL. Registers the VFS the first time. false:
 * out of memory. */
bool tfw_table_disk_limit(int64_t max);

/* It was the limit that stopped the last write, not the disk. */
bool tfw_table_disk_exceeded(void);

#endif
