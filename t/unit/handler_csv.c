/* The CSV reader: what it takes, what it refuses and where it says the fault is; the same however the bytes
 * arrive. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "buf.h"
#include "dataset/csv.h"

/* A source that gives at most `chunk` bytes a call, and fails with `error` at its end if that is not 0. */
typedef struct {
    const char *data;
    size_t len;
    size_t at;
    size_t chunk;
    int error;
    bool interrupted; /* the next call says EINTR first */
} source_t;

static ssize_t source_read(void *data, void *buf, size_t size)
{
    source_t *s = data;
    size_t n = s->len - s->at;

    if (s->interrupted) {
        s->interrupted = false;
        errno = EINTR;
        return -1;
    }
    if (n == 0 && s->error != 0) {
        errno = s->error;
        return -1;
    }
    if (n > s->chunk) {
        n = s->chunk;
    }
    if (n > size) {
        n = size;
    }
    if (n > 0) {
        memcpy(buf, s->data + s->at, n);
    }
    s->at += n;
    return (ssize_t)n;
}

/* All records as text: <field><field> for each, a line each, then "end" or the error. */
static void render(source_t *source, tf_buf_t *out)
{
    tfw_csv_t *csv = tfw_csv_new(source_read, source);
    tfw_csv_status_t status;
    const tf_str_t *fields;
    size_t count, i;

    assert_non_null(csv);
    while ((status = tfw_csv_next(csv)) == TFW_CSV_RECORD) {
        fields = tfw_csv_fields(csv, &count);
        tf_buf_addf(out, "%lld:", (long long)tfw_csv_line(csv));
        for (i = 0; i < count; i++) {
            tf_buf_addc(out, '<');
            tf_buf_add(out, fields[i].data, fields[i].len);
            tf_buf_addc(out, '>');
        }
        tf_buf_addc(out, '\n');
    }
    assert_int_equal(tfw_csv_next(csv), status); /* the end stays the end */
    tf_buf_adds(out, status == TFW_CSV_END ? "end" : tfw_csv_error(csv));
    if (status == TFW_CSV_END) {
        assert_string_equal(tfw_csv_error(csv), "");
        assert_int_equal(tfw_csv_bytes_read(csv), source->len);
    }
    tfw_csv_free(csv);
}

typedef struct {
    const char *title;
    const char *text;
    size_t len; /* 0: strlen */
    const char *expected;
} case_t;

#define TEXT(s) s, sizeof(s) - 1

