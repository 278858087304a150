/* Submissions: what is taken, what is refused and where the pointer points, all errors at once; times; JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "submission.h"

#define NOW INT64_C(1795352400000000) /* 2026-11-22T13:00:00Z */

static tf_schema_t *strict_schema; /* of the type "strict", while test_schema runs */

static const tf_type_defaults_t *lookup(void *data, const char *type, size_t len)
{
    static const tf_type_defaults_t noop = {"noop", 4, 7, NULL};
    static tf_type_defaults_t strict = {"strict", 6, 7, NULL};

    if (len == 6 && memcmp(type, "strict", 6) == 0) {
        strict.schema = strict_schema;
        return &strict;
    }
    return len == 4 && memcmp(type, "noop", 4) == 0 ? &noop : NULL;
}

typedef struct {
    json_t *body;
    tf_job_t job;
    tf_buf_t errors;
    bool ok;
} checked_t;

static checked_t check_at(const char *json, const char *prefix)
{
    checked_t c = {0};
    char why[200];

    c.body = tf_json_parse(json, strlen(json), why, sizeof(why));
    if (c.body == NULL) {
        fail_msg("%s: %s", json, why);
    }
    c.ok = tf_submission_check(c.body, (tf_str_t){json, strlen(json)}, prefix, NOW, lookup, NULL, &c.job,
                               &c.errors);
    return c;
}

static void done(checked_t *c)
{
    json_decref(c->body);
    tf_buf_free(&c->errors);
}

