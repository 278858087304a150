/* Tables on their way between formats: numbers, serial dates, what a reader does with what it is given, and
 * that each of them ends when it is cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zip.h>
#include <cmocka.h>

#include "convert/conversion.h"
#include "convert/sheet.h"
#include "convert/xlsx.h"

static tf_str_t str(const char *text)
{
    return (tf_str_t){text, strlen(text)};
}

static void only_numbers_that_lose_nothing_are_numbers(void **state)
{
    static const char *const numbers[] = {"0",
                                          "-0",
                                          "7",
                                          "-1.50",
                                          "0.001",
                                          "123456789012345",
                                          "1e10",
                                          "2E-99",
                                          "1.5e+7",
                                          "123456789012.345",
                                          "100000000000000000000"};
    static const char *const texts[] = {"",
                                        "-",
                                        "+1",
                                        "01",
                                        "007",
                                        ".5",
                                        "1.",
                                        "1,5",
                                        " 1",
                                        "1 ",
                                        "1e",
                                        "1e+",
                                        "0x1",
                                        "1_0",
                                        "nan",
                                        "inf",
                                        "1e100",
                                        "1234567890123456",
                                        "0.1234567890123456",
                                        "--1",
                                        "1.2.3"};
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (!tfw_table_is_number(str(numbers[i]))) {
            fail_msg("%s is a number", numbers[i]);
        }
    }
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (tfw_table_is_number(str(texts[i]))) {
            fail_msg("%s is none", texts[i]);
        }
    }
}

static void columns_have_the_letters_of_spreadsheets(void **state)
{
    static const struct {
        size_t column;
        const char *letters;
    } cases[] = {{0, "A"},   {25, "Z"},   {26, "AA"},   {51, "AZ"},
                 {52, "BA"}, {701, "ZZ"}, {702, "AAA"}, {16383, "XFD"}};
    char letters[8];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tfw_table_letters(cases[i].column, letters);
        assert_string_equal(letters, cases[i].letters);
    }
}

static void number_formats_say_what_is_a_date(void **state)
{
    static const struct {
        const char *code;
        tfw_serial_t kind;
    } cases[] = {
        {"General", TFW_SERIAL_NUMBER},
        {"0.00", TFW_SERIAL_NUMBER},
        {"#,##0 [$EUR];[Red]-#,##0", TFW_SERIAL_NUMBER},
        {"0.00E+00", TFW_SERIAL_NUMBER},
        {"\"days: \"0", TFW_SERIAL_NUMBER},
        {"0\\d", TFW_SERIAL_NUMBER},
        {"[Yellow]0;yyyy", TFW_SERIAL_NUMBER},
        {"yyyy-mm-dd", TFW_SERIAL_DATE},
        {"mmm", TFW_SERIAL_DATE},
        {"[$-409]d. mmmm", TFW_SERIAL_DATE},
        {"h:mm AM/PM", TFW_SERIAL_TIME},
        {"mm:ss.0", TFW_SERIAL_TIME},
        {"[mm]:ss", TFW_SERIAL_TIME},
        {"[h]", TFW_SERIAL_TIME},
        {"D/M/YYYY HH:MM", TFW_SERIAL_DATE_TIME},
        {"yyyy\"", TFW_SERIAL_DATE},
        {"[h", TFW_SERIAL_TIME},
        {"0\\", TFW_SERIAL_NUMBER},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (tfw_sheet_format(str(cases[i].code)) != cases[i].kind) {
            fail_msg("%s is %d", cases[i].code, (int)tfw_sheet_format(str(cases[i].code)));
        }
    }
}

static void serial_dates_are_those_of_excel(void **state)
{
    static const struct {
        double serial;
        tfw_serial_t kind;
        bool base_1904;
        const char *iso; /* NULL: none */
    } cases[] = {
        {1, TFW_SERIAL_DATE, false, "1900-01-01"},
        {59, TFW_SERIAL_DATE, false, "1900-02-28"},
        {60, TFW_SERIAL_DATE, false, NULL}, /* 1900-02-29 */
        {61, TFW_SERIAL_DATE, false, "1900-03-01"},
        {45322, TFW_SERIAL_DATE, false, "2024-01-31"},
        {45351, TFW_SERIAL_DATE, false, "2024-02-29"},
        {43860, TFW_SERIAL_DATE, true, "2024-01-31"},
        {45322.5, TFW_SERIAL_DATE, false, "2024-01-31T12:00:00"},
        {45322, TFW_SERIAL_DATE_TIME, false, "2024-01-31T00:00:00"},
        {45322.999988426, TFW_SERIAL_DATE_TIME, false, "2024-01-31T23:59:59"},
        {45322.9999999999, TFW_SERIAL_DATE_TIME, false, "2024-02-01T00:00:00"},
        {0.000011574, TFW_SERIAL_TIME, false, "00:00:01"},
        {0.5000057870370370, TFW_SERIAL_TIME, false, "12:00:00.500"},
        {1.5, TFW_SERIAL_TIME, false, "36:00:00"},
        {2958465, TFW_SERIAL_DATE, false, "9999-12-31"},
        {2958466, TFW_SERIAL_DATE, false, NULL},
        {2957004, TFW_SERIAL_DATE, true, NULL},
        {-1, TFW_SERIAL_DATE, false, NULL},
        {45322, TFW_SERIAL_NUMBER, false, NULL},
    };
    char iso[TFW_ISO_SIZE];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is = tfw_sheet_date(cases[i].serial, cases[i].kind, cases[i].base_1904, iso);

        assert_int_equal(is, cases[i].iso != NULL);
        if (is) {
            assert_string_equal(iso, cases[i].iso);
        }
    }
}

