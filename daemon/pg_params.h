/* pg_params.h: the parameters of one statement in PostgreSQL's binary format. */
#ifndef TFD_PG_PARAMS_H
#define TFD_PG_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgparam.h"

#define TFD_PG_PARAMS_MAX 20

/* Zeroed: none. Add in the order of $1, $2, ... Scalars are kept here; all else points into the caller's
 * memory, which need only last until tfd_pg_send returns. Not to be copied. */
typedef struct {
    int n; /* more than TFD_PG_PARAMS_MAX: too many were added, and tfd_pg_send refuses */
    const char *values[TFD_PG_PARAMS_MAX];
    int lengths[TFD_PG_PARAMS_MAX];
    uint8_t scalars[TFD_PG_PARAMS_MAX][8];
} tfd_pg_params_t;

void tfd_pg_int2(tfd_pg_params_t *p, int16_t v);
void tfd_pg_int4(tfd_pg_params_t *p, int32_t v);
void tfd_pg_int8(tfd_pg_params_t *p, int64_t v);
void tfd_pg_float8(tfd_pg_params_t *p, double v);
void tfd_pg_bool(tfd_pg_params_t *p, bool v);
void tfd_pg_time(tfd_pg_params_t *p, int64_t unix_us);               /* timestamptz */
void tfd_pg_bytes(tfd_pg_params_t *p, const void *data, size_t len); /* text, uuid; NULL: SQL NULL */
void tfd_pg_array(tfd_pg_params_t *p, const tf_pgarray_t *array);    /* after tf_pgarray_end */

#endif