static const case_t cases[] = {
    {"an empty file has no records", TEXT(""), "end"},
    {"a byte order mark alone has no records", TEXT("\xEF\xBB\xBF"), "end"},
    {"a byte order mark is skipped",
     TEXT("\xEF\xBB\xBF"
          "a,b\n"),
     "1:<a><b>\nend"},
    {"a byte order mark before a quote is skipped", TEXT("\xEF\xBB\xBF\"a\",b\n"), "1:<a><b>\nend"},
    {"a byte order mark later is text",
     TEXT("a\n\xEF\xBB\xBF"
          "b\n"),
     "1:<a>\n2:<\xEF\xBB\xBF"
     "b>\nend"},
    {"records", TEXT("a,b\n1,2\n3,4\n"), "1:<a><b>\n2:<1><2>\n3:<3><4>\nend"},
    {"the last line end may lack", TEXT("a,b\n1,2"), "1:<a><b>\n2:<1><2>\nend"},
    {"CRLF", TEXT("a,b\r\n1,2\r\n"), "1:<a><b>\n2:<1><2>\nend"},
    {"LF and CRLF mixed", TEXT("a\nb\r\nc"), "1:<a>\n2:<b>\n3:<c>\nend"},
    {"empty fields", TEXT("a,b,c\n,,\n"), "1:<a><b><c>\n2:<><><>\nend"},
    {"an empty last field at the end", TEXT("a,b\n1,"), "1:<a><b>\n2:<1><>\nend"},
    {"an empty line of one column is a missing value", TEXT("a\n\n1\n"), "1:<a>\n2:<>\n3:<1>\nend"},
    {"spaces belong to the field", TEXT(" a , b\n"), "1:< a >< b>\nend"},
    {"quotes are taken off", TEXT("\"a\",\"b\"\n"), "1:<a><b>\nend"},
    {"a comma in quotes", TEXT("\"a,b\",c\n"), "1:<a,b><c>\nend"},
    {"doubled quotes", TEXT("\"a \"\"b\"\" c\",\"\"\"\"\n"), "1:<a \"b\" c><\">\nend"},
    {"an empty quoted field", TEXT("\"\",\"\"\n"), "1:<><>\nend"},
    {"a quoted field at the end", TEXT("\"a\""), "1:<a>\nend"},
    {"a quoted field before CRLF", TEXT("\"a\"\r\n"), "1:<a>\nend"},
    {"line ends in quotes count as lines", TEXT("\"a\nb\",c\n\"d\r\n\n\",e\nf,g\n"),
     "1:<a\nb><c>\n3:<d\r\n\n><e>\n6:<f><g>\nend"},
    {"UTF-8 of every length", TEXT("\xC3\xA9,\xE2\x82\xAC,\xF0\x9F\x98\x80\n"),
     "1:<\xC3\xA9><\xE2\x82\xAC><\xF0\x9F\x98\x80>\nend"},

    {"too few fields", TEXT("a,b\n1\n"), "1:<a><b>\nline 2: 1 field where the first line has 2"},
    {"too many fields", TEXT("a,b\n1,2\n1,2,3\n"),
     "1:<a><b>\n2:<1><2>\nline 3: 3 fields where the first line has 2"},
    {"an empty line among several columns", TEXT("a,b\n\n1,2\n"),
     "1:<a><b>\nline 2: 1 field where the first line has 2"},
    {"the line after an embedded line end", TEXT("a\n\"x\ny\"\n1,2\n"),
     "1:<a>\n2:<x\ny>\nline 4: 2 fields where the first line has 1"},
    {"a quote in an unquoted field", TEXT("a\n5\" pipe\n"),
     "1:<a>\nline 2: a quote inside an unquoted field (field 1)"},
    {"text after a closing quote", TEXT("a,b\n1,\"x\"y\n"),
     "1:<a><b>\nline 2: text after the closing quote of field 2"},
    {"a space after a closing quote", TEXT("\"a\" ,b\n"), "line 1: text after the closing quote of field 1"},
    {"a quote never closed, at the line it opens on", TEXT("a\n1\n\"x\ny\nz\n"),
     "1:<a>\n2:<1>\nline 3: a quote is opened and never closed"},
    {"the second quote of a record never closed", TEXT("a,b\n\"x\ny\",\"z\n"),
     "1:<a><b>\nline 3: a quote is opened and never closed"},
    {"a quote and nothing more", TEXT("\""), "line 1: a quote is opened and never closed"},
    {"a bare CR", TEXT("a\rb\n"), "line 1: a carriage return without a line feed"},
    {"two CRs", TEXT("a\n1\r\r\n"), "1:<a>\nline 2: a carriage return without a line feed"},
    {"a CR at the end", TEXT("a\n1\r"), "1:<a>\nline 2: a carriage return without a line feed"},
    {"NUL", TEXT("a\nx\0y\n"), "1:<a>\nline 2: a NUL byte"},
    {"NUL in quotes on the second line", TEXT("a\n\"x\n\0\"\n"), "1:<a>\nline 3: a NUL byte"},
    {"Latin-1", TEXT("a\ncaf\xE9\n"), "1:<a>\nline 2: byte 0xE9 is not valid UTF-8"},
    {"a lone continuation byte", TEXT("\x80\n"), "line 1: byte 0x80 is not valid UTF-8"},
    {"overlong NUL", TEXT("\xC0\x80\n"), "line 1: byte 0xC0 is not valid UTF-8"},
    {"overlong three bytes", TEXT("\xE0\x80\xAF\n"), "line 1: byte 0xE0 is not valid UTF-8"},
    {"a surrogate", TEXT("\xED\xA0\x80\n"), "line 1: byte 0xED is not valid UTF-8"},
    {"above U+10FFFF", TEXT("\xF4\x90\x80\x80\n"), "line 1: byte 0xF4 is not valid UTF-8"},
    {"a sequence cut off at the end", TEXT("abcdefgh\xF0\x9F\x98"), "line 1: byte 0xF0 is not valid UTF-8"},
    {"UTF-16",
     TEXT("\xFF\xFE"
          "a\0"),
     "line 1: byte 0xFF is not valid UTF-8"},
};

static void test_texts(void **state)
{
    static const size_t chunks[] = {SIZE_MAX, 1, 2, 3, 7};
    size_t i, k;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (k = 0; k < sizeof(chunks) / sizeof(chunks[0]); k++) {
            source_t source = {.data = cases[i].text, .len = cases[i].len, .chunk = chunks[k]};
            tf_buf_t out = TF_BUF_INIT;

            render(&source, &out);
            if (strcmp(tf_buf_cstr(&out), cases[i].expected) != 0) {
                fail_msg("%s (chunk %zu): got\n%s\nexpected\n%s", cases[i].title, chunks[k],
                         tf_buf_cstr(&out), cases[i].expected);
            }
            tf_buf_free(&out);
        }
    }
}

/* "x" repeated, then a tail. */
static char *repeated(size_t n, const char *tail, size_t *len)
{
    char *text = malloc(n + strlen(tail) + 1);

    assert_non_null(text);
    memset(text, 'x', n);
    memcpy(text + n, tail, strlen(tail) + 1);
    *len = n + strlen(tail);
    return text;
}

