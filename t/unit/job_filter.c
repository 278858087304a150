/* Filters of jobs, and actions on them: what is taken, what is refused and where, and the SQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bulk.h"
#include "uuid.h"

#define ID "01939d3e-0000-7000-8000-0000000000aa"

static const uint8_t me[16] = {1, 2, 3};

/* The SQL of one condition. */
static void expect(const char *name, const char *text, const char *jobs, const char *counts)
{
    tf_job_filter_t filter;
    tf_job_where_t where = {0};

    tf_job_filter_init(&filter);
    assert_true(tf_job_filter_is_empty(&filter));
    assert_null(tf_job_filter_set(&filter, name, text, strlen(text), me));
    assert_false(tf_job_filter_is_empty(&filter));
    filter.internal = true;
    tf_job_where(&where, &filter);
    assert_false(where.failed);
    assert_string_equal(tf_buf_cstr(&where.jobs), jobs);
    assert_int_equal(where.countable, counts != NULL);
    if (counts) {
        assert_string_equal(tf_buf_cstr(&where.counts), counts);
    }
    tf_job_where_free(&where);
    tf_job_filter_free(&filter);
}

static void test_conditions(void **state)
{
    expect("status", "QUEUED,FAILED", " AND status IN ('QUEUED','FAILED')",
           " AND status IN ('QUEUED','FAILED')");
    expect("type", "mail", " AND type = $1::text", " AND type = $1::text");
    expect("queue", "_webhooks", " AND queue = $1::text", " AND queue = $1::text");
    expect("priority", "high", " AND priority BETWEEN 7 AND 8", " AND priority BETWEEN 7 AND 8");
    expect("priority", "10", " AND priority BETWEEN 10 AND 10", " AND priority BETWEEN 10 AND 10");
    expect("created_after", "2026-11-22T13:00:00Z", " AND id >= $1::uuid AND created_at >= $2::timestamptz",
           NULL);
    expect("created_before", "2026-11-22T13:00:00Z", " AND id < $1::uuid AND created_at < $2::timestamptz",
           NULL);
    expect("q", ID, " AND id = $1::uuid", NULL);
    expect("q", "it's", " AND name ILIKE $1::text", NULL);
    expect("created_by", "me", " AND created_by = $1::uuid", NULL);
}

static void test_search_is_no_pattern(void **state)
{
    tf_job_filter_t filter;
    tf_job_where_t where = {0};

    tf_job_filter_init(&filter);
    assert_null(tf_job_filter_set(&filter, "q", "50%_\\", 5, NULL));
    tf_job_where(&where, &filter);
    assert_int_equal(where.lengths[0], 10);
    assert_memory_equal(where.values[0], "%50\\%\\_\\\\%", 10);
    tf_job_where_free(&where);
}

static void test_internal_queues(void **state)
{
    tf_job_filter_t filter;
    tf_job_where_t where = {0};

    tf_job_filter_init(&filter);
    tf_job_where(&where, &filter);
    assert_string_equal(tf_buf_cstr(&where.jobs), " AND left(queue, 1) <> '_'");
    assert_string_equal(tf_buf_cstr(&where.counts), " AND left(queue, 1) <> '_'");
    tf_job_where_free(&where);
}

static void test_ids_of_a_time(void **state)
{
    static const uint8_t cursor[16] = {0x01, 0x80};
    tf_job_filter_t filter;
    uint8_t since[16], below[16], expected[16];

    tf_job_filter_init(&filter);
    tf_job_where_ids(&filter, NULL, since, below);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(since[i], 0);
        assert_int_equal(below[i], 0xff);
    }
    tf_job_where_ids(&filter, cursor, since, below);
    assert_memory_equal(below, cursor, 16);

    assert_null(tf_job_filter_set(&filter, "created_after", "2026-11-22T13:00:00Z", 20, NULL));
    assert_null(tf_job_filter_set(&filter, "created_before", "2026-11-22T14:00:00Z", 20, NULL));
    tf_job_where_ids(&filter, NULL, since, below);
    tf_uuid_floor(1795352399000, expected); /* a second of slack */
    assert_memory_equal(since, expected, 16);
    tf_uuid_floor(1795356001000, expected);
    assert_memory_equal(below, expected, 16);
    tf_job_where_ids(&filter, cursor, since, below); /* the earlier of the two */
    assert_memory_equal(below, cursor, 16);
}

