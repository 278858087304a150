/* The aggregate: which columns count as numbers, groups, choice of columns, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dataset/aggregate.h"
#include "dataset/groups.h"

#define NUMBERS_MAX 50000

/* Splits "a,b,c" in place of a CSV reader; at most 8 fields. */
static size_t split(const char *line, tf_str_t *fields)
{
    size_t count = 0;
    const char *comma;

    while ((comma = strchr(line, ',')) != NULL) {
        assert_true(count < 7);
        fields[count++] = (tf_str_t){line, (size_t)(comma - line)};
        line = comma + 1;
    }
    fields[count++] = (tf_str_t){line, strlen(line)};
    return count;
}

static tfw_aggregate_status_t header(tfw_aggregate_t *a, const char *line)
{
    tf_str_t names[8];
    size_t count = split(line, names);

    return tfw_aggregate_header(a, names, count);
}

static tfw_aggregate_status_t row(tfw_aggregate_t *a, const char *line)
{
    tf_str_t fields[8];

    split(line, fields);
    return tfw_aggregate_row(a, fields);
}

typedef struct {
    const char *title;
    const char *lines[8]; /* the header first */
    const char *select[3];
    const char *group_by;
    const char *expected; /* the members written */
} case_t;

static const case_t cases[] = {
    {.title = "no rows: no column has a value, so none is numeric",
     .lines = {"a,b"},
     .expected = "\"rows\":0,\"columns\":{},\"text_columns\":[\"a\",\"b\"]"},
    {.title = "numbers and texts",
     .lines = {"n,t", "1,x", "2,2", "4.5,"},
     .expected = "\"rows\":3,\"columns\":{\"n\":{\"count\":3,\"sum\":7.5,\"mean\":2.5,\"min\":1,\"max\":4.5,"
                 "\"stddev\":1.8027756377319946,\"median\":2}},\"text_columns\":[\"t\"]"},
    {.title = "an empty field is missing, not zero",
     .lines = {"n", "1", "", "3"},
     .expected = "\"rows\":3,\"columns\":{\"n\":{\"count\":2,\"sum\":4,\"mean\":2,\"min\":1,\"max\":3,"
                 "\"stddev\":1.4142135623730951,\"median\":2}},\"text_columns\":[]"},
    {.title = "of one value there is no deviation",
     .lines = {"n", "5"},
     .expected = "\"rows\":1,\"columns\":{\"n\":{\"count\":1,\"sum\":5,\"mean\":5,\"min\":5,\"max\":5,"
                 "\"stddev\":null,\"median\":5}},\"text_columns\":[]"},
    {.title = "one text in the last row makes the column text",
     .lines = {"n", "1", "2", "n/a"},
     .expected = "\"rows\":3,\"columns\":{},\"text_columns\":[\"n\"]"},
    {.title = "a number beyond a double is text",
     .lines = {"n", "1e999"},
     .expected = "\"rows\":1,\"columns\":{},\"text_columns\":[\"n\"]"},
    {.title = "a sum beyond a double is null",
     .lines = {"n", "1.7e308", "1.7e308"},
     .expected = "\"rows\":2,\"columns\":{\"n\":{\"count\":2,\"sum\":null,\"mean\":null,\"min\":1.7e+308,"
                 "\"max\":1.7e+308,\"stddev\":null,\"median\":1.7e+308}},\"text_columns\":[]"},
    {.title = "only the columns asked for, in the file's order",
     .lines = {"a,b,c", "1,2,x"},
     .select = {"c", "b"},
     .expected = "\"rows\":1,\"columns\":{\"b\":{\"count\":1,\"sum\":2,\"mean\":2,\"min\":2,\"max\":2,"
                 "\"stddev\":null,\"median\":2}},\"text_columns\":[\"c\"]"},
    {.title = "groups stand in the order of their values, without the group column's own numbers",
     .lines = {"k,n", "2,5", "10,1", "2,7", ",9"},
     .select = {"n"},
     .group_by = "k",
     .expected =
         "\"rows\":4,\"columns\":{\"n\":{\"count\":4,\"sum\":22,\"mean\":5.5,\"min\":1,\"max\":9,"
         "\"stddev\":3.415650255319866,\"median\":6}},\"text_columns\":[],\"group_by\":\"k\",\"groups\":["
         "{\"value\":\"\",\"rows\":1,\"columns\":{\"n\":{\"count\":1,\"sum\":9,\"mean\":9,\"min\":9,\"max\":"
         "9,"
         "\"stddev\":null,\"median\":9}}},"
         "{\"value\":\"10\",\"rows\":1,\"columns\":{\"n\":{\"count\":1,\"sum\":1,\"mean\":1,\"min\":1,"
         "\"max\":1,\"stddev\":null,\"median\":1}}},"
         "{\"value\":\"2\",\"rows\":2,\"columns\":{\"n\":{\"count\":2,\"sum\":12,\"mean\":6,\"min\":5,"
         "\"max\":7,\"stddev\":1.4142135623730951,\"median\":6}}}]"},
    {.title = "a group whose numbers are all missing",
     .lines = {"k,n", "a,", "b,3"},
     .group_by = "k",
     .expected =
         "\"rows\":2,\"columns\":{\"n\":{\"count\":1,\"sum\":3,\"mean\":3,\"min\":3,\"max\":3,"
         "\"stddev\":null,\"median\":3}},\"text_columns\":[\"k\"],\"group_by\":\"k\",\"groups\":["
         "{\"value\":\"a\",\"rows\":1,\"columns\":{\"n\":{\"count\":0,\"sum\":0,\"mean\":null,\"min\":null,"
         "\"max\":null,\"stddev\":null,\"median\":null}}},"
         "{\"value\":\"b\",\"rows\":1,\"columns\":{\"n\":{\"count\":1,\"sum\":3,\"mean\":3,\"min\":3,"
         "\"max\":3,\"stddev\":null,\"median\":3}}}]"},
    {.title = "groups of no rows",
     .lines = {"k,n"},
     .group_by = "k",
     .expected = "\"rows\":0,\"columns\":{},\"text_columns\":[\"k\",\"n\"],\"group_by\":\"k\",\"groups\":[]"},
    {.title = "names are written as JSON",
     .lines = {"a\"b\n", "x"},
     .expected = "\"rows\":1,\"columns\":{},\"text_columns\":[\"a\\\"b\\n\"]"},
};

