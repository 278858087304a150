/* Schemas: what each keyword lets pass, where the pointers point, what is no schema, and the bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "schema.h"
#include "submission.h"

static tf_schema_t *compiled(const char *text)
{
    char error[256];
    tf_schema_t *schema = tf_schema_compile(text, strlen(text), error, sizeof(error));

    if (schema == NULL) {
        fail_msg("%s: %s", text, error);
    }
    return schema;
}

/* "pointer detail\n" of each error. */
static char *errors_of(const tf_schema_t *schema, const char *value)
{
    tf_buf_t errors = TF_BUF_INIT, all = TF_BUF_INIT, lines = TF_BUF_INIT;
    char error[200];
    json_t *parsed = tf_json_parse_any(value, strlen(value), error, sizeof(error)), *list, *item;
    size_t i;
    bool ok;

    assert_non_null(parsed);
    ok = tf_schema_check(schema, parsed, "#/payload", &errors);
    json_decref(parsed);
    assert_int_equal(ok, errors.len == 0);
    tf_buf_addc(&all, '[');
    tf_buf_add(&all, errors.data, errors.len);
    tf_buf_addc(&all, ']');
    list = json_loadb(all.data, all.len, 0, NULL);
    assert_non_null(list);
    json_array_foreach(list, i, item)
    {
        tf_buf_addf(&lines, "%s %s\n", json_string_value(json_object_get(item, "pointer")),
                    json_string_value(json_object_get(item, "detail")));
    }
    json_decref(list);
    tf_buf_free(&errors);
    tf_buf_free(&all);
    tf_buf_cstr(&lines);
    return lines.data ? lines.data : strdup("");
}

static void expect(const char *schema_text, const char *value, const char *expected)
{
    tf_schema_t *schema = compiled(schema_text);
    char *found = errors_of(schema, value);

    if (strcmp(found, expected) != 0) {
        fail_msg("%s\nof %s: got\n%sexpected\n%s", schema_text, value, found, expected);
    }
    free(found);
    tf_schema_free(schema);
}