static void test_refused(void **state)
{
    static const char *const bad[][2] = {
        {"status", ""},
        {"status", "FAILED,"},
        {"status", "failed"},
        {"type", "a b"},
        {"queue", ""},
        {"priority", "11"},
        {"priority", "urgent"},
        {"priority", "-1"},
        {"priority", "007"},
        {"created_after", "now"},
        {"q", ""},
        {"q", "\xff"},
        {"created_by", "olga"},
        {"colour", "red"},
        {"created_before", "13:00"},
    };
    tf_job_filter_t filter;
    char text[TF_FILTER_SEARCH_MAX + 1];

    tf_job_filter_init(&filter);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(tf_job_filter_set(&filter, bad[i][0], bad[i][1], strlen(bad[i][1]), me));
    }
    memset(text, 'x', sizeof(text));
    assert_non_null(tf_job_filter_set(&filter, "q", text, sizeof(text), me));
    assert_non_null(tf_job_filter_set(&filter, "created_by", "me", 2, NULL));
}

/* Parses the body of an action; returns the errors, to be freed. */
static char *parse(tf_bulk_t *bulk, json_t **body, const char *text)
{
    tf_buf_t errors = TF_BUF_INIT;

    *body = json_loads(text, 0, NULL);
    assert_non_null(*body);
    tf_bulk_parse(bulk, *body, me, &errors);
    if (errors.len == 0) {
        return NULL;
    }
    tf_buf_cstr(&errors);
    return errors.data;
}

static void test_everything_at_once(void **state)
{
    tf_bulk_t bulk;
    json_t *body;
    tf_job_where_t where = {0};
    char *errors = parse(&bulk, &body,
                         "{\"action\":\"retry\",\"filter\":{\"status\":[\"FAILED\",\"DEAD_LETTER\"],\"type\":"
                         "\"t\",\"queue\":\"q\","
                         "\"priority\":3,\"created_after\":\"2026-01-01T00:00:00Z\",\"created_before\":"
                         "\"2026-02-01T00:00:00Z\","
                         "\"q\":\"x\",\"created_by\":\"me\",\"ids\":[\"" ID "\"]},\"dry_run\":true}");

    assert_null(errors);
    assert_int_equal(bulk.action, TF_BULK_RETRY);
    assert_true(bulk.dry_run);
    assert_int_equal(bulk.filter.statuses, TF_STATUS_BIT(TF_FAILED) | TF_STATUS_BIT(TF_DEAD_LETTER));
    assert_memory_equal(bulk.filter.created_by, me, 16);
    tf_job_where(&where, &bulk.filter);
    assert_false(where.failed);
    assert_string_equal(
        tf_buf_cstr(&where.jobs),
        " AND status IN ('FAILED','DEAD_LETTER') AND priority BETWEEN 3 AND 3 AND type = $1::text "
        "AND queue = $2::text AND id >= $3::uuid AND created_at >= $4::timestamptz AND id < $5::uuid "
        "AND created_at < $6::timestamptz AND name ILIKE $7::text AND created_by = $8::uuid "
        "AND id = ANY ($9::uuid[])");
    /* and there is room for what the caller adds */
    tf_job_where_param(&where, me, 16);
    tf_job_where_param(&where, me, 16);
    assert_false(where.failed);
    tf_job_where_free(&where);
    tf_bulk_free(&bulk);
    json_decref(body);
}

static void test_no_status_means_all_that_can_be_changed(void **state)
{
    tf_bulk_t bulk;
    json_t *body;

    assert_null(parse(&bulk, &body, "{\"action\":\"cancel\",\"all\":true}"));
    assert_int_equal(bulk.filter.statuses, TF_STATUS_BIT(TF_SCHEDULED) | TF_STATUS_BIT(TF_QUEUED) |
                                               TF_STATUS_BIT(TF_RETRYING) | TF_STATUS_BIT(TF_RUNNING));
    tf_bulk_free(&bulk);
    json_decref(body);
}

static void test_all_errors_at_once(void **state)
{
    tf_bulk_t bulk;
    json_t *body;
    char *errors =
        parse(&bulk, &body, "{\"action\":1,\"filter\":{\"a/b\":1,\"type\":7},\"x\":0,\"all\":\"yes\"}");
    json_t *list;
    char *framed = NULL;

    assert_non_null(errors);
    assert_true(asprintf(&framed, "[%s]", errors) > 0);
    list = json_loads(framed, 0, NULL);
    assert_int_equal(json_array_size(list), 5);
    assert_non_null(strstr(framed, "\"#/filter/a~1b\""));
    json_decref(list);
    free(framed);
    free(errors);
    tf_bulk_free(&bulk);
    json_decref(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_search_is_no_pattern),
        cmocka_unit_test(test_internal_queues),
        cmocka_unit_test(test_ids_of_a_time),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_no_status_means_all_that_can_be_changed),
        cmocka_unit_test(test_all_errors_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
