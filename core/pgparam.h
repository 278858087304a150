/* pgparam.h: PostgreSQL's binary formats, without libpq: parameters out (scalars and one-dimensional arrays,
 * no escaping, no copying of texts through a quoting step) and values in. Source: PostgreSQL's
 * array_send/recv, timestamptz_send, uuid_send. */
#ifndef TF_PGPARAM_H
#define TF_PGPARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "job.h"

#define TF_PG_BOOL 16
#define TF_PG_BYTEA 17
#define TF_PG_INT8 20
#define TF_PG_INT2 21
#define TF_PG_INT4 23
#define TF_PG_TEXT 25
#define TF_PG_JSON 114
#define TF_PG_TIMESTAMPTZ 1184
#define TF_PG_UUID 2950

/* One array being built: the buffer holds the wire form and can be passed as a parameter of format 1 after
 * tf_pgarray_end. Reusable: begin resets it. */
typedef struct {
    tf_buf_t buf;
    uint32_t oid;
    uint32_t count;
    bool has_null;
    bool has_value; /* false: nothing but nulls; unnest() beside longer arrays takes SQL NULL for that */
} tf_pgarray_t;

void tf_pgarray_begin(tf_pgarray_t *a, uint32_t element_oid);
void tf_pgarray_null(tf_pgarray_t *a);
void tf_pgarray_bytes(tf_pgarray_t *a, const void *data,
                      size_t len); /* text, json, uuid (16); NULL data: null */
void tf_pgarray_int2(tf_pgarray_t *a, int16_t v);
void tf_pgarray_int4(tf_pgarray_t *a, int32_t v);
void tf_pgarray_int8(tf_pgarray_t *a, int64_t v);
void tf_pgarray_bool(tf_pgarray_t *a, bool v);
void tf_pgarray_time(tf_pgarray_t *a, int64_t unix_us); /* TF_TIME_NONE: null */
/* false: out of memory. */
bool tf_pgarray_end(tf_pgarray_t *a);
void tf_pgarray_free(tf_pgarray_t *a);

/* Scalars in wire form. */
void tf_pg_put_int2(uint8_t out[2], int16_t v);
void tf_pg_put_int4(uint8_t out[4], int32_t v);
void tf_pg_put_int8(uint8_t out[8], int64_t v);
void tf_pg_put_time(uint8_t out[8], int64_t unix_us);
void tf_pg_put_float8(uint8_t out[8], double v);
int16_t tf_pg_get_int2(const void *p);
int32_t tf_pg_get_int4(const void *p);
int64_t tf_pg_get_int8(const void *p);
int64_t tf_pg_get_time(const void *p); /* microseconds since 1970 */
double tf_pg_get_float8(const void *p);

/* Reads column `column` of the current row: the value's bytes and length, NULL for SQL NULL. */
typedef const char *(*tf_column_fn)(const void *row, int column, int *len);

/* The select list that tf_job_from_row expects, in its order; every value in binary format. A table alias is
 * put in with TF_JOB_COLUMNS("j."). The first TF_JOB_COLUMNS_LIGHT columns are all but payload, metadata,
 * result, error and traceback. */
#define TF_JOB_COLUMNS_LIGHT(a)                                                                              \
    a "id," a "epoch," a "attempt," a "max_retries," a "priority," a "progress," a "status::text," a         \
      "cancel_requested," a "timeout_seconds," a "retry_base_ms," a "retry_max_ms," a "retry_jitter," a      \
      "retry_budget_seconds," a "snoozes," a "created_by," a "parent_id," a "schedule_id," a "created_at," a \
      "updated_at," a "scheduled_at," a "run_at," a "started_at," a "finished_at," a "expires_at," a         \
      "retried_at," a "type," a "queue," a "name," a "worker," a "traceparent," a "webhook_url," a           \
      "error," a "metadata"
#define TF_JOB_COLUMNS(a) TF_JOB_COLUMNS_LIGHT(a) "," a "payload," a "result," a "traceback"
#define TF_JOB_NCOLUMNS_LIGHT 33
#define TF_JOB_NCOLUMNS 36

/* Fills job from a row that starts at column `first` with TF_JOB_COLUMNS_LIGHT (full == false) or
 * TF_JOB_COLUMNS. false: a value has a wrong length or an unknown status. */
bool tf_job_from_row(tf_job_t *job, const void *row, tf_column_fn column, int first, bool full);

/* What a worker must know of a job that it has claimed: each column costs every claim something. The select
 * list, and what reads it (all else is as tf_job_init leaves it; the status is RUNNING, progress 0). */
#define TF_CLAIM_COLUMNS                                                                                     \
    "id,epoch,attempt,max_retries,priority,timeout_seconds,retry_base_ms,retry_max_ms,retry_jitter,"         \
    "retry_budget_seconds,snoozes,created_at,retried_at,scheduled_at,started_at,type,queue,name,"            \
    "traceparent,error,payload,metadata"
#define TF_CLAIM_NCOLUMNS 22
bool tf_job_from_claim(tf_job_t *job, const void *row, tf_column_fn column);

#endif