static void expect_text(const char *text, size_t len, const char *expected_end)
{
    source_t source = {.data = text, .len = len, .chunk = 65536};
    tf_buf_t out = TF_BUF_INIT;
    const char *got;

    render(&source, &out);
    got = tf_buf_cstr(&out);
    assert_true(strlen(got) >= strlen(expected_end));
    assert_string_equal(got + strlen(got) - strlen(expected_end), expected_end);
    tf_buf_free(&out);
}

static void test_field_limit(void **state)
{
    size_t len;
    char *text = repeated(TFW_CSV_FIELD_MAX, "\n", &len);

    expect_text(text, len, "x>\nend");
    free(text);
    text = repeated(TFW_CSV_FIELD_MAX + 1, "\n", &len);
    expect_text(text, len, "line 1: field 1 is longer than 65536 bytes");
    free(text);
}

static void test_record_limit(void **state)
{
    size_t len = TFW_CSV_RECORD_MAX, i;
    char *text = malloc(len + 1);

    assert_non_null(text);
    /* fields of 9 bytes up to the limit exactly would be more than the columns allowed: use long ones */
    memset(text, 'y', len);
    for (i = 50000; i < len; i += 50000) {
        text[i] = ',';
    }
    text[len - 1] = '\n';
    expect_text(text, len, "y>\nend");
    text[len - 1] = 'y';
    text[len] = '\n';
    expect_text(text, len + 1, "line 1: a record of more than 1048576 bytes (is a quote missing?)");
    /* a quote that is never closed ends there too */
    text[0] = '"';
    memset(text + 1, '\n', len);
    expect_text(text, len + 1, "line 1: a record of more than 1048576 bytes (is a quote missing?)");
    free(text);
}

static void test_column_limit(void **state)
{
    char text[TFW_CSV_COLUMNS_MAX + 1];

    memset(text, ',', sizeof(text));
    text[TFW_CSV_COLUMNS_MAX - 1] = '\n';
    expect_text(text, TFW_CSV_COLUMNS_MAX, "<>\nend");
    text[TFW_CSV_COLUMNS_MAX - 1] = ',';
    text[TFW_CSV_COLUMNS_MAX] = '\n';
    expect_text(text, sizeof(text), "line 1: more than 1024 fields");
}

/* Records that straddle the reader's buffer again and again, against a plain count. */
static void test_long_file(void **state)
{
    tf_buf_t text = TF_BUF_INIT;
    source_t source = {.chunk = 60001};
    tfw_csv_t *csv;
    const tf_str_t *fields;
    char expected[32];
    size_t count;
    int i;

    for (i = 0; i < 300000; i++) {
        tf_buf_addf(&text, "%d,\"%d\n\"\"%d\"\"\"\r\n", i, i, i);
    }
    assert_false(text.failed);
    source.data = text.data;
    source.len = text.len;
    csv = tfw_csv_new(source_read, &source);
    assert_non_null(csv);
    for (i = 0; i < 300000; i++) {
        assert_int_equal(tfw_csv_next(csv), TFW_CSV_RECORD);
        assert_int_equal(tfw_csv_line(csv), 1 + 2 * i);
        fields = tfw_csv_fields(csv, &count);
        assert_int_equal(count, 2);
        snprintf(expected, sizeof(expected), "%d\n\"%d\"", i, i);
        assert_int_equal(fields[1].len, strlen(expected));
        assert_memory_equal(fields[1].data, expected, strlen(expected));
    }
    assert_int_equal(tfw_csv_next(csv), TFW_CSV_END);
    tfw_csv_free(csv);
    tf_buf_free(&text);
}

static void test_read_error(void **state)
{
    source_t source = {.data = "a,b\n1,2\n", .len = 8, .chunk = 4, .error = EIO};
    tf_buf_t out = TF_BUF_INIT;
    tfw_csv_t *csv;

    render(&source, &out);
    assert_string_equal(tf_buf_cstr(&out), "1:<a><b>\n2:<1><2>\ncannot read: Input/output error");
    tf_buf_free(&out);

    source = (source_t){.data = "a", .len = 1, .chunk = 1, .error = EIO};
    csv = tfw_csv_new(source_read, &source);
    assert_non_null(csv);
    assert_int_equal(tfw_csv_next(csv), TFW_CSV_READ_FAILED);
    tfw_csv_free(csv);
}

static void test_interrupted_read(void **state)
{
    source_t source = {.data = "a\n", .len = 2, .chunk = 1, .interrupted = true};
    tf_buf_t out = TF_BUF_INIT;

    render(&source, &out);
    assert_string_equal(tf_buf_cstr(&out), "1:<a>\nend");
    tf_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_field_limit),
        cmocka_unit_test(test_record_limit),
        cmocka_unit_test(test_column_limit),
        cmocka_unit_test(test_long_file),
        cmocka_unit_test(test_read_error),
        cmocka_unit_test(test_interrupted_read),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