static const struct {
    const char *schema, *value, *errors;
} cases[] = {
    {"{}", "[1]", ""},
    {"{\"type\":\"object\"}", "{}", ""},
    {"{\"type\":\"object\"}", "[]", "#/payload must be an object\n"},
    {"{\"type\":[\"string\",\"null\"]}", "null", ""},
    {"{\"type\":[\"string\",\"null\"]}", "1", "#/payload must be a string or null\n"},
    {"{\"type\":\"boolean\"}", "false", ""},
    {"{\"type\":\"boolean\"}", "0", "#/payload must be a boolean\n"},
    {"{\"type\":\"integer\"}", "7", ""},
    {"{\"type\":\"integer\"}", "1.0", ""},
    {"{\"type\":\"integer\"}", "1e300", ""},
    {"{\"type\":\"integer\"}", "1.5", "#/payload must be an integer\n"},
    {"{\"type\":\"integer\"}", "\"1\"", "#/payload must be an integer\n"},
    {"{\"type\":\"number\"}", "1", ""},
    {"{\"type\":\"number\"}", "1.5", ""},
    {"{\"enum\":[\"a\",1,null,{\"x\":[1]}]}", "1.0", ""},
    {"{\"enum\":[\"a\",1,null,{\"x\":[1]}]}", "{\"x\":[1.0]}", ""},
    {"{\"enum\":[\"a\",1]}", "\"b\"", "#/payload must be one of [\"a\",1]\n"},
    {"{\"const\":{\"x\":1,\"y\":2}}", "{\"y\":2,\"x\":1}", ""},
    {"{\"const\":false}", "0", "#/payload must be false\n"},
    {"{\"const\":[1,2]}", "[1]", "#/payload must be [1,2]\n"},
    {"{\"minimum\":0.5}", "0.5", ""},
    {"{\"minimum\":0.5}", "0.4", "#/payload must be at least 0.5\n"},
    {"{\"minimum\":5}", "\"text\"", ""},
    {"{\"maximum\":9007199254740993}", "9007199254740993", ""},
    {"{\"maximum\":9007199254740992}", "9007199254740993", "#/payload must be at most 9007199254740992\n"},
    {"{\"exclusiveMinimum\":0}", "0", "#/payload must be greater than 0\n"},
    {"{\"exclusiveMinimum\":0}", "1", ""},
    {"{\"exclusiveMaximum\":1}", "1.0", "#/payload must be less than 1\n"},
    {"{\"exclusiveMaximum\":1}", "0.9", ""},
    {"{\"minLength\":2}", "\"\xc3\xa9\"", "#/payload must have at least 2 characters\n"},
    {"{\"maxLength\":1}", "\"\xf0\x9f\x98\x80\"", ""},
    {"{\"maxLength\":1}", "\"ab\"", "#/payload must have at most 1 characters\n"},
    {"{\"minItems\":1,\"maxItems\":2}", "[]", "#/payload must have at least 1 elements\n"},
    {"{\"minItems\":1,\"maxItems\":2}", "[1,2,3]", "#/payload must have at most 2 elements\n"},
    {"{\"minProperties\":1,\"maxProperties\":1}", "{}", "#/payload must have at least 1 members\n"},
    {"{\"minProperties\":1,\"maxProperties\":1}", "{\"a\":1,\"b\":2}",
     "#/payload must have at most 1 members\n"},
    {"{\"items\":{\"type\":\"string\"}}", "[\"a\",1,\"b\",2]",
     "#/payload/1 must be a string\n#/payload/3 must be a string\n"},
    {"{\"items\":false}", "[]", ""},
    {"{\"items\":false}", "[1]", "#/payload/0 is not allowed\n"},
    {"{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":true},\"required\":[\"a\",\"c\"]}", "{\"a\":1}",
     "#/payload/a must be a string\n#/payload/c is required\n"},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1,\"b/c~\":2}",
     "#/payload/b~1c~0 unknown field \"b/c~\"\n"},
    {"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"a\":\"x\",\"b\":2}",
     "#/payload/b must be a string\n"},
    {"{\"properties\":{\"a\":{\"items\":{\"properties\":{\"b\":{\"minimum\":1}}}}}}",
     "{\"a\":[{},{\"b\":0}]}", "#/payload/a/1/b must be at least 1\n"},
    {"{\"allOf\":[{\"minimum\":5},{\"maximum\":3}]}", "4",
     "#/payload must be at least 5\n#/payload must be at most 3\n"},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5,\"type\":\"integer\"}]}", "6", ""},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5,\"type\":\"integer\"}]}", "4",
     "#/payload has none of the 2 forms it may have\n"},
    {"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"b\":1}", ""},
    {"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{}",
     "#/payload has none of the 2 forms it may have\n"},
    {"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"a\":1,\"b\":1}",
     "#/payload has more than one of the 2 forms it may have\n"},
    {"{\"not\":{\"type\":\"null\"}}", "null", "#/payload has a form it must not have\n"},
    {"{\"not\":{\"type\":\"null\"}}", "1", ""},
    {"{\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[1],\"format\":\"email\",\"$"
     "comment\":\"\","
     "\"$id\":\"x\",\"deprecated\":true,\"readOnly\":false,\"writeOnly\":false,"
     "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"}",
     "\"no address\"", ""},
};

static void test_values(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(cases[i].schema, cases[i].value, cases[i].errors);
    }
}