static void escapes_of_workbooks_are_undone(void **state)
{
    char text[] = "a_x000A_b_x005F_x000A__x00E9__x000_x0000_";

    assert_int_equal(tfw_xlsx_unescape(text, strlen(text)), strlen("a\nb_x000A__x00E9__x000_x0000_"));
    assert_memory_equal(text, "a\nb_x000A__x00E9__x000_x0000_", strlen("a\nb_x000A__x00E9__x000_x0000_"));
}

/* ---- whole conversions ---- */

static int file_of(const char *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    return fd;
}

/* content.xml as an ODS file. */
static int ods_of(const char *content)
{
    zip_error_t error;
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_t *zip = zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error);
    zip_stat_t st;
    char *bytes;
    int fd;

    assert_non_null(zip);
    zip_source_keep(source);
    assert_true(zip_file_add(zip, "content.xml", zip_source_buffer(zip, content, strlen(content), 0), 0) >=
                0);
    assert_int_equal(zip_close(zip), 0);
    assert_int_equal(zip_source_stat(source, &st), 0);
    bytes = malloc(st.size);
    assert_non_null(bytes);
    assert_int_equal(zip_source_open(source), 0);
    assert_int_equal(zip_source_read(source, bytes, st.size), st.size);
    zip_source_close(source);
    zip_source_free(source);
    fd = file_of(bytes, st.size);
    free(bytes);
    return fd;
}

/* Asked so often, it says yes. */
static bool countdown(void *data)
{
    int *left = data;

    return (*left)-- <= 0;
}

static tfw_conversion_t conversion(int fd, tfw_format_t from, tfw_format_t to)
{
    return (tfw_conversion_t){
        .convert = {.output_max = 1 << 20, .unpacked_max = 1 << 20},
        .input = "test",
        .in = {.fd = fd, .size = (uint64_t)lseek(fd, 0, SEEK_END)},
        .out_fd = memfd_create("out", MFD_CLOEXEC),
        .from = from,
        .to = to,
    };
}

/* Converts; *text: what was made, or the error. Closes the input. */
static tfw_outcome_t convert(int fd, tfw_format_t from, tfw_format_t to, char *text, size_t size)
{
    tfw_conversion_t v = conversion(fd, from, to);
    ssize_t n;

    if (tfw_conversion_options(&v, NULL) && tfw_conversion_run(&v)) {
        n = pread(v.out_fd, text, size - 1, 0);
        assert_true(n >= 0);
        text[n] = '\0';
    } else {
        snprintf(text, size, "%s", v.convert.error);
    }
    close(v.out_fd);
    close(fd);
    return v.convert.outcome;
}

static void what_is_written_is_read_again(void **state)
{
    static const char csv[] = "name,n,\"a,b\"\n\"x \"\"y\"\"\",1.5,\n007,-3,\"two\nlines\"\n";
    tfw_conversion_t v = conversion(file_of(csv, strlen(csv)), TFW_FORMAT_CSV, TFW_FORMAT_XLSX);
    char text[1024];

    assert_true(tfw_conversion_options(&v, NULL));
    assert_true(tfw_conversion_run(&v));
    close(v.in.fd);
    assert_int_equal(v.table.rows, 2);
    assert_int_equal(v.table.columns, 3);
    assert_int_equal(convert(v.out_fd, TFW_FORMAT_XLSX, TFW_FORMAT_CSV, text, sizeof(text)), TFW_OK);
    assert_string_equal(text, csv);
}

#define ODS(rows)                                                                                            \
    "<o:document-content xmlns:o=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" "                      \
    "xmlns:t=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" "                                           \
    "xmlns:x=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><t:table t:name=\"a &amp; b\">" rows         \
    "</t:table></o:document-content>"
#define TEXT(text) "<t:table-cell o:value-type=\"string\"><x:p>" text "</x:p></t:table-cell>"

