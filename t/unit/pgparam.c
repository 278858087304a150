/* PostgreSQL's binary formats, byte for byte as array_recv, timestamptz_recv and the send functions have
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pgparam.h"

static void expect_array(tf_pgarray_t *a, const char *bytes, size_t len)
{
    assert_true(tf_pgarray_end(a));
    assert_int_equal(a->buf.len, len);
    assert_memory_equal(a->buf.data, bytes, len);
}

#define BYTES(s) s, sizeof(s) - 1

static void test_arrays(void **state)
{
    tf_pgarray_t a = {0};

    tf_pgarray_begin(&a, TF_PG_INT4);
    expect_array(&a, BYTES("\0\0\0\0\0\0\0\0\0\0\0\x17")); /* no dimensions at all */

    tf_pgarray_begin(&a, TF_PG_INT4);
    tf_pgarray_int4(&a, 1);
    tf_pgarray_int4(&a, -2);
    expect_array(&a, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1"
                           "\0\0\0\4\0\0\0\1"
                           "\0\0\0\4\xFF\xFF\xFF\xFE"));

    tf_pgarray_begin(&a, TF_PG_TEXT);
    tf_pgarray_bytes(&a, "ab", 2);
    tf_pgarray_bytes(&a, NULL, 0);
    tf_pgarray_bytes(&a, "", 0);
    expect_array(&a, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\3\0\0\0\1"
                           "\0\0\0\2"
                           "ab\xFF\xFF\xFF\xFF\0\0\0\0"));

    tf_pgarray_begin(&a, TF_PG_INT2); /* the NULLs of last time are forgotten */
    tf_pgarray_int2(&a, INT16_MIN);
    expect_array(&a, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x15\0\0\0\1\0\0\0\1"
                           "\0\0\0\2\x80\0"));

    tf_pgarray_begin(&a, TF_PG_TIMESTAMPTZ);
    tf_pgarray_time(&a, INT64_C(946684800000001)); /* 2000-01-01 and a microsecond */
    tf_pgarray_time(&a, TF_TIME_NONE);
    expect_array(&a, BYTES("\0\0\0\1\0\0\0\1\0\0\4\xA0\0\0\0\2\0\0\0\1"
                           "\0\0\0\x8\0\0\0\0\0\0\0\1\xFF\xFF\xFF\xFF"));

    tf_pgarray_begin(&a, TF_PG_BOOL);
    tf_pgarray_bool(&a, true);
    tf_pgarray_bool(&a, false);
    expect_array(&a, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x10\0\0\0\2\0\0\0\1"
                           "\0\0\0\1\1\0\0\0\1\0"));

    tf_pgarray_begin(&a, TF_PG_INT8);
    tf_pgarray_int8(&a, INT64_MIN + 1);
    expect_array(&a, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\1\0\0\0\1"
                           "\0\0\0\x8\x80\0\0\0\0\0\0\1"));
    tf_pgarray_free(&a);
}

static void test_array_too_large(void **state)
{
    tf_pgarray_t a = {.buf = {.limit = 64}};
    int i;

    tf_pgarray_begin(&a, TF_PG_INT8);
    for (i = 0; i < 10; i++) {
        tf_pgarray_int8(&a, i);
    }
    assert_false(tf_pgarray_end(&a));
    tf_pgarray_free(&a);
}

static void test_scalars(void **state)
{
    static const int64_t values[] = {0,         1,         -1,        255,       256,      INT16_MIN,
                                     INT16_MAX, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};
    uint8_t wire[8];
    size_t i;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        tf_pg_put_int8(wire, values[i]);
        assert_true(tf_pg_get_int8(wire) == values[i]);
        tf_pg_put_int4(wire, (int32_t)values[i]);
        assert_int_equal(tf_pg_get_int4(wire), (int32_t)values[i]);
        tf_pg_put_int2(wire, (int16_t)values[i]);
        assert_int_equal(tf_pg_get_int2(wire), (int16_t)values[i]);
    }
    tf_pg_put_int4(wire, 0x01020304);
    assert_memory_equal(wire, "\1\2\3\4", 4);
    tf_pg_put_time(wire, 0);
    assert_true(tf_pg_get_int8(wire) == INT64_C(-946684800000000));
    assert_true(tf_pg_get_time(wire) == 0);
    tf_pg_put_int8(wire, INT64_MAX); /* infinity */
    assert_true(tf_pg_get_time(wire) == TF_TIME_NONE);
    tf_pg_put_int8(wire, INT64_MIN); /* -infinity */
    assert_true(tf_pg_get_time(wire) == TF_TIME_NONE);
    assert_true(tf_pg_get_float8("\x3F\xF8\0\0\0\0\0\0") == 1.5);
    assert_true(tf_pg_get_float8("\xC0\x45\0\0\0\0\0\0") == -42);
}

