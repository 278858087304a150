/* pg_args.h: the parameters of one statement, in PostgreSQL's binary format, with their types. */
#ifndef TFS_PG_ARGS_H
#define TFS_PG_ARGS_H

#include <stddef.h>
#include <stdint.h>

#define TFS_PG_ARGS_MAX 6
#define TFS_PG_UUID_ARRAY 2951
#define TFS_PG_INT8_ARRAY 1016

/* Start with TFS_PG_ARGS_INIT, then add in the order of $1, $2, ... Adding more than TFS_PG_ARGS_MAX is
 * ignored, and the server then refuses the statement. */
typedef struct {
    int count;
    unsigned types[TFS_PG_ARGS_MAX];
    const void *bytes[TFS_PG_ARGS_MAX]; /* NULL: the value is in `small` */
    size_t lengths[TFS_PG_ARGS_MAX];
    uint8_t small[TFS_PG_ARGS_MAX][8];
} tfs_pg_args_t;

#define TFS_PG_ARGS_INIT                                                                                     \
    {                                                                                                        \
        .count = 0                                                                                           \
    }

void tfs_pg_args_int2(tfs_pg_args_t *args, int16_t value);
void tfs_pg_args_int4(tfs_pg_args_t *args, int32_t value);
void tfs_pg_args_time(tfs_pg_args_t *args, int64_t unix_us);

/* data stays the caller's; it must live until the statement was handed to tfs_pg_query, which copies it.
 * type: an OID. */
void tfs_pg_args_bytes(tfs_pg_args_t *args, unsigned type, const void *data, size_t len);

#endif
