/* Parameters of a statement: their bytes, NULL, and one too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/log_limit.h"
#include "daemon/pg_params.h"

static void scalars_are_kept(void **state)
{
    tfd_pg_params_t p = {0};

    tfd_pg_int2(&p, 0x0102);
    tfd_pg_int4(&p, -2);
    tfd_pg_int8(&p, 0x0102030405060708);
    tfd_pg_bool(&p, true);
    tfd_pg_time(&p, 946684800000001); /* PostgreSQL counts from 2000 */
    tfd_pg_float8(&p, -42);
    assert_int_equal(p.n, 6);
    assert_int_equal(p.lengths[0], 2);
    assert_memory_equal(p.values[0], "\1\2", 2);
    assert_int_equal(p.lengths[1], 4);
    assert_memory_equal(p.values[1], "\xff\xff\xff\xfe", 4);
    assert_int_equal(p.lengths[2], 8);
    assert_memory_equal(p.values[2], "\1\2\3\4\5\6\7\10", 8);
    assert_int_equal(p.lengths[3], 1);
    assert_memory_equal(p.values[3], "\1", 1);
    assert_int_equal(p.lengths[4], 8);
    assert_memory_equal(p.values[4], "\0\0\0\0\0\0\0\1", 8);
    assert_int_equal(p.lengths[5], 8);
    assert_memory_equal(p.values[5], "\xC0\x45\0\0\0\0\0\0", 8);
}

static void bytes_are_pointed_to(void **state)
{
    tfd_pg_params_t p = {0};
    const char text[] = "a\0b";

    tfd_pg_bytes(&p, text, 3);
    tfd_pg_bytes(&p, "", 0);
    tfd_pg_bytes(&p, NULL, 0);
    assert_int_equal(p.n, 3);
    assert_ptr_equal(p.values[0], text);
    assert_int_equal(p.lengths[0], 3);
    assert_non_null(p.values[1]); /* empty is not NULL */
    assert_int_equal(p.lengths[1], 0);
    assert_null(p.values[2]);
}

static void arrays_are_pointed_to(void **state)
{
    tfd_pg_params_t p = {0};
    tf_pgarray_t array = {0};

    tf_pgarray_begin(&array, TF_PG_INT4);
    tf_pgarray_int4(&array, 7);
    assert_true(tf_pgarray_end(&array));
    tfd_pg_array(&p, &array);
    assert_ptr_equal(p.values[0], array.buf.data);
    assert_int_equal(p.lengths[0], array.buf.len);
    tf_pgarray_free(&array);
}

static void one_too_many_shows(void **state)
{
    struct {
        tfd_pg_params_t p;
        uint8_t behind[64];
    } s = {0};

    for (int i = 0; i < TFD_PG_PARAMS_MAX; i++) {
        tfd_pg_int8(&s.p, i);
    }
    assert_int_equal(s.p.n, TFD_PG_PARAMS_MAX);
    for (int i = 0; i < 3; i++) {
        tfd_pg_int8(&s.p, -1);
        tfd_pg_bytes(&s.p, "x", 1);
        assert_int_equal(s.p.n, TFD_PG_PARAMS_MAX + 1);
    }
    assert_memory_equal(s.p.values[TFD_PG_PARAMS_MAX - 1], "\0\0\0\0\0\0\0\23", 8);
    for (size_t i = 0; i < sizeof(s.behind); i++) {
        assert_int_equal(s.behind[i], 0);
    }
}

static void a_complaint_is_repeated_after_a_while(void **state)
{
    tfd_log_limit_t limit = {0}, other = {0};
    int64_t left_out = -1;

    assert_true(tfd_log_allowed(&limit, 5000, &left_out));
    assert_int_equal(left_out, 0);
    assert_false(tfd_log_allowed(&limit, 5000, &left_out));
    assert_false(tfd_log_allowed(&limit, 5000 + TFD_LOG_LIMIT_MS - 1, &left_out));
    assert_true(tfd_log_allowed(&other, 5001, &left_out));
    assert_true(tfd_log_allowed(&limit, 5000 + TFD_LOG_LIMIT_MS, &left_out));
    assert_int_equal(left_out, 2);
    assert_false(tfd_log_allowed(&limit, 5000 + TFD_LOG_LIMIT_MS + 1, &left_out));
    assert_true(tfd_log_allowed(&limit, 5000 + 2 * TFD_LOG_LIMIT_MS, &left_out));
    assert_int_equal(left_out, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_kept),
        cmocka_unit_test(bytes_are_pointed_to),
        cmocka_unit_test(arrays_are_pointed_to),
        cmocka_unit_test(one_too_many_shows),
        cmocka_unit_test(a_complaint_is_repeated_after_a_while),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("daemon_params", tests, NULL, NULL);
}