static bool str_is(tf_str_t s, const char *text)
{
    return s.data != NULL && s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

/* What the client wrote is what is stored: digits, order, escapes, and keys written with escapes. */
static void test_payload_untouched(void **state)
{
    checked_t c =
        check_at("{ \"pay\\u006coad\" : { \"z\": 19.99, \"a\" :1e3, \"s\":\"\\u00e9 } , \\\" {\" } ,"
                 "\"type\":\"noop\",\"metadata\": {\"b\":\"2\",\"a\":\"1\"}}",
                 "#");

    assert_true(c.ok);
    assert_true(str_is(c.job.payload, "{ \"z\": 19.99, \"a\" :1e3, \"s\":\"\\u00e9 } , \\\" {\" }"));
    assert_true(str_is(c.job.metadata, "{\"b\":\"2\",\"a\":\"1\"}"));
    done(&c);
}

static void test_least(void **state)
{
    checked_t c = check_at("{\"type\":\"noop\"}", "#");

    assert_true(c.ok);
    assert_int_equal(c.errors.len, 0);
    assert_true(str_is(c.job.type, "noop"));
    assert_true(str_is(c.job.queue, "default"));
    assert_true(str_is(c.job.payload, "{}"));
    assert_int_equal(c.job.priority, TF_PRIORITY_DEFAULT);
    assert_int_equal(c.job.max_retries, 7); /* of the type */
    assert_int_equal(c.job.timeout_seconds, -1);
    assert_int_equal(c.job.retry_base_ms, -1);
    assert_int_equal(c.job.retry_jitter, -1);
    assert_int_equal(c.job.status, TF_QUEUED);
    assert_true(c.job.created_at == NOW && c.job.updated_at == NOW);
    assert_true(c.job.scheduled_at == TF_TIME_NONE && c.job.run_at == TF_TIME_NONE);
    assert_null(c.job.name.data);
    assert_null(c.job.metadata.data);
    done(&c);
}

static void test_everything(void **state)
{
    checked_t c = check_at(
        "{\"type\":\"noop\",\"payload\":{\"a\":[1,\"\xC3\xA9\"]},\"queue\":\"mail\",\"priority\":\"high\","
        "\"name\":\"n\",\"max_retries\":0,\"timeout_seconds\":9,\"delay_seconds\":1.5,"
        "\"metadata\":{\"k\":\"v\"},\"retry\":{\"strategy\":\"exponential\",\"base_seconds\":0.5,"
        "\"max_seconds\":86400,\"jitter\":false,\"budget_seconds\":600},"
        "\"expires_at\":\"2026-11-23T00:00:00Z\",\"webhook_url\":\"https://example.com/hook?a=1\"}",
        "#");

    assert_true(c.ok);
    assert_true(str_is(c.job.queue, "mail"));
    assert_true(str_is(c.job.payload, "{\"a\":[1,\"\xC3\xA9\"]}"));
    assert_true(str_is(c.job.metadata, "{\"k\":\"v\"}"));
    assert_true(str_is(c.job.name, "n"));
    assert_int_equal(c.job.priority, 8);
    assert_int_equal(c.job.max_retries, 0);
    assert_int_equal(c.job.timeout_seconds, 9);
    assert_int_equal(c.job.retry_base_ms, 500);
    assert_int_equal(c.job.retry_max_ms, 86400000);
    assert_int_equal(c.job.retry_jitter, 0);
    assert_int_equal(c.job.retry_budget_seconds, 600);
    assert_true(c.job.expires_at == NOW + INT64_C(11) * 3600 * 1000000);
    assert_true(str_is(c.job.webhook_url, "https://example.com/hook?a=1"));
    assert_int_equal(c.job.status, TF_SCHEDULED);
    assert_true(c.job.scheduled_at == NOW + 1500000 && c.job.run_at == c.job.scheduled_at);
    done(&c);
}

static void test_schedules(void **state)
{
    static const struct {
        const char *json;
        tf_status_t status;
    } cases[] = {
        {"{\"type\":\"noop\",\"scheduled_at\":\"2026-11-22T13:00:00.000001Z\"}", TF_SCHEDULED},
        {"{\"type\":\"noop\",\"scheduled_at\":\"2026-11-22T13:00:00Z\"}", TF_QUEUED}, /* now */
        {"{\"type\":\"noop\",\"scheduled_at\":\"2001-01-01T00:00:00Z\"}", TF_QUEUED}, /* the past */
        {"{\"type\":\"noop\",\"scheduled_at\":\"2026-11-22T14:00:01+01:00\"}", TF_SCHEDULED},
        {"{\"type\":\"noop\",\"delay_seconds\":0}", TF_QUEUED},
        {"{\"type\":\"noop\",\"delay_seconds\":31622400}", TF_SCHEDULED},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        checked_t c = check_at(cases[i].json, "#");

        assert_true(c.ok);
        assert_int_equal(c.job.status, cases[i].status);
        assert_true((c.job.run_at == TF_TIME_NONE) == (cases[i].status == TF_QUEUED));
        done(&c);
    }
}

static void test_priorities(void **state)
{
    static const struct {
        const char *json;
        int priority;
    } cases[] = {{"0", 0},          {"10", 10},         {"\"low\"", 2},
                 {"\"normal\"", 5}, {"\"default\"", 5}, {"\"critical\"", 10}};
    char json[100];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        checked_t c;

        snprintf(json, sizeof(json), "{\"type\":\"noop\",\"priority\":%s}", cases[i].json);
        c = check_at(json, "#");
        assert_true(c.ok);
        assert_int_equal(c.job.priority, cases[i].priority);
        done(&c);
    }
}

