/* The names in Redis are those of docs/internals.md and of the function library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "job.h"
#include "redis_keys.h"

static void test_keys(void **state)
{
    char key[80];

    assert_int_equal(tf_redis_queue_base(key, sizeof(key), "default", 7), 12);
    assert_string_equal(key, "tf:{default}");
    assert_int_equal(tf_redis_level_key(key, sizeof(key), "mail.eu-1", 9, 10), 18);
    assert_string_equal(key, "tf:{mail.eu-1}:p10");
    tf_redis_level_key(key, sizeof(key), "default", 7, 0);
    assert_string_equal(key, "tf:{default}:p0");
    tf_redis_ctl_key(key, sizeof(key), "defaultXYZ", 7); /* the length counts */
    assert_string_equal(key, "tf:{default}:ctl");
    assert_int_equal(tf_redis_limit_key(key, sizeof(key), "loginX", 5, "a7f000001X", 9), 26);
    assert_string_equal(key, "tf:limit:{login:a7f000001}");
}

static void test_room(void **state)
{
    char queue[TF_QUEUE_NAME_MAX], key[80], limit[TF_REDIS_LIMIT_KEY_MAX];

    memset(queue, 'q', sizeof(queue));
    /* 80 bytes are enough for the longest */
    assert_int_equal(tf_redis_level_key(key, sizeof(key), queue, sizeof(queue), TF_PRIORITY_MAX), 5 + 64 + 4);
    assert_int_equal(tf_redis_ctl_key(key, sizeof(key), queue, sizeof(queue)), 5 + 64 + 4);
    /* and too little room is told, the NUL included */
    assert_int_equal(tf_redis_queue_base(key, 12, "default", 7), 0);
    assert_int_equal(tf_redis_queue_base(key, 13, "default", 7), 12);
    assert_int_equal(tf_redis_level_key(key, 15, "default", 7, 1), 0);
    assert_int_equal(tf_redis_ctl_key(key, 16, "default", 7), 0);
    assert_int_equal(tf_redis_limit_key(limit, sizeof(limit), queue, TF_REDIS_LIMIT_NAME_MAX, queue,
                                        TF_REDIS_LIMIT_SUBJECT_MAX),
                     12 + TF_REDIS_LIMIT_NAME_MAX + TF_REDIS_LIMIT_SUBJECT_MAX);
    assert_int_equal(tf_redis_limit_key(limit, 14, "a", 1, "b", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_room)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