static const struct {
    const char *schema, *error;
} faults[] = {
    {"", "line 1, column 0"},
    {"true", "line 1, column"},
    {"[]", "#: must be a schema"},
    {"{\"type\":\"object\",\"type\":\"object\"}", "duplicate"},
    {"{\"propertys\":{}}", "#/propertys: is not a keyword that is checked here"},
    {"{\"pattern\":\"^a\"}", "#/pattern: is not a keyword"},
    {"{\"properties\":{\"a\":{\"$ref\":\"#\"}}}", "#/properties/a/$ref: is not a keyword"},
    {"{\"properties\":{\"a/b\":5}}", "#/properties/a~1b: must be a schema"},
    {"{\"properties\":[]}", "#/properties: must be an object"},
    {"{\"type\":\"int\"}", "#/type: must be object, array"},
    {"{\"type\":[]}", "#/type: "},
    {"{\"type\":[\"null\",\"null\"]}", "#/type: "},
    {"{\"type\":[\"null\",1]}", "#/type: "},
    {"{\"enum\":[]}", "#/enum: must be a list"},
    {"{\"enum\":{}}", "#/enum: must be a list"},
    {"{\"required\":\"a\"}", "#/required: must be a list of names"},
    {"{\"required\":[1]}", "#/required: must be a list of names"},
    {"{\"minimum\":\"1\"}", "#/minimum: must be a number"},
    {"{\"minLength\":-1}", "#/minLength: must be an integer of 0 or more"},
    {"{\"maxItems\":1.5}", "#/maxItems: must be an integer"},
    {"{\"items\":[{}]}", "#/items: must be a schema"},
    {"{\"anyOf\":[]}", "#/anyOf: must be a list of schemas"},
    {"{\"oneOf\":[{},{\"type\":7}]}", "#/oneOf/1/type: must be"},
    {"{\"not\":null}", "#/not: must be a schema"},
    {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}", "#/$schema: must be \"https://"},
};

/* The pointers of faults escape like all others: '$' becomes %24. */
static void test_faults(void **state)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char error[256] = "", plain[256], *at;
        tf_schema_t *schema =
            tf_schema_compile(faults[i].schema, strlen(faults[i].schema), error, sizeof(error));

        assert_null(schema);
        snprintf(plain, sizeof(plain), "%s", error);
        at = strstr(plain, "%24");
        if (at) {
            *at = '$';
            memmove(at + 1, at + 3, strlen(at + 3) + 1);
        }
        if (strstr(plain, faults[i].error) == NULL) {
            fail_msg("%s: got \"%s\", not \"%s\"", faults[i].schema, plain, faults[i].error);
        }
    }
}

static void test_open(void **state)
{
    static const struct {
        const char *schema;
        bool open;
    } schemas[] = {
        {"{}", true},
        {"{\"type\":\"object\"}", true},
        {"{\"type\":[\"array\",\"object\"],\"description\":\"x\"}", true},
        {"{\"type\":\"array\"}", false},
        {"{\"type\":\"object\",\"required\":[\"a\"]}", false},
        {"{\"type\":\"object\",\"additionalProperties\":false}", false},
        {"{\"minLength\":1}", false},
    };

    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        tf_schema_t *schema = compiled(schemas[i].schema);

        assert_int_equal(tf_schema_is_open(schema), schemas[i].open);
        tf_schema_free(schema);
    }
}

/* "<before>{"not":<before>{"not": ... {}}}" with n of them. */
static char *nested(size_t n)
{
    tf_buf_t text = TF_BUF_INIT;

    for (size_t i = 1; i < n; i++) {
        tf_buf_adds(&text, "{\"not\":");
    }
    tf_buf_adds(&text, "{}");
    for (size_t i = 1; i < n; i++) {
        tf_buf_addc(&text, '}');
    }
    tf_buf_cstr(&text);
    return text.data;
}