/* One wrong field each: exactly one error, at this place. The rest of the body is {"type":"noop"}. */
static void test_one_error(void **state)
{
    static const struct {
        const char *member;
        const char *pointer;
    } cases[] = {
        {"\"priority\":11", "#/priority"},
        {"\"priority\":-1", "#/priority"},
        {"\"priority\":\"urgent\"", "#/priority"},
        {"\"priority\":5.0", "#/priority"},
        {"\"priority\":null", "#/priority"},
        {"\"priority\":99999999999", "#/priority"},
        {"\"queue\":\"\"", "#/queue"},
        {"\"queue\":\"a b\"", "#/queue"},
        {"\"queue\":7", "#/queue"},
        {"\"name\":\"\"", "#/name"},
        {"\"name\":[]", "#/name"},
        {"\"payload\":[]", "#/payload"},
        {"\"payload\":null", "#/payload"},
        {"\"max_retries\":-1", "#/max_retries"},
        {"\"max_retries\":101", "#/max_retries"},
        {"\"max_retries\":\"3\"", "#/max_retries"},
        {"\"max_retries\":4294967296", "#/max_retries"},
        {"\"timeout_seconds\":0", "#/timeout_seconds"},
        {"\"timeout_seconds\":86401", "#/timeout_seconds"},
        {"\"timeout_seconds\":true", "#/timeout_seconds"},
        {"\"delay_seconds\":-0.1", "#/delay_seconds"},
        {"\"delay_seconds\":1e300", "#/delay_seconds"},
        {"\"delay_seconds\":\"1\"", "#/delay_seconds"},
        {"\"scheduled_at\":\"tomorrow\"", "#/scheduled_at"},
        {"\"scheduled_at\":1795352400", "#/scheduled_at"},
        {"\"delay_seconds\":1,\"scheduled_at\":\"2026-11-22T13:00:00Z\"", "#/delay_seconds"},
        {"\"queue\":\"_webhooks\"", "#/queue"},
        {"\"expires_at\":\"soon\"", "#/expires_at"},
        {"\"expires_at\":\"2001-01-01T00:00:00Z\"", "#/expires_at"},
        {"\"expires_at\":\"2026-11-22T13:00:01Z\",\"delay_seconds\":2", "#/expires_at"},
        {"\"webhook_url\":7", "#/webhook_url"},
        {"\"webhook_url\":\"ftp://a/\"", "#/webhook_url"},
        {"\"webhook_url\":\"http://a/b c\"", "#/webhook_url"},
        {"\"webhook_url\":\"http://u:p@a/\"", "#/webhook_url"},
        {"\"webhook_url\":\"http://0x7f.1/\"", "#/webhook_url"},
        {"\"retry\":{\"budget_seconds\":0}", "#/retry/budget_seconds"},
        {"\"metadata\":[]", "#/metadata"},
        {"\"metadata\":{\"a\":1}", "#/metadata"},
        {"\"retry\":5", "#/retry"},
        {"\"retry\":{\"strategy\":\"linear\"}", "#/retry/strategy"},
        {"\"retry\":{\"base_seconds\":-1}", "#/retry/base_seconds"},
        {"\"retry\":{\"max_seconds\":86401}", "#/retry/max_seconds"},
        {"\"retry\":{\"jitter\":1}", "#/retry/jitter"},
        {"\"retry\":{\"factor\":3}", "#/retry/factor"},
        {"\"prioritty\":1", "#/prioritty"},
        {"\"a/b~c d\xC3\xA9\":1", "#/a~1b~0c%20d%C3%A9"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[300], list[700];
        checked_t c;
        json_t *errors;
        const char *pointer;

        snprintf(json, sizeof(json), "{\"type\":\"noop\",%s}", cases[i].member);
        c = check_at(json, "#");
        assert_false(c.ok);
        snprintf(list, sizeof(list), "[%s]", tf_buf_cstr(&c.errors));
        errors = json_loads(list, JSON_REJECT_DUPLICATES, NULL);
        pointer = json_string_value(json_object_get(json_array_get(errors, 0), "pointer"));
        if (json_array_size(errors) != 1 || pointer == NULL || strcmp(pointer, cases[i].pointer) != 0) {
            fail_msg("%s: %s", cases[i].member, list);
        }
        assert_true(json_string_length(json_object_get(json_array_get(errors, 0), "detail")) > 0);
        json_decref(errors);
        done(&c);
    }
}

static void test_all_errors_at_once(void **state)
{
    checked_t c = check_at("{\"type\":\"nope\",\"priority\":11,\"payload\":1,\"retry\":{\"jitter\":1,\"base_"
                           "seconds\":\"x\"},\"zzz\":1}",
                           "#/jobs/3");
    static const char *const pointers[] = {
        "#/jobs/3/type",         "#/jobs/3/priority",           "#/jobs/3/payload",
        "#/jobs/3/retry/jitter", "#/jobs/3/retry/base_seconds", "#/jobs/3/zzz"};
    tf_buf_t list = TF_BUF_INIT;
    json_t *errors;
    size_t i, k;

    assert_false(c.ok);
    tf_buf_addc(&list, '[');
    tf_buf_add(&list, c.errors.data, c.errors.len);
    tf_buf_addc(&list, ']');
    errors = json_loadb(list.data, list.len, 0, NULL);
    assert_int_equal(json_array_size(errors), 6);
    for (i = 0; i < 6; i++) {
        for (k = 0; k < 6; k++) {
            if (strcmp(json_string_value(json_object_get(json_array_get(errors, k), "pointer")),
                       pointers[i]) == 0) {
                break;
            }
        }
        assert_true(k < 6);
    }
    json_decref(errors);
    tf_buf_free(&list);
    done(&c);
}

static void test_not_an_object(void **state)
{
    static const char *const bodies[] = {"[]", "[{\"type\":\"noop\"}]"};
    checked_t c;
    size_t i;

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        c = check_at(bodies[i], "#");
        assert_false(c.ok);
        assert_non_null(strstr(tf_buf_cstr(&c.errors), "\"pointer\":\"#\""));
        done(&c);
    }
    c = check_at("{}", "#");
    assert_false(c.ok);
    assert_non_null(strstr(tf_buf_cstr(&c.errors), "\"pointer\":\"#/type\""));
    done(&c);
}