/* A result row in memory. */
typedef struct {
    const char *data;
    int len;
} cell_t;

static const char *cell(const void *row, int column, int *len)
{
    const cell_t *cells = row;

    *len = cells[column].len;
    return cells[column].data;
}

#define CELL(s)                                                                                              \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }

static const cell_t full_row[] = {
    {NULL, 0},                                        /* before `first` */
    CELL("\0\1\2\3\4\5\6\7\x8\x9\xA\xB\xC\xD\xE\xF"), /* id */
    CELL("\0\0\0\2"),                                 /* epoch */
    CELL("\0\0\0\3"),                                 /* attempt */
    CELL("\0\0\0\4"),                                 /* max_retries */
    CELL("\0\x8"),                                    /* priority */
    CELL("\0\x32"),                                   /* progress */
    CELL("RUNNING"),                                  /* status */
    CELL("\1"),                                       /* cancel_requested */
    CELL("\0\0\0\x3C"),                               /* timeout_seconds */
    CELL("\0\0\3\xE8"),                               /* retry_base_ms */
    {NULL, 0},                                        /* retry_max_ms */
    CELL("\0"),                                       /* retry_jitter */
    CELL("\0\0\1\0"),                                 /* retry_budget_seconds */
    CELL("\0\0\0\5"),                                 /* snoozes */
    CELL("ABCDEFGHIJKLMNOP"),                         /* created_by */
    CELL("abcdefghijklmnop"),                         /* parent_id */
    {NULL, 0},                                        /* schedule_id */
    CELL("\0\0\0\0\0\0\0\1"),                         /* created_at */
    CELL("\0\0\0\0\0\0\0\2"),                         /* updated_at */
    {NULL, 0},                                        /* scheduled_at */
    {NULL, 0},                                        /* run_at */
    CELL("\0\0\0\0\0\0\0\3"),                         /* started_at */
    {NULL, 0},                                        /* finished_at */
    CELL("\0\0\0\0\0\0\0\4"),                         /* expires_at */
    {NULL, 0},                                        /* retried_at */
    CELL("sleep"),                                    /* type */
    CELL("default"),                                  /* queue */
    CELL(""),                                         /* name */
    CELL("host/pool"),                                /* worker */
    {NULL, 0},                                        /* traceparent */
    CELL("http://a/"),                                /* webhook_url */
    CELL("went wrong"),                               /* error */
    CELL("{\"k\":\"v\"}"),                            /* metadata */
    CELL("{\"seconds\":1}"),                          /* payload */
    {NULL, 0},                                        /* result */
    CELL("at line 1"),                                /* traceback */
};

#define CELLS (sizeof(full_row) / sizeof(full_row[0]))

static void test_row(void **state)
{
    const int64_t epoch = INT64_C(946684800000000);
    tf_job_t job;

    assert_int_equal(CELLS, 1 + TF_JOB_NCOLUMNS);
    assert_true(tf_job_from_row(&job, full_row, cell, 1, true));
    assert_int_equal(job.id[15], 15);
    assert_int_equal(job.epoch, 2);
    assert_int_equal(job.attempt, 3);
    assert_int_equal(job.max_retries, 4);
    assert_int_equal(job.priority, 8);
    assert_int_equal(job.progress, 50);
    assert_int_equal(job.status, TF_RUNNING);
    assert_true(job.cancel_requested);
    assert_int_equal(job.timeout_seconds, 60);
    assert_int_equal(job.retry_base_ms, 1000);
    assert_int_equal(job.retry_max_ms, -1);
    assert_int_equal(job.retry_jitter, 0);
    assert_int_equal(job.retry_budget_seconds, 256);
    assert_int_equal(job.snoozes, 5);
    assert_true(job.has_created_by);
    assert_true(job.has_parent_id);
    assert_memory_equal(job.parent_id, "abcdefghijklmnop", 16);
    assert_false(job.has_schedule_id);
    assert_true(job.expires_at == epoch + 4 && job.retried_at == TF_TIME_NONE);
    assert_int_equal(job.webhook_url.len, 9);
    assert_memory_equal(job.created_by, "ABCDEFGHIJKLMNOP", 16);
    assert_true(job.created_at == epoch + 1 && job.updated_at == epoch + 2 && job.started_at == epoch + 3);
    assert_true(job.scheduled_at == TF_TIME_NONE && job.run_at == TF_TIME_NONE &&
                job.finished_at == TF_TIME_NONE);
    assert_memory_equal(job.type.data, "sleep", 5);
    assert_memory_equal(job.queue.data, "default", 7);
    assert_true(job.name.data != NULL && job.name.len == 0); /* empty is not NULL */
    assert_null(job.traceparent.data);
    assert_int_equal(job.error.len, 10);
    assert_int_equal(job.metadata.len, 9);
    assert_int_equal(job.payload.len, 13);
    assert_null(job.result.data);
    assert_int_equal(job.traceback.len, 9);

    assert_true(tf_job_from_row(&job, full_row, cell, 1, false));
    assert_int_equal(job.metadata.len, 9);
    assert_null(job.payload.data); /* not asked for */
}

