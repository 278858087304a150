/* The job model: the table of allowed changes, pair by pair, priorities, queue names, and the job as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "job.h"

/* Every allowed change as from>to by actor, spelled out here a second time on purpose. */
static const char *const allowed[TF_ACTOR_REAPER + 1][TF_STATUS_COUNT] = {
    /* to:                  SCHEDULED QUEUED RUNNING SUCCESS RETRYING FAILED DEAD_LETTER CANCELLED, a letter
       each */
    [TF_ACTOR_API] =
        {
            [TF_SCHEDULED] = "-------C",
            [TF_QUEUED] = "-------C",
            [TF_RUNNING] = "--------",
            [TF_SUCCESS] = "--------",
            [TF_RETRYING] = "-------C",
            [TF_FAILED] = "-Q------",
            [TF_DEAD_LETTER] = "-Q------",
            [TF_CANCELLED] = "-Q------",
        },
    [TF_ACTOR_SCHEDULER] =
        {
            [TF_SCHEDULED] = "-Q-----C",
            [TF_QUEUED] = "-------C",
            [TF_RUNNING] = "--------",
            [TF_SUCCESS] = "--------",
            [TF_RETRYING] = "-Q-----C",
            [TF_FAILED] = "--------",
            [TF_DEAD_LETTER] = "--------",
            [TF_CANCELLED] = "--------",
        },
    [TF_ACTOR_WORKER] =
        {
            [TF_SCHEDULED] = "--------",
            [TF_QUEUED] = "--R-----",
            [TF_RUNNING] = "SQ-SRFDC",
            [TF_SUCCESS] = "--------",
            [TF_RETRYING] = "--------",
            [TF_FAILED] = "--------",
            [TF_DEAD_LETTER] = "--------",
            [TF_CANCELLED] = "--------",
        },
    [TF_ACTOR_REAPER] =
        {
            [TF_SCHEDULED] = "--------",
            [TF_QUEUED] = "--------",
            [TF_RUNNING] = "----R-DC",
            [TF_SUCCESS] = "--------",
            [TF_RETRYING] = "--------",
            [TF_FAILED] = "--------",
            [TF_DEAD_LETTER] = "--------",
            [TF_CANCELLED] = "--------",
        },
};

static void test_transitions(void **state)
{
    int actor, from, to;

    for (actor = TF_ACTOR_API; actor <= TF_ACTOR_REAPER; actor++) {
        for (from = 0; from < TF_STATUS_COUNT; from++) {
            for (to = 0; to < TF_STATUS_COUNT; to++) {
                bool expected = allowed[actor][from][to] != '-';

                if (tf_transition_allowed((tf_status_t)from, (tf_status_t)to, (tf_actor_t)actor) !=
                    expected) {
                    fail_msg("actor %d: %s > %s should%s be allowed", actor,
                             tf_status_name((tf_status_t)from), tf_status_name((tf_status_t)to),
                             expected ? "" : " not");
                }
            }
        }
    }
}

static void test_statuses(void **state)
{
    static const struct {
        const char *name;
        bool terminal;
        const char *event;
        const char *sql;
    } statuses[TF_STATUS_COUNT] = {
        [TF_SCHEDULED] = {"SCHEDULED", false, "job_queued", TF_SQL_SCHEDULED},
        [TF_QUEUED] = {"QUEUED", false, "job_queued", TF_SQL_QUEUED},
        [TF_RUNNING] = {"RUNNING", false, "job_running", TF_SQL_RUNNING},
        [TF_SUCCESS] = {"SUCCESS", true, "job_success", TF_SQL_SUCCESS},
        [TF_RETRYING] = {"RETRYING", false, "job_retrying", TF_SQL_RETRYING},
        [TF_FAILED] = {"FAILED", true, "job_failed", TF_SQL_FAILED},
        [TF_DEAD_LETTER] = {"DEAD_LETTER", true, "job_failed", TF_SQL_DEAD_LETTER},
        [TF_CANCELLED] = {"CANCELLED", true, "job_cancelled", TF_SQL_CANCELLED},
    };
    tf_status_t status;
    int i;

    for (i = 0; i < TF_STATUS_COUNT; i++) {
        const char *name = statuses[i].name;

        assert_string_equal(tf_status_name((tf_status_t)i), name);
        assert_int_equal(tf_status_is_terminal((tf_status_t)i), statuses[i].terminal);
        assert_string_equal(tf_status_event((tf_status_t)i), statuses[i].event);
        assert_true(strncmp(statuses[i].sql + 1, name, strlen(name)) == 0);
        assert_int_equal(strlen(statuses[i].sql), strlen(name) + 2);
        assert_true(tf_status_parse(name, strlen(name), &status));
        assert_int_equal(status, i);
        assert_false(tf_status_parse(name, strlen(name) - 1, &status));
    }
    assert_false(tf_status_parse("queued", 6, &status));
    assert_false(tf_status_parse("", 0, &status));
    assert_false(tf_status_parse("QUEUED ", 7, &status));
}

static void test_priorities(void **state)
{
    static const struct {
        const char *name;
        int priority;
    } names[] = {{"low", 2}, {"normal", 5}, {"default", 5}, {"high", 8},    {"critical", 10},
                 {"", -1},   {"Low", -1},   {"lo", -1},     {"lowest", -1}, {"5", -1}};
    static const char *const levels[] = {"low",    "low",  "low",  "low",      "normal",  "normal",
                                         "normal", "high", "high", "critical", "critical"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(tf_priority_parse(names[i].name, strlen(names[i].name)), names[i].priority);
    }
    for (i = TF_PRIORITY_MIN; i <= TF_PRIORITY_MAX; i++) {
        assert_string_equal(tf_priority_name((int)i), levels[i]);
    }
}

