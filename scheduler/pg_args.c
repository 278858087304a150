#include "pg_args.h"

#include "pgparam.h"

/* The place of the next value; the caller writes `len` bytes there. */
static uint8_t *add(tfs_pg_args_t *args, unsigned type, const void *bytes, size_t len)
{
    static uint8_t overflow[8];
    int i = args->count;

    if (i == TFS_PG_ARGS_MAX) {
        return overflow;
    }
    args->count++;
    args->types[i] = type;
    args->bytes[i] = bytes;
    args->lengths[i] = len;
    return args->small[i];
}

void tfs_pg_args_int2(tfs_pg_args_t *args, int16_t value)
{
    tf_pg_put_int2(add(args, TF_PG_INT2, NULL, 2), value);
}

void tfs_pg_args_int4(tfs_pg_args_t *args, int32_t value)
{
    tf_pg_put_int4(add(args, TF_PG_INT4, NULL, 4), value);
}

void tfs_pg_args_time(tfs_pg_args_t *args, int64_t unix_us)
{
    tf_pg_put_time(add(args, TF_PG_TIMESTAMPTZ, NULL, 8), unix_us);
}

void tfs_pg_args_bytes(tfs_pg_args_t *args, unsigned type, const void *data, size_t len)
{
    add(args, type, data ? data : "", data ? len : 0);
}