static void test_tables(void **state)
{
    size_t i, k;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const case_t *c = &cases[i];
        tfw_aggregate_t *a = tfw_aggregate_new(NUMBERS_MAX);
        tf_buf_t out = TF_BUF_INIT;

        assert_non_null(a);
        assert_int_equal(header(a, c->lines[0]), TFW_AGGREGATE_OK);
        for (k = 0; c->select[k] != NULL; k++) {
            assert_int_equal(tfw_aggregate_select(a, (tf_str_t){c->select[k], strlen(c->select[k])}),
                             TFW_AGGREGATE_OK);
        }
        if (c->group_by != NULL) {
            assert_int_equal(tfw_aggregate_group_by(a, (tf_str_t){c->group_by, strlen(c->group_by)}),
                             TFW_AGGREGATE_OK);
        }
        for (k = 1; c->lines[k] != NULL; k++) {
            assert_int_equal(row(a, c->lines[k]), TFW_AGGREGATE_OK);
        }
        assert_int_equal(tfw_aggregate_rows(a), k - 1);
        tf_buf_addc(&out, '{');
        assert_int_equal(tfw_aggregate_write(a, &out), TFW_AGGREGATE_OK);
        if (strcmp(tf_buf_cstr(&out) + 1, c->expected) != 0) {
            fail_msg("%s: got\n%s\nexpected\n%s", c->title, tf_buf_cstr(&out) + 1, c->expected);
        }
        tf_buf_free(&out);
        tfw_aggregate_free(a);
    }
}

static void expect_bad(tfw_aggregate_t *a, tfw_aggregate_status_t status, const char *error)
{
    assert_int_equal(status, TFW_AGGREGATE_BAD);
    assert_string_equal(tfw_aggregate_error(a), error);
    tfw_aggregate_free(a);
}