static void test_queue_names(void **state)
{
    static const char *const good[] = {"a", "default", "A-z_0.9", "."};
    static const char *const bad[] = {"", "a b", "a{b", "a}b", "a:b", "a*", "\xC3\xA9", "a/b", "a\n"};
    char name[TF_QUEUE_NAME_MAX + 1];
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(tf_queue_name_valid(good[i], strlen(good[i])));
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(tf_queue_name_valid(bad[i], strlen(bad[i])));
    }
    memset(name, 'q', sizeof(name));
    assert_true(tf_queue_name_valid(name, TF_QUEUE_NAME_MAX));
    assert_false(tf_queue_name_valid(name, TF_QUEUE_NAME_MAX + 1));
    assert_false(tf_queue_name_valid("a\0b", 3));
}

static tf_job_t sample(void)
{
    tf_job_t job;

    tf_job_init(&job);
    memset(job.id, 0x11, sizeof(job.id));
    job.type = TF_STR("noop");
    job.queue = TF_STR("default");
    job.name = TF_STR("a \"name\"");
    job.priority = 8;
    job.status = TF_SUCCESS;
    job.attempt = 1;
    job.max_retries = 3;
    job.progress = 100;
    job.created_at = job.updated_at = 0;
    job.started_at = 1000000;
    job.finished_at = 2500000;
    job.payload = TF_STR("{\"a\":1}");
    return job;
}

static json_t *parse(tf_buf_t *out)
{
    json_t *json = json_loadb(out->data, out->len, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(json);
    tf_buf_free(out);
    return json;
}

/* The members that docs promise of a job; what is absent is null, not missing. */
static void test_job_json(void **state)
{
    static const char *const members[] = {"id",
                                          "name",
                                          "type",
                                          "queue",
                                          "priority",
                                          "priority_value",
                                          "status",
                                          "attempt",
                                          "max_retries",
                                          "progress",
                                          "worker",
                                          "created_by",
                                          "metadata",
                                          "created_at",
                                          "updated_at",
                                          "scheduled_at",
                                          "started_at",
                                          "finished_at",
                                          "duration_seconds",
                                          "cancel_requested",
                                          "traceparent",
                                          "error"};
    static const char *const data[] = {"payload", "result", "traceback"};
    tf_job_t job = sample();
    tf_buf_t out = TF_BUF_INIT;
    json_t *json;
    size_t i;

    tf_job_write_json(&out, &job, true, false);
    json = parse(&out);
    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (json_object_get(json, members[i]) == NULL) {
            fail_msg("%s is missing", members[i]);
        }
    }
    for (i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        assert_non_null(json_object_get(json, data[i]));
    }
    assert_string_equal(json_string_value(json_object_get(json, "id")),
                        "11111111-1111-1111-1111-111111111111");
    assert_string_equal(json_string_value(json_object_get(json, "name")), "a \"name\"");
    assert_string_equal(json_string_value(json_object_get(json, "priority")), "high");
    assert_int_equal(json_integer_value(json_object_get(json, "priority_value")), 8);
    assert_true(json_real_value(json_object_get(json, "duration_seconds")) == 1.5);
    assert_true(json_is_null(json_object_get(json, "result")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "payload"), "a")), 1);
    json_decref(json);

    tf_job_write_json(&out, &job, false, true);
    tf_buf_adds(&out, ",\"more\":1}"); /* open: the caller closes */
    json = parse(&out);
    assert_null(json_object_get(json, "payload"));
    assert_int_equal(json_integer_value(json_object_get(json, "more")), 1);
    json_decref(json);
}

static void test_durations(void **state)
{
    static const struct {
        int64_t us;
        const char *json;
    } cases[] = {{0, "0"},       {1, "0.000001"},         {12345, "0.012345"},
                 {1000000, "1"}, {60000007, "60.000007"}, {-1, "null"}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tf_job_t job = sample();
        tf_buf_t out = TF_BUF_INIT;
        char expected[64];

        job.finished_at = job.started_at + cases[i].us;
        tf_job_write_json(&out, &job, false, false);
        snprintf(expected, sizeof(expected), "\"duration_seconds\":%s,", cases[i].json);
        assert_non_null(strstr(tf_buf_cstr(&out), expected));
        tf_buf_free(&out);
    }
}

static void test_event_json(void **state)
{
    static const char *const members[] = {
        "id",      "name",        "type",     "queue", "priority",        "status",
        "attempt", "max_retries", "progress", "error", "duration_seconds"};
    tf_job_t job = sample();
    tf_buf_t out = TF_BUF_INIT;
    json_t *json, *inner;
    size_t i;

    job.error = TF_STR("two\nlines");
    tf_job_write_event(&out, &job, "job_success", 1);
    assert_null(memchr(out.data, '\n', out.len)); /* events are separated by line ends */
    json = parse(&out);
    assert_string_equal(json_string_value(json_object_get(json, "event")), "job_success");
    assert_string_equal(json_string_value(json_object_get(json, "ts")), "1970-01-01T00:00:00.000001Z");
    assert_null(json_object_get(json, "seq")); /* added by who reads */
    inner = json_object_get(json, "job");
    assert_int_equal(json_object_size(inner), sizeof(members) / sizeof(members[0]));
    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        assert_non_null(json_object_get(inner, members[i]));
    }
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transitions), cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_priorities),  cmocka_unit_test(test_queue_names),
        cmocka_unit_test(test_job_json),    cmocka_unit_test(test_durations),
        cmocka_unit_test(test_event_json),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
