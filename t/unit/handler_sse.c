/* Server-sent events, as the HTML standard has them, whatever the pieces they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "inference/sse.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The data of the events, each in brackets. */
static const struct {
    const char *stream, *events;
} cases[] = {
    {"data: a\n\n", "[a]"},
    {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[a][b][c]"},
    {"data: a\r\n\ndata:b\n\r", "[a][b]"},
    {"data: a\ndata: b\ndata\ndata:\n\n", "[a\nb\n\n]"},
    {"data:  two blanks\n\n", "[ two blanks]"},
    {"data\n\n", "[]"},
    {"data:\n\n", "[]"},
    {": comment\n\ndata: a\n: in between\n\n:\n\n", "[a]"},
    {"event: ping\nid: 7\nretry: 10\ndata: {}\n\nevent: none\n\n", "[{}]"},
    {"datax: a\nDATA: b\n data: c\ndata : d\n\n", ""},
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "[a]"},
    {"data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "[a]"},
    {"data: a: b\n\n", "[a: b]"},
    {"data: not ended\n", ""},
    {"data: not ended", ""},
    {"\n\n\n", ""},
};

static bool collect(void *arg, const char *data, size_t len)
{
    tf_buf_t *out = arg;

    assert_int_equal(data[len], '\0');
    tf_buf_addc(out, '[');
    tf_buf_add(out, data, len);
    tf_buf_addc(out, ']');
    return true;
}

static void test_events(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t piece = 1; piece < 12; piece++) {
            size_t len = strlen(cases[i].stream);
            tf_buf_t out = TF_BUF_INIT;
            tfw_sse_t sse = {.on_event = collect, .arg = &out};

            for (size_t at = 0; at < len; at += piece) {
                assert_true(tfw_sse_feed(&sse, cases[i].stream + at, len - at < piece ? len - at : piece));
            }
            assert_string_equal(tf_buf_cstr(&out), cases[i].events);
            tfw_sse_free(&sse);
            tf_buf_free(&out);
        }
    }
}

static bool count_two(void *arg, const char *data, size_t len)
{
    return ++*(int *)arg < 2;
}

static void test_enough(void **state)
{
    static const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\n";
    int count = 0;
    tfw_sse_t sse = {.on_event = count_two, .arg = &count};

    assert_false(tfw_sse_feed(&sse, stream, strlen(stream)));
    assert_int_equal(count, 2);
    tfw_sse_free(&sse);
}

/* A line, or an event of many lines, that never ends. */
static void test_too_long(void **state)
{
    static char block[65536];

    for (int lines = 0; lines < 2; lines++) {
        int count = 0;
        tfw_sse_t sse = {.on_event = count_two, .arg = &count};
        size_t fed = 0;

        memset(block, 'x', sizeof(block));
        memcpy(block, "data:", 5);
        if (lines) {
            block[sizeof(block) - 1] = '\n';
        }
        while (tfw_sse_feed(&sse, block, sizeof(block))) {
            fed += sizeof(block);
            assert_true(fed <= TFW_SSE_MAX);
        }
        assert_int_equal(count, 0);
        tfw_sse_free(&sse);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_enough),
        cmocka_unit_test(test_too_long),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