static void bad_files_end_in_an_error_that_says_where(void **state)
{
    static const struct {
        const char *text;
        tfw_format_t from;
        const char *error;
    } cases[] = {
        {"{\"a\":1}\n{\"a\":1", TFW_FORMAT_JSON, "line 2: the file ends within an object"},
        {"[{\"a\":1},", TFW_FORMAT_JSON, "line 1: the file ends before its array does"},
        {"[{\"a\":1} {", TFW_FORMAT_JSON, "line 1: a comma or the end of the array was expected"},
        {"[]\n[]", TFW_FORMAT_JSON, "line 2: something follows the array"},
        {"{\"a\":1}\n2", TFW_FORMAT_JSON, "line 2: value 2 is not an object"},
        {"\n\n", TFW_FORMAT_JSON, "line 3: the file is empty"},
        {"<o", TFW_FORMAT_ODS, NULL},
        {ODS("<t:table-row>" TEXT("a") "</t:table-ro>"), TFW_FORMAT_ODS, NULL},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", TFW_FORMAT_ODS,
         "the part content.xml has a document type declaration, which is refused"},
        {ODS("<t:table-row>" TEXT("&b;") "</t:table-row>"), TFW_FORMAT_ODS, NULL},
        {"<a/>", TFW_FORMAT_ODS, "there is no sheet 1 (it has 0)"},
    };
    char text[1024];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = cases[i].from == TFW_FORMAT_ODS ? ods_of(cases[i].text)
                                                 : file_of(cases[i].text, strlen(cases[i].text));

        assert_int_equal(convert(fd, cases[i].from, TFW_FORMAT_CSV, text, sizeof(text)), TFW_PERMANENT);
        if (cases[i].error) {
            assert_string_equal(text, cases[i].error);
        } else {
            assert_non_null(strstr(text, "the part content.xml is not XML: line 1: "));
        }
    }
}

static void a_sheet_is_as_wide_as_its_widest_row(void **state)
{
    char text[1024];
    int fd = ods_of(
        ODS("<t:table-row/><t:table-row>" TEXT("a") "</t:table-row><t:table-row "
                                                    "t:number-rows-repeated=\"9\"/><t:table-row>" TEXT("1")
                                                        TEXT("") TEXT("b&lt;&#233;") "</t:table-row>"));

    assert_int_equal(convert(fd, TFW_FORMAT_ODS, TFW_FORMAT_CSV, text, sizeof(text)), TFW_OK);
    assert_string_equal(text, "a,,\n1,,b<\xC3\xA9\n");
}

static void a_cancel_ends_every_reader(void **state)
{
    static const tfw_format_t formats[] = {TFW_FORMAT_CSV, TFW_FORMAT_JSON, TFW_FORMAT_ODS};
    tf_buf_t texts[3] = {TF_BUF_INIT, TF_BUF_INIT, TF_BUF_INIT};
    int i, row;

    tf_buf_adds(&texts[0], "a,b\n");
    tf_buf_adds(&texts[1], "[");
    for (row = 0; row < 100; row++) {
        tf_buf_adds(&texts[0], "1,2\n");
        tf_buf_adds(&texts[1], row ? ",{\"a\":1}" : "{\"a\":1}");
        tf_buf_adds(&texts[2], "<t:table-row>" TEXT("a") "</t:table-row>");
    }
    tf_buf_adds(&texts[1], "]");
    for (i = 0; i < 3; i++) {
        char *ods;
        int left = 50, fd;
        tfw_conversion_t v;

        assert_true(asprintf(&ods, "%s%s%s", strndupa(ODS("|"), strcspn(ODS("|"), "|")),
                             tf_buf_cstr(&texts[i]), strchr(ODS("|"), '|') + 1) > 0);
        fd = i == 2 ? ods_of(ods) : file_of(texts[i].data, texts[i].len);
        v = conversion(fd, formats[i], TFW_FORMAT_XLSX);
        v.convert.cancelled = countdown;
        v.convert.data = &left;
        assert_true(tfw_conversion_options(&v, NULL));
        assert_false(tfw_conversion_run(&v));
        assert_int_equal(v.convert.outcome, TFW_CANCELLED);
        assert_int_equal(left, -1); /* it was not asked again */
        close(fd);
        close(v.out_fd);
        free(ods);
        tf_buf_free(&texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_numbers_that_lose_nothing_are_numbers),
        cmocka_unit_test(columns_have_the_letters_of_spreadsheets),
        cmocka_unit_test(number_formats_say_what_is_a_date),
        cmocka_unit_test(serial_dates_are_those_of_excel),
        cmocka_unit_test(escapes_of_workbooks_are_undone),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(bad_files_end_in_an_error_that_says_where),
        cmocka_unit_test(a_sheet_is_as_wide_as_its_widest_row),
        cmocka_unit_test(a_cancel_ends_every_reader),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