static void test_sizes(void **state)
{
    char json[5000], name[TF_NAME_MAX + 2];
    checked_t c;
    int extra, n;

    for (extra = 0; extra < 2; extra++) {
        memset(name, 'n', sizeof(name));
        name[TF_NAME_MAX + extra] = '\0';
        snprintf(json, sizeof(json), "{\"type\":\"noop\",\"name\":\"%s\"}", name);
        c = check_at(json, "#");
        assert_int_equal(c.ok, extra == 0);
        done(&c);
        n = snprintf(json, sizeof(json), "{\"type\":\"noop\",\"metadata\":{\"m\":\"%0*d\"}}",
                     TF_METADATA_VALUE_MAX + extra, 0);
        assert_true(n > 0 && n < (int)sizeof(json));
        c = check_at(json, "#");
        assert_int_equal(c.ok, extra == 0);
        done(&c);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-22T13:00:00Z", NOW},
        {"2026-11-22t13:00:00z", NOW},
        {"2026-11-22T14:00:00+01:00", NOW},
        {"2026-11-22T07:30:00-05:30", NOW},
        {"2026-11-22T13:00:00.5Z", NOW + 500000},
        {"2026-11-22T13:00:00.000001Z", NOW + 1},
        {"2026-11-22T13:00:00.1234569999Z", NOW + 123456},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
        {"1969-12-31T23:59:59Z", -1000000},
        {"9999-12-31T23:59:59Z", INT64_C(253402300799000000)},
    };
    static const char *const bad[] = {
        "",
        "2026-11-22",
        "2026-11-22T13:00:00",
        "2026-11-22 13:00:00Z",
        "2026-11-22T13:00:00.Z",
        "2026-11-22T13:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T13:60:00Z",
        "2026-11-22T13:00:60Z",
        "0000-01-01T00:00:00Z",
        "2026-11-22T13:00:00+1:00",
        "2026-11-22T13:00:00+0100",
        "2026-11-22T13:00:00+24:00",
        "2026-11-22T13:00:00+01:60",
        "2026-11-22T13:00:00ZZ",
        "2026-11-22T13:00:00Z ",
        " 2026-11-22T13:00:00Z",
        "-026-11-22T13:00:00Z",
        "2026-11-22T13:00:00.1",
        "2026-11-22T13:00:00.123456789012345678901234567890Z",
    };
    int64_t us;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!tf_time_parse(good[i].text, strlen(good[i].text), &us) || us != good[i].us) {
            fail_msg("%s", good[i].text);
        }
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (tf_time_parse(bad[i], strlen(bad[i]), &us)) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
    }
}