static void test_bounds_of_schemas(void **state)
{
    char error[256], *text = nested(TF_SCHEMA_DEPTH_MAX);
    tf_schema_t *schema = compiled(text);

    tf_schema_free(schema);
    free(text);
    text = nested(TF_SCHEMA_DEPTH_MAX + 1);
    assert_null(tf_schema_compile(text, strlen(text), error, sizeof(error)));
    assert_non_null(strstr(error, "more than 32 schemas"));
    free(text);

    text = malloc(TF_SCHEMA_MAX + 1);
    assert_non_null(text);
    memset(text, ' ', TF_SCHEMA_MAX + 1);
    text[0] = '{';
    text[1] = '}';
    tf_schema_free(tf_schema_compile(text, TF_SCHEMA_MAX, error, sizeof(error)));
    assert_null(tf_schema_compile(text, TF_SCHEMA_MAX + 1, error, sizeof(error)));
    assert_string_equal(error, "is longer than 65536 bytes");
    free(text);
}

static size_t lines_in(const char *text)
{
    size_t n = 0;

    for (; *text; text++) {
        n += *text == '\n';
    }
    return n;
}

static void test_errors_are_bounded(void **state)
{
    tf_schema_t *schema = compiled("{\"items\":{\"type\":\"string\"}}");
    tf_buf_t value = TF_BUF_INIT;
    char *found;

    for (int i = 0; i < 100; i++) {
        tf_buf_adds(&value, i ? ",1" : "[1");
    }
    tf_buf_addc(&value, ']');
    found = errors_of(schema, tf_buf_cstr(&value));
    assert_int_equal(lines_in(found), TF_SCHEMA_ERRORS_MAX);
    free(found);
    tf_buf_free(&value);
    tf_schema_free(schema);
}

/* A schema that multiplies: 400 lists of choices for each of 200,000 elements. */
static void test_work_is_bounded(void **state)
{
    tf_buf_t text = TF_BUF_INIT, value = TF_BUF_INIT;
    tf_schema_t *schema;
    char *found;

    tf_buf_adds(&text, "{\"items\":{\"anyOf\":[");
    for (int i = 0; i < 400; i++) {
        tf_buf_adds(&text, "{\"type\":\"string\"},");
    }
    tf_buf_adds(&text, "{\"type\":\"integer\"}]}}");
    schema = compiled(tf_buf_cstr(&text));
    for (int i = 0; i < 200000; i++) {
        tf_buf_adds(&value, i ? ",1" : "[1");
    }
    tf_buf_addc(&value, ']');
    found = errors_of(schema, tf_buf_cstr(&value));
    assert_string_equal(found, "#/payload takes too many steps to check against the schema of its type\n");
    free(found);
    tf_buf_free(&text);
    tf_buf_free(&value);
    tf_schema_free(schema);
}

/* A pointer that does not fit ends at an enclosing value. */
static void test_long_pointers(void **state)
{
    char schema_text[8192], value[8192], key[65];
    tf_buf_t s = TF_BUF_INIT, v = TF_BUF_INIT;
    tf_schema_t *schema;
    char *found;

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    for (int i = 0; i < 10; i++) {
        tf_buf_addf(&s, "{\"properties\":{\"%s\":", key);
        tf_buf_addf(&v, "{\"%s\":", key);
    }
    tf_buf_adds(&s, "{\"type\":\"null\"}");
    tf_buf_adds(&v, "1");
    for (int i = 0; i < 10; i++) {
        tf_buf_adds(&s, "}}");
        tf_buf_adds(&v, "}");
    }
    snprintf(schema_text, sizeof(schema_text), "%s", tf_buf_cstr(&s));
    snprintf(value, sizeof(value), "%s", tf_buf_cstr(&v));
    schema = compiled(schema_text);
    found = errors_of(schema, value);
    /* six keys of 64 fit into 400 bytes */
    assert_int_equal(strcspn(found, " "), strlen("#/payload") + (size_t)6 * 65);
    assert_non_null(strstr(found, " must be null\n"));
    free(found);
    tf_buf_free(&s);
    tf_buf_free(&v);
    tf_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_bounds_of_schemas),
        cmocka_unit_test(test_errors_are_bounded),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_long_pointers),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