static void test_claimed_row(void **state)
{
    cell_t row[] = {
        CELL("\0\1\2\3\4\5\6\7\x8\x9\xA\xB\xC\xD\xE\xF"), /* id */
        CELL("\0\0\0\2"),                                 /* epoch */
        CELL("\0\0\0\3"),                                 /* attempt */
        CELL("\0\0\0\4"),                                 /* max_retries */
        CELL("\0\x8"),                                    /* priority */
        CELL("\0\0\0\x3C"),                               /* timeout_seconds */
        {NULL, 0},                                        /* retry_base_ms */
        CELL("\0\0\3\xE8"),                               /* retry_max_ms */
        CELL("\1"),                                       /* retry_jitter */
        CELL("\0\0\1\0"),                                 /* retry_budget_seconds */
        CELL("\0\0\0\5"),                                 /* snoozes */
        CELL("\0\0\0\0\0\0\0\1"),                         /* created_at */
        {NULL, 0},                                        /* retried_at */
        {NULL, 0},                                        /* scheduled_at */
        CELL("\0\0\0\0\0\0\0\2"),                         /* started_at */
        CELL("sleep"),                                    /* type */
        CELL("default"),                                  /* queue */
        {NULL, 0},                                        /* name */
        CELL("00-1"),                                     /* traceparent */
        CELL("went wrong"),                               /* error */
        CELL("{\"seconds\":1}"),                          /* payload */
        CELL("{\"a\":\"b\"}"),                            /* metadata */
    };
    tf_job_t job;

    assert_int_equal(sizeof(row) / sizeof(row[0]), TF_CLAIM_NCOLUMNS);
    assert_true(tf_job_from_claim(&job, row, cell));
    assert_int_equal(job.id[15], 15);
    assert_int_equal(job.status, TF_RUNNING);
    assert_int_equal(job.progress, 0);
    assert_int_equal(job.epoch, 2);
    assert_int_equal(job.attempt, 3);
    assert_int_equal(job.max_retries, 4);
    assert_int_equal(job.priority, 8);
    assert_int_equal(job.timeout_seconds, 60);
    assert_int_equal(job.retry_base_ms, -1);
    assert_int_equal(job.retry_max_ms, 1000);
    assert_int_equal(job.retry_jitter, 1);
    assert_int_equal(job.retry_budget_seconds, 256);
    assert_int_equal(job.snoozes, 5);
    assert_true(job.created_at == INT64_C(946684800000001) && job.retried_at == TF_TIME_NONE);
    assert_true(job.scheduled_at == TF_TIME_NONE && job.started_at == INT64_C(946684800000002));
    assert_memory_equal(job.type.data, "sleep", 5);
    assert_memory_equal(job.queue.data, "default", 7);
    assert_null(job.name.data);
    assert_int_equal(job.traceparent.len, 4);
    assert_int_equal(job.error.len, 10);
    assert_int_equal(job.payload.len, 13);
    assert_int_equal(job.metadata.len, 9);
    row[2].len = 3;
    assert_false(tf_job_from_claim(&job, row, cell));
    row[0].data = NULL;
    assert_false(tf_job_from_claim(&job, row, cell));
}

/* A value of a wrong length, in any column with a fixed one, is noticed; so are no id and an unknown status.
 */
static void test_bad_rows(void **state)
{
    cell_t row[CELLS];
    tf_job_t job;
    int i;

    for (i = 1; i <= 25; i++) {
        memcpy(row, full_row, sizeof(row));
        if (row[i].data == NULL) {
            row[i].data = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            row[i].len = 3;
        } else {
            row[i].len--;
        }
        if (i == 8 || i == 12) {
            row[i].len = 2; /* a bool of two bytes */
            row[i].data = "\0\0";
        }
        if (tf_job_from_row(&job, row, cell, 1, true)) {
            fail_msg("column %d of a wrong length is taken", i);
        }
    }
    memcpy(row, full_row, sizeof(row));
    row[1].data = NULL;
    assert_false(tf_job_from_row(&job, row, cell, 1, true));
    memcpy(row, full_row, sizeof(row));
    row[7] = (cell_t)CELL("DANCING");
    assert_false(tf_job_from_row(&job, row, cell, 1, true));
    row[7].data = NULL;
    assert_false(tf_job_from_row(&job, row, cell, 1, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),      cmocka_unit_test(test_array_too_large),
        cmocka_unit_test(test_scalars),     cmocka_unit_test(test_row),
        cmocka_unit_test(test_claimed_row), cmocka_unit_test(test_bad_rows),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