static void test_json(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {
        {"", 0},
        {"{", 1},
        {"{\"a\":1,}", 8},
        {"{\"a\":1,\"a\":2}", 13},
        {"{\"a\":\"\xFF\"}", 9},
        {"{\"a\":\"\\u0000\"}", 14},
        {"{\"a\":\"\0\"}", 9},
        {"{}x", 3},
        {"{'a':1}", 7},
        {"{\"a\":NaN}", 9},
        {"{\"a\":\"\\ud800\"}", 14},
    };
    char deep[2 * TF_JSON_DEPTH_MAX + 4], error[200];
    json_t *json;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error[0] = '\0';
        assert_null(tf_json_parse(bad[i].text, bad[i].len, error, sizeof(error)));
        assert_true(error[0] != '\0');
    }
    memset(deep, '[', TF_JSON_DEPTH_MAX);
    memset(deep + TF_JSON_DEPTH_MAX, ']', TF_JSON_DEPTH_MAX);
    json = tf_json_parse(deep, 2 * TF_JSON_DEPTH_MAX, error, sizeof(error));
    assert_non_null(json);
    json_decref(json);
    memset(deep, '[', TF_JSON_DEPTH_MAX + 1);
    memset(deep + TF_JSON_DEPTH_MAX + 1, ']', TF_JSON_DEPTH_MAX + 1);
    assert_null(tf_json_parse(deep, 2 * TF_JSON_DEPTH_MAX + 2, error, sizeof(error)));
    assert_string_equal(error, "nested deeper than 64 levels");
    /* brackets in a text do not nest */
    memset(deep, '[', sizeof(deep));
    deep[1] = deep[sizeof(deep) - 2] = '"';
    deep[sizeof(deep) - 1] = ']';
    json = tf_json_parse(deep, sizeof(deep), error, sizeof(error));
    assert_non_null(json);
    json_decref(json);
}

/* The payload is held against the schema as it stands in the text, beside all other checks. */
static void test_schema(void **state)
{
    static const struct {
        const char *body, *pointers[3];
    } cases[] = {
        {"{\"type\":\"strict\",\"payload\":{\"n\":1}}", {NULL}},
        {"{\"type\":\"strict\",\"payload\":{\"n\":0}}", {"#/jobs/7/payload/n"}},
        {"{\"type\":\"strict\",\"priority\":11}", {"#/jobs/7/priority", "#/jobs/7/payload/n"}},
        {"{\"payload\":[],\"type\":\"strict\"}", {"#/jobs/7/payload"}},
        {"{\"type\":\"noop\",\"payload\":{\"n\":0}}", {NULL}},
    };
    static const char schema[] = "{\"properties\":{\"n\":{\"minimum\":1}},\"required\":[\"n\"]}";
    char error[200];

    strict_schema = tf_schema_compile(schema, sizeof(schema) - 1, error, sizeof(error));
    assert_non_null(strict_schema);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        checked_t c = check_at(cases[i].body, "#/jobs/7");
        size_t n = 0, found = 0;

        assert_int_equal(c.ok, cases[i].pointers[0] == NULL);
        for (; n < 3 && cases[i].pointers[n]; n++) {
            char member[100];

            snprintf(member, sizeof(member), "{\"pointer\":\"%s\",", cases[i].pointers[n]);
            assert_non_null(strstr(tf_buf_cstr(&c.errors), member));
        }
        for (const char *p = tf_buf_cstr(&c.errors); (p = strstr(p, "\"pointer\"")); p++) {
            found++;
        }
        assert_int_equal(found, n);
        done(&c);
    }
    tf_schema_free(strict_schema);
    strict_schema = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_untouched),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_one_error),
        cmocka_unit_test(test_all_errors_at_once),
        cmocka_unit_test(test_not_an_object),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_json),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
