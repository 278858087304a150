#include "pg_params.h"

#include <string.h>

void tfd_pg_bytes(tfd_pg_params_t *p, const void *data, size_t len)
{
    if (p->n < TFD_PG_PARAMS_MAX) {
        p->values[p->n] = data;
        p->lengths[p->n] = (int)len;
        p->n++;
    } else {
        p->n = TFD_PG_PARAMS_MAX + 1;
    }
}

static void scalar(tfd_pg_params_t *p, const uint8_t *bytes, size_t len)
{
    uint8_t *kept = NULL;

    if (p->n < TFD_PG_PARAMS_MAX) {
        kept = p->scalars[p->n];
        memcpy(kept, bytes, len);
    }
    tfd_pg_bytes(p, kept, len);
}

void tfd_pg_int2(tfd_pg_params_t *p, int16_t v)
{
    uint8_t bytes[2];

    tf_pg_put_int2(bytes, v);
    scalar(p, bytes, sizeof(bytes));
}

void tfd_pg_int4(tfd_pg_params_t *p, int32_t v)
{
    uint8_t bytes[4];

    tf_pg_put_int4(bytes, v);
    scalar(p, bytes, sizeof(bytes));
}

void tfd_pg_int8(tfd_pg_params_t *p, int64_t v)
{
    uint8_t bytes[8];

    tf_pg_put_int8(bytes, v);
    scalar(p, bytes, sizeof(bytes));
}

void tfd_pg_time(tfd_pg_params_t *p, int64_t unix_us)
{
    uint8_t bytes[8];

    tf_pg_put_time(bytes, unix_us);
    scalar(p, bytes, sizeof(bytes));
}

void tfd_pg_float8(tfd_pg_params_t *p, double v)
{
    uint8_t bytes[8];

    tf_pg_put_float8(bytes, v);
    scalar(p, bytes, sizeof(bytes));
}

void tfd_pg_bool(tfd_pg_params_t *p, bool v)
{
    uint8_t byte = v;

    scalar(p, &byte, 1);
}

void tfd_pg_array(tfd_pg_params_t *p, const tf_pgarray_t *array)
{
    tfd_pg_bytes(p, array->buf.data, array->buf.len);
}
