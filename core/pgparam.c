#include "pgparam.h"

#include <string.h>

/* PostgreSQL counts time from 2000-01-01. */
#define PG_EPOCH_US INT64_C(946684800000000)
#define ARRAY_HEADER 20 /* ndim, has-null flag, element oid, dimension, lower bound */

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static uint64_t get_be(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

void tf_pg_put_int2(uint8_t out[2], int16_t v)
{
    out[0] = (uint8_t)((uint16_t)v >> 8);
    out[1] = (uint8_t)v;
}

void tf_pg_put_int4(uint8_t out[4], int32_t v)
{
    put32(out, (uint32_t)v);
}

void tf_pg_put_int8(uint8_t out[8], int64_t v)
{
    put32(out, (uint32_t)((uint64_t)v >> 32));
    put32(out + 4, (uint32_t)v);
}

void tf_pg_put_time(uint8_t out[8], int64_t unix_us)
{
    tf_pg_put_int8(out, unix_us - PG_EPOCH_US);
}

void tf_pg_put_float8(uint8_t out[8], double v)
{
    int64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    tf_pg_put_int8(out, bits);
}

int16_t tf_pg_get_int2(const void *p)
{
    return (int16_t)get_be(p, 2);
}

int32_t tf_pg_get_int4(const void *p)
{
    return (int32_t)get_be(p, 4);
}

int64_t tf_pg_get_int8(const void *p)
{
    return (int64_t)get_be(p, 8);
}

int64_t tf_pg_get_time(const void *p)
{
    int64_t v = tf_pg_get_int8(p);

    /* infinity and -infinity have no place on our calendar */
    return v == INT64_MAX || v == INT64_MIN ? TF_TIME_NONE : v + PG_EPOCH_US;
}

double tf_pg_get_float8(const void *p)
{
    uint64_t bits = get_be(p, 8);
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

void tf_pgarray_begin(tf_pgarray_t *a, uint32_t element_oid)
{
    a->oid = element_oid;
    a->count = 0;
    a->has_null = false;
    a->has_value = false;
    tf_buf_reset(&a->buf);
    if (tf_buf_reserve(&a->buf, ARRAY_HEADER)) {
        a->buf.len = ARRAY_HEADER;
    }
}

void tf_pgarray_null(tf_pgarray_t *a)
{
    uint8_t len[4] = {0xff, 0xff, 0xff, 0xff};

    a->count++;
    a->has_null = true;
    tf_buf_add(&a->buf, len, sizeof(len));
}

void tf_pgarray_bytes(tf_pgarray_t *a, const void *data, size_t len)
{
    char *p;

    if (data == NULL) {
        tf_pgarray_null(a);
        return;
    }
    p = len <= INT32_MAX ? tf_buf_reserve(&a->buf, len + 4) : NULL;
    if (p == NULL) {
        a->buf.failed = true;
        return;
    }
    put32((uint8_t *)p, (uint32_t)len);
    if (len) {
        memcpy(p + 4, data, len);
    }
    a->buf.len += len + 4;
    a->count++;
    a->has_value = true;
}

void tf_pgarray_int2(tf_pgarray_t *a, int16_t v)
{
    uint8_t wire[2];

    tf_pg_put_int2(wire, v);
    tf_pgarray_bytes(a, wire, sizeof(wire));
}

void tf_pgarray_int4(tf_pgarray_t *a, int32_t v)
{
    uint8_t wire[4];

    tf_pg_put_int4(wire, v);
    tf_pgarray_bytes(a, wire, sizeof(wire));
}

void tf_pgarray_int8(tf_pgarray_t *a, int64_t v)
{
    uint8_t wire[8];

    tf_pg_put_int8(wire, v);
    tf_pgarray_bytes(a, wire, sizeof(wire));
}

void tf_pgarray_bool(tf_pgarray_t *a, bool v)
{
    uint8_t wire = v;

    tf_pgarray_bytes(a, &wire, 1);
}

void tf_pgarray_time(tf_pgarray_t *a, int64_t unix_us)
{
    uint8_t wire[8];

    if (unix_us == TF_TIME_NONE) {
        tf_pgarray_null(a);
        return;
    }
    tf_pg_put_time(wire, unix_us);
    tf_pgarray_bytes(a, wire, sizeof(wire));
}

bool tf_pgarray_end(tf_pgarray_t *a)
{
    uint8_t *p = (uint8_t *)a->buf.data;

    if (a->buf.failed) {
        return false;
    }
    put32(p, a->count ? 1 : 0); /* an empty array has no dimensions */
    put32(p + 4, a->has_null);
    put32(p + 8, a->oid);
    if (a->count == 0) {
        a->buf.len = 12;
        return true;
    }
    put32(p + 12, a->count);
    put32(p + 16, 1);
    return true;
}

void tf_pgarray_free(tf_pgarray_t *a)
{
    tf_buf_free(&a->buf);
}

/* One row being read: the column at hand and whether all had the expected size so far. */
typedef struct {
    const void *row;
    tf_column_fn column;
    int next;
    bool ok;
} reader_t;

static const char *read_value(reader_t *r, int expected_len)
{
    int len;
    const char *value = r->column(r->row, r->next++, &len);

    if (value && expected_len != len) {
        r->ok = false;
        return NULL;
    }
    /* cppcheck-suppress returnDanglingLifetime ; column() returns a pointer into the row, not to len */
    return value;
}

static int32_t read_int4(reader_t *r)
{
    const char *v = read_value(r, 4);

    return v ? tf_pg_get_int4(v) : -1;
}

static int32_t read_int2(reader_t *r)
{
    const char *v = read_value(r, 2);

    return v ? tf_pg_get_int2(v) : -1;
}

static int32_t read_bool(reader_t *r)
{
    const char *v = read_value(r, 1);

    return v ? *v != 0 : -1;
}

static int64_t read_time(reader_t *r)
{
    const char *v = read_value(r, 8);

    return v ? tf_pg_get_time(v) : TF_TIME_NONE;
}

static bool read_uuid(reader_t *r, uint8_t id[16])
{
    const char *v = read_value(r, 16);

    if (v) {
        memcpy(id, v, 16);
    }
    return v != NULL;
}

static tf_str_t read_text(reader_t *r)
{
    int len = 0;
    const char *v = r->column(r->row, r->next++, &len);

    return (tf_str_t){v, v ? (size_t)len : 0};
}

bool tf_job_from_row(tf_job_t *job, const void *row, tf_column_fn column, int first, bool full)
{
    reader_t r = {row, column, first, true};
    tf_str_t status;

    tf_job_init(job);
    if (!read_uuid(&r, job->id)) {
        return false;
    }
    job->epoch = read_int4(&r);
    job->attempt = read_int4(&r);
    job->max_retries = read_int4(&r);
    job->priority = read_int2(&r);
    job->progress = read_int2(&r);
    status = read_text(&r);
    if (status.data == NULL || !tf_status_parse(status.data, status.len, &job->status)) {
        return false;
    }
    job->cancel_requested = read_bool(&r) == 1;
    job->timeout_seconds = read_int4(&r);
    job->retry_base_ms = read_int4(&r);
    job->retry_max_ms = read_int4(&r);
    job->retry_jitter = read_bool(&r);
    job->retry_budget_seconds = read_int4(&r);
    job->snoozes = read_int4(&r);
    job->has_created_by = read_uuid(&r, job->created_by);
    job->has_parent_id = read_uuid(&r, job->parent_id);
    job->has_schedule_id = read_uuid(&r, job->schedule_id);
    job->created_at = read_time(&r);
    job->updated_at = read_time(&r);
    job->scheduled_at = read_time(&r);
    job->run_at = read_time(&r);
    job->started_at = read_time(&r);
    job->finished_at = read_time(&r);
    job->expires_at = read_time(&r);
    job->retried_at = read_time(&r);
    job->type = read_text(&r);
    job->queue = read_text(&r);
    job->name = read_text(&r);
    job->worker = read_text(&r);
    job->traceparent = read_text(&r);
    job->webhook_url = read_text(&r);
    job->error = read_text(&r);
    job->metadata = read_text(&r);
    if (full) {
        job->payload = read_text(&r);
        job->result = read_text(&r);
        job->traceback = read_text(&r);
    }
    return r.ok;
}

bool tf_job_from_claim(tf_job_t *job, const void *row, tf_column_fn column)
{
    reader_t r = {row, column, 0, true};

    tf_job_init(job);
    if (!read_uuid(&r, job->id)) {
        return false;
    }
    job->status = TF_RUNNING;
    job->epoch = read_int4(&r);
    job->attempt = read_int4(&r);
    job->max_retries = read_int4(&r);
    job->priority = read_int2(&r);
    job->timeout_seconds = read_int4(&r);
    job->retry_base_ms = read_int4(&r);
    job->retry_max_ms = read_int4(&r);
    job->retry_jitter = read_bool(&r);
    job->retry_budget_seconds = read_int4(&r);
    job->snoozes = read_int4(&r);
    job->created_at = read_time(&r);
    job->retried_at = read_time(&r);
    job->scheduled_at = read_time(&r);
    job->started_at = read_time(&r);
    job->type = read_text(&r);
    job->queue = read_text(&r);
    job->name = read_text(&r);
    job->traceparent = read_text(&r);
    job->error = read_text(&r);
    job->payload = read_text(&r);
    job->metadata = read_text(&r);
    return r.ok;
}