static void test_names(void **state)
{
    tfw_aggregate_t *a = tfw_aggregate_new(NUMBERS_MAX);
    char name[100];

    expect_bad(a, header(a, "a,b,a"), "two columns are named \"a\"");
    a = tfw_aggregate_new(NUMBERS_MAX);
    expect_bad(a, header(a, "a,,c"), "column 2 has no name");
    a = tfw_aggregate_new(NUMBERS_MAX);
    assert_int_equal(header(a, "a,A"), TFW_AGGREGATE_OK); /* case counts */
    expect_bad(a, tfw_aggregate_select(a, TF_STR("b")), "there is no column \"b\"");
    a = tfw_aggregate_new(NUMBERS_MAX);
    assert_int_equal(header(a, "a"), TFW_AGGREGATE_OK);
    expect_bad(a, tfw_aggregate_group_by(a, TF_STR("x\n\"y")), "there is no column \"x\\n\\\"y\"");
    /* a long name is cut between two characters */
    memset(name, 'x', 63);
    memcpy(name + 63,
           "\xC3\xA9"
           "end",
           6);
    a = tfw_aggregate_new(NUMBERS_MAX);
    assert_int_equal(header(a, "a"), TFW_AGGREGATE_OK);
    expect_bad(a, tfw_aggregate_group_by(a, (tf_str_t){name, strlen(name)}),
               "there is no column \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"...");
    tfw_aggregate_free(NULL);
}

static void test_group_limits(void **state)
{
    tfw_aggregate_t *a = tfw_aggregate_new(NUMBERS_MAX);
    tf_str_t field;
    char text[TFW_AGGREGATE_GROUP_VALUE_MAX + 1];
    int i;

    assert_int_equal(header(a, "k"), TFW_AGGREGATE_OK);
    assert_int_equal(tfw_aggregate_group_by(a, TF_STR("k")), TFW_AGGREGATE_OK);
    for (i = 0; i < TFW_AGGREGATE_GROUPS_MAX; i++) {
        field = (tf_str_t){text, (size_t)snprintf(text, sizeof(text), "g%d", i)};
        assert_int_equal(tfw_aggregate_row(a, &field), TFW_AGGREGATE_OK);
    }
    field = TF_STR("g17"); /* known ones may come again */
    assert_int_equal(tfw_aggregate_row(a, &field), TFW_AGGREGATE_OK);
    field = TF_STR("one more");
    expect_bad(a, tfw_aggregate_row(a, &field), "the group column has more than 10000 different values");

    a = tfw_aggregate_new(NUMBERS_MAX);
    assert_int_equal(header(a, "k"), TFW_AGGREGATE_OK);
    assert_int_equal(tfw_aggregate_group_by(a, TF_STR("k")), TFW_AGGREGATE_OK);
    memset(text, 'x', sizeof(text));
    field = (tf_str_t){text, TFW_AGGREGATE_GROUP_VALUE_MAX};
    assert_int_equal(tfw_aggregate_row(a, &field), TFW_AGGREGATE_OK);
    field.len++;
    expect_bad(a, tfw_aggregate_row(a, &field), "a value of the group column is longer than 1024 bytes");
}

static void test_value_limit(void **state)
{
    enum { COLUMNS = 1000 };
    tfw_aggregate_t *a = tfw_aggregate_new(NUMBERS_MAX);
    tf_str_t names[COLUMNS], fields[COLUMNS];
    char texts[COLUMNS][16];
    int i;

    for (i = 0; i < COLUMNS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "c%d", i);
        names[i] = (tf_str_t){texts[i], strlen(texts[i])};
        fields[i] = TF_STR("1");
    }
    assert_int_equal(tfw_aggregate_header(a, names, COLUMNS), TFW_AGGREGATE_OK);
    for (i = 0; i < NUMBERS_MAX / COLUMNS; i++) {
        assert_int_equal(tfw_aggregate_row(a, fields), TFW_AGGREGATE_OK);
    }
    expect_bad(a, tfw_aggregate_row(a, fields),
               "more than 50000 values in the chosen columns: name fewer columns or rows");
}

/* Text costs no memory, so rows of it are not limited. */
static void test_text_rows(void **state)
{
    tfw_aggregate_t *a = tfw_aggregate_new(NUMBERS_MAX);
    tf_buf_t out = TF_BUF_INIT;
    tf_str_t field = TF_STR("x");
    int64_t i;

    assert_int_equal(header(a, "t"), TFW_AGGREGATE_OK);
    for (i = 0; i < NUMBERS_MAX + 10; i++) {
        assert_int_equal(tfw_aggregate_row(a, &field), TFW_AGGREGATE_OK);
    }
    assert_int_equal(tfw_aggregate_write(a, &out), TFW_AGGREGATE_OK);
    assert_string_equal(tf_buf_cstr(&out), "\"rows\":50010,\"columns\":{},\"text_columns\":[\"t\"]");
    tf_buf_free(&out);
    tfw_aggregate_free(a);
}

static void test_groups_are_numbered(void **state)
{
    tfw_groups_t g = {0};
    uint32_t number, *sorted;
    char text[16];
    int i, round;

    for (round = 0; round < 2; round++) {
        for (i = 0; i < 5000; i++) {
            int len = snprintf(text, sizeof(text), "%d", 4999 - i);

            assert_int_equal(tfw_groups_find(&g, text, (size_t)len, 5000, &number), TFW_GROUPS_OK);
            assert_int_equal(number, i);
        }
    }
    assert_int_equal(tfw_groups_find(&g, "new", 3, 5000, &number), TFW_GROUPS_FULL);
    sorted = tfw_groups_sorted(&g);
    assert_non_null(sorted);
    for (i = 1; i < 5000; i++) {
        const tfw_group_t *x = &g.items[sorted[i - 1]], *y = &g.items[sorted[i]];
        char a[16] = "", b[16] = "";

        memcpy(a, x->value, x->len);
        memcpy(b, y->value, y->len);
        assert_true(strcmp(a, b) < 0);
    }
    free(sorted);
    tfw_groups_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_group_limits), cmocka_unit_test(test_value_limit),
        cmocka_unit_test(test_text_rows),    cmocka_unit_test(test_groups_are_numbered),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
